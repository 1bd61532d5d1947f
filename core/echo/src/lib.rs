//! The echo sessions (RFC 862 over a stream): the server sends back what it receives until the peer
//! half-closes; the client sends a payload, half-closes, and verifies every byte that comes back; and the pinger does the
//! same message by message, and times each. And the same over datagrams, where one may be lost, come twice, or overtake another.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

extern crate alloc;
// The unit tests share a model with the integration tests, which name this crate.
#[cfg(test)]
extern crate self as roundtrip_echo;

mod bounds;
mod client;
mod config;
mod datagram;
mod diagnosis;
mod evidence;
mod payload;
mod pinger;
mod queue;
mod server;
mod verifier;
mod verifying_client;

pub use bounds::ConfigError;
pub use client::EchoClient;
pub use config::{ClientConfig, PingerConfig, ServerConfig};
pub use datagram::{
    DatagramClient, DatagramClientConfig, DatagramCounts, DatagramEcho, DatagramEchoConfig,
    DatagramEchoCounts, DatagramEchoOutcome, DatagramOutcome, DatagramResult, DatagramVerdict, DropReason,
    DroppedDatagram, WELL_KNOWN_PORTS,
};
pub use diagnosis::{Fault, FaultKind, PeerEnd};
pub use evidence::Evidence;
pub use payload::Payload;
pub use pinger::{Pinger, RoundTrip, Schedule};
pub use server::{Cause, EchoServer, End, Limit, Phase, ServerOutcome, TRANSITIONS};
pub use verifying_client::{ClientOutcome, Verdict};
