//! Against sources that never stop sending.

use alloc::boxed::Box;
use alloc::vec;
use core::hash::Hash;
use core::time::Duration;

use super::guard::key_of;
use crate::Time;

/// Sources that are remembered: sets of four, in each the four that were answered last. 16 KiB.
const SETS: usize = 256;
const WAYS: usize = 4;
/// A source may have so many seconds' worth of its own rate at once: as much as the whole server answers in one.
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
    sets: Box<[[Entry; WAYS]]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    key: u64,
    /// When all that was answered would have been due, had each kept its distance (ITU-T I.371, annex A).
    due: Time,
}

/// A source of that key has its burst.
const EMPTY: Entry = Entry { key: 0, due: Time::ZERO };

impl SourceRates {
    /// For a server that answers so many a second, at least 1.
    pub(super) fn new(rate: u32) -> Self {
        let period = u64::from(PART) * 1_000_000_000 / u64::from(rate.max(1));
        Self { period, sets: vec![[EMPTY; WAYS]; SETS].into() }
    }

    /// From when on the source may be answered.
    pub(super) fn ready(&self, source: &impl Hash, now: Time) -> Time {
        let key = key_of(source);
        let entry = self.sets[Self::set(key)].iter().find(|entry| entry.key == key);
        self.ready_by(entry.map_or(now, |entry| entry.due), now)
    }

    /// The source is answered; from when on it may be again.
    pub(super) fn spend(&mut self, source: &impl Hash, now: Time) -> Time {
        let key = key_of(source);
        let set = &mut self.sets[Self::set(key)];
        // What was answered last stands first.
        let found = set.iter().position(|entry| entry.key == key);
        set[..=found.unwrap_or(WAYS - 1)].rotate_right(1);
        if found.is_none() {
            set[0] = Entry { key, due: now };
        }
        set[0].due = set[0].due.max(now).after(Duration::from_nanos(self.period));
        let due = set[0].due;
        self.ready_by(due, now)
    }

    /// Whoever is due at that time is answered so much earlier.
    fn ready_by(&self, due: Time, now: Time) -> Time {
        let ahead = Duration::from_nanos(self.period.saturating_mul(self.burst()));
        let early = due.since(now).saturating_sub(ahead);
        now.after(early)
    }

    /// Answers that a source may have at once, less the one that is on.
    const fn burst(&self) -> u64 {
        let burst = BURST * 1_000_000_000 / self.period;
        if burst == 0 { 0 } else { burst - 1 }
    }

    fn set(key: u64) -> usize {
        usize::try_from(key % SETS as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many answers a source that always asks gets within so many seconds.
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
