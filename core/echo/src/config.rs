//! Configurations of the sessions over streams.

use core::time::Duration;

use super::bounds::{Bounded, Bounds, ConfigError};

/// Maximum of a number of bytes: 1 GiB.
const MAX_BYTES: usize = 1 << 30;
/// Maximum messages in flight: each is remembered.
pub(super) const MAX_MESSAGES: usize = 1 << 20;

/// Limits of an [`EchoServer`](super::EchoServer): memory and time.
///
/// A session takes a value that is out of its bounds as the nearest one within; [`validate`](Self::validate) reports it.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Maximum bytes received and not written yet, 1 to 2^30; default 256 KiB.
    pub buffer: usize,
    /// Maximum bytes per read, 1 to 2^30; default 64 KiB. A read is never larger than `buffer`.
    pub chunk: usize,
    /// Maximum reads held separately, at least 1; default 16. More are coalesced.
    pub max_chunks: usize,
    /// Maximum time without a byte moved either way, at least 1 ns; default none. The peer's end counts as a byte.
    pub idle: Option<Duration>,
    /// Maximum time without a byte written after the peer's end, at least 1 ns; default none.
    pub half_close_idle: Option<Duration>,
    /// Maximum lifetime of a session, at least 1 ns; default none. It evicts a peer that sends a byte a second.
    pub max_age: Option<Duration>,
    /// After a stop: a peer that is silent for this long, with nothing held for it, counts as finished. At least 1 ns; default
    /// 1 s, the minimum retransmission timeout of RFC 6298 section 2.4: a lost segment must not look like silence.
    pub quiet: Duration,
    /// After a stop: maximum time to go on echoing, at least 1 ns; default 5 s.
    pub drain: Duration,
    /// After the end was cut, or `drain` has passed: maximum time without progress in writing the rest, and maximum wait for the
    /// peer's end. At least 1 ns; default 2 s.
    pub linger: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            buffer: 256 << 10,
            chunk: 64 << 10,
            max_chunks: 16,
            idle: None,
            half_close_idle: None,
            max_age: None,
            quiet: Duration::from_secs(1),
            drain: Duration::from_secs(5),
            linger: Duration::from_secs(2),
        }
    }
}

impl ServerConfig {
    roundtrip_core::setters! {
        buffer: usize,
        chunk: usize,
        max_chunks: usize,
        idle: Option<Duration>,
        half_close_idle: Option<Duration>,
        max_age: Option<Duration>,
        quiet: Duration,
        drain: Duration,
        linger: Duration,
    }

    /// Checks that every field is within its bounds.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.clone().bound()
    }

    /// Whether a session has limits from its beginning.
    pub(super) const fn is_timed(&self) -> bool {
        self.idle.is_some() || self.max_age.is_some()
    }
}

impl Bounded for ServerConfig {
    fn bound(&mut self) -> Result<(), ConfigError> {
        let mut bounds = Bounds::default();
        bounds.number("buffer", &mut self.buffer, 1, MAX_BYTES);
        bounds.number("chunk", &mut self.chunk, 1, MAX_BYTES);
        bounds.number("max_chunks", &mut self.max_chunks, 1, usize::MAX);
        bounds.time("idle", self.idle.as_mut());
        bounds.time("half_close_idle", self.half_close_idle.as_mut());
        bounds.time("max_age", self.max_age.as_mut());
        bounds.time("quiet", Some(&mut self.quiet));
        bounds.time("drain", Some(&mut self.drain));
        bounds.time("linger", Some(&mut self.linger));
        bounds.first
    }
}

