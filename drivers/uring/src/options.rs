//! What the driver is told about itself.

use std::num::{NonZeroU16, NonZeroUsize};

/// How connections are driven. A number of threads is enough: `serve_on(threads, ..)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UringOptions {
    /// Threads, each of which has a ring and a share of the connections.
    pub threads: NonZeroUsize,
    /// Buffers of 32 KiB that a thread receives into, rounded up to a power of two, at most 32,768. They need only be as many
    /// as receives complete at one time: where they are too few, some are tried again.
    pub buffers: NonZeroU16,
}

impl Default for UringOptions {
    /// One thread, 64 buffers.
    fn default() -> Self {
        Self { threads: NonZeroUsize::MIN, buffers: const { NonZeroU16::new(64).unwrap() } }
    }
}

impl From<NonZeroUsize> for UringOptions {
    fn from(threads: NonZeroUsize) -> Self {
        Self { threads, ..Self::default() }
    }
}
