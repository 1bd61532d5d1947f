//! What the tests of several crates share. Nothing of it is published.
//!
//! | module | contents |
//! | --- | --- |
//! | [`counting`] | an allocator that counts the allocations of each thread |
//! | [`model`] | histories of the echo sessions, a reference server, and the invariants of every machine |
//! | `suite` (feature `drivers`) | the tests that every socket driver must pass |
//! | `allocations` (feature `drivers`) | the allocations that a message costs, over real sockets |
//! | `pki` (feature `pki`) | certificates |

#![allow(
    missing_docs,
    missing_debug_implementations,
    reason = "helpers of tests: their names say what they are"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "a helper that fails fails its test"
)]

#[cfg(feature = "drivers")]
pub mod allocations;
#[cfg(feature = "quickcheck")]
mod arbitrary;
pub mod counting;
pub mod model;
#[cfg(feature = "pki")]
pub mod pki;
#[cfg(feature = "drivers")]
pub mod suite;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

/// A loopback address of the calling test alone, so that no other test is given a port that was closed on it. On macOS, where only
/// one loopback address is set up, that one.
pub fn own_loopback() -> Ipv4Addr {
    static LAST: AtomicU8 = AtomicU8::new(0);
    if cfg!(target_os = "macos") {
        return Ipv4Addr::LOCALHOST;
    }
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let last = LAST.fetch_add(1, Ordering::Relaxed);
    // Neither 127.0.x.x, where the other tests are, nor the last address of the network.
    Ipv4Addr::new(127, high % 254 + 1, low, last % 254 + 1)
}
