//! The integration tests of the server that speaks the protocol of Redis, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod callers;
mod clients;
mod replayed;
mod simulated;
mod simulated_client;
