//! Who is at the other end of a connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{SockAddr, Socket};

/// What [`Admission`](roundtrip_core::admission::Admission) counts connections by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// An address, without its port.
    Address(IpAddr),
    /// A user of this system, by number: the owner of the process behind a Unix socket when it connected.
    User(u32),
    /// Somebody on this system, who is not told apart from others.
    Local,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Internet(SocketAddr),
    /// User and process, where the system tells.
    Local(Option<(u32, i32)>),
}

impl Peer {
    /// The peer at this address; an IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`) becomes IPv4 again.
    pub const fn new(address: SocketAddr) -> Self {
        Self(Kind::Internet(SocketAddr::new(address.ip().to_canonical(), address.port())))
    }

    /// Somebody on this system, who is not told apart from others: the client of a named pipe.
    pub const fn local() -> Self {
        Self(Kind::Local(None))
    }

    /// The peer of a connected socket, whose address this is.
    pub(crate) fn of(socket: &Socket, address: &SockAddr) -> io::Result<Self> {
        match address.as_socket() {
            Some(address) => Ok(Self::new(address)),
            None if address.is_unix() => Ok(Self(Kind::Local(credentials(socket)))),
            None => Err(io::Error::new(io::ErrorKind::Unsupported, "an address of another kind")),
        }
    }

    /// Its internet address; none if it is on this system, behind a Unix socket.
    pub const fn address(&self) -> Option<SocketAddr> {
        match self.0 {
            Kind::Internet(address) => Some(address),
            Kind::Local(_) => None,
        }
    }

    /// What connections are counted by.
    pub const fn source(&self) -> Source {
        match self.0 {
            Kind::Internet(address) => Source::Address(address.ip()),
            Kind::Local(Some((user, _))) => Source::User(user),
            Kind::Local(None) => Source::Local,
        }
    }
}

impl fmt::Display for Peer {
    /// `192.0.2.1:4711`, or `user 1000, process 4711`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Internet(address) => address.fmt(f),
            Kind::Local(Some((user, process))) => write!(f, "user {user}, process {process}"),
            Kind::Local(None) => f.write_str("a local process"),
        }
    }
}

/// `SO_PEERCRED`: unix(7).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn credentials(socket: &Socket) -> Option<(u32, i32)> {
    let found = rustix::net::sockopt::socket_peercred(socket).ok()?;
    Some((found.uid.as_raw(), found.pid.as_raw_nonzero().get()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn credentials(_: &Socket) -> Option<(u32, i32)> {
    None
}
