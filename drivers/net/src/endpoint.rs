//! Where to listen or connect, as a person writes it.

use std::error::Error;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The port of the seed's tutorial, used where none is given.
pub const DEFAULT_PORT: u16 = 27015;

const SCHEMES: [&str; 1] = ["tcp"];

/// An endpoint: `HOST:PORT`, `tcp:HOST:PORT` or `tcp://HOST:PORT`.
///
/// `HOST` is a name, an IPv4 address, or an IPv6 address in brackets (RFC 3986 section 3.2.2); brackets may be
/// left out where no port follows. A missing port is [`DEFAULT_PORT`]. A known scheme wins over a host of
/// that name. What [`Display`](fmt::Display) prints parses to the same endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// A TCP port.
    Tcp {
        /// A host name, an IPv4 address, or an IPv6 address without brackets.
        host: String,
        /// 0 asks the system for a free one when binding.
        port: u16,
    },
}

impl Endpoint {
    /// TCP port `port` of `host`, taken as it is: a name or an address without brackets.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Host`] if no host can be called that.
    pub fn tcp(host: &str, port: u16) -> Result<Self, EndpointError> {
        check_host(host)?;
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if let Some((scheme, rest)) = text.split_once("://") {
            return if is_scheme(scheme) {
                parse_tcp(rest)
            } else {
                Err(EndpointError::Scheme(scheme.to_owned()))
            };
        }
        match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => parse_tcp(rest),
            // `word:host:port`: two colons and no IPv6 address.
            Some((scheme, rest))
                if rest.contains(':') && !text.starts_with('[') && text.parse::<Ipv6Addr>().is_err() =>
            {
                let is_word = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
                Err(if is_word {
                    EndpointError::Scheme(scheme.to_owned())
                } else {
                    EndpointError::Brackets(text.to_owned())
                })
            }
            _ => parse_tcp(text),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

fn is_scheme(word: &str) -> bool {
    SCHEMES.contains(&word)
}

fn parse_tcp(text: &str) -> Result<Endpoint, EndpointError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((host, port)) = rest.split_once(']') else {
            return Err(EndpointError::Brackets(text.to_owned()));
        };
        if address_of(host).parse::<Ipv6Addr>().is_err() {
            return Err(EndpointError::Host(host.to_owned()));
        }
        match port.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if port.is_empty() => (host, None),
            None => return Err(EndpointError::Port(port.to_owned())),
        }
    } else if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => return Err(EndpointError::Brackets(text.to_owned())),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| EndpointError::Port(digits.to_owned()))?
        }
        Some(other) => return Err(EndpointError::Port(other.to_owned())),
    };
    Endpoint::tcp(host, port)
}

/// An IPv6 address without its zone (RFC 6874): `fe80::1%eth0`.
fn address_of(host: &str) -> &str {
    host.split_once('%').map_or(host, |(address, _)| address)
}

fn check_host(host: &str) -> Result<(), EndpointError> {
    let is_address = address_of(host).parse::<Ipv6Addr>().is_ok();
    let is_name = !host.is_empty()
        && host.len() <= 253
        && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    // A number would be taken for an IPv4 address written as one (inet_aton(3)); a port was meant.
    let is_number = host.bytes().all(|byte| byte.is_ascii_digit());
    if is_address || (is_name && !is_number) { Ok(()) } else { Err(EndpointError::Host(host.to_owned())) }
}

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// The scheme is not known.
    Scheme(String),
    /// No host can be called that.
    Host(String),
    /// The port is no number from 0 to 65535.
    Port(String),
    /// An IPv6 address with a port needs brackets.
    Brackets(String),
}

impl EndpointError {
    /// What to write instead.
    pub fn advice(&self) -> String {
        match self {
            Self::Scheme(_) => format!("known schemes: {}", SCHEMES.join(", ")),
            Self::Host(host) if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("for a port, write HOST:PORT, as in localhost:{host}")
            }
            Self::Host(_) => "write HOST:PORT, as in localhost:27015".to_owned(),
            Self::Port(_) => "a port is a number from 0 to 65535".to_owned(),
            Self::Brackets(_) => "write an IPv6 address with a port as [ADDRESS]:PORT".to_owned(),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(scheme) => write!(f, "unknown scheme `{}`", scheme.escape_debug()),
            Self::Host(host) if host.is_empty() => f.write_str("the host is missing"),
            Self::Host(host) => write!(f, "`{}` is no host", host.escape_debug()),
            Self::Port(port) if port.is_empty() => f.write_str("the port after the colon is missing"),
            Self::Port(port) => write!(f, "`{}` is no port", port.escape_debug()),
            Self::Brackets(text) => write!(f, "`{}` has too many colons", text.escape_debug()),
        }
    }
}

impl Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn what_people_write_is_understood() {
        for (text, host, port) in [
            ("localhost", "localhost", DEFAULT_PORT),
            ("localhost:7", "localhost", 7),
            ("tcp:localhost:7", "localhost", 7),
            ("tcp://localhost:7", "localhost", 7),
            ("tcp:localhost", "localhost", DEFAULT_PORT),
            ("127.0.0.1:0", "127.0.0.1", 0),
            ("[::1]:65535", "::1", 65535),
            ("[::1]", "::1", DEFAULT_PORT),
            ("::1", "::1", DEFAULT_PORT),
            ("tcp:[fe80::1%eth0]:80", "fe80::1%eth0", 80),
            ("a-b_c.example:80", "a-b_c.example", 80),
        ] {
            assert_eq!(text.parse(), Ok(tcp(host, port)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        use EndpointError::{Brackets, Host, Port, Scheme};
        for (text, error) in [
            ("localhost:", Port(String::new())),
            ("localhost:http", Port("http".into())),
            ("localhost:65536", Port("65536".into())),
            ("localhost:+80", Port("+80".into())),
            ("localhost:-1", Port("-1".into())),
            ("[::1]80", Port("80".into())),
            ("[::1", Brackets("[::1".into())),
            ("::1:zz:80", Brackets("::1:zz:80".into())),
            ("tcp:::1:zz", Brackets("::1:zz".into())),
            ("[localhost]:80", Host("localhost".into())),
            ("tpc:localhost:80", Scheme("tpc".into())),
            ("http://localhost", Scheme("http".into())),
            ("", Host(String::new())),
            (":80", Host(String::new())),
            ("tcp:", Host(String::new())),
            ("8080", Host("8080".into())),
            ("tcp:8080", Host("8080".into())),
            ("a b:80", Host("a b".into())),
            ("a,b:80", Host("a,b".into())),
        ] {
            let refused = text.parse::<Endpoint>();
            assert_eq!(refused, Err(error), "{text}");
            let error = refused.unwrap_err();
            assert!(!error.to_string().contains('\n') && !error.advice().contains('\n'));
        }
    }

    quickcheck! {
        fn no_text_panics_and_what_parses_prints_the_same(text: String) -> bool {
            match text.parse::<Endpoint>() {
                Ok(endpoint) => endpoint.to_string().parse() == Ok(endpoint),
                Err(error) => !error.to_string().is_empty(),
            }
        }

        fn every_address_and_port_round_trips(address: std::net::IpAddr, port: u16) -> bool {
            let endpoint = Endpoint::tcp(&address.to_string(), port).unwrap();
            endpoint.to_string().parse() == Ok(endpoint)
        }
    }
}
