//! The echo service: a session for each connection, and a sum of what came of them.

use std::fmt::Display;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roundtrip_core::echo::{EchoServer, End, ServerConfig, ServerOutcome};
use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Machine, Observe, Tap, Time};
use roundtrip_std::{Caller, Clock, Control, Ended, Service, SystemClock};

use crate::out::Complaints;
use crate::problem::plain;
use crate::units;

/// The shortest time between two lines about failed accepts.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(5);

/// The service: an echo session for each connection, with the observer that `W` makes for it, and a sum of what came of
/// them.
pub(crate) struct Echo<W> {
    config: Arc<ServerConfig>,
    watch: W,
    clock: SystemClock,
    complaints: Complaints,
    totals: Mutex<Totals>,
}

#[derive(Default)]
pub(crate) struct Totals {
    opened: u64,
    closed: u64,
    /// Bytes that a client saw acknowledged, and that were not echoed although it was still there.
    lost: u64,
    aborted: u64,
    /// When the drain began, and how many sessions were over by then.
    draining: Option<Time>,
    closed_before: u64,
    pub(crate) last: Option<Ended<ServerOutcome>>,
    complained: Option<Time>,
}

impl<W> Echo<W> {
    pub(crate) fn new(config: ServerConfig, watch: W) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            config: Arc::new(config),
            watch,
            clock: SystemClock::new(),
            complaints: Complaints::new()?,
            totals: Mutex::default(),
        }))
    }

    pub(crate) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A drain begins.
    pub(crate) fn draining(&self, limit: Duration) {
        let mut totals = self.totals();
        totals.draining = Some(self.clock.now());
        totals.closed_before = totals.closed;
        let open = units::grouped(totals.opened - totals.closed);
        let limit = units::duration(limit);
        self.complaints
            .complain(format!("draining: {open} connections, deadline {limit} (again to stop now)"));
    }

    /// The server is done: says how the drain went, if it was stopped.
    pub(crate) fn say_goodbye(&self) {
        let totals = self.totals();
        if let Some(since) = totals.draining {
            let took = self.clock.now().since(since).as_secs_f64();
            let closed = units::grouped(totals.closed - totals.closed_before);
            let lost = units::bytes(totals.lost);
            self.complaints.complain(format!("drained in {took:.2}s: {closed} closed, {lost} lost"));
        }
        drop(totals);
        self.complaints.flush();
    }
}

impl Totals {
    /// Whether nobody was cut off, and nothing lost.
    pub(crate) const fn is_whole(&self) -> bool {
        self.lost == 0 && self.aborted == 0
    }
}

impl<W, O> Echo<W>
where
    W: Fn(ConnectionId, Time) -> O,
    O: Observe<EchoServer>,
{
    /// A connection begins: the session for it.
    pub(crate) fn begin(&self, connection: ConnectionId, now: Time) -> Tap<EchoServer, O> {
        self.totals().opened += 1;
        let observer = (self.watch)(connection, now);
        Tap::new(EchoServer::new(Arc::clone(&self.config), now), observer)
    }
}

impl<W> Echo<W> {
    /// Says what is wrong with a connection.
    pub(crate) fn complain(&self, peer: &dyn Display, what: &str) {
        self.complaints.complain(format!("{peer}: {what}"));
    }

    /// A connection is over: what came of it.
    pub(crate) fn end(&self, peer: &dyn Display, ended: Ended<ServerOutcome>) {
        let ServerOutcome { end, dropped, .. } = ended.outcome;
        let mut totals = self.totals();
        // Nobody is left to be told who reset the connection, or vanished. In a drain we may have cut it off before that.
        let vanished = matches!(end, End::Failed(_)) && totals.draining.is_none();
        let lost = if vanished { 0 } else { dropped + ended.unread + ended.destroyed };
        totals.closed += 1;
        totals.lost += lost;
        totals.aborted += u64::from(end == End::Aborted);
        totals.last = Some(ended);
        drop(totals);
        if lost > 0 {
            self.complain(peer, &format!("{}, {} lost", words(end), units::bytes(lost)));
        }
    }
}

impl<W, O> Service for Echo<W>
where
    W: Fn(ConnectionId, Time) -> O + Sync,
    O: Observe<EchoServer>,
{
    type Machine = Tap<EchoServer, O>;

    fn open(
        &self,
        now: Time,
        caller: &Caller,
        _control: &Control<<EchoServer as Machine>::Command>,
    ) -> Self::Machine {
        self.begin(caller.id, now)
    }

    fn ended(&self, caller: &Caller, ended: Ended<ServerOutcome>) {
        self.end(&caller.peer, ended);
    }

    fn accept_failed(&self, error: &io::Error) {
        let now = self.clock.now();
        let mut totals = self.totals();
        let is_quiet = totals.complained.is_none_or(|last| now.since(last) >= COMPLAINT_PAUSE);
        if is_quiet {
            totals.complained = Some(now);
        }
        drop(totals);
        if is_quiet {
            self.complaints.complain(format!("cannot accept: {}; trying again", plain(error)));
        }
    }
}

fn words(end: End) -> &'static str {
    match end {
        End::Clean => "closed",
        End::Stopped => "stopped",
        End::Aborted => "aborted",
        End::TimedOut(_) => "timed out",
        End::Failed(_) => "connection failed",
    }
}
