//! Where to listen or connect, as a person writes it.

mod error;
mod parse;

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use roundtrip_core::text::is_hidden;

pub use error::EndpointError;

/// The port of the seed's tutorial, used where none is given.
pub const DEFAULT_PORT: u16 = 27015;

/// An endpoint: `HOST:PORT`, or `SCHEME:ADDRESS` with options after commas. `SCHEME://ADDRESS` is accepted as well.
///
/// | written | meant | options |
/// | --- | --- | --- |
/// | `HOST:PORT`, `tcp:HOST:PORT` | a TCP port | `v6only=no`: an IPv6 listener takes IPv4 clients as well |
/// | `unix:PATH` | a Unix stream socket | `mode=0660`: the permissions of the socket's file; `type=seqpacket`: of packets |
/// | `unix:@NAME` | one in Linux's abstract namespace (unix(7)) | `type=seqpacket` |
/// | `udp:HOST:PORT` | a UDP port; without a host, of the loopback | `if=ADDRESS`, `broadcast`, `max=424`: see [`Udp`](Self::Udp) |
/// | `unix-dgram:PATH` | a Unix datagram socket | `mode=0660` |
/// | `unix-dgram:@NAME` | one in Linux's abstract namespace | |
/// | `pipe:NAME` | a named pipe of Windows, `\\.\pipe\NAME` | `type=message`: of messages |
/// | `mailslot:NAME` | a mailslot of Windows, `\\.\mailslot\NAME` | `max=424`: the longest message, bytes |
/// | `stdio:` | standard input and output, as a super-server passes them (inetd) | |
/// | `systemd:` | the listeners that the service manager passes (`sd_listen_fds(3)`) | |
///
/// `HOST` is a name, an IPv4 address, or an IPv6 address in brackets (RFC 3986 section 3.2.2); brackets may be
/// left out where no port follows. A missing port is [`DEFAULT_PORT`]. A known scheme wins over a host of
/// that name. In a path, `%2C` is a comma and `%25` a percent sign (RFC 3986 section 2.1). Every scheme parses on every
/// platform; one that a platform does not have is refused when it is bound.
///
/// What [`Display`](fmt::Display) prints parses to the same endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// A TCP port.
    #[non_exhaustive]
    Tcp {
        /// A host name, an IPv4 address, or an IPv6 address without brackets.
        host: String,
        /// 0 asks the system for a free one when binding.
        port: u16,
        /// A listener on an IPv6 address takes IPv4 clients as well.
        dual_stack: bool,
    },
    /// A Unix stream socket with a file.
    #[non_exhaustive]
    Unix {
        /// The path of the file.
        path: String,
        /// Its permissions, 0 to 0o777; what the process's umask leaves if there are none.
        mode: Option<u32>,
        /// A socket of packets (`SOCK_SEQPACKET`, unix(7)) instead of bytes.
        seqpacket: bool,
    },
    /// A Unix stream socket in Linux's abstract namespace.
    #[non_exhaustive]
    Abstract {
        /// Its name.
        name: String,
        /// As of [`Unix`](Self::Unix).
        seqpacket: bool,
    },
    /// A UDP port (RFC 768).
    #[non_exhaustive]
    Udp {
        /// As of [`Tcp`](Self::Tcp); may be a group (RFC 5771, RFC 4291 section 2.7) or a broadcast address.
        host: String,
        /// 0 asks the system for a free one when binding.
        port: u16,
        /// The address of the interface that a group is joined on, and sent to through; the system's choice if there
        /// is none.
        interface: Option<IpAddr>,
        /// The host is a broadcast address, or hears what is sent to one (RFC 919).
        broadcast: bool,
        /// The longest message, bytes, 1 to 65,507: a longer one is refused where it is sent.
        max: Option<u16>,
    },
    /// A Unix datagram socket with a file.
    #[non_exhaustive]
    UnixDatagram {
        /// The path of the file.
        path: String,
        /// As of [`Unix`](Self::Unix).
        mode: Option<u32>,
    },
    /// A Unix datagram socket in Linux's abstract namespace.
    #[non_exhaustive]
    AbstractDatagram {
        /// Its name.
        name: String,
    },
    /// A named pipe of Windows on this computer.
    #[non_exhaustive]
    Pipe {
        /// What follows `\\.\pipe\`.
        name: String,
        /// A pipe of messages, where an empty one is the end, instead of bytes, which have none.
        message: bool,
    },
    /// A mailslot of Windows on this computer.
    #[non_exhaustive]
    Mailslot {
        /// What follows `\\.\mailslot\`.
        name: String,
        /// As of [`Udp`](Self::Udp).
        max: Option<u16>,
    },
    /// Standard input and output: one connection that is there already.
    Stdio,
    /// Listeners that were passed on by the service manager.
    Systemd,
}

