//! The integration tests of the driver of pipes, linked as one program.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod pipes;
