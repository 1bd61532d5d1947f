//! The echo over datagrams (RFC 862, the half over UDP): the server sends each one back to where it came from; the
//! client sends numbered ones and tells what became of each.

mod client;
mod config;
mod fair;
mod in_flight;
mod loop_detector;
mod rate;
mod recent;
mod server;
mod sources;
mod unread;

pub use client::{DatagramClient, DatagramCounts, DatagramOutcome, DatagramResult, DatagramVerdict};
pub use config::{DatagramClientConfig, DatagramEchoConfig};
pub use server::{
    DatagramEcho, DatagramEchoCounts, DatagramEchoOutcome, DropReason, DroppedDatagram, WELL_KNOWN_PORTS,
};

/// Datagrams that are read at one go: enough to spare calls, and little to hold.
const BATCH: usize = 16;
