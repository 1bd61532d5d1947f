//! The integration tests of the core, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod admission;
mod contract;
mod layer;
mod legal_inputs;
mod protocol;
mod streaming;
