//! Bugs that are planted to show that they are found; compiled in under `--cfg roundtrip_planted` only.

#[cfg(roundtrip_planted)]
use std::sync::atomic::{AtomicU32, Ordering};

/// The bug that is switched on, by its number in the table; 0 is none.
#[cfg(roundtrip_planted)]
static BUG: AtomicU32 = AtomicU32::new(0);

/// Switches bug `number` on, and the one before off; 0 is none. For all threads: not between runs that share a
/// process and want different bugs.
#[cfg(roundtrip_planted)]
pub fn plant(number: u32) {
    BUG.store(number, Ordering::Relaxed);
}

/// Whether bug `number` is switched on.
#[cfg(roundtrip_planted)]
#[inline]
pub(crate) fn planted(number: u32) -> bool {
    BUG.load(Ordering::Relaxed) == number
}

/// Whether bug `number` is switched on: never, in this build.
#[cfg(not(roundtrip_planted))]
#[inline]
pub(crate) const fn planted(_number: u32) -> bool {
    false
}
