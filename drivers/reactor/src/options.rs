//! What a reactor is told about itself.

use std::num::NonZeroUsize;
use std::time::Duration;

/// How connections are driven. A number of threads is enough: `serve_on(threads, ..)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReactorOptions {
    /// Threads, each of which has a poller and a share of the connections.
    pub threads: NonZeroUsize,
    /// How long a thread that has nothing to do looks for something before it sleeps; zero is not at all. It does so only
    /// while that pays: where a peer answers within that time, a message is answered sooner by what sleeping and waking
    /// cost, and the thread takes a core of its own for it. Longer than some hundred microseconds it gains nothing.
    pub spin: Duration,
}

impl Default for ReactorOptions {
    /// One thread, which does not spin.
    fn default() -> Self {
        Self { threads: NonZeroUsize::MIN, spin: Duration::ZERO }
    }
}

impl From<NonZeroUsize> for ReactorOptions {
    fn from(threads: NonZeroUsize) -> Self {
        Self { threads, ..Self::default() }
    }
}
