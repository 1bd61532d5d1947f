//! What the verbs that post and hear messages have in common: where they go, and how much each carries.

use std::convert::Infallible;
use std::io::{self, ErrorKind};

use roundtrip_core::Time;
use roundtrip_core::datagram::DatagramMachine;
use roundtrip_core::datagram::MAX_PAYLOAD;
use roundtrip_pipe::{Mailslot, MailslotDriver, bind_mailslot, connect_mailslot};
use roundtrip_std::{
    BindOptions, ConnectOptions, Control, DatagramAddress, DatagramDriver, DatagramSocket, DatagramsEnded,
    Endpoint, Family, NetError, Stage, SystemClock, bind_datagram, connect_datagram,
};

use crate::cli;
use crate::platform::{ADDRESSES, MESSAGES};
use crate::problem::{Exit, Problem, plain};

/// Where messages go, as it was written on the command line.
pub(crate) fn endpoint(name: &str) -> Result<Endpoint, Problem> {
    let endpoint = cli::endpoint(name)?;
    if endpoint.is_datagram() {
        return Ok(endpoint);
    }
    let address = name.trim_start_matches("tcp:").trim_start_matches("//");
    let is_tcp = matches!(endpoint, Endpoint::Tcp { .. });
    let advice = if is_tcp { format!("write udp:{address}") } else { "write udp:HOST:PORT".to_owned() };
    Err(Problem::usage(format!("{endpoint} carries a stream of bytes, and no messages"), advice))
}

/// The longest message that goes there, bytes.
pub(crate) fn longest(endpoint: &Endpoint) -> usize {
    if let Endpoint::Udp { max: Some(max), .. } | Endpoint::Mailslot { max: Some(max), .. } = endpoint {
        usize::from(*max)
    } else {
        MAX_PAYLOAD
    }
}

/// What messages are posted through.
pub(crate) enum Outlet {
    Socket(DatagramSocket, DatagramAddress),
    Mailslot(roundtrip_pipe::Poster),
}

impl Outlet {
    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Socket(socket, to) => socket.send(to, message),
            Self::Mailslot(poster) => poster.post(message),
        }
    }

    /// What anybody said to what was posted last.
    pub(crate) fn answer(&self) -> io::Result<()> {
        match self {
            Self::Socket(socket, _) => socket.receive(&mut []).map(drop),
            Self::Mailslot(_) => Ok(()),
        }
    }
}

/// What hears messages, and its driver.
pub(crate) enum Inlet {
    Socket(DatagramSocket, DatagramDriver<SystemClock>),
    Mailslot(Mailslot, MailslotDriver<SystemClock>),
}

impl Inlet {
    pub(crate) fn control(&self) -> Control<Infallible> {
        match self {
            Self::Socket(_, driver) => driver.control(),
            Self::Mailslot(_, driver) => driver.control(),
        }
    }

    pub(crate) fn local_endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Self::Socket(socket, _) => socket.local_endpoint(),
            Self::Mailslot(mailslot, _) => Ok(mailslot.local_endpoint().clone()),
        }
    }

    pub(crate) fn drive<M: DatagramMachine<Address = DatagramAddress>>(
        self,
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> io::Result<DatagramsEnded<M::Outcome>> {
        match self {
            Self::Socket(socket, driver) => driver.drive(socket, machine, events),
            Self::Mailslot(mailslot, driver) => Ok(driver.drive(mailslot, machine, events)),
        }
    }
}

/// Whether it is a mailslot, where there are mailslots. Elsewhere, what binds and connects sockets refuses it.
const fn is_mailslot(endpoint: &Endpoint) -> bool {
    cfg!(windows) && matches!(endpoint, Endpoint::Mailslot { .. })
}

