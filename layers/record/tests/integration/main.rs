//! The integration tests of the recorder, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;
mod damaged;
mod replayed;
mod writers;
