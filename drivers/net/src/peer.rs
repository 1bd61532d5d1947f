//! Who is at the other end of a connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use socket2::{SockAddr, Socket};

/// What [`Admission`](roundtrip_core::admission::Admission) counts connections by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// An address, without its port: of IPv6 the leading bits, and zeros.
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

    /// What connections are counted by. Of an IPv6 address, the `ipv6_prefix` leading bits count, at most 128; one that stands for an
    /// IPv4 address counts as that.
    pub const fn source(&self, ipv6_prefix: u8) -> Source {
        match self.0 {
            Kind::Internet(SocketAddr::V4(address)) => Source::Address(IpAddr::V4(*address.ip())),
            Kind::Internet(SocketAddr::V6(address)) => {
                let bits = if ipv6_prefix > 128 { 128 } else { ipv6_prefix };
                let mask = match u128::MAX.checked_shl(128 - bits as u32) {
                    Some(mask) => mask,
                    None => 0,
                };
                let network = Ipv6Addr::from_bits(address.ip().to_bits() & mask);
                Source::Address(IpAddr::V6(network))
            }
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
