//! What the sessions are configured with: parsed when built, never validated later.

use core::error::Error;
use core::fmt;
use core::time::Duration;

/// The largest `buffer`, `chunk`, `window` and `write`: 1 GiB.
const MAX_BYTES: usize = 1 << 30;
/// The largest `in_flight`: each message that is on its way is remembered.
pub(super) const MAX_MESSAGES: usize = 1 << 20;

/// How an [`EchoServer`](super::EchoServer) bounds memory and time. Shared by all sessions of a server.
///
/// | field | default | meaning |
/// | --- | --- | --- |
/// | `buffer` | 256 KiB | bytes held that were received and are not written yet |
/// | `chunk` | 64 KiB, or `buffer` if that is less | largest read credit, bytes |
/// | `max_chunks` | 16 | separate reads held before they are coalesced |
/// | `idle` | none | longest time without a byte moved either way; the peer's end counts as one |
/// | `half_close_idle` | none | longest time without a byte written after the peer's end |
/// | `max_age` | none | longest life of a session |
/// | `quiet` | 1 s | after a stop: how long the peer must be silent to be taken as done |
/// | `drain` | 5 s | after a stop: how long to go on echoing at the most |
/// | `linger` | 2 s | after the end was cut, or `drain` has passed: longest wait without progress for the rest, and for the peer's end |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerConfig {
    pub(super) buffer: usize,
    pub(super) chunk: usize,
    pub(super) max_chunks: usize,
    pub(super) idle: Option<Duration>,
    pub(super) half_close_idle: Option<Duration>,
    pub(super) max_age: Option<Duration>,
    pub(super) quiet: Duration,
    pub(super) drain: Duration,
    pub(super) linger: Duration,
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
            // The least retransmission time-out of RFC 6298 section 2.4: a lost segment must not look like silence.
            quiet: Duration::from_secs(1),
            drain: Duration::from_secs(5),
            linger: Duration::from_secs(2),
        }
    }
}

impl ServerConfig {
    /// Starts from the defaults.
    pub fn builder() -> ServerConfigBuilder {
        ServerConfigBuilder { config: Self::default(), chunk: None }
    }

    /// Bytes held that were received and are not written yet.
    pub const fn buffer(&self) -> usize {
        self.buffer
    }

    /// Largest read credit, bytes.
    pub const fn chunk(&self) -> usize {
        self.chunk
    }

    /// Separate reads held before they are coalesced.
    pub const fn max_chunks(&self) -> usize {
        self.max_chunks
    }

    /// Longest time without a byte moved either way.
    pub const fn idle(&self) -> Option<Duration> {
        self.idle
    }

    /// Longest time without a byte written after the peer's end.
    pub const fn half_close_idle(&self) -> Option<Duration> {
        self.half_close_idle
    }

    /// Longest life of a session.
    pub const fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// After a stop: how long the peer must be silent to be taken as done.
    pub const fn quiet(&self) -> Duration {
        self.quiet
    }

    /// After a stop: how long to go on echoing at the most.
    pub const fn drain(&self) -> Duration {
        self.drain
    }

    /// After the end was cut, or `drain` has passed: longest wait without progress for the rest, and for the peer's end.
    pub const fn linger(&self) -> Duration {
        self.linger
    }

    /// Whether a session has limits from its beginning.
    pub(super) const fn is_timed(&self) -> bool {
        self.idle.is_some() || self.max_age.is_some()
    }
}

/// Collects the fields of a [`ServerConfig`].
#[derive(Clone, Debug)]
pub struct ServerConfigBuilder {
    config: ServerConfig,
    chunk: Option<usize>,
}

impl ServerConfigBuilder {
    /// Bytes held that were received and are not written yet: 1 to 2^30.
    pub const fn buffer(mut self, bytes: usize) -> Self {
        self.config.buffer = bytes;
        self
    }

    /// Largest read credit: 1 to `buffer`. Left out, it is 64 KiB or `buffer`, whichever is less.
    pub const fn chunk(mut self, bytes: usize) -> Self {
        self.chunk = Some(bytes);
        self
    }

    /// Separate reads held before they are coalesced: at least 1.
    pub const fn max_chunks(mut self, chunks: usize) -> Self {
        self.config.max_chunks = chunks;
        self
    }

    /// Longest time without a byte moved either way.
    pub const fn idle(mut self, limit: Option<Duration>) -> Self {
        self.config.idle = limit;
        self
    }

    /// Longest time without a byte written after the peer's end.
    pub const fn half_close_idle(mut self, limit: Option<Duration>) -> Self {
        self.config.half_close_idle = limit;
        self
    }

