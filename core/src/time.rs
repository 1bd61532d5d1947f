//! The only notion of time a machine has: a number that the driver hands in.

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

/// A point in monotonic time, in nanoseconds since an epoch that the driver picks.
///
/// The core never reads a clock. Every call into a machine carries `now`, and `now` never goes back.
/// Arithmetic saturates: [`Time::MAX`], some 584 years after the epoch, means "never".
///
/// `Option<Time>` is no larger than `Time`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(NonZeroU64);

impl Time {
    /// The driver's epoch.
    pub const ZERO: Self = Self::from_nanos(0);

    /// The end of time: no deadline lies after it.
    pub const MAX: Self = Self::from_nanos(u64::MAX);

    /// The time `nanos` nanoseconds after the epoch; the largest `u64` saturates to [`Time::MAX`].
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// The time `duration` after this one, at most [`Time::MAX`].
    pub const fn after(self, duration: Duration) -> Self {
        let nanos = duration.as_secs().saturating_mul(1_000_000_000);
        Self(self.0.saturating_add(nanos.saturating_add(duration.subsec_nanos() as u64)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl fmt::Debug for Time {
    /// Seconds since the epoch, to the nanosecond: `1.204000000s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.as_nanos();
        write!(f, "{}.{:09}s", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Time::MAX.after(Duration::from_secs(1)), Time::MAX);
        assert_eq!(Time::ZERO.after(Duration::MAX), Time::MAX);
        assert_eq!(Time::ZERO.since(Time::MAX), Duration::ZERO);
        assert_eq!(Time::from_nanos(u64::MAX), Time::MAX);
    }

    #[test]
    fn after_and_since_are_inverse() {
        let start = Time::from_nanos(7);
        let pause = Duration::new(3, 21);
        assert_eq!(start.after(pause).since(start), pause);
        assert_eq!(start.after(pause).as_nanos(), 3_000_000_028);
    }

    #[test]
    fn an_absent_time_costs_nothing() {
        assert_eq!(size_of::<Option<Time>>(), size_of::<Time>());
    }

    #[test]
    fn prints_as_seconds() {
        assert_eq!(format!("{:?}", Time::from_nanos(1_204_000_005)), "1.204000005s");
    }
}
