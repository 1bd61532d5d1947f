//! Warnings on standard error: at most one line of a kind in five seconds, and a count of those that were left out. A peer that
//! causes one for each connection must not fill the log.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_std::{Clock, SystemClock};

use crate::out::Complaints;
use crate::units::grouped;

/// The shortest time between two lines of a kind.
const PAUSE: Duration = Duration::from_secs(5);

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    AcceptFailed,
    Refused,
    Tls,
    Lost,
    CutOff,
}

impl Kind {
    const ALL: [Self; 5] = [Self::AcceptFailed, Self::Refused, Self::Tls, Self::Lost, Self::CutOff];

    const fn plural(self) -> &'static str {
        match self {
            Self::AcceptFailed => "failed accepts",
            Self::Refused => "refused connections",
            Self::Tls => "connections with TLS errors",
            Self::Lost => "connections with lost bytes",
            Self::CutOff => "connections that were still sending",
        }
    }
}

/// Writes warnings. Shared by all connections.
#[derive(Debug)]
pub(crate) struct Warnings {
    lines: Complaints,
    clock: SystemClock,
    limits: Mutex<[RateLimit; Kind::ALL.len()]>,
}

impl Warnings {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { lines: Complaints::new()?, clock: SystemClock::new(), limits: Mutex::default() })
    }

    /// One line, unless there was one of this kind within the last five seconds.
    pub(crate) fn warn(&self, kind: Kind, line: impl FnOnce() -> String) {
        let now = self.clock.now();
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = limits[kind as usize].line(now, line) {
            self.lines.complain(line);
        }
    }

    /// One line that no limit applies to: an answer to the operator.
    pub(crate) fn inform(&self, line: String) {
        self.lines.complain(line);
    }

    /// Counts what was left out since the last line of each kind, and waits until all is written, or for a second.
    pub(crate) fn finish(&self) {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in Kind::ALL {
            let more = std::mem::take(&mut limits[kind as usize].suppressed);
            if more > 0 {
                self.lines.complain(format!("{} more {}", grouped(more), kind.plural()));
            }
        }
        drop(limits);
        self.lines.flush();
    }
}

/// Lets one line of a kind pass in each [`PAUSE`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RateLimit {
    last: Option<Time>,
    suppressed: u64,
}

impl RateLimit {
    /// The line, if one passes now: with how many did not since the last that did.
    pub(crate) fn line(&mut self, now: Time, line: impl FnOnce() -> String) -> Option<String> {
        Some(match self.pass(now)? {
            0 => line(),
            more => format!("{} ({} more since the last line)", line(), grouped(more)),
        })
    }

    /// How many did not pass since the last that did, if one passes now.
    fn pass(&mut self, now: Time) -> Option<u64> {
        if self.last.is_some_and(|last| now.since(last) < PAUSE) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passes_in_five_seconds_and_the_others_are_counted() {
        let mut limit = RateLimit::default();
        let at = |millis| Time::ZERO.after(Duration::from_millis(millis));
        assert_eq!(limit.pass(at(0)), Some(0));
        assert_eq!((limit.pass(at(1)), limit.pass(at(4999))), (None, None));
        assert_eq!(limit.pass(at(5000)), Some(2));
        assert_eq!(limit.pass(at(20_000)), Some(0));
    }

    #[test]
    fn kinds_are_numbered_in_order() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
