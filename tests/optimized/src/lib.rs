//! Tests of other crates, built without their other development dependencies.
//!
//! What is checked only without debug assertions, and what must not depend on the optimiser, runs in a release build as well:
//! `cargo test --release -p roundtrip-optimized --test driven --test golden`.

#![no_std]
