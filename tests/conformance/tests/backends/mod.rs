//! The drivers of this workspace as backends, shared by the tests.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::duplicate_mod, reason = "one source for every socket driver")]

pub(crate) mod blocking;
pub(crate) mod planted;
#[cfg(unix)]
pub(crate) mod reactor;
pub(crate) mod simulated;
pub(crate) mod smol;
#[cfg(target_os = "linux")]
pub(crate) mod uring;

use roundtrip_core::Machine;
use roundtrip_core::echo::{EchoServer, ServerOutcome};
use std::convert::Infallible;

/// The server's side of a connection: the shipped session, or one that a driver's bug comes between.
pub(crate) trait Session:
    Machine<Command = Infallible, Event = Infallible, Outcome = ServerOutcome> + Send + 'static
{
}

impl<M> Session for M where
    M: Machine<Command = Infallible, Event = Infallible, Outcome = ServerOutcome> + Send + 'static
{
}

/// The session as it is shipped.
pub(crate) fn shipped(session: EchoServer) -> EchoServer {
    session
}

/// The type of [`shipped`].
pub(crate) type Shipped = fn(EchoServer) -> EchoServer;
