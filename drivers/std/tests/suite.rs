//! The tests that every socket driver is held to.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails its test")]

#[path = "../../suite/datagrams.rs"]
mod datagrams;
#[path = "../../suite/mod.rs"]
mod suite;

use roundtrip_std as driver;

/// A connection is driven when the call returns.
const fn wait<T>(ended: T) -> T {
    ended
}
