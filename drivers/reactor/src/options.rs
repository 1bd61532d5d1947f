//! The driver's options.

use std::num::NonZeroUsize;
use std::time::Duration;

/// The reactor: edge-triggered event loops.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reactor {
    /// Threads, each of which has a poller and a share of the connections.
    pub threads: NonZeroUsize,
    /// How long to busy-poll before sleeping, which saves the cost of a wake-up and takes a full core; zero: not at all. A
    /// thread does so only while that pays: where peers answer within that time. More than some hundred microseconds gains
    /// nothing.
    pub busy_poll: Duration,
}

impl Reactor {
    roundtrip_core::setters! {
        threads: NonZeroUsize,
        busy_poll: Duration,
    }
}

impl Default for Reactor {
    /// One thread, which does not busy-poll.
    fn default() -> Self {
        Self { threads: NonZeroUsize::MIN, busy_poll: Duration::ZERO }
    }
}
