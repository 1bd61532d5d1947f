//! Which implementation of the sockets serves and calls: the one place where that makes a difference.

use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;

use roundtrip_core::Machine;
use roundtrip_core::admission::Limits;
#[cfg(all(unix, feature = "reactor"))]
use roundtrip_reactor::Reactor;
#[cfg(feature = "smol")]
use roundtrip_smol::Smol;
use roundtrip_std::{Accepted, Application, Backend, Endpoint, ServerHandle, ServerStats, Std, SystemClock};
#[cfg(all(unix, feature = "tokio"))]
use roundtrip_tokio::Tokio;
#[cfg(all(target_os = "linux", feature = "uring"))]
use roundtrip_uring::Uring;

use crate::cli;
use crate::erased::{AnyApplication, erase};
use crate::platform;
use crate::problem::Problem;
#[cfg(all(target_os = "linux", feature = "uring"))]
use crate::problem::{Exit, plain};
use crate::transport::{self, Listener, Stream};

/// Descriptors that are yet to be opened besides those of connections and threads: three for signals, one for a record, and two
/// for what is accepted or resolved meanwhile.
const RESERVED_DESCRIPTORS: u64 = 6;

/// The drivers that are built for this platform, in the order of preference.
const AVAILABLE: &[cli::Driver] = &[
    #[cfg(all(unix, feature = "reactor"))]
    cli::Driver::Reactor,
    #[cfg(feature = "smol")]
    cli::Driver::Smol,
    #[cfg(all(unix, feature = "tokio"))]
    cli::Driver::Tokio,
    cli::Driver::Std,
    #[cfg(all(target_os = "linux", feature = "uring"))]
    cli::Driver::Uring,
];

/// What drives streams unless something else is asked for.
pub(crate) const DEFAULT: cli::Driver = AVAILABLE[0];

/// The way out for those who asked for a driver that is not there.
#[allow(dead_code, reason = "some sets of drivers refuse nothing")]
fn fallback() -> String {
    format!("choose --driver {}", DEFAULT.name())
}

