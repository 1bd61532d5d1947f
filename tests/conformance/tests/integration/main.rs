//! The integration tests of the conformance kit, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod backends;
mod calm;
mod fidelity;
mod planted;
mod text;
