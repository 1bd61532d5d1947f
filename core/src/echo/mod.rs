//! The echo sessions (RFC 862 over a stream): the server sends back what it receives until the peer
//! half-closes; the client sends a payload, half-closes, and verifies every byte that comes back; and the pinger does the
//! same message by message, and times each. And the same over datagrams, where one may be lost, come twice, or overtake another.

mod client;
mod config;
mod datagram;
mod diagnosis;
mod payload;
mod pinger;
mod queue;
mod server;
mod session;
mod verifier;

pub use client::EchoClient;
pub use config::{
    ClientConfig, ClientConfigBuilder, ConfigError, PingerConfig, PingerConfigBuilder, ServerConfig,
    ServerConfigBuilder,
};
pub use datagram::{
    DatagramClient, DatagramClientConfig, DatagramClientConfigBuilder, DatagramCounts, DatagramEcho,
    DatagramEchoConfig, DatagramEchoConfigBuilder, DatagramEchoCounts, DatagramEchoOutcome, DatagramFate,
    DatagramOutcome, DatagramVerdict, Unanswered, UnansweredCause, WELL_KNOWN_PORTS,
};
pub use diagnosis::{Fault, FaultKind, PeerEnd};
pub use payload::Payload;
pub use pinger::{Pinger, RoundTrip, Schedule};
pub use server::{Cause, EchoServer, End, Limit, Phase, ServerOutcome, TRANSITIONS};
pub use session::{ClientOutcome, Verdict};
