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
