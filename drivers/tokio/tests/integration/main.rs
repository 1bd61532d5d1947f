//! The integration tests of the tokio driver, linked as one program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod faults;
mod server;
mod suite;
mod transports;
mod wakeups;
