//! Planted bugs, which show that the scenarios find bugs; compiled in under `--cfg roundtrip_planted` only.

#[cfg(roundtrip_planted)]
use std::sync::atomic::{AtomicU32, Ordering};

use roundtrip_sim::DriverFlaw;

/// The number of the bug that is planted; 0 is none.
#[cfg(roundtrip_planted)]
static BUG: AtomicU32 = AtomicU32::new(0);

/// Plants bug `number` in place of the one before; 0 is none. For all threads: not between runs that share a process and
/// want different bugs.
#[cfg(roundtrip_planted)]
pub fn plant(number: u32) {
    BUG.store(number, Ordering::Relaxed);
}

/// Whether bug `number` is planted.
#[cfg(roundtrip_planted)]
#[inline]
pub(crate) fn planted(number: u32) -> bool {
    BUG.load(Ordering::Relaxed) == number
}

/// Whether bug `number` is planted: never, in this build.
#[cfg(not(roundtrip_planted))]
#[inline]
pub(crate) const fn planted(_number: u32) -> bool {
    false
}

/// The bug of the drivers that is planted.
pub(crate) fn driver_flaw() -> DriverFlaw {
    let flaws = [
        (2, DriverFlaw::TakesPartialWritesForWhole),
        (10, DriverFlaw::ForgetsDataBeforeEnd),
        (14, DriverFlaw::AcceptsStaleCompletions),
    ];
    flaws.into_iter().find(|(number, _)| planted(*number)).map_or(DriverFlaw::None, |(_, flaw)| flaw)
}
