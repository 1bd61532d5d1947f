//! Against sources that never stop sending.

use core::hash::Hash;
use core::time::Duration;

use super::loop_detector::key_of;
use super::recent::Recent;
use roundtrip_core::Time;

/// Sets of sources that are remembered, four in each: 16 KiB.
const SETS: usize = 256;
/// Burst of one source, in seconds of its own rate: as much as the whole server answers in one second.
const BURST: u64 = 10;
/// The part of the server's rate that one source may have for good.
const PART: u32 = 10;

/// How fast each source is answered: a tenth of the server's rate, after a burst of one second's worth of all of it.
///
/// What goes round between two servers and is another datagram each time cannot be told from a client that goes on for
/// ever (RFC 862 has no way to); so both are answered, and slowly. Addresses can be forged, so there is a table of fixed size:
/// a source that was pushed out of it has its burst again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SourceRates {
    /// From one answer to the next, nanoseconds.
    period: u64,
    /// When all that was answered would have been due, had each kept its distance (ITU-T I.371, annex A).
    due: Recent<Time, SETS>,
}

impl SourceRates {
    /// For a server that answers `rate` datagrams a second, at least 1.
    pub(super) fn new(rate: u32) -> Self {
        let period = u64::from(PART) * 1_000_000_000 / u64::from(rate.max(1));
        Self { period, due: Recent::new() }
    }

    /// From when on the source may be answered.
    pub(super) fn ready(&self, source: &impl Hash, now: Time) -> Time {
        self.ready_by(self.due.get(key_of(source)).unwrap_or(now), now)
    }

    /// The source is answered; from when on it may be again.
    pub(super) fn spend(&mut self, source: &impl Hash, now: Time) -> Time {
        let mut next = now;
        self.due.update(key_of(source), now, |due| {
            next = due.max(now).after(Duration::from_nanos(self.period));
            Some(next)
        });
        self.ready_by(next, now)
    }

    /// When a source that is due at `due` may be answered: earlier by its burst.
    fn ready_by(&self, due: Time, now: Time) -> Time {
        let ahead = Duration::from_nanos(self.period.saturating_mul(self.burst()));
        let early = due.since(now).saturating_sub(ahead);
        now.after(early)
    }

    /// Answers that a source may have at once, less the one that is on.
    const fn burst(&self) -> u64 {
        let burst = BURST * 1_000_000_000 / self.period;
        burst.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many answers a source that always asks gets within `seconds`.
    fn answers(rate: u32, seconds: u64) -> u64 {
        let (mut rates, mut now, mut count) = (SourceRates::new(rate), Time::ZERO, 0);
        while now < Time::from_nanos(seconds * 1_000_000_000) {
            now = rates.spend(&1, now);
            count += 1;
        }
        count
    }

    #[test]
    fn a_source_gets_a_burst_and_then_a_tenth() {
        for rate in [10, 1000, 10_000] {
            for seconds in [1, 10, 60] {
                let expected = u64::from(rate) + seconds * u64::from(rate) / 10;
                let count = answers(rate, seconds);
                assert!(count.abs_diff(expected) <= 2, "{count} of {expected} at {rate} in {seconds} s");
            }
        }
        assert_eq!(answers(1, 100), 10, "one each ten seconds");
    }

    #[test]
    fn others_are_not_held_up() {
        let mut rates = SourceRates::new(100);
        for _ in 0..1000 {
            rates.spend(&1, Time::ZERO);
        }
        assert!(rates.ready(&1, Time::ZERO) > Time::ZERO);
        assert_eq!(rates.ready(&2, Time::ZERO), Time::ZERO);
    }
}
