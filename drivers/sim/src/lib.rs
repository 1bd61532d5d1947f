//! Simulator.
#![forbid(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "one path is run for every event of every schedule, and its cost is counted"
)]

pub mod campaign;
mod check;
pub mod choose;
mod connection;
mod context;
mod diagram;
mod driver;
mod hash;
mod html;
mod line;
mod node;
mod pipe;
mod place;
mod planted;
mod queue;
mod quiet;
mod run;
mod scenario;
pub mod scenarios;
mod short;
mod shrink;
mod trace;
mod world;

pub use check::{check, replay};
pub use connection::{Connection, Did, End, Injected, Side};
pub use diagram::diagram;
pub use hash::Rolling;
pub use html::html;
pub use line::{Line, What};
#[cfg(roundtrip_planted)]
pub use planted::plant;
pub use run::{Recording, Run, Runner, Verdict};
pub use scenario::{
    ConnectionOf, Draw, Moment, Order, Reached, Scenario, Setup, Violation, client_and_round,
};
pub use shrink::{Shrunk, shrink};
pub use trace::{Divergence, Trace, TraceError, TraceErrorCause};
