//! Configurations of the sessions over datagrams.

use core::time::Duration;

use super::super::bounds::{Bounded, Bounds, ConfigError};
use super::super::config::MAX_MESSAGES;
use super::super::payload::PROBE;
use roundtrip_core::datagram::MAX_PAYLOAD;

/// Maximum datagrams per second: one a nanosecond.
const MAX_RATE: u32 = 1_000_000_000;

/// Limits of a [`DatagramEcho`](super::DatagramEcho), which keep it from doing harm.
///
/// A session takes a value that is out of its bounds as the nearest one within; [`validate`](Self::validate) reports it.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DatagramEchoConfig {
    /// Maximum answers per second, 1 to 10^9, or none for no limit; default 10,000. A tenth of a second's worth may leave at once.
    ///
    /// All sources share it: those of each wait in a queue of its own, and the longest queue loses what there is no room for. One
    /// source alone gets a burst of one second's worth, and then a tenth of the rate.
    pub rate: Option<u32>,
    /// Of this many equal datagrams of one source, one is not answered, at least 1, or none to answer all of them; default 1,000.
    /// A datagram that goes round between two servers ends there.
    pub repeats: Option<u32>,
    /// After a stop: time to go on reading datagrams, at least 1 ns; default 200 ms.
    pub quiet: Duration,
    /// After a stop: maximum time for answers to wait for the rate, at least 1 ns; default 5 s.
    pub drain: Duration,
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
    roundtrip_core::setters! {
        rate: Option<u32>,
        repeats: Option<u32>,
        quiet: Duration,
        drain: Duration,
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

impl Bounded for DatagramEchoConfig {
    fn bound(&mut self) -> Result<(), ConfigError> {
        let mut bounds = Bounds::default();
        if let Some(rate) = &mut self.rate {
            bounds.number("rate", rate, 1, MAX_RATE);
        }
        if let Some(repeats) = &mut self.repeats {
            bounds.number("repeats", repeats, 1, u32::MAX);
        }
        bounds.time("quiet", Some(&mut self.quiet));
        bounds.time("drain", Some(&mut self.drain));
        bounds.first
    }
}

/// Datagrams of a [`DatagramClient`](super::DatagramClient), and its limits.
///
/// A session takes a value that is out of its bounds as the nearest one within; [`validate`](Self::validate) reports it.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DatagramClientConfig {
    /// Bytes of payload per datagram, 16 to 65,507: sixteen of them tell which one it is. Default 1,200, which fits every path that
    /// IPv6 does (RFC 9000 section 14).
    pub size: usize,
    /// Maximum datagrams in flight: sent, not back and not given up. 1 to 2^20; default 1.
    pub in_flight: usize,
    /// A datagram that is not back after this time is lost; at least 1 ns; default 1 s. If it comes later, it counts as late instead.
    pub wait: Duration,
    /// Maximum time in which none of those that were sent comes back, at least 1 ns; default 30 s.
    pub timeout: Option<Duration>,
    /// Time to listen for more when all is accounted for, at least 1 ns; default 100 ms. A duplicate comes after its original.
    pub settle: Duration,
    /// The same where some were given up, which may still come and are late then; at least 1 ns; default 100 ms.
    pub settle_late: Duration,
}

impl Default for DatagramClientConfig {
    fn default() -> Self {
        Self {
            size: 1200,
            in_flight: 1,
            wait: Duration::from_secs(1),
            timeout: Some(Duration::from_secs(30)),
            settle: Duration::from_millis(100),
            settle_late: Duration::from_millis(100),
        }
    }
}

impl DatagramClientConfig {
    roundtrip_core::setters! {
        size: usize,
        in_flight: usize,
        wait: Duration,
        timeout: Option<Duration>,
        settle: Duration,
        settle_late: Duration,
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

impl Bounded for DatagramClientConfig {
    fn bound(&mut self) -> Result<(), ConfigError> {
        let mut bounds = Bounds::default();
        bounds.number("size", &mut self.size, PROBE, MAX_PAYLOAD);
        bounds.number("in_flight", &mut self.in_flight, 1, MAX_MESSAGES);
        bounds.time("wait", Some(&mut self.wait));
        bounds.time("timeout", self.timeout.as_mut());
        bounds.time("settle", Some(&mut self.settle));
        bounds.time("settle_late", Some(&mut self.settle_late));
        bounds.first
    }
}
