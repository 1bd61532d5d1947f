//! What the core's tests share: operations, a bench that carries them out, and a second opinion on what a
//! server should answer. Plain data and functions, so that fuzz targets use them as they are; what
//! quickcheck needs is apart, in `arbitrary.rs`.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod bench;
pub(crate) mod door;
pub(crate) mod invariants;
pub(crate) mod op;
pub(crate) mod peer;
pub(crate) mod pinging;
pub(crate) mod reference;
pub(crate) mod slicing;
pub(crate) mod twin;
pub(crate) mod wire;
