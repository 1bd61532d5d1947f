//! The integration tests of the reactor, linked as one program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod allocations;
mod edges;
mod suite;

#[global_allocator]
static ALLOCATOR: roundtrip_testkit::counting::Counting = roundtrip_testkit::counting::Counting;
