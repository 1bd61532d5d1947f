//! The driver's options.

use std::num::{NonZeroU16, NonZeroUsize};

/// The driver of completions: one `io_uring` a thread.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uring {
    /// Threads, each of which has a ring and a share of the connections.
    pub threads: NonZeroUsize,
    /// Buffers of 32 KiB that a thread receives into, rounded up to a power of two, at most 32,768. As many are
    /// needed as receives complete at once; where there are too few, some are tried again.
    pub buffers: NonZeroU16,
}

impl Uring {
    roundtrip_core::setters! {
        threads: NonZeroUsize,
        buffers: NonZeroU16,
    }
}

impl Default for Uring {
    /// One thread, 64 buffers.
    fn default() -> Self {
        Self { threads: NonZeroUsize::MIN, buffers: const { NonZeroU16::new(64).unwrap() } }
    }
}
