//! Which implementation of the sockets serves and calls: the one place where that makes a difference.

use std::io;
use std::num::NonZeroUsize;

use roundtrip_core::admission::Limits;
use roundtrip_std::{Clients, Listener, Served, ServerHandle, Service, Stream, SystemClock};

use crate::cli;
use crate::problem::Problem;

/// A driver, with what it needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Driver {
    Std,
    Smol { threads: NonZeroUsize },
}

impl Driver {
    /// What the command line asks for.
    pub(crate) fn new(driver: cli::Driver, threads: Option<NonZeroUsize>) -> Result<Self, Problem> {
        match (driver, threads) {
            (cli::Driver::Std, None) => Ok(Self::Std),
            (cli::Driver::Std, Some(_)) => Err(Problem::usage(
                "--threads makes no sense with --driver std, which has one thread for each connection",
                "choose --driver smol, or limit the connections with --max-conns",
            )),
            (cli::Driver::Smol, threads) => Ok(Self::Smol { threads: threads.unwrap_or(NonZeroUsize::MIN) }),
        }
    }

    /// Descriptors that a connection takes: its socket, and with threads that block its wake-up.
    pub(crate) const fn descriptors_each(self) -> u64 {
        match self {
            Self::Std => 2,
            Self::Smol { .. } => 1,
        }
    }

    /// Serves until the server is drained.
    pub(crate) fn serve<S: Service<Machine: Send>>(
        self,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        service: &S,
    ) -> io::Result<Served> {
        match self {
            Self::Std => roundtrip_std::serve(listeners, limits, handle, service),
            Self::Smol { threads } => {
                roundtrip_smol::serve_on(threads, &SystemClock::new(), listeners, limits, handle, service)
            }
        }
    }

    /// Drives clients until all their sessions are over. The streams are taken as they come.
    #[expect(dead_code, reason = "`check` and `load` are about to")]
    pub(crate) fn drive_all<C: Clients<Machine: Send>>(
        self,
        clock: SystemClock,
        streams: impl IntoIterator<Item = Stream>,
        clients: &C,
    ) -> io::Result<()> {
        match self {
            Self::Std => roundtrip_std::drive_all(&clock, streams, clients),
            Self::Smol { threads } => roundtrip_smol::drive_all_on(threads, &clock, streams, clients),
        }
    }
}