    /// Longest life of a session: what evicts a peer that sends a byte a second.
    pub const fn max_age(mut self, limit: Option<Duration>) -> Self {
        self.config.max_age = limit;
        self
    }

    /// After a stop: how long the peer must be silent, with nothing held for it, to be taken as done.
    pub const fn quiet(mut self, limit: Duration) -> Self {
        self.config.quiet = limit;
        self
    }

    /// After a stop: how long to go on echoing at the most.
    pub const fn drain(mut self, limit: Duration) -> Self {
        self.config.drain = limit;
        self
    }

    /// After the end was cut, or `drain` has passed: longest wait without progress for the rest to be taken, and
    /// for the peer's end.
    pub const fn linger(mut self, limit: Duration) -> Self {
        self.config.linger = limit;
        self
    }

    /// The configuration, once and for all valid.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is out of its bounds.
    pub fn build(self) -> Result<ServerConfig, ConfigError> {
        let mut config = self.config;
        check_bytes("buffer", config.buffer)?;
        config.chunk = self.chunk.unwrap_or_else(|| config.chunk.min(config.buffer));
        check_bytes("chunk", config.chunk)?;
        if config.chunk > config.buffer {
            return Err(ConfigError::TooLarge { field: "chunk", max: config.buffer });
        }
        if config.max_chunks == 0 {
            return Err(ConfigError::Zero { field: "max_chunks" });
        }
        check_limit("idle", config.idle)?;
        check_limit("half_close_idle", config.half_close_idle)?;
        check_limit("max_age", config.max_age)?;
        check_limit("quiet", Some(config.quiet))?;
        check_limit("drain", Some(config.drain))?;
        check_limit("linger", Some(config.linger))?;
        Ok(config)
    }
}

/// How an [`EchoClient`](super::EchoClient) bounds memory and time. Shared by all sessions of a client.
///
/// | field | default | meaning |
/// | --- | --- | --- |
/// | `window` | 64 KiB | bytes sent and not yet echoed, at the most |
/// | `write` | 1 GiB: all that the window has room for | largest single write, bytes |
/// | `chunk` | 64 KiB | largest read credit, bytes |
/// | `timeout` | 30 s | longest time without a byte moved either way while one is awaited |
/// | `half_close` | yes | half-close when all is sent, and wait for the peer's end; else close when all is back |
/// | `pause` | none | silence after the first half of the payload is back |
/// | `stall` | none | how long nothing is read, from the first write on |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientConfig {
    pub(super) window: usize,
    pub(super) chunk: usize,
    pub(super) timeout: Option<Duration>,
    pub(super) half_close: bool,
    pub(super) write: usize,
    pub(super) pause: Option<Duration>,
    pub(super) stall: Option<Duration>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            window: 64 << 10,
            chunk: 64 << 10,
            timeout: Some(Duration::from_secs(30)),
            half_close: true,
            write: MAX_BYTES,
            pause: None,
            stall: None,
        }
    }
}

impl ClientConfig {
    /// Starts from the defaults.
    pub fn builder() -> ClientConfigBuilder {
        ClientConfigBuilder { config: Self::default() }
    }

    /// Bytes sent and not yet echoed, at the most.
    pub const fn window(&self) -> usize {
        self.window
    }

    /// Largest read credit, bytes.
    pub const fn chunk(&self) -> usize {
        self.chunk
    }

    /// Longest time without a byte moved either way while one is awaited.
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether to half-close when all is sent.
    pub const fn half_close(&self) -> bool {
        self.half_close
    }

    /// Largest single write, bytes.
    pub const fn write(&self) -> usize {
        self.write
    }

    /// Silence after the first half of the payload is back.
    pub const fn pause(&self) -> Option<Duration> {
        self.pause
    }

    /// How long nothing is read, from the first write on.
    pub const fn stall(&self) -> Option<Duration> {
        self.stall
    }
}

/// Collects the fields of a [`ClientConfig`].
#[derive(Clone, Debug)]
pub struct ClientConfigBuilder {
    config: ClientConfig,
}

impl ClientConfigBuilder {
    /// Bytes sent and not yet echoed: 1 to 2^30.
    ///
    /// It is part of the protocol, not of a driver: a client that writes without bound deadlocks against any
    /// blocking echo server, each waiting for the other to read.
    pub const fn window(mut self, bytes: usize) -> Self {
        self.config.window = bytes;
        self
    }

    /// Largest read credit: 1 to 2^30.
    pub const fn chunk(mut self, bytes: usize) -> Self {
        self.config.chunk = bytes;
        self
    }

