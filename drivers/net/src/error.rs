//! What failed, at which step.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The step at which a socket could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Turning a name into addresses: getaddrinfo(3).
    Resolve,
    /// socket(2) and its options.
    Socket,
    /// bind(2).
    Bind,
    /// listen(2).
    Listen,
    /// connect(2), on every address.
    Connect,
    /// Taking over what the service manager passed: `sd_listen_fds(3)`.
    Passed,
}

/// A socket could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub struct NetError {
    /// The step that failed.
    pub stage: Stage,
    /// What the system said; of several addresses, of the last.
    pub source: io::Error,
    /// The addresses that were connected to in vain, in order.
    pub attempts: Vec<FailedAttempt>,
}

/// An address that was connected to in vain.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub error: io::Error,
    /// How long it took to fail.
    pub took: Duration,
}

impl NetError {
    /// An error at this step.
    pub const fn new(stage: Stage, source: io::Error) -> Self {
        Self { stage, source, attempts: Vec::new() }
    }

    pub(crate) fn at(stage: Stage) -> impl Fn(io::Error) -> Self {
        move |source| Self::new(stage, source)
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.stage {
            Stage::Resolve => "no address found",
            Stage::Socket => "no socket",
            Stage::Bind => "cannot bind",
            Stage::Listen => "cannot listen",
            Stage::Connect => "cannot connect",
            Stage::Passed => "cannot take over",
        };
        write!(f, "{what}: {}", self.source)
    }
}

impl Error for NetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
