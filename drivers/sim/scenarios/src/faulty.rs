//! The shipped echo server with one bug at a time around it, to show that each is found.

use std::convert::Infallible;
use std::time::Duration;

use roundtrip_core::{Action, Failure, Input, Machine, Teardown, Time};
use roundtrip_echo::{EchoServer, End, Limit, Phase, ServerOutcome};

use super::oracle::Subject;
use super::workload::{TimeLimits, Workload};
use crate::planted::planted;

/// A bug that can be planted.
#[derive(Clone, Copy, Debug)]
pub struct PlantedBug {
    /// Its number, for [`plant`](crate::plant).
    pub number: u32,
    /// What is wrong.
    pub what: &'static str,
    /// The scenario that has to find it.
    pub scenario: &'static str,
    /// Within so many seeds.
    pub limit: u64,
    /// By one of these verdicts.
    pub expected: &'static [&'static str],
}

const fn bug(
    number: u32,
    what: &'static str,
    scenario: &'static str,
    limit: u64,
    expected: &'static [&'static str],
) -> PlantedBug {
    PlantedBug { number, what, scenario, limit, expected }
}

/// All bugs that can be planted: most in the machine, numbers 2, 10 and 14 in the driver.
pub const PLANTED: [PlantedBug; 16] = [
    bug(1, "closes on the peer's end without draining", "echo", 20, &["outcome"]),
    bug(2, "takes a partial write for a full one", "echo", 20, &["conservation", "counts"]),
    bug(3, "counts a byte too few as written at a full buffer", "echo", 1000, &["I4", "stuck"]),
    bug(4, "takes data past the bound", "echo", 50, &["memory"]),
    bug(5, "does not resume reading after the buffer was full", "echo", 50, &["I4", "stuck"]),
    bug(6, "spins on an empty buffer", "echo", 50, &["I5"]),
    bug(7, "wake-ups without progress reset the idle timer", "echo", 500, &["idle"]),
    bug(8, "writes do not reset the idle timer", "echo", 500, &["early"]),
    bug(9, "misses a deadline on a tie", "echo", 1000, &["idle"]),
    bug(10, "drops bytes that arrive with the FIN", "echo", 100, &["counts", "conservation"]),
    bug(11, "a stop during a drain truncates", "echo", 200, &["early", "conservation"]),
    bug(12, "an abort after the half-close half-closes again", "echo", 500, &["I3"]),
    bug(
        13,
        "skips the second chunk after the first was partly written",
        "echo",
        500,
        &["conservation", "counts"],
    ),
    bug(
        14,
        "accepts a stale completion of an earlier connection",
        "server",
        2000,
        &["misuse", "conservation", "counts", "stuck"],
    ),
    bug(15, "a forward jump of the clock disarms the idle limit", "echo", 500, &["idle"]),
    bug(
        16,
        "says clean when reset after the end with bytes held behind two short writes",
        "echo",
        20_000,
        &["counts", "outcome"],
    ),
];

/// How far past its deadline the clock has to be for number 15.
const JUMP: Duration = Duration::from_millis(20);

/// An echo server with the bug that is planted, or none.
#[derive(Clone, Debug)]
pub struct Faulty {
    server: EchoServer,
    /// The idle limit, where the bug is in it: the server inside has none then.
    idle: Option<Duration>,
    moved: Time,
    disarmed: bool,
    /// Bytes that the bound allows.
    buffer: usize,
    outstanding: usize,
    was_full: bool,
    was_partial: bool,
    /// Short writes since the peer's end.
    short: u32,
    ended: bool,
    half_close_again: bool,
    forced: Option<(Teardown, ServerOutcome)>,
}

impl Faulty {
    pub(super) fn new(workload: &Workload, now: Time) -> Self {
        let Workload { server: config, limits, .. } = workload;
        let own_idle = [7, 8, 9, 15].into_iter().any(planted);
        let limits_within = TimeLimits { idle: limits.idle.filter(|_| !own_idle), ..*limits };
        let room = config.buffer + usize::from(planted(4));
        Self {
            server: EchoServer::new(limits_within.config(room, config.chunk, config.max_chunks), now),
            idle: limits.idle.filter(|_| own_idle),
            moved: now,
            disarmed: false,
            buffer: config.buffer,
            outstanding: 0,
            was_full: false,
            was_partial: false,
            short: 0,
            ended: false,
            half_close_again: false,
            forced: None,
        }
    }