impl Endpoint {
    /// TCP port `port` of `host`, taken as it is: a name or an address without brackets.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Host`] if no host can be called that.
    pub fn tcp(host: &str, port: u16) -> Result<Self, EndpointError> {
        parse::check_host(host)?;
        Ok(Self::Tcp { host: host.to_owned(), port, dual_stack: false })
    }

    /// The Unix stream socket with the file `path`.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Path`] if it is empty or has a zero byte in it.
    pub fn unix(path: &str) -> Result<Self, EndpointError> {
        parse::check_path(path)?;
        Ok(Self::Unix { path: path.to_owned(), mode: None, seqpacket: false })
    }

    /// The Unix stream socket called `name` in Linux's abstract namespace.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Path`] if it is empty or has a zero byte in it.
    pub fn abstract_unix(name: &str) -> Result<Self, EndpointError> {
        parse::check_path(name)?;
        Ok(Self::Abstract { name: name.to_owned(), seqpacket: false })
    }

    /// UDP port `port` of `host`, taken as it is: a name or an address without brackets.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Host`] if no host can be called that.
    pub fn udp(host: &str, port: u16) -> Result<Self, EndpointError> {
        parse::check_host(host)?;
        Ok(Self::Udp { host: host.to_owned(), port, interface: None, broadcast: false, max: None })
    }

    /// Whether it carries messages that may be lost, and no connection: datagrams.
    pub const fn is_datagram(&self) -> bool {
        match self {
            Self::Udp { .. }
            | Self::UnixDatagram { .. }
            | Self::AbstractDatagram { .. }
            | Self::Mailslot { .. } => true,
            Self::Tcp { .. }
            | Self::Unix { .. }
            | Self::Abstract { .. }
            | Self::Pipe { .. }
            | Self::Stdio
            | Self::Systemd => false,
        }
    }

    /// The longest message that may be sent there, bytes, where `max=` says so.
    pub fn longest_message(&self) -> Option<usize> {
        match self {
            Self::Udp { max, .. } | Self::Mailslot { max, .. } => max.map(usize::from),
            Self::Tcp { .. }
            | Self::Unix { .. }
            | Self::Abstract { .. }
            | Self::UnixDatagram { .. }
            | Self::AbstractDatagram { .. }
            | Self::Pipe { .. }
            | Self::Stdio
            | Self::Systemd => None,
        }
    }

    /// Whether one side can end and go on reading. A pipe of bytes has no such thing, and neither have datagrams.
    pub const fn has_half_close(&self) -> bool {
        !matches!(self, Self::Pipe { message: false, .. }) && !self.is_datagram()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, dual_stack } => {
                write_port(f, "tcp", host, *port)?;
                f.write_str(if *dual_stack { ",v6only=no" } else { "" })
            }
            Self::Unix { path, mode, seqpacket } => {
                f.write_str("unix:")?;
                write_path(f, path, *mode)?;
                f.write_str(if *seqpacket { ",type=seqpacket" } else { "" })
            }
            Self::Abstract { name, seqpacket } => {
                f.write_str("unix:@")?;
                encode(f, name, false)?;
                f.write_str(if *seqpacket { ",type=seqpacket" } else { "" })
            }
            Self::Udp { host, port, interface, broadcast, max } => {
                write_port(f, "udp", host, *port)?;
                if let Some(interface) = interface {
                    write!(f, ",if={interface}")?;
                }
                f.write_str(if *broadcast { ",broadcast" } else { "" })?;
                write_max(f, *max)
            }
            Self::UnixDatagram { path, mode } => {
                f.write_str("unix-dgram:")?;
                write_path(f, path, *mode)
            }
            Self::AbstractDatagram { name } => {
                f.write_str("unix-dgram:@")?;
                encode(f, name, false)
            }
            Self::Pipe { name, message } => {
                f.write_str("pipe:")?;
                encode(f, name, name.starts_with("//"))?;
                f.write_str(if *message { ",type=message" } else { "" })
            }
            Self::Mailslot { name, max } => {
                f.write_str("mailslot:")?;
                encode(f, name, name.starts_with("//"))?;
                write_max(f, *max)
            }
            Self::Stdio => f.write_str("stdio:"),
            Self::Systemd => f.write_str("systemd:"),
        }
    }
}