/// A driver, with what it needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Driver {
    Std,
    #[cfg(feature = "smol")]
    Smol(Smol),
    #[cfg(all(unix, feature = "tokio"))]
    Tokio(Tokio),
    #[cfg(all(unix, feature = "reactor"))]
    Reactor(Reactor),
    #[cfg(all(target_os = "linux", feature = "uring"))]
    Uring(Uring),
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
            let is_there = |name: &&str| AVAILABLE.iter().any(|driver| driver.name() == *name);
            let there: Vec<_> = choose.iter().copied().filter(is_there).collect();
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
        #[allow(unused_variables, reason = "the driver `std` has no use for it")]
        let threads = args.threads.unwrap_or(NonZeroUsize::MIN);
        match args.of_streams() {
            cli::Driver::Std if args.threads.is_some() => pointless(
                "--threads",
                "has one thread for each connection",
                &["smol", "tokio", "reactor", "uring"],
            ),
            driver if args.spin.is_some() && driver.name() != "reactor" => {
                pointless("--spin", "sleeps where it waits", &["reactor"])
            }
            cli::Driver::Std => Ok(Self::Std),
            #[cfg(feature = "smol")]
            cli::Driver::Smol => Ok(Self::Smol(Smol::default().threads(threads))),
            #[cfg(feature = "tokio")]
            cli::Driver::Tokio => Self::tokio(threads),
            #[cfg(feature = "uring")]
            cli::Driver::Uring => Self::uring(threads),
            #[cfg(feature = "reactor")]
            cli::Driver::Reactor => Self::reactor(threads, args.spin.unwrap_or_default()),
        }
    }

    #[cfg(all(unix, feature = "reactor"))]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
    fn reactor(threads: NonZeroUsize, spin: std::time::Duration) -> Result<Self, Problem> {
        Ok(Self::Reactor(Reactor::default().threads(threads).busy_poll(spin)))
    }

    #[cfg(all(not(unix), feature = "reactor"))]
    fn reactor(_threads: NonZeroUsize, _spin: std::time::Duration) -> Result<Self, Problem> {
        Err(Problem::usage("no --driver reactor: its event loops are for Unix", fallback()))
    }

    #[cfg(all(unix, feature = "tokio"))]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
    fn tokio(threads: NonZeroUsize) -> Result<Self, Problem> {
        Ok(Self::Tokio(Tokio::default().threads(threads)))
    }

    #[cfg(all(not(unix), feature = "tokio"))]
    fn tokio(_threads: NonZeroUsize) -> Result<Self, Problem> {
        Err(Problem::usage("no --driver tokio: its sockets are for Unix", fallback()))
    }

    /// The driver that needs something of the system that not every system has, or gives.
    #[cfg(all(target_os = "linux", feature = "uring"))]
    fn uring(threads: NonZeroUsize) -> Result<Self, Problem> {
        match roundtrip_uring::available() {
            Ok(()) => Ok(Self::Uring(Uring::default().threads(threads))),
            Err(error) => {
                Err(Problem::new(Exit::Internal, format!("no --driver uring: {}", plain(&error)), fallback()))
            }
        }
    }

    #[cfg(all(not(target_os = "linux"), feature = "uring"))]
    fn uring(_threads: NonZeroUsize) -> Result<Self, Problem> {
        Err(Problem::usage("no --driver uring: only Linux has io_uring", fallback()))
    }

    /// Whether it drives connections of this kind.
    #[cfg(all(target_os = "linux", feature = "uring"))]
    pub(crate) fn takes(self, endpoint: &Endpoint) -> Result<(), Problem> {
        if let (
            Self::Uring(_),
            Endpoint::Unix { seqpacket: true, .. } | Endpoint::Abstract { seqpacket: true, .. },
        ) = (self, endpoint)
        {
            let cause =
                format!("no {endpoint} with --driver uring: a ring cannot receive packets piece by piece");
            return Err(Problem::usage(cause, fallback()));
        }
        Ok(())
    }

    /// Every other driver does.
    #[cfg(not(all(target_os = "linux", feature = "uring")))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a ring does not")]
    pub(crate) const fn takes(self, _endpoint: &Endpoint) -> Result<(), Problem> {
        Ok(())
    }

    /// Descriptors that a connection takes: its socket, and with threads that block its wake-up.
    pub(crate) const fn descriptors_each(self) -> u64 {
        if matches!(self, Self::Std) { 2 } else { 1 }
    }

    /// Descriptors that its threads take: what they wait on, and what wakes them.
    pub(crate) fn descriptors_of_threads(self) -> u64 {
        // At most three: an epoll or a ring, an eventfd, a timer. Blocking threads have those of their connections, but for
        // the two that accept.
        self.threads().map_or(2, |threads| 3 * threads.get() as u64)
    }

    /// How many threads run the connections, if that does not depend on the connections.
    pub(crate) const fn threads(self) -> Option<NonZeroUsize> {
        match self {
            Self::Std | Self::Pipe => None,
            #[cfg(feature = "smol")]
            Self::Smol(smol) => Some(smol.threads),
            #[cfg(all(unix, feature = "tokio"))]
            Self::Tokio(tokio) => Some(tokio.threads),
            #[cfg(all(unix, feature = "reactor"))]
            Self::Reactor(reactor) => Some(reactor.threads),
            #[cfg(all(target_os = "linux", feature = "uring"))]
            Self::Uring(uring) => Some(uring.threads),
        }
    }

    /// Serves until the server is drained.
    pub(crate) fn serve<'a, A>(
        self,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        app: &'a A,
    ) -> io::Result<ServerStats>
    where
        A: Application<Accepted, Machine: Machine<Command = Infallible> + Send + 'a>,
    {
        erase(app, |app| self.serve_any(listeners, limits, handle, app))
    }

    fn serve_any<E, O: Clone>(
        self,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        app: &AnyApplication<'_, '_, Accepted, E, O>,
    ) -> io::Result<ServerStats> {
        if matches!(self, Self::Pipe) {
            let pipes = listeners.into_iter().filter_map(Listener::into_pipe).collect();
            return roundtrip_pipe::serve(pipes, limits, handle, app);
        }
        let listeners = listeners.into_iter().filter_map(Listener::into_socket).collect();
        match self {
            Self::Std | Self::Pipe => Std.serve(listeners, limits, handle, app),
            #[cfg(feature = "smol")]
            Self::Smol(smol) => smol.serve(listeners, limits, handle, app),
            #[cfg(all(unix, feature = "tokio"))]
            Self::Tokio(tokio) => tokio.serve(listeners, limits, handle, app),
            #[cfg(all(unix, feature = "reactor"))]
            Self::Reactor(reactor) => reactor.serve(listeners, limits, handle, app),
            #[cfg(all(target_os = "linux", feature = "uring"))]
            Self::Uring(uring) => uring.serve(listeners, limits, handle, app),
        }
    }

    /// Drives clients until all their sessions are over. The streams are taken as they come.
    pub(crate) fn drive_all<'a, A>(
        self,
        clock: SystemClock,
        streams: impl IntoIterator<Item = Stream>,
        app: &'a A,
    ) -> io::Result<()>
    where
        A: Application<usize, Machine: Machine<Command = Infallible> + Send + 'a>,
    {
        erase(app, |app| self.drive_any(clock, &mut streams.into_iter(), app))
    }

    fn drive_any<E, O: Clone>(
        self,
        clock: SystemClock,
        streams: &mut dyn Iterator<Item = Stream>,
        app: &AnyApplication<'_, '_, usize, E, O>,
    ) -> io::Result<()> {
        if matches!(self, Self::Pipe) {
            let pipes = streams.filter_map(Stream::into_pipe);
            return roundtrip_pipe::drive_all(&clock, pipes, app);
        }
        let streams = streams.filter_map(Stream::into_socket);
        match self {
            Self::Std | Self::Pipe => Std.drive_all_with(&clock, streams, app),
            #[cfg(feature = "smol")]
            Self::Smol(smol) => smol.drive_all_with(&clock, streams, app),
            #[cfg(all(unix, feature = "tokio"))]
            Self::Tokio(tokio) => tokio.drive_all_with(&clock, streams, app),
            #[cfg(all(unix, feature = "reactor"))]
            Self::Reactor(reactor) => reactor.drive_all_with(&clock, streams, app),
            #[cfg(all(target_os = "linux", feature = "uring"))]
            Self::Uring(uring) => uring.drive_all_with(&clock, streams, app),
        }
    }
}

/// How many connections the descriptors of this process allow, if each takes `each` of them and `others` more are about to be
/// opened; or as many as `option` asks for, if that is less.
pub(crate) fn connections(
    option: &str,
    asked: Option<u64>,
    each: u64,
    others: u64,
) -> Result<usize, Problem> {
    let Some(limit) = platform::descriptors() else { return Ok(asked.map_or(usize::MAX, in_memory)) };
    let reserved = platform::open_descriptors() + others + RESERVED_DESCRIPTORS;
    let allowed = (limit.saturating_sub(reserved) / each).max(1);
    match asked {
        Some(asked) if asked > allowed => Err(Problem::usage(
            format!(
                "{option} {asked} needs {} file descriptors, the limit is {limit}",
                asked.saturating_mul(each).saturating_add(reserved)
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
