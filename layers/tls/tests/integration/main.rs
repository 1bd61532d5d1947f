//! The integration tests of the layer of TLS, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod outcomes;
mod simulated;
