//! A model of the echo sessions: operations, a bench that carries them out, and a reference server to compare
//! with. Plain data and functions, so that the fuzz targets use them as they are.

pub mod bench;
pub mod door;
pub mod invariants;
pub mod op;
pub mod peer;
pub mod pinging;
pub mod reference;
pub mod slicing;
pub mod twin;
pub mod wire;
