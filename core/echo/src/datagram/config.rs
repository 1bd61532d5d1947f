//! What the datagram sessions are configured with: parsed when built, never validated later.

use core::time::Duration;

use super::super::config::{ConfigError, MAX_MESSAGES, check_limit};
use super::super::payload::PROBE;
use roundtrip_core::datagram::MAX_PAYLOAD;

/// The largest rate, datagrams a second: one a nanosecond.
const MAX_RATE: u32 = 1_000_000_000;

/// How a [`DatagramEcho`](super::DatagramEcho) keeps from doing harm.
///
/// | field | default | meaning |
/// | --- | --- | --- |
/// | `rate` | 10,000 | answers a second, which all sources share: those of each wait in a queue of its own, and the longest queue loses what there is no room for. One source alone gets a burst of one second's worth, and then a tenth of the rate |
/// | `repeats` | 1,000 | of so many equal datagrams of one source, one is not answered: one that goes round between two servers ends there |
/// | `quiet` | 200 ms | after a stop: how long datagrams are still read |
/// | `drain` | 5 s | after a stop: how long answers may wait for the rate |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatagramEchoConfig {
    pub(super) rate: Option<u32>,
    pub(super) repeats: Option<u32>,
    pub(super) quiet: Duration,
    pub(super) drain: Duration,
}

impl Default for DatagramEchoConfig {
    fn default() -> Self {
        Self {
            rate: Some(10_000),
            repeats: Some(1000),
            quiet: Duration::from_millis(200),
            drain: Duration::from_secs(5),
        }
    }
}

impl DatagramEchoConfig {
    /// Starts from the defaults.
    pub fn builder() -> DatagramEchoConfigBuilder {
        DatagramEchoConfigBuilder { config: Self::default() }
    }

    /// Answers a second.
    pub const fn rate(&self) -> Option<u32> {
        self.rate
    }

    /// Of so many equal datagrams of one source, one is not answered.
    pub const fn repeats(&self) -> Option<u32> {
        self.repeats
    }
}

/// Collects the fields of a [`DatagramEchoConfig`].
#[derive(Clone, Debug)]
pub struct DatagramEchoConfigBuilder {
    config: DatagramEchoConfig,
}

impl DatagramEchoConfigBuilder {
    /// Answers a second: 1 to 10^9; none is no bound. A tenth of a second's worth may leave at once.
    pub const fn rate(mut self, rate: Option<u32>) -> Self {
        self.config.rate = rate;
        self
    }

    /// Of so many equal datagrams of one source, at least 1, one is not answered; none answers all of them.
    pub const fn repeats(mut self, repeats: Option<u32>) -> Self {
        self.config.repeats = repeats;
        self
    }

    /// After a stop: how long datagrams are still read.
    pub const fn quiet(mut self, quiet: Duration) -> Self {
        self.config.quiet = quiet;
        self
    }

    /// After a stop: how long answers may wait for the rate.
    pub const fn drain(mut self, drain: Duration) -> Self {
        self.config.drain = drain;
        self
    }

    /// The configuration, once and for all valid.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is out of its bounds.
    pub fn build(self) -> Result<DatagramEchoConfig, ConfigError> {
        let config = self.config;
        match config.rate {
            Some(0) => return Err(ConfigError::Zero { field: "rate" }),
            Some(MAX_RATE..) if config.rate != Some(MAX_RATE) => {
                return Err(ConfigError::TooLarge { field: "rate", max: MAX_RATE as usize });
            }
            _ => {}
        }
        if config.repeats == Some(0) {
            return Err(ConfigError::Zero { field: "repeats" });
        }
        check_limit("quiet", Some(config.quiet))?;
        check_limit("drain", Some(config.drain))?;
        Ok(config)
    }
}

/// What a [`DatagramClient`](super::DatagramClient) sends, and what it waits for.
///
/// | field | default | meaning |
/// | --- | --- | --- |
/// | `size` | 1,200 B | a datagram's payload: what fits every path that IPv6 does (RFC 9000 section 14) |
/// | `in_flight` | 1 | datagrams sent, not yet back and not given up, at the most |
/// | `wait` | 1 s | one that is not back by then is lost |
/// | `timeout` | 30 s | longest time in which none of those that were sent comes back |
/// | `settle` | 100 ms | how long to listen for more when all is accounted for |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatagramClientConfig {
    pub(super) size: usize,
    pub(super) in_flight: usize,
    pub(super) wait: Duration,
    pub(super) timeout: Option<Duration>,
    pub(super) settle: Duration,
}

