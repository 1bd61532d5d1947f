//! The one place where a clock is read.

use std::time::{Duration, Instant};

use roundtrip_core::Time;

/// Where a driver takes `now` from. It must never go back.
pub trait Clock: Sync {
    /// The time since an epoch of the clock's own.
    fn now(&self) -> Time;
}

/// The system's monotonic clock, counted from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that begins now.
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::ZERO.after(self.0.elapsed())
    }
}

impl<C: Clock> Clock for &C {
    fn now(&self) -> Time {
        (**self).now()
    }
}

/// How long to sleep for a deadline; none if there is none.
pub fn until(now: Time, deadline: Option<Time>) -> Option<Duration> {
    deadline.map(|deadline| deadline.since(now))
}