/// Limits of an [`EchoClient`](super::EchoClient): memory and time, and how it behaves towards its server.
///
/// A session takes a value that is out of its bounds as the nearest one within; [`validate`](Self::validate) reports it.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Maximum bytes sent but not received back, 1 to 2^30; default 64 KiB.
    ///
    /// It is part of the protocol, not of a driver: a client that writes without bound deadlocks against any
    /// blocking echo server, each waiting for the other to read.
    pub window: usize,
    /// Maximum bytes per read, 1 to 2^30; default 64 KiB.
    pub chunk: usize,
    /// Maximum bytes per write, 1 to 2^30; default 2^30, so that only `window` limits it.
    pub write: usize,
    /// Maximum time without a byte moved either way while one is expected, at least 1 ns; default 30 s.
    pub timeout: Option<Duration>,
    /// Whether to half-close when all is sent, and to wait for the peer's end; default yes. If not, the session closes when all
    /// is back, and nothing that comes later is seen.
    pub half_close: bool,
    /// Maximum time without a byte back before the half-close while bytes are in flight, at least 1 ns; default none: half-close
    /// with the window in flight. What comes back only after the half-close is [`Withheld`](super::FaultKind::Withheld). Without a
    /// half-close it has no effect.
    pub tail_wait: Option<Duration>,
    /// Silence when the first half of the payload, rounded up, is sent and back; at least 1 ns; default none. Nothing is expected
    /// meanwhile, so that `timeout` does not count.
    pub pause: Option<Duration>,
    /// Time to read nothing, from the first write on, while all is sent that the window and the path take; at least 1 ns; default
    /// none. `timeout` counts from its end. A stop ends it.
    pub stall: Option<Duration>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            window: 64 << 10,
            chunk: 64 << 10,
            write: MAX_BYTES,
            timeout: Some(Duration::from_secs(30)),
            half_close: true,
            tail_wait: None,
            pause: None,
            stall: None,
        }
    }
}

impl ClientConfig {
    roundtrip_core::setters! {
        window: usize,
        chunk: usize,
        write: usize,
        timeout: Option<Duration>,
        half_close: bool,
        tail_wait: Option<Duration>,
        pause: Option<Duration>,
        stall: Option<Duration>,
    }

    /// Checks that every field is within its bounds.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.clone().bound()
    }
}

impl Bounded for ClientConfig {
    fn bound(&mut self) -> Result<(), ConfigError> {
        let mut bounds = Bounds::default();
        bounds.number("window", &mut self.window, 1, MAX_BYTES);
        bounds.number("chunk", &mut self.chunk, 1, MAX_BYTES);
        bounds.number("write", &mut self.write, 1, MAX_BYTES);
        bounds.time("timeout", self.timeout.as_mut());
        bounds.time("tail_wait", self.tail_wait.as_mut());
        bounds.time("pause", self.pause.as_mut());
        bounds.time("stall", self.stall.as_mut());
        bounds.first
    }
}

/// Messages of a [`Pinger`](super::Pinger), and its limits: memory and time.
///
/// A session takes a value that is out of its bounds as the nearest one within; [`validate`](Self::validate) reports it.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PingerConfig {
    /// Bytes per message, 1 to 2^30; default 64. The kind of a fault can be told from messages of 32 bytes and more, and from
    /// smaller ones that are many.
    pub size: usize,
    /// Maximum messages in flight, 1 to 2^20, and 2^30 bytes of them; default 1.
    pub in_flight: usize,
    /// Maximum bytes per read, 1 to 2^30; default 64 KiB.
    pub chunk: usize,
    /// Maximum time without a byte moved either way while one is expected, at least 1 ns; default 30 s.
    pub timeout: Option<Duration>,
    /// Whether to half-close when all is sent, and to wait for the peer's end; default yes. If not, the session closes when all
    /// is back, and nothing that comes later is seen.
    pub half_close: bool,
}

impl Default for PingerConfig {
    fn default() -> Self {
        Self {
            size: 64,
            in_flight: 1,
            chunk: 64 << 10,
            timeout: Some(Duration::from_secs(30)),
            half_close: true,
        }
    }
}

impl PingerConfig {
    roundtrip_core::setters! {
        size: usize,
        in_flight: usize,
        chunk: usize,
        timeout: Option<Duration>,
        half_close: bool,
    }

    /// Checks that every field is within its bounds.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first field that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.clone().bound()
    }
}

impl Bounded for PingerConfig {
    fn bound(&mut self) -> Result<(), ConfigError> {
        let mut bounds = Bounds::default();
        bounds.number("size", &mut self.size, 1, MAX_BYTES);
        bounds.number("in_flight", &mut self.in_flight, 1, (MAX_BYTES / self.size).min(MAX_MESSAGES));
        bounds.number("chunk", &mut self.chunk, 1, MAX_BYTES);
        bounds.time("timeout", self.timeout.as_mut());
        bounds.first
    }
}