impl Default for DatagramClientConfig {
    fn default() -> Self {
        Self {
            size: 1200,
            in_flight: 1,
            wait: Duration::from_secs(1),
            timeout: Some(Duration::from_secs(30)),
            settle: Duration::from_millis(100),
        }
    }
}

impl DatagramClientConfig {
    /// Starts from the defaults.
    pub fn builder() -> DatagramClientConfigBuilder {
        DatagramClientConfigBuilder { config: Self::default() }
    }

    /// A datagram's payload, bytes.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Datagrams sent, not yet back and not given up, at the most.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// One that is not back by then is lost.
    pub const fn wait(&self) -> Duration {
        self.wait
    }

    /// Longest time in which none of those that were sent comes back.
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

/// Collects the fields of a [`DatagramClientConfig`].
#[derive(Clone, Debug)]
pub struct DatagramClientConfigBuilder {
    config: DatagramClientConfig,
}

impl DatagramClientConfigBuilder {
    /// A datagram's payload: 16 to 65,507 bytes. Sixteen of them tell which one it is.
    pub const fn size(mut self, bytes: usize) -> Self {
        self.config.size = bytes;
        self
    }

    /// Datagrams sent, not yet back and not given up: 1 to 2^20.
    pub const fn in_flight(mut self, datagrams: usize) -> Self {
        self.config.in_flight = datagrams;
        self
    }

    /// One that is not back by then is lost. If it comes later all the same, it is counted as late instead.
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.config.wait = wait;
        self
    }

    /// Longest time in which none of those that were sent comes back.
    pub const fn timeout(mut self, limit: Option<Duration>) -> Self {
        self.config.timeout = limit;
        self
    }

    /// How long to listen for more when all is accounted for: a duplicate comes after its original.
    pub const fn settle(mut self, settle: Duration) -> Self {
        self.config.settle = settle;
        self
    }

    /// The configuration, once and for all valid.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is out of its bounds.
    pub fn build(self) -> Result<DatagramClientConfig, ConfigError> {
        let config = self.config;
        match config.size {
            ..PROBE => return Err(ConfigError::TooSmall { field: "size", min: PROBE }),
            PROBE..=MAX_PAYLOAD => {}
            _ => return Err(ConfigError::TooLarge { field: "size", max: MAX_PAYLOAD }),
        }
        match config.in_flight {
            0 => return Err(ConfigError::Zero { field: "in_flight" }),
            1..=MAX_MESSAGES => {}
            _ => return Err(ConfigError::TooLarge { field: "in_flight", max: MAX_MESSAGES }),
        }
        check_limit("wait", Some(config.wait))?;
        check_limit("timeout", config.timeout)?;
        check_limit("settle", Some(config.settle))?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_exact() {
        let echo = DatagramEchoConfig::builder;
        assert_eq!(echo().build(), Ok(DatagramEchoConfig::default()));
        assert_eq!(echo().rate(Some(0)).build(), Err(ConfigError::Zero { field: "rate" }));
        assert!(echo().rate(Some(MAX_RATE)).build().is_ok());
        assert_eq!(
            echo().rate(Some(MAX_RATE + 1)).build(),
            Err(ConfigError::TooLarge { field: "rate", max: 1_000_000_000 })
        );
        assert_eq!(echo().repeats(Some(0)).build(), Err(ConfigError::Zero { field: "repeats" }));
        assert_eq!(echo().quiet(Duration::ZERO).build(), Err(ConfigError::Zero { field: "quiet" }));
        assert_eq!(echo().drain(Duration::ZERO).build(), Err(ConfigError::Zero { field: "drain" }));
        let client = DatagramClientConfig::builder;
        assert_eq!(client().build(), Ok(DatagramClientConfig::default()));
        assert_eq!(client().size(15).build(), Err(ConfigError::TooSmall { field: "size", min: 16 }));
        assert!(client().size(16).build().is_ok() && client().size(65_507).build().is_ok());
        assert_eq!(client().size(65_508).build(), Err(ConfigError::TooLarge { field: "size", max: 65_507 }));
        assert_eq!(client().in_flight(0).build(), Err(ConfigError::Zero { field: "in_flight" }));
        assert!(client().in_flight(1 << 20).build().is_ok());
        assert_eq!(
            client().in_flight((1 << 20) + 1).build(),
            Err(ConfigError::TooLarge { field: "in_flight", max: 1 << 20 })
        );
        for (field, built) in [
            ("wait", client().wait(Duration::ZERO).build()),
            ("timeout", client().timeout(Some(Duration::ZERO)).build()),
            ("settle", client().settle(Duration::ZERO).build()),
        ] {
            assert_eq!(built, Err(ConfigError::Zero { field }));
        }
    }
}
