//! The integration tests of the echo sessions, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod allocations;
mod chunking;
mod client;
mod config;
mod datagram;
mod mixed_faults;
mod pinger;
mod properties;
mod reach;
mod stop;
mod transitions;
mod verdicts;
mod wire;

#[global_allocator]
static ALLOCATOR: roundtrip_testkit::counting::Counting = roundtrip_testkit::counting::Counting;
