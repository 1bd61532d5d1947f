//! How fast a server answers.

use core::time::Duration;

use super::BATCH;
use roundtrip_core::Time;

/// A tenth of a second's worth may leave at once.
const BURST: u64 = 10;

/// The generic cell rate algorithm (ITU-T I.371, annex A): how many may leave now, kept as the one time at which all that
/// left would have been due, had each kept its distance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rate(Option<Limit>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Limit {
    /// From one to the next, nanoseconds, at least 1.
    period: u64,
    /// How far `due` may lie ahead of now: at least one period.
    ahead: u64,
    due: Time,
}

impl Rate {
    /// So many a second, 1 to 10^9; or without a bound.
    pub(super) fn new(rate: Option<u32>, now: Time) -> Self {
        Self(rate.map(|rate| {
            let period = 1_000_000_000 / u64::from(rate.max(1));
            Limit { period, ahead: period * (u64::from(rate) / BURST).max(1), due: now }
        }))
    }

    /// How many may leave now, no more than are read at one go.
    pub(super) fn allows(&self, now: Time) -> usize {
        let Some(limit) = &self.0 else { return BATCH };
        let used = nanos(limit.due.since(now));
        usize::try_from(limit.ahead.saturating_sub(used) / limit.period).unwrap_or(BATCH).min(BATCH)
    }

    /// When the next may leave, if none may now.
    pub(super) fn next(&self, now: Time) -> Option<Time> {
        let limit = self.0.as_ref().filter(|_| self.allows(now) == 0)?;
        let over = nanos(limit.due.since(now)) + limit.period - limit.ahead;
        Some(now.after(Duration::from_nanos(over)))
    }

    /// One leaves.
    pub(super) fn spend(&mut self, now: Time) {
        if let Some(limit) = &mut self.0 {
            limit.due = limit.due.max(now).after(Duration::from_nanos(limit.period));
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut now = Time::ZERO;
        let mut rate = Rate::new(Some(100), now);
        let mut came = 0;
        let end = now.after(Duration::from_secs(2));
        while now < end {
            for _ in 0..rate.allows(now) {
                rate.spend(now);
                came += 1;
            }
            now = rate.next(now).unwrap_or(now.after(Duration::from_nanos(1)));
        }
        // Ten at once, and a hundred each second.
        assert_eq!(came, 10 + 199);
    }

    #[test]
    fn without_a_bound_all_may_come() {
        let mut rate = Rate::new(None, Time::ZERO);
        for _ in 0..1000 {
            rate.spend(Time::ZERO);
        }
        assert_eq!((rate.allows(Time::ZERO), rate.next(Time::ZERO)), (BATCH, None));
    }

    quickcheck! {
        fn whoever_waits_until_the_next_may_comes_in(rate: u32, spent: u8, start: u64) -> bool {
            let now = Time::from_nanos(start / 2);
            let mut rate = Rate::new(Some(rate % 1_000_000_000 + 1), now);
            for _ in 0..spent {
                if rate.allows(now) > 0 {
                    rate.spend(now);
                }
            }
            match rate.next(now) {
                None => rate.allows(now) > 0,
                Some(next) => next > now && rate.allows(next) > 0,
            }
        }
    }
}