    fn force(&mut self, end: End) {
        let (received, echoed) = (self.server.received(), self.server.echoed());
        let mut outcome = ServerOutcome::new(end);
        (outcome.received, outcome.echoed, outcome.dropped) = (received, echoed, received - echoed);
        self.forced = Some((Teardown::Graceful, outcome));
    }

    fn wrote(&mut self, now: Time, n: usize) {
        let is_partial = n < self.outstanding;
        self.outstanding = self.outstanding.saturating_sub(n);
        self.was_partial |= is_partial;
        self.short += u32::from(is_partial && self.ended);
        if !planted(8) {
            self.moved = now;
        }
        let is_miscounted = planted(3) && n > 1 && self.server.held() == self.buffer;
        self.server.handle(now, Input::Wrote(if is_miscounted { n - 1 } else { n }));
    }

    /// The idle limit, as a careless author would have it.
    fn idle_deadline(&mut self, now: Time) -> Option<Time> {
        if planted(7) {
            self.moved = now;
        }
        let deadline = self.moved.after(self.idle?);
        if planted(15) && now >= deadline.after(JUMP) {
            self.disarmed = true;
        }
        if self.disarmed {
            return None;
        }
        let has_passed = if planted(9) { now > deadline } else { now >= deadline };
        if has_passed {
            self.force(End::TimedOut(Limit::Idle));
        }
        Some(deadline).filter(|deadline| *deadline > now)
    }
}

impl Subject for Faulty {
    fn server(&self) -> &EchoServer {
        &self.server
    }
}

impl Machine for Faulty {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ServerOutcome;

    fn handle(&mut self, now: Time, input: Input) {
        let phase = self.server.phase();
        match input {
            Input::Wrote(n) => return self.wrote(now, n),
            Input::Data(bytes) => {
                self.moved = now;
                self.server.handle(now, Input::Data(bytes));
                self.was_full |= self.server.held() >= self.buffer;
                return;
            }
            Input::Eof => {
                self.moved = now;
                self.ended = true;
                if planted(1) && self.server.held() > 0 {
                    self.force(End::Clean);
                }
            }
            Input::Stop if planted(11) && phase == Phase::Draining => self.force(End::Stopped),
            Input::Abort if planted(12) && phase == Phase::Lingering => self.half_close_again = true,
            Input::Failed(Failure::Reset)
                if planted(16) && self.ended && self.server.held() > 0 && self.short >= 2 =>
            {
                let mut outcome = ServerOutcome::new(End::Clean);
                outcome.received = self.server.received();
                outcome.echoed = outcome.received;
                self.forced = Some((Teardown::Graceful, outcome));
            }
            Input::Stop | Input::Abort | Input::Failed(_) | Input::Command(_) => {}
        }
        self.server.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> Action<Infallible, ServerOutcome> {
        let idle = self.idle_deadline(now);
        if let Some((how, outcome)) = self.forced {
            return Action::Close { how, outcome };
        }
        if std::mem::take(&mut self.half_close_again) {
            return Action::ShutdownWrite;
        }
        match self.server.poll(now) {
            Action::Write(bytes) => {
                if planted(13) && std::mem::take(&mut self.was_partial) {
                    // Skipped, and taken for written.
                    self.server.handle(now, Input::Wrote(bytes.len()));
                    return self.poll(now);
                }
                self.outstanding = bytes.len();
                Action::Write(bytes)
            }
            Action::Wait(mut wait) => {
                wait.deadline = [wait.deadline, idle].into_iter().flatten().min();
                if planted(5) && self.was_full {
                    wait.read = 0;
                }
                if planted(6) && self.server.held() == 0 {
                    wait.deadline = Some(now);
                }
                Action::Wait(wait)
            }
            other @ (Action::ShutdownWrite | Action::Event(_) | Action::Close { .. }) => other,
        }
    }
}
