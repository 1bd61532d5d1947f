//! Where datagrams come from and go to.

use std::fmt;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::fmt::Write as _;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;

use roundtrip_core::datagram::Address;
#[cfg(unix)]
use roundtrip_core::text::escaped;
#[cfg(unix)]
use rustix::net::{SocketAddrAny, SocketAddrUnix};

/// Where a datagram came from, or goes to.
///
/// An IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`) becomes IPv4 again: no socket made here takes both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatagramAddress(pub(super) Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Internet(SocketAddr),
    /// The file of a Unix socket, by the path that its owner gave.
    #[cfg(unix)]
    Path(PathBuf),
    /// A name in Linux's abstract namespace.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Abstract(Vec<u8>),
    /// A Unix socket that is not bound, or whoever writes to a mailslot.
    Unnamed,
}

impl DatagramAddress {
    /// Somebody of whom nothing is known: whoever writes to a mailslot.
    pub const fn unnamed() -> Self {
        Self(Kind::Unnamed)
    }

    /// The internet address; none of a Unix socket.
    pub const fn internet(&self) -> Option<SocketAddr> {
        match self.0 {
            Kind::Internet(address) => Some(address),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Kind::Abstract(_) => None,
            #[cfg(unix)]
            Kind::Path(_) => None,
            Kind::Unnamed => None,
        }
    }

    /// Whether something can be sent there: not to somebody without a name.
    pub const fn can_be_answered(&self) -> bool {
        !matches!(self.0, Kind::Unnamed)
    }

    #[cfg(unix)]
    pub(super) fn of(address: Option<SocketAddrAny>) -> Self {
        let Some(address) = address else { return Self(Kind::Unnamed) };
        if let Ok(address) = SocketAddr::try_from(address.clone()) {
            return address.into();
        }
        let Ok(address) = SocketAddrUnix::try_from(address) else { return Self(Kind::Unnamed) };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(name) = address.abstract_name() {
            return Self(Kind::Abstract(name.to_vec()));
        }
        let path = address.path_bytes().map(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes);
        Self(path.map_or(Kind::Unnamed, |path| Kind::Path(path.into())))
    }
}

impl Address for DatagramAddress {
    fn port(&self) -> Option<u16> {
        self.internet().map(|address| address.port())
    }

    fn is_answerable(&self) -> bool {
        self.internet().map_or_else(|| self.can_be_answered(), |address| address.is_answerable())
    }
}

impl From<SocketAddr> for DatagramAddress {
    fn from(mut address: SocketAddr) -> Self {
        // One that is not mapped keeps its scope.
        if address.ip().to_canonical().is_ipv4() {
            address.set_ip(address.ip().to_canonical());
        }
        Self(Kind::Internet(address))
    }
}

impl fmt::Display for DatagramAddress {
    /// `192.0.2.1:7`, a path, `@NAME`, or words for a socket without a name. Controls are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Internet(address) => address.fmt(f),
            #[cfg(unix)]
            Kind::Path(path) => escaped(&path.to_string_lossy()).fmt(f),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Kind::Abstract(name) => {
                f.write_char('@')?;
                escaped(&String::from_utf8_lossy(name)).fmt(f)
            }
            Kind::Unnamed if cfg!(windows) => f.write_str("somebody"),
            Kind::Unnamed => f.write_str("a socket without a name"),
        }
    }
}