    /// Longest time without a byte moved either way while one is awaited.
    pub const fn timeout(mut self, limit: Option<Duration>) -> Self {
        self.config.timeout = limit;
        self
    }

    /// Whether to half-close when all is sent, and to wait for the peer's end. If not, the session closes as soon as
    /// all is back, and nothing that comes later is seen.
    pub const fn half_close(mut self, half_close: bool) -> Self {
        self.config.half_close = half_close;
        self
    }

    /// Largest single write: 1 to 2^30. Never more than the window has room for.
    pub const fn write(mut self, bytes: usize) -> Self {
        self.config.write = bytes;
        self
    }

    /// How long to be silent when the first half of the payload, rounded up, is sent and back. Nothing is awaited
    /// meanwhile, so that the time-out does not count.
    pub const fn pause(mut self, length: Option<Duration>) -> Self {
        self.config.pause = length;
        self
    }

    /// How long to read nothing, from the first write on, while all is sent that the window and the path take. The
    /// time-out counts from its end on. A stop ends it.
    pub const fn stall(mut self, length: Option<Duration>) -> Self {
        self.config.stall = length;
        self
    }

    /// The configuration, once and for all valid.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is out of its bounds.
    pub fn build(self) -> Result<ClientConfig, ConfigError> {
        check_bytes("window", self.config.window)?;
        check_bytes("chunk", self.config.chunk)?;
        check_bytes("write", self.config.write)?;
        check_limit("timeout", self.config.timeout)?;
        check_limit("pause", self.config.pause)?;
        check_limit("stall", self.config.stall)?;
        Ok(self.config)
    }
}

/// What a [`Pinger`](super::Pinger) sends, and how it bounds memory and time. Shared by all sessions of a load.
///
/// | field | default | meaning |
/// | --- | --- | --- |
/// | `size` | 64 B | a message, bytes |
/// | `in_flight` | 1 | messages sent and not yet back, at the most |
/// | `chunk` | 64 KiB | largest read credit, bytes |
/// | `timeout` | 30 s | longest time without a byte moved either way while one is awaited |
/// | `half_close` | yes | half-close when all is sent, and wait for the peer's end; else close when all is back |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PingerConfig {
    pub(super) size: usize,
    pub(super) in_flight: usize,
    pub(super) chunk: usize,
    pub(super) timeout: Option<Duration>,
    pub(super) half_close: bool,
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
    /// Starts from the defaults.
    pub fn builder() -> PingerConfigBuilder {
        PingerConfigBuilder { config: Self::default() }
    }

    /// A message, bytes.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Messages sent and not yet back, at the most.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Longest time without a byte moved either way while one is awaited.
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

/// Collects the fields of a [`PingerConfig`].
#[derive(Clone, Debug)]
pub struct PingerConfigBuilder {
    config: PingerConfig,
}

impl PingerConfigBuilder {
    /// A message: 1 to 2^30 bytes. The kind of a fault can be told from messages of 32 bytes and more, and from smaller
    /// ones that are many.
    pub const fn size(mut self, bytes: usize) -> Self {
        self.config.size = bytes;
        self
    }

    /// Messages sent and not yet back: 1 to 2^20, and at most 2^30 bytes of them.
    pub const fn in_flight(mut self, messages: usize) -> Self {
        self.config.in_flight = messages;
        self
    }

    /// Largest read credit: 1 to 2^30.
    pub const fn chunk(mut self, bytes: usize) -> Self {
        self.config.chunk = bytes;
        self
    }

    /// Longest time without a byte moved either way while one is awaited.
    pub const fn timeout(mut self, limit: Option<Duration>) -> Self {
        self.config.timeout = limit;
        self
    }

    /// Whether to half-close when all is sent, and to wait for the peer's end. If not, the session closes as soon as
    /// all is back, and nothing that comes later is seen.
    pub const fn half_close(mut self, half_close: bool) -> Self {
        self.config.half_close = half_close;
        self
    }

    /// The configuration, once and for all valid.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is out of its bounds.
    pub fn build(self) -> Result<PingerConfig, ConfigError> {
        let config = self.config;
        check_bytes("size", config.size)?;
        let max = (MAX_BYTES / config.size).min(MAX_MESSAGES);
        match config.in_flight {
            0 => return Err(ConfigError::Zero { field: "in_flight" }),
            count if count > max => return Err(ConfigError::TooLarge { field: "in_flight", max }),
            _ => {}
        }
        check_bytes("chunk", config.chunk)?;
        check_limit("timeout", config.timeout)?;
        Ok(config)
    }
}

