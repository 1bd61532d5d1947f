//! The integration tests of the driver of completions, linked as one program.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod allocations;
mod edges;
#[cfg(target_pointer_width = "64")]
mod forbidden;
mod suite;

#[global_allocator]
static ALLOCATOR: roundtrip_testkit::counting::Counting = roundtrip_testkit::counting::Counting;
