//! The tests that every socket driver is held to.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails its test")]

#[path = "../../suite/datagrams.rs"]
mod datagrams;
#[path = "../../suite/mod.rs"]
mod suite;

use roundtrip_smol as driver;
use roundtrip_smol::block_on as wait;
