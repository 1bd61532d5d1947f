//! The integration tests of the core, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod admission;
mod allocations;
mod chunking;
mod client;
mod contract;
mod datagram;
mod layer;
mod mixed_faults;
mod pinger;
mod properties;
mod protocol;
mod reach;
mod stop;
mod streaming;
mod transitions;
mod verdicts;
mod wire;

#[global_allocator]
static ALLOCATOR: roundtrip_testkit::counting::Counting = roundtrip_testkit::counting::Counting;
