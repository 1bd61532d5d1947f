//! Which implementation of the sockets serves and calls: the one place where that makes a difference.

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use roundtrip_core::admission::Limits;
#[cfg(unix)]
use roundtrip_reactor::ReactorOptions;
use roundtrip_std::{Clients, Endpoint, Served, ServerHandle, Service, SystemClock};

use crate::cli;
use crate::platform;
use crate::problem::Problem;
#[cfg(target_os = "linux")]
use crate::problem::{Exit, plain};
use crate::transport::{self, Listener, Stream};

/// Descriptors that are not connections': standard streams, listeners, the wake-ups of waiting threads.
const RESERVED_DESCRIPTORS: u64 = 32;

/// The drivers that there are on this platform.
const HERE: &[&str] = if cfg!(target_os = "linux") {
    &["std", "smol", "reactor", "uring"]
} else if cfg!(unix) {
    &["std", "smol", "reactor"]
} else {
    &["std", "smol"]
};
/// What there is everywhere else, and as the default.
const INSTEAD: &str = if cfg!(unix) { "choose --driver reactor" } else { "choose --driver smol" };

/// A driver, with what it needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Driver {
    Std,
    Smol {
        threads: NonZeroUsize,
    },
    #[cfg(unix)]
    Reactor {
        options: ReactorOptions,
    },
    #[cfg(target_os = "linux")]
    Uring {
        threads: NonZeroUsize,
    },
    /// Of named pipes: blocking, one thread a connection.
    Pipe,
}

impl Driver {
    /// What the command line asks for, if it drives connections of this kind.
    pub(crate) fn over(args: &cli::DriverArgs, endpoint: Option<&Endpoint>) -> Result<Self, Problem> {
        let Some(endpoint) = endpoint.filter(|endpoint| transport::is_pipe(endpoint)) else {
            return Self::new(args);
        };
        let threads = args.threads.map(|_| "--threads".to_owned());
        let spin = args.spin.map(|_| "--spin".to_owned());
        let other = args.driver.filter(|driver| *driver != cli::Driver::Std);
        let refused = other.map(|driver| format!("--driver {}", driver.name())).or(threads).or(spin);
        match refused {
            Some(option) => Err(Problem::usage(
                format!(
                    "no {option} with {endpoint}: a pipe has a thread for each connection, as --driver std"
                ),
                format!("leave out {option}"),
            )),
            None => Ok(Self::Pipe),
        }
    }

    /// What the command line asks for.
    pub(crate) fn new(args: &cli::DriverArgs) -> Result<Self, Problem> {
        let pointless = |option: &str, why: &str, choose: &[&str]| {
            let name = args.of_streams().name();
            let there: Vec<_> = choose.iter().copied().filter(|name| HERE.contains(name)).collect();
            let choose = match there.split_last() {
                None => String::new(),
                Some((last, [])) => format!("choose --driver {last}, or "),
                Some((last, others)) => format!("choose --driver {} or {last}, or ", others.join(", ")),
            };
            Err(Problem::usage(
                format!("{option} makes no sense with --driver {name}, which {why}"),
                format!("{choose}leave out {option}"),
            ))
        };
        let threads = args.threads.unwrap_or(NonZeroUsize::MIN);
        match args.of_streams() {
            cli::Driver::Std if args.threads.is_some() => {
                pointless("--threads", "has one thread for each connection", &["smol", "reactor", "uring"])
            }
            cli::Driver::Std | cli::Driver::Smol | cli::Driver::Uring if args.spin.is_some() => {
                pointless("--spin", "sleeps where it waits", &["reactor"])
            }
            cli::Driver::Std => Ok(Self::Std),
            cli::Driver::Smol => Ok(Self::Smol { threads }),
            cli::Driver::Uring => Self::uring(threads),
            cli::Driver::Reactor => Self::reactor(threads, args.spin.unwrap_or_default()),
        }
    }

    #[cfg(unix)]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
    const fn reactor(threads: NonZeroUsize, spin: Duration) -> Result<Self, Problem> {
        Ok(Self::Reactor { options: ReactorOptions { threads, spin } })
    }

    #[cfg(not(unix))]
    fn reactor(_threads: NonZeroUsize, _spin: Duration) -> Result<Self, Problem> {
        Err(Problem::usage("no --driver reactor: its event loops are for Unix", INSTEAD))
    }

