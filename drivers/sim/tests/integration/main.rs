//! The integration tests of the simulator, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod allocations;
mod bytes;
#[allow(clippy::wildcard_enum_match_arm, reason = "what is planted changes little of a machine")]
mod datagrams;
mod determinism;
mod hub;
// The benchmarks run it as well.
#[path = "../../scenarios/benches/ping/mod.rs"]
mod ping;
mod same;
mod trace;
mod tutorial;
mod verdicts;

#[global_allocator]
static ALLOCATOR: roundtrip_testkit::counting::Counting = roundtrip_testkit::counting::Counting;
