//! What can be wrong with the text of an endpoint.

use std::error::Error;
use std::fmt;
use std::net::Ipv6Addr;

use roundtrip_core::text::escaped;

use super::parse::{SCHEMES, address_of};

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
    /// An IPv6 address whose last group may be a port needs brackets.
    Ambiguous(String),
    /// No socket's file can be called that.
    Path(String),
    /// What was given of this scheme takes no address.
    Address(String),
    /// The scheme has no such option, or it was given twice.
    Option(String),
    /// The option does not take this value.
    Value(String),
}

impl EndpointError {
    /// What to write instead.
    pub fn advice(&self) -> String {
        match self {
            Self::Scheme(scheme) => match nearest(scheme) {
                Some(near) => format!("did you mean `{near}:`?"),
                None => format!("known schemes: {}", SCHEMES.join(", ")),
            },
            Self::Host(host) if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("for a port, write HOST:PORT, as in localhost:{host}")
            }
            Self::Host(_) => "write HOST:PORT, as in localhost:27015".to_owned(),
            Self::Port(_) => "a port is a number from 0 to 65535".to_owned(),
            Self::Brackets(text) => match text.rsplit_once(':') {
                Some((address, port)) if address_of(address).parse::<Ipv6Addr>().is_ok() => {
                    format!(
                        "write an IPv6 address with a port in brackets: [{}]:{}",
                        escaped(address),
                        escaped(port)
                    )
                }
                _ => "write an IPv6 address with a port as [ADDRESS]:PORT".to_owned(),
            },
            Self::Ambiguous(text) => {
                let (address, port) = text.rsplit_once(':').unwrap_or((text, ""));
                format!("write [{address}]:{port} with a port, or [{text}] for the address")
            }
            Self::Path(_) => {
                "write unix:PATH, or unix:@NAME on Linux; a comma in a path or a name is %2C, a percent sign %25"
                    .to_owned()
            }
            Self::Address(_) => "write stdio: or systemd: and nothing behind it".to_owned(),
            Self::Option(_) => {
                "options are v6only=no for tcp, type=seqpacket and mode=0660 for unix:PATH, if=ADDRESS, broadcast and \
                 max=424 for udp, type=message for pipe; a comma in a path is %2C"
                    .to_owned()
            }
            Self::Value(option) => {
                let takes = match option.split('=').next().unwrap_or_default() {
                    "v6only" => "v6only=yes or v6only=no",
                    "type" => "type=stream or type=seqpacket for unix, type=byte or type=message for pipe",
                    "if" => "if= and the address of one of this machine's interfaces",
                    "max" => "max= and a number of bytes from 1 to 65507",
                    _ => "mode= and up to 0777 in octal",
                };
                format!("write {takes}")
            }
        }
    }
}

/// The scheme that was probably meant: one wrong, missing, superfluous or swapped letter away.
fn nearest(word: &str) -> Option<&'static str> {
    SCHEMES.into_iter().find(|scheme| is_one_off(word.as_bytes(), scheme.as_bytes()))
}

fn is_one_off(a: &[u8], b: &[u8]) -> bool {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    let behind = |text: &[u8], n: usize| text.get(n..).map(<[u8]>::to_vec);
    let is_swapped = a.len() >= 2 && b.len() >= 2 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..];
    is_swapped
        || behind(a, 1).is_some_and(|rest| rest == b || Some(&rest) == behind(b, 1).as_ref())
        || behind(b, 1).is_some_and(|rest| rest == a)
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(scheme) => write!(f, "unknown scheme `{}`", escaped(scheme)),
            Self::Host(host) if host.is_empty() => f.write_str("the host is missing"),
            Self::Host(host) => write!(f, "`{}` is no host", escaped(host)),
            Self::Port(port) if port.is_empty() => f.write_str("the port after the colon is missing"),
            Self::Port(port) => write!(f, "`{}` is no port", escaped(port)),
            Self::Brackets(text) => write!(f, "`{}` has too many colons", escaped(text)),
            Self::Ambiguous(text) => {
                write!(f, "`{}` is an address, or an address with a port", escaped(text))
            }
            Self::Path(path) if path.is_empty() => f.write_str("the path is missing"),
            Self::Path(path) => write!(f, "`{}` is no path or name of a socket", escaped(path)),
            Self::Address(address) => {
                write!(f, "`{}` is an address where none belongs", escaped(address))
            }
            Self::Option(option) if option.is_empty() => f.write_str("the option after the comma is missing"),
            Self::Option(option) => write!(f, "`{}` is no option here", escaped(option)),
            Self::Value(option) => write!(f, "`{}` has no such value", escaped(option)),
        }
    }
}

impl Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_should_be() {
        let advice = |text: &str| text.parse::<crate::Endpoint>().unwrap_err().advice();
        assert_eq!(advice("::1:7106"), "write [::1]:7106 with a port, or [::1:7106] for the address");
        assert_eq!(
            advice("fe80::1%v0:7107"),
            "write an IPv6 address with a port in brackets: [fe80::1%v0]:7107"
        );
        assert!(!advice(":::\n").chars().any(roundtrip_core::text::is_hidden));
        assert!(advice("unix:./a,b.sock").ends_with("a comma in a path is %2C"));
    }

    #[test]
    fn a_slip_is_guessed() {
        for (slip, meant) in
            [("tpc", "tcp"), ("tc", "tcp"), ("tcpp", "tcp"), ("unx", "unix"), ("UNIX", ""), ("http", "")]
        {
            assert_eq!(nearest(slip).unwrap_or_default(), meant, "{slip}");
        }
        assert_eq!(
            EndpointError::Scheme("http".into()).advice(),
            "known schemes: tcp, unix, udp, unix-dgram, pipe, mailslot, stdio, systemd"
        );
    }
}
