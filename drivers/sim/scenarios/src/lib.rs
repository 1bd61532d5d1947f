//! The scenarios that come with the simulator: the echo sessions, the load and the admission policy of the core, sessions of
//! a protocol, and the echo over datagrams.

#![forbid(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "one path is run for every event of every schedule, and its cost is counted"
)]

mod datagrams;
mod duplex;
mod echo;
#[cfg(roundtrip_planted)]
mod faulty;
mod load;
mod oracle;
mod planted;
mod server;
mod soak;
mod workload;

pub use datagrams::Datagrams;
pub use duplex::{Duplex, Reflector, Reflectors, Streamer, Streamers};
pub use echo::{Echo, EchoClients, EchoServers};
#[cfg(roundtrip_planted)]
pub use faulty::{Faulty, PLANTED, PlantedBug};
pub use load::{Load, Pingers};
#[cfg(roundtrip_planted)]
pub use planted::plant;
pub use server::Server;
pub use soak::Soak;
