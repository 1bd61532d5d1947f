//! Layers: machines around machines.
//!
//! A [`Tap`] sees what passes and changes nothing. A [`Layered`] machine speaks through a [`Codec`]: its bytes reach the
//! transport encoded, and what comes is decoded before it is told. Any machine runs in a layer, and a layer is a
//! machine: it runs on any driver, in the simulator, and in another layer.

mod credit;
mod cut;
mod frames;
mod layered;
mod tap;

pub use frames::Frames;
pub use layered::{Codec, Decoded, LayerConfig, LayerFault, LayerOutcome, Layered};
pub use tap::{Observe, Tap};