    /// The driver that needs something of the system that not every system has, or gives.
    #[cfg(target_os = "linux")]
    fn uring(threads: NonZeroUsize) -> Result<Self, Problem> {
        match roundtrip_uring::available() {
            Ok(()) => Ok(Self::Uring { threads }),
            Err(error) => {
                Err(Problem::new(Exit::Internal, format!("no --driver uring: {}", plain(&error)), INSTEAD))
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn uring(_threads: NonZeroUsize) -> Result<Self, Problem> {
        Err(Problem::usage("no --driver uring: only Linux has io_uring", INSTEAD))
    }

    /// Whether it drives connections of this kind.
    pub(crate) fn takes(self, endpoint: &Endpoint) -> Result<(), Problem> {
        #[cfg(target_os = "linux")]
        if let (
            Self::Uring { .. },
            Endpoint::Unix { seqpacket: true, .. } | Endpoint::Abstract { seqpacket: true, .. },
        ) = (self, endpoint)
        {
            let cause =
                format!("no {endpoint} with --driver uring: a ring cannot receive packets piece by piece");
            return Err(Problem::usage(cause, INSTEAD));
        }
        let _ = endpoint;
        Ok(())
    }

    /// Descriptors that a connection takes: its socket, and with threads that block its wake-up.
    pub(crate) const fn descriptors_each(self) -> u64 {
        match self {
            Self::Std => 2,
            Self::Smol { .. } | Self::Pipe => 1,
            #[cfg(unix)]
            Self::Reactor { .. } => 1,
            #[cfg(target_os = "linux")]
            Self::Uring { .. } => 1,
        }
    }

    /// How many threads run the connections, if that does not depend on the connections.
    pub(crate) const fn threads(self) -> Option<NonZeroUsize> {
        match self {
            Self::Std | Self::Pipe => None,
            Self::Smol { threads } => Some(threads),
            #[cfg(unix)]
            Self::Reactor { options } => Some(options.threads),
            #[cfg(target_os = "linux")]
            Self::Uring { threads } => Some(threads),
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
        if matches!(self, Self::Pipe) {
            let pipes = listeners.into_iter().filter_map(Listener::into_pipe).collect();
            return roundtrip_pipe::serve(pipes, limits, handle, service);
        }
        let listeners = listeners.into_iter().filter_map(Listener::into_socket).collect();
        match self {
            Self::Std | Self::Pipe => roundtrip_std::serve(listeners, limits, handle, service),
            Self::Smol { threads } => {
                roundtrip_smol::serve_on(threads, &SystemClock::new(), listeners, limits, handle, service)
            }
            #[cfg(unix)]
            Self::Reactor { options } => {
                roundtrip_reactor::serve_on(options, &SystemClock::new(), listeners, limits, handle, service)
            }
            #[cfg(target_os = "linux")]
            Self::Uring { threads } => {
                roundtrip_uring::serve_on(threads, &SystemClock::new(), listeners, limits, handle, service)
            }
        }
    }

    /// Drives clients until all their sessions are over. The streams are taken as they come.
    pub(crate) fn drive_all<C: Clients<Machine: Send>>(
        self,
        clock: SystemClock,
        streams: impl IntoIterator<Item = Stream>,
        clients: &C,
    ) -> io::Result<()> {
        if matches!(self, Self::Pipe) {
            let pipes = streams.into_iter().filter_map(Stream::into_pipe);
            return roundtrip_pipe::drive_all(&clock, pipes, clients);
        }
        let streams = streams.into_iter().filter_map(Stream::into_socket);
        match self {
            Self::Std | Self::Pipe => roundtrip_std::drive_all(&clock, streams, clients),
            Self::Smol { threads } => roundtrip_smol::drive_all_on(threads, &clock, streams, clients),
            #[cfg(unix)]
            Self::Reactor { options } => roundtrip_reactor::drive_all_on(options, &clock, streams, clients),
            #[cfg(target_os = "linux")]
            Self::Uring { threads } => roundtrip_uring::drive_all_on(threads, &clock, streams, clients),
        }
    }
}

/// How many connections the descriptors allow, if each takes so many of them; or as many as `option` asks for, if
/// that is less.
pub(crate) fn connections(option: &str, asked: Option<u64>, each: u64) -> Result<usize, Problem> {
    let Some(limit) = platform::descriptors() else { return Ok(asked.map_or(usize::MAX, in_memory)) };
    let allowed = (limit.saturating_sub(RESERVED_DESCRIPTORS) / each).max(1);
    match asked {
        Some(asked) if asked > allowed => Err(Problem::usage(
            format!(
                "{option} {asked} needs {} file descriptors, the limit is {limit}",
                asked.saturating_mul(each).saturating_add(RESERVED_DESCRIPTORS)
            ),
            format!("raise it with `ulimit -n`, or ask for at most {allowed}"),
        )),
        asked => Ok(in_memory(asked.unwrap_or(allowed))),
    }
}

/// A count of things, as far as memory reaches.
pub(crate) fn in_memory(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