fn write_port(f: &mut fmt::Formatter<'_>, scheme: &str, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') {
        write!(f, "{scheme}:[{host}]:{port}")
    } else {
        write!(f, "{scheme}:{host}:{port}")
    }
}

fn write_path(f: &mut fmt::Formatter<'_>, path: &str, mode: Option<u32>) -> fmt::Result {
    // Two slashes would be taken for the scheme's, and an `@` for the mark of a name.
    let is_ambiguous = path.starts_with('@') || path.starts_with("//");
    encode(f, path, is_ambiguous)?;
    mode.map_or(Ok(()), |mode| write!(f, ",mode={mode:04o}"))
}

fn write_max(f: &mut fmt::Formatter<'_>, max: Option<u16>) -> fmt::Result {
    max.map_or(Ok(()), |max| write!(f, ",max={max}"))
}

/// Writes a path so that it is read back: commas, percent signs and hidden characters are encoded, and the first character if it
/// has to be.
fn encode(f: &mut fmt::Formatter<'_>, path: &str, encode_first: bool) -> fmt::Result {
    for (index, c) in path.chars().enumerate() {
        if matches!(c, ',' | '%') || is_hidden(c) || (index == 0 && encode_first) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                write!(f, "%{byte:02X}")?;
            }
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn what_is_printed_is_short() {
        for text in [
            "tcp:localhost:7",
            "tcp:[::]:7,v6only=no",
            "unix:/run/echo.sock",
            "unix:/run/echo.sock,mode=0660",
            "unix:%2F/run/echo.sock",
            "unix:%40file",
            "unix:a%2Cb%25",
            "unix:@echo",
            "unix:/run/echo.sock,mode=0660,type=seqpacket",
            "unix:@echo,type=seqpacket",
            "udp:localhost:7",
            "udp:[::1]:7",
            "udp:239.1.2.3:7,if=127.0.0.1,max=424",
            "udp:[ff15::1]:7,if=::1",
            "udp:192.0.2.255:7,broadcast",
            "unix-dgram:/run/echo.sock,mode=0660",
            "unix-dgram:@echo",
            "pipe:echo",
            "pipe:a%2Cb,type=message",
            "mailslot:sub\\news,max=424",
            "stdio:",
            "systemd:",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    quickcheck! {
        fn no_text_panics_and_what_parses_prints_the_same(text: String) -> bool {
            match text.parse::<Endpoint>() {
                Ok(endpoint) => endpoint.to_string().parse() == Ok(endpoint),
                Err(error) => !error.to_string().is_empty() && !error.advice().is_empty(),
            }
        }

        fn every_address_and_port_round_trips(address: IpAddr, port: u16, both: bool) -> bool {
            let Endpoint::Tcp { host, port, .. } = Endpoint::tcp(&address.to_string(), port).unwrap() else {
                return false;
            };
            let tcp = Endpoint::Tcp { host: host.clone(), port, dual_stack: both };
            let udp = Endpoint::Udp { host, port, interface: both.then_some(address), broadcast: both, max: None };
            [tcp, udp].into_iter().all(|end| end.to_string().parse() == Ok(end))
        }

        fn every_path_and_mode_round_trips(path: String, mode: Option<u32>, seqpacket: bool) -> bool {
            let mode = mode.map(|mode| mode & 0o777);
            match (Endpoint::unix(&path), Endpoint::abstract_unix(&path)) {
                (Ok(Endpoint::Unix { path, .. }), Ok(name)) => {
                    let unix = Endpoint::Unix { path: path.clone(), mode, seqpacket };
                    let pipe = Endpoint::Pipe { name: path.clone(), message: seqpacket };
                    let datagram = Endpoint::UnixDatagram { path, mode };
                    [unix, pipe, datagram, name].into_iter().all(|end| end.to_string().parse() == Ok(end))
                }
                (Err(_), Err(_)) => path.is_empty() || path.contains('\0'),
                _ => false,
            }
        }
    }
}
