//! The integration tests of the crate, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod bench;
mod cost;
mod ends;
mod operations;
mod properties;
mod simulated;

#[global_allocator]
static ALLOCATOR: roundtrip_testkit::counting::Counting = roundtrip_testkit::counting::Counting;
