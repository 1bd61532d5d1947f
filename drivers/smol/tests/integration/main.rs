//! The integration tests of the smol driver, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod foreign;
mod future;
mod suite;
