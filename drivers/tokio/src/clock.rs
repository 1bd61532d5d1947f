//! The clock of a tokio runtime.

use roundtrip_core::Time;
use roundtrip_net::Clock;
use tokio::time::Instant;

/// The clock that tokio's timers follow, counted from when it was made: the system's monotonic clock, unless a test has
/// [paused](https://docs.rs/tokio/latest/tokio/time/fn.pause.html) the time of its runtime.
///
/// [`drive`](crate::drive) and `serve` read this clock. Where time can be paused, make it on the runtime that uses it.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock(Instant);

impl TokioClock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Time {
        Time::ZERO.after(self.0.elapsed())
    }
}