/// Opens the way there.
pub(crate) fn open_to_post(name: &str, endpoint: &Endpoint, family: Family) -> Result<Outlet, Problem> {
    if is_mailslot(endpoint) {
        return connect_mailslot(endpoint).map(Outlet::Mailslot).map_err(|error| problem(name, &error));
    }
    let options = ConnectOptions::default().family(family);
    let socket = connect_datagram(endpoint, &options).map_err(|error| problem(name, &error))?;
    match socket.peer().cloned() {
        Some(to) => Ok(Outlet::Socket(socket, to)),
        None => Err(nobody(name, &ErrorKind::NotConnected.into())),
    }
}

/// Opens what hears what is posted there.
pub(crate) fn open_to_listen(
    name: &str,
    endpoint: &Endpoint,
    options: &BindOptions,
) -> Result<Inlet, Problem> {
    let failed = |error| problem(name, &error);
    let cannot_wait = |error| Problem::system("cannot wait", &error);
    if is_mailslot(endpoint) {
        let mailslot = bind_mailslot(endpoint).map_err(failed)?;
        let driver = MailslotDriver::new(SystemClock::new()).map_err(cannot_wait)?;
        return Ok(Inlet::Mailslot(mailslot, driver));
    }
    let socket = bind_datagram(endpoint, options).map_err(failed)?;
    let driver = DatagramDriver::new(SystemClock::new()).map_err(cannot_wait)?;
    Ok(Inlet::Socket(socket, driver))
}

/// Nobody is there to take what is posted to `name`.
pub(crate) fn nobody(name: &str, error: &io::Error) -> Problem {
    let cause = format!("cannot post to {name}: {}", plain(error));
    Problem::new(Exit::Unreachable, cause, "start somebody who hears it first, with `roundtrip listen`")
}

fn problem(name: &str, error: &NetError) -> Problem {
    let (stage, kind) = (error.stage, error.source.kind());
    if stage == Stage::Connect && matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::NotFound) {
        return nobody(name, &error.source);
    }
    let is_bound = stage == Stage::Bind;
    if kind == ErrorKind::Unsupported {
        let verb = if is_bound { "listen on" } else { "post to" };
        let cause = format!("cannot {verb} {name}: this platform has no such thing");
        return Problem::new(Exit::Unreachable, cause, MESSAGES);
    }
    if name.starts_with("mailslot:") && kind == ErrorKind::AddrInUse {
        let cause = format!("cannot listen on {name}: {}", plain(&error.source));
        return Problem::new(
            Exit::Unreachable,
            cause,
            "end that program: a name has one reader on a computer",
        );
    }
    let told = TOLD.iter().find(|told| told.0 == kind).map(|told| told.1);
    // No such device: no kind says so.
    let no_device = cfg!(unix) && error.source.raw_os_error() == Some(NO_DEVICE);
    let advice =
        told.or_else(|| no_device.then_some("no interface leads there: name one by its address, with if="));
    match advice.filter(|_| name.starts_with("udp:") && (is_bound || stage == Stage::Connect)) {
        None => Problem::net(name, error),
        Some(advice) => {
            let verb = if is_bound { "listen on" } else { "post to" };
            Problem::new(Exit::Unreachable, format!("cannot {verb} {name}: {}", plain(&error.source)), advice)
        }
    }
}

/// What helps where UDP cannot be had.
const TOLD: [(ErrorKind, &str); 5] = [
    (
        ErrorKind::InvalidInput,
        "give a port; if= is of the same family, and only for a group or with broadcast",
    ),
    (ErrorKind::AddrNotAvailable, ADDRESSES),
    (ErrorKind::PermissionDenied, "write ,broadcast behind a broadcast address, and ports from 1024 on"),
    (
        ErrorKind::NetworkUnreachable,
        "no route leads there: for a group name an interface by its address, with if=",
    ),
    (
        ErrorKind::HostUnreachable,
        "no route leads there: for a group name an interface by its address, with if=",
    ),
];

/// `ENODEV`.
const NO_DEVICE: i32 = 19;
