//! What must hold of an echo, whatever happens to it: the invariants by name, and the goals.

use std::time::Duration;

use roundtrip_core::{Driven, Failure, Machine, Time};
use roundtrip_echo::{
    ClientOutcome, EchoServer, End as ServerEnd, FaultKind, Limit, Phase, ServerOutcome, Verdict,
};

use super::echo::{EchoClients, EchoServers};
use super::workload::{TimeLimits, Workload};
use roundtrip_sim::{Connection, Did, End, Side};
use roundtrip_sim::{Moment, Reached, Scenario, Violation};

/// What a campaign must have tried.
pub(super) const GOALS: &[&str] = &[
    "buffer full",
    "short write while full",
    "end while buffered",
    "reset while buffered",
    "simultaneous close",
    "time-out while blocked",
    "timer tied with bytes",
    "stop while open",
    "stop while draining",
    "stop while flushing",
    "stop while lingering",
];

/// The goals of every echo, and behind them a scenario's own.
pub(super) const fn goals_and<const OWN: usize, const ALL: usize>(
    own: &[&'static str; OWN],
) -> [&'static str; ALL] {
    let mut goals = [""; ALL];
    let (first, last) = goals.split_at_mut(GOALS.len());
    first.copy_from_slice(GOALS);
    last.copy_from_slice(own);
    goals
}

/// A server session of the echo, shipped or with a bug planted in it.
pub(super) trait Subject: Machine<Outcome = ServerOutcome> {
    fn server(&self) -> &EchoServer;
}

impl Subject for EchoServer {
    fn server(&self) -> &EchoServer {
        self
    }
}

/// After every event on a connection.
#[inline]
pub(super) fn check<S>(moment: &Moment<'_, S>, reached: &mut Reached) -> Result<(), Violation>
where
    S: Scenario<Client = EchoClients, Server = EchoServers>,
{
    match moment.side {
        Side::Client => check_client(moment.connection.client()),
        Side::Server => check_server(moment.connection.server(), &moment.server.workload, reached),
    }
}

/// After every event at a server's end.
#[inline]
pub(super) fn check_server<M: Subject>(
    end: &End<M>,
    workload: &Workload,
    reached: &mut Reached,
) -> Result<(), Violation> {
    reached.reach_if(6, end.did().has(Did::TIED));
    match (end.session(), end.outcome()) {
        (Some(session), _) => check_session(end, session, workload, reached),
        (None, Some(outcome)) => check_outcome(end, outcome, &workload.limits, reached),
        (None, None) => Ok(()),
    }
}

#[inline]
fn check_session<M: Subject>(
    end: &End<M>,
    session: &Driven<M>,
    workload: &Workload,
    reached: &mut Reached,
) -> Result<(), Violation> {
    let Workload { server: config, limits, .. } = workload;
    let server = session.machine().server();
    let (held, did, deadline) = (server.held(), end.did(), session.deadline());
    if held > config.buffer {
        return Err(Violation::new(
            "memory",
            format!("{held} bytes held with a buffer of {}", config.buffer),
        ));
    }
    if server.chunks() > config.max_chunks + 1 {
        return Err(Violation::new("memory", format!("{} chunks held", server.chunks())));
    }
    if server.received() != end.read() {
        return Err(Violation::new(
            "counts",
            format!("{} bytes counted as received, {} were read", server.received(), end.read()),
        ));
    }
    for (limit, since, name) in
        [(limits.idle, end.moved(), "idle"), (limits.max_age, end.opened(), "max-age")]
    {
        if let Some(limit) = limit
            && deadline.is_none_or(|deadline| deadline > since.after(limit))
        {
            let due = since.after(limit);
            return Err(Violation::new(
                name,
                format!("the limit passes at {due:?}, the deadline is {deadline:?}"),
            ));
        }
    }
    let full = held == config.buffer;
    reached.reach_if(0, full);
    reached.reach_if(1, full && did.has(Did::SHORT));
    reached.reach_if(2, held > 0 && did.has(Did::END));
    if did.has(Did::STOP) {
        let goal = match server.phase() {
            Phase::Open | Phase::Closed => return Ok(()),
            Phase::Draining if end.stops() == 1 => 7,
            Phase::Draining => 8,
            Phase::Flushing => 9,
            Phase::Lingering => 10,
        };
        reached.reach(goal);
    }
    Ok(())
}

fn check_outcome<M: Subject>(
    end: &End<M>,
    outcome: &ServerOutcome,
    limits: &TimeLimits,
    reached: &mut Reached,
) -> Result<(), Violation> {
    let ServerOutcome { end: how, received, echoed, dropped, refused, .. } = *outcome;
    let adds_up = echoed + dropped == received && refused <= dropped;
    if received != end.read() || !adds_up || echoed > end.written() {
        let (read, written) = (end.read(), end.written());
        return Err(Violation::new(
            "counts",
            format!("{outcome:?}, but {read} bytes were read, {written} written"),
        ));
    }
    let early =
        |limit: Option<Duration>, since: Time| limit.is_none_or(|limit| end.now() < since.after(limit));
    let is_wrong = match how {
        ServerEnd::Clean => dropped > 0 || !end.ever().has(Did::END) && !end.did().has(Did::END),
        ServerEnd::Stopped => end.stops() == 0,
        ServerEnd::Aborted => !end.did().has(Did::ABORT),
        ServerEnd::Failed(failure) => failure != Failure::Reset || !end.did().has(Did::FAILED),
        ServerEnd::TimedOut(_) => false,
    };
    if is_wrong {
        return Err(Violation::new("outcome", format!("{outcome:?}")));
    }
    let is_early = match how {
        ServerEnd::TimedOut(Limit::Idle) => early(limits.idle, end.moved()),
        ServerEnd::TimedOut(Limit::MaxAge) => early(limits.max_age, end.opened()),
        ServerEnd::TimedOut(Limit::HalfCloseIdle) => early(limits.half_close_idle, end.moved()),
        ServerEnd::TimedOut(Limit::Quiet | Limit::Drain | Limit::Linger) => true,
        ServerEnd::Stopped => {
            let patience = limits.quiet.min(limits.drain);
            dropped > 0 && end.stopped().is_none_or(|stopped| end.now() < stopped.after(patience))
        }
        ServerEnd::Clean | ServerEnd::Aborted | ServerEnd::Failed(_) => false,
    };
    if is_early {
        return Err(Violation::new(
            "early",
            format!("{outcome:?} at {:?}, last moved {:?}", end.now(), end.moved()),
        ));
    }
    if dropped > 0 {
        match how {
            ServerEnd::Failed(_) => reached.reach(3),
            ServerEnd::TimedOut(_) => reached.reach(5),
            ServerEnd::Clean | ServerEnd::Stopped | ServerEnd::Aborted => {}
        }
    }
    Ok(())
}

/// The client verifies every byte: what it found is decided here, what it missed once both sides are known.
pub(super) fn check_client<C: Machine<Outcome = ClientOutcome>>(end: &End<C>) -> Result<(), Violation> {
    let Some(ClientOutcome { verdict: Verdict::Faulty(fault), sent, received, .. }) = end.outcome() else {
        return Ok(());
    };
    match fault.kind {
        FaultKind::Truncated { .. } | FaultKind::TimedOut => Ok(()),
        kind @ (FaultKind::Lost { .. }
        | FaultKind::Duplicated { .. }
        | FaultKind::Inserted { .. }
        | FaultKind::Reordered
        | FaultKind::Corrupted
        // None of these clients waits for the last bytes.
        | FaultKind::Withheld { .. }
        | FaultKind::Trailing) => Err(Violation::new(
            "conservation",
            format!("{kind:?} at offset {} ({sent} bytes sent, {received} received)", fault.at),
        )),
    }
}

/// Once both ends are closed.
pub(super) fn finished<C: Machine<Outcome = ClientOutcome>, M: Subject>(
    connection: &Connection<C, M>,
    reached: &mut Reached,
) -> Result<(), Violation> {
    let (client, server, injected) = (connection.client(), connection.server(), connection.injected());
    reached.reach_if(4, client.half_closed_first() && server.half_closed_first());
    let Some(ClientOutcome { verdict, sent, received, .. }) = client.outcome() else { return Ok(()) };
    let reset = injected.reset || injected.crash || injected.refused || injected.server_abort;
    let excused = match (verdict, server.outcome()) {
        // What the server says it did decides what the client may say.
        (Verdict::Faulty(fault), Some(outcome)) => match (fault.kind, outcome.end) {
            (FaultKind::TimedOut, _) | (_, ServerEnd::TimedOut(_)) => true,
            (_, ServerEnd::Clean) => injected.reset,
            (_, ServerEnd::Stopped) => outcome.dropped > 0 || server.half_closed_first() || injected.reset,
            (_, ServerEnd::Aborted | ServerEnd::Failed(_)) => reset || injected.server_stop,
        },
        (Verdict::Faulty(_), None) => reset,
        (Verdict::Verified, _) => true,
        (Verdict::Stopped, _) => injected.client_stop,
        (Verdict::Aborted, _) => injected.client_abort,
    };
    if excused {
        return Ok(());
    }
    Err(Violation::new(
        "conservation",
        format!(
            "{received} of {sent} bytes came back: {verdict:?}, but the server says {:?}",
            server.outcome().map(|outcome| (outcome.end, outcome.received, outcome.echoed))
        ),
    ))
}
