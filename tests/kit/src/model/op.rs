//! What can be done to a session, and what it can be configured with.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::Failure;
use roundtrip_echo::{ClientConfig, Payload, ServerConfig};

/// One thing that a driver does. Amounts are clipped to what is legal when it is carried out, so that every list of
/// operations is a history of a driver that keeps the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Polls once.
    Poll,
    /// Polls until `Wait` or `Close`.
    Settle,
    /// Delivers at most so many bytes, within the credit; nothing without credit or after the end.
    Data(usize),
    /// Reports the peer's end, once.
    Eof,
    /// Reports at most so many bytes of the outstanding write.
    Wrote(usize),
    /// Reports all of the outstanding write.
    WroteAll,
    Stop,
    Abort,
    Failed(Failure),
    /// Time passes.
    Advance(u64),
    /// Time passes until the deadline of the last `Wait`, if there is one.
    AdvanceToDeadline,
}

/// A server's configuration and its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    pub setup: ServerSetup,
    pub ops: Vec<Op>,
}

/// A server's configuration in plain numbers; times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerSetup {
    pub buffer: usize,
    pub chunk: usize,
    pub max_chunks: usize,
    pub idle: Option<u64>,
    pub half_close_idle: Option<u64>,
    pub max_age: Option<u64>,
    pub quiet: u64,
    pub drain: u64,
    pub linger: u64,
}

impl ServerSetup {
    pub fn config(&self) -> Arc<ServerConfig> {
        let nanos = Duration::from_nanos;
        ServerConfig::default()
            .buffer(self.buffer)
            .chunk(self.chunk)
            .max_chunks(self.max_chunks)
            .idle(self.idle.map(nanos))
            .half_close_idle(self.half_close_idle.map(nanos))
            .max_age(self.max_age.map(nanos))
            .quiet(nanos(self.quiet))
            .drain(nanos(self.drain))
            .linger(nanos(self.linger))
            .into()
    }
}

/// A client's configuration in plain numbers; times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSetup {
    pub window: usize,
    pub chunk: usize,
    pub write: usize,
    pub timeout: Option<u64>,
    pub half_close: bool,
    pub tail_wait: Option<u64>,
    pub pause: Option<u64>,
    pub stall: Option<u64>,
    pub seed: u64,
    pub len: usize,
    /// Whether the payload is a given text instead of a seeded one.
    pub given: bool,
}

impl ClientSetup {
    pub fn config(&self) -> Arc<ClientConfig> {
        let nanos = Duration::from_nanos;
        ClientConfig::default()
            .window(self.window)
            .chunk(self.chunk)
            .write(self.write)
            .timeout(self.timeout.map(nanos))
            .half_close(self.half_close)
            .tail_wait(self.tail_wait.map(nanos))
            .pause(self.pause.map(nanos))
            .stall(self.stall.map(nanos))
            .into()
    }

    pub fn payload(&self) -> Payload {
        if self.given {
            Payload::given(content(0, self.len as u64))
        } else {
            Payload::seeded(self.seed, self.len as u64)
        }
    }
}

/// What a peer sends to a server: the byte at each offset, different from any of the 250 before it.
pub fn content(from: u64, to: u64) -> Bytes {
    (from..to).map(|offset| u8::try_from(offset * 97 % 251).expect("less than 251")).collect()
}
