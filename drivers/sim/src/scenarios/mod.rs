//! The scenarios that come with the simulator: the echo sessions, the load and the admission policy of the core, sessions of
//! a protocol, and the echo over datagrams.

mod datagrams;
mod duplex;
mod echo;
#[cfg(roundtrip_planted)]
mod faulty;
mod load;
mod oracle;
mod server;
mod soak;
mod workload;

pub use datagrams::Datagrams;
pub use duplex::{Duplex, Reflector, Reflectors, Streamer, Streamers};
pub use echo::{Echo, EchoClients, EchoServers};
#[cfg(roundtrip_planted)]
pub use faulty::{Faulty, PLANTED, PlantedBug};
pub use load::{Load, Pingers};
pub use server::Server;
pub use soak::Soak;
