//! What the verbs have in common over datagrams: which driver, which sockets, and what of the command line means nothing
//! there.

use std::convert::Infallible;
use std::io;
use std::thread;

use roundtrip_core::Time;
use roundtrip_core::datagram::{DatagramMachine, MAX_PAYLOAD};
use roundtrip_echo::DatagramOutcome;
use roundtrip_std::{
    Control, DatagramAddress, DatagramSocket, DatagramsEnded, Endpoint, SystemClock, connect_datagram,
};

use crate::cli::{self, ClientArgs, DriverArgs};
use crate::client::{self, Stop};
use crate::problem::{Exit, Problem};

/// So many bytes tell which datagram it is.
const MIN_SIZE: usize = 16;

/// A driver of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Std,
    #[cfg(feature = "smol")]
    Smol,
}

impl Driver {
    /// What the command line asks for; `std` if it asks for nothing.
    pub(crate) fn new(args: &DriverArgs) -> Result<Self, Problem> {
        for (option, is_given) in [("--threads", args.threads.is_some()), ("--spin", args.spin.is_some())] {
            refuse(option, is_given, "each socket of datagrams has a thread that sleeps where it waits")?;
        }
        match args.driver {
            None | Some(cli::Driver::Std) => Ok(Self::Std),
            #[cfg(feature = "smol")]
            Some(cli::Driver::Smol) => Ok(Self::Smol),
            #[cfg(any(feature = "reactor", feature = "uring", feature = "tokio"))]
            Some(driver) => Err(Problem::usage(
                format!("--driver {} drives no datagrams", driver.name()),
                "choose --driver std or --driver smol",
            )),
        }
    }

    /// What goes with that which the command line asks for streams.
    pub(crate) const fn beside_streams(args: &DriverArgs) -> Self {
        match args.driver {
            #[cfg(feature = "smol")]
            Some(cli::Driver::Smol) => Self::Smol,
            _ => Self::Std,
        }
    }

    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Std => "std",
            #[cfg(feature = "smol")]
            Self::Smol => "smol",
        }
    }

    /// Drives a machine on this thread until it closes; `reach` is handed the way to end it.
    pub(crate) fn drive<M: DatagramMachine<Address = DatagramAddress>>(
        self,
        clock: SystemClock,
        socket: DatagramSocket,
        reach: impl FnOnce(Control<Infallible>),
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> io::Result<DatagramsEnded<M::Outcome>> {
        match self {
            Self::Std => {
                let driver = roundtrip_std::DatagramDriver::new(clock)?;
                reach(driver.control());
                driver.drive(socket, machine, events)
            }
            #[cfg(feature = "smol")]
            Self::Smol => {
                let driver = roundtrip_smol::DatagramDriver::new(clock)?;
                reach(driver.control());
                roundtrip_smol::block_on(driver.drive(socket, machine, events))
            }
        }
    }
}

/// Refuses an option that means nothing over datagrams.
pub(crate) fn refuse(option: &str, is_given: bool, why: &str) -> Result<(), Problem> {
    if is_given {
        return Err(Problem::usage(
            format!("{option} makes no sense over datagrams: {why}"),
            format!("leave out {option}"),
        ));
    }
    Ok(())
}

/// Refuses what is no address of one socket: a group, or what reaches everybody.
pub(crate) fn refuse_groups(name: &str, endpoint: &Endpoint) -> Result<(), Problem> {
    if let Endpoint::Mailslot { .. } = endpoint {
        return Err(Problem::usage(
            format!("{name} goes one way: nothing comes back through a mailslot"),
            "use `roundtrip listen` and `roundtrip post`",
        ));
    }
    if let Endpoint::Udp { host, interface, broadcast, .. } = endpoint {
        let is_group = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_multicast());
        if is_group || *broadcast || interface.is_some() {
            return Err(Problem::usage(
                format!("{name} is for many at one time, and an echo is between two"),
                "use `roundtrip listen` and `roundtrip post`, or name the address of one host",
            ));
        }
    }
    Ok(())
}

/// Refuses a size that no datagram has, or that is longer than the endpoint allows.
pub(crate) fn check_size(option: &str, size: usize, endpoint: &Endpoint) -> Result<(), Problem> {
    let refused = |cause: String, advice: String| Err(Problem::usage(cause, advice));
    match endpoint.longest_message() {
        _ if size < MIN_SIZE => refused(
            format!("{option} must be at least {MIN_SIZE} over datagrams"),
            format!("sixteen bytes tell which datagram it is: use {option} {MIN_SIZE}, or more"),
        ),
        _ if size > MAX_PAYLOAD => refused(
            format!("{option} must be at most {MAX_PAYLOAD} over datagrams"),
            format!("a datagram carries no more: use {option} {MAX_PAYLOAD}, or less"),
        ),
        Some(max) if size > max => refused(
            format!("datagrams of {size} bytes are longer than max={max} allows"),
            format!("use {option} {max}, or less"),
        ),
        _ => Ok(()),
    }
}

/// Whom a socket is connected to.
pub(crate) fn peer(socket: &DatagramSocket) -> io::Result<DatagramAddress> {
    socket.peer().cloned().ok_or_else(|| io::ErrorKind::NotConnected.into())
}

/// So many sockets to one endpoint, unless it is stopped before.
pub(crate) fn connect(
    name: &str,
    endpoint: &Endpoint,
    args: &ClientArgs,
    count: usize,
    stop: &Stop,
) -> Result<Vec<DatagramSocket>, Problem> {
    let mut sockets = Vec::new();
    while sockets.len() < count && !stop.is_stopped() {
        let socket = connect_datagram(endpoint, &client::options(args));
        sockets.push(socket.map_err(|error| Problem::net(name, &error))?);
    }
    Ok(sockets)
}

/// Drives each socket on a thread of its own, until all are done.
pub(crate) fn drive_all<T: Send>(
    sockets: Vec<DatagramSocket>,
    drive: impl Fn(usize, DatagramSocket) -> io::Result<T> + Sync,
) -> Result<Vec<T>, Problem> {
    let drive = &drive;
    let ended = thread::scope(|scope| {
        let work = |(index, socket)| {
            let thread = thread::Builder::new().name("datagrams".into());
            thread.spawn_scoped(scope, move || drive(index, socket))
        };
        let threads: Vec<_> = sockets.into_iter().enumerate().map(work).collect();
        threads.into_iter().map(join).collect::<io::Result<Vec<_>>>()
    });
    ended.map_err(|error| Problem::system("cannot run so many sockets", &error))
}

/// What came of a thread, if it could be made.
fn join<T>(thread: io::Result<thread::ScopedJoinHandle<'_, io::Result<T>>>) -> io::Result<T> {
    match thread?.join() {
        Ok(ended) => ended,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Nobody is there.
pub(crate) fn unreachable(name: &str, why: &str) -> Problem {
    let advice =
        "start a server with `roundtrip serve udp:HOST:PORT`, or check the address and the firewalls";
    Problem::new(Exit::Unreachable, format!("cannot reach {name}: {why}"), advice)
}

/// When the last was sent, or came back in time: what was given up later is not waited for.
pub(crate) fn active(ended: &[DatagramsEnded<DatagramOutcome>]) -> Time {
    ended.iter().map(|ended| ended.outcome.active).max().unwrap_or(Time::ZERO)
}

/// When the last thing happened: what was listened for in vain after it took no part.
pub(crate) fn latest(ended: &[DatagramsEnded<DatagramOutcome>]) -> Time {
    ended.iter().map(|ended| ended.outcome.latest).max().unwrap_or(Time::ZERO)
}
