//! Where to listen or connect, as a person writes it.

mod error;
mod parse;

use std::fmt::{self, Write as _};

pub use error::EndpointError;

/// The port of the seed's tutorial, used where none is given.
pub const DEFAULT_PORT: u16 = 27015;

/// An endpoint: `HOST:PORT`, or `SCHEME:ADDRESS` with options after commas. `SCHEME://ADDRESS` is accepted as well.
///
/// | written | meant | options |
/// | --- | --- | --- |
/// | `HOST:PORT`, `tcp:HOST:PORT` | a TCP port | `v6only=no`: an IPv6 listener takes IPv4 clients as well |
/// | `unix:PATH` | a Unix stream socket | `mode=0660`: the permissions of the socket's file |
/// | `unix:@NAME` | one in Linux's abstract namespace (unix(7)) | |
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
    },
    /// A Unix stream socket in Linux's abstract namespace.
    #[non_exhaustive]
    Abstract {
        /// Its name.
        name: String,
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
        Ok(Self::Unix { path: path.to_owned(), mode: None })
    }

    /// The Unix stream socket called `name` in Linux's abstract namespace.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Path`] if it is empty or has a zero byte in it.
    pub fn abstract_unix(name: &str) -> Result<Self, EndpointError> {
        parse::check_path(name)?;
        Ok(Self::Abstract { name: name.to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, dual_stack } => {
                if host.contains(':') {
                    write!(f, "tcp:[{host}]:{port}")?;
                } else {
                    write!(f, "tcp:{host}:{port}")?;
                }
                f.write_str(if *dual_stack { ",v6only=no" } else { "" })
            }
            Self::Unix { path, mode } => {
                f.write_str("unix:")?;
                // Two slashes would be taken for the scheme's, and an `@` for the mark of a name.
                let is_ambiguous = path.starts_with('@') || path.starts_with("//");
                encode(f, path, is_ambiguous)?;
                mode.map_or(Ok(()), |mode| write!(f, ",mode={mode:04o}"))
            }
            Self::Abstract { name } => {
                f.write_str("unix:@")?;
                encode(f, name, false)
            }
            Self::Stdio => f.write_str("stdio:"),
            Self::Systemd => f.write_str("systemd:"),
        }
    }
}

/// Writes a path so that it is read back: commas, percent signs and controls are encoded, and the first character if it
/// has to be.
fn encode(f: &mut fmt::Formatter<'_>, path: &str, encode_first: bool) -> fmt::Result {
    for (index, c) in path.chars().enumerate() {
        if matches!(c, ',' | '%') || c.is_control() || (index == 0 && encode_first) {
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

        fn every_address_and_port_round_trips(address: std::net::IpAddr, port: u16, both: bool) -> bool {
            let Endpoint::Tcp { host, port, .. } = Endpoint::tcp(&address.to_string(), port).unwrap() else {
                return false;
            };
            let endpoint = Endpoint::Tcp { host, port, dual_stack: both };
            endpoint.to_string().parse() == Ok(endpoint)
        }

        fn every_path_and_mode_round_trips(path: String, mode: Option<u32>) -> bool {
            let mode = mode.map(|mode| mode & 0o777);
            match (Endpoint::unix(&path), Endpoint::abstract_unix(&path)) {
                (Ok(Endpoint::Unix { path, .. }), Ok(name)) => {
                    let endpoint = Endpoint::Unix { path, mode };
                    endpoint.to_string().parse() == Ok(endpoint) && name.to_string().parse() == Ok(name)
                }
                (Err(_), Err(_)) => path.is_empty() || path.contains('\0'),
                _ => false,
            }
        }
    }
}