const fn check_bytes(field: &'static str, bytes: usize) -> Result<(), ConfigError> {
    match bytes {
        0 => Err(ConfigError::Zero { field }),
        1..=MAX_BYTES => Ok(()),
        _ => Err(ConfigError::TooLarge { field, max: MAX_BYTES }),
    }
}

/// A limit of zero would pass the moment it is set: leave it out instead.
pub(super) fn check_limit(field: &'static str, limit: Option<Duration>) -> Result<(), ConfigError> {
    if limit == Some(Duration::ZERO) { Err(ConfigError::Zero { field }) } else { Ok(()) }
}

/// A field of a configuration is out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// It must not be zero.
    Zero {
        /// The field's name.
        field: &'static str,
    },
    /// It is smaller than allowed.
    TooSmall {
        /// The field's name.
        field: &'static str,
        /// The smallest value.
        min: usize,
    },
    /// It is larger than allowed.
    TooLarge {
        /// The field's name.
        field: &'static str,
        /// The largest value.
        max: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { field } => write!(f, "{field} must not be zero"),
            Self::TooSmall { field, min } => write!(f, "{field} must be at least {min}"),
            Self::TooLarge { field, max } => write!(f, "{field} must be at most {max}"),
        }
    }
}

impl Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_chunk_shrinks_with_the_buffer() {
        let config = ServerConfig::builder().buffer(512).build().unwrap();
        assert_eq!((config.buffer(), config.chunk()), (512, 512));
    }

    #[test]
    fn an_explicit_chunk_over_the_buffer_is_refused() {
        let refused = ServerConfig::builder().buffer(512).chunk(513).build();
        assert_eq!(refused, Err(ConfigError::TooLarge { field: "chunk", max: 512 }));
    }

    #[test]
    fn bounds_are_exact() {
        let build = |bytes| ServerConfig::builder().buffer(bytes).build().map(|config| config.buffer());
        assert_eq!(build(0), Err(ConfigError::Zero { field: "buffer" }));
        assert_eq!(build(1), Ok(1));
        assert_eq!(build(1 << 30), Ok(1 << 30));
        assert_eq!(build((1 << 30) + 1), Err(ConfigError::TooLarge { field: "buffer", max: 1 << 30 }));
        assert_eq!(ServerConfig::builder().chunk(0).build(), Err(ConfigError::Zero { field: "chunk" }));
        assert_eq!(
            ServerConfig::builder().max_chunks(0).build(),
            Err(ConfigError::Zero { field: "max_chunks" })
        );
        assert_eq!(ServerConfig::builder().max_chunks(3).build().unwrap().max_chunks(), 3);
        assert_eq!(ClientConfig::builder().window(0).build(), Err(ConfigError::Zero { field: "window" }));
        assert_eq!(ClientConfig::builder().chunk(0).build(), Err(ConfigError::Zero { field: "chunk" }));
        assert_eq!(ClientConfig::builder().write(0).build(), Err(ConfigError::Zero { field: "write" }));
        let config = ClientConfig::builder().window(5).chunk(7).write(3).build().unwrap();
        assert_eq!((config.window(), config.chunk(), config.write()), (5, 7, 3));
    }

    #[test]
    fn a_time_limit_of_zero_is_refused_whichever_it_is() {
        let zero = Duration::ZERO;
        let server = ServerConfig::builder;
        for (field, built) in [
            ("idle", server().idle(Some(zero)).build()),
            ("half_close_idle", server().half_close_idle(Some(zero)).build()),
            ("max_age", server().max_age(Some(zero)).build()),
            ("quiet", server().quiet(zero).build()),
            ("drain", server().drain(zero).build()),
            ("linger", server().linger(zero).build()),
        ] {
            assert_eq!(built, Err(ConfigError::Zero { field }));
        }
        let client = ClientConfig::builder;
        for (field, built) in [
            ("timeout", client().timeout(Some(zero)).build()),
            ("pause", client().pause(Some(zero)).build()),
            ("stall", client().stall(Some(zero)).build()),
        ] {
            assert_eq!(built, Err(ConfigError::Zero { field }));
        }
    }

    #[test]
    fn errors_name_field_and_bound() {
        use alloc::string::ToString;
        assert_eq!(ConfigError::Zero { field: "idle" }.to_string(), "idle must not be zero");
        assert_eq!(ConfigError::TooSmall { field: "size", min: 9 }.to_string(), "size must be at least 9");
        assert_eq!(ConfigError::TooLarge { field: "chunk", max: 9 }.to_string(), "chunk must be at most 9");
    }
}
