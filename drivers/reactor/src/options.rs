//! What a reactor is told about itself.

use std::num::NonZeroUsize;

/// How connections are driven. A number of threads is enough: `serve_on(threads, ..)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReactorOptions {
    /// Threads, each of which has a poller and a share of the connections.
    pub threads: NonZeroUsize,
}

impl Default for ReactorOptions {
    /// One thread.
    fn default() -> Self {
        Self { threads: NonZeroUsize::MIN }
    }
}

impl From<NonZeroUsize> for ReactorOptions {
    fn from(threads: NonZeroUsize) -> Self {
        Self { threads }
    }
}
