//! From text to an endpoint.

use std::net::Ipv6Addr;
use std::str::FromStr;

use super::{DEFAULT_PORT, Endpoint, EndpointError};

pub(super) const SCHEMES: [&str; 8] =
    ["tcp", "unix", "udp", "unix-dgram", "pipe", "mailslot", "stdio", "systemd"];

/// The longest payload of a UDP datagram over IPv4: 65,535 bytes, less the headers of IP and UDP (RFC 768, RFC 791).
const MAX_DATAGRAM: u16 = 65_507;
/// Where UDP is served or called if no host is named: it answers whoever a datagram says that it came from, and so not the
/// world unless it was told to.
const LOOPBACK: &str = "127.0.0.1";

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (text, options) = match text.split_once(',') {
            Some((text, options)) => (text, Some(options)),
            None => (text, None),
        };
        let (scheme, address) = scheme_of(text)?;
        let mut endpoint = match scheme {
            "tcp" => {
                let (host, port) = parse_port(address)?;
                Self::tcp(host, port)?
            }
            "unix" => match parse_path(address)? {
                (path, false) => Self::unix(&path)?,
                (name, true) => Self::abstract_unix(&name)?,
            },
            "udp" => {
                let (host, port) = parse_port(address)?;
                Self::udp(if host.is_empty() { LOOPBACK } else { host }, port)?
            }
            "unix-dgram" => match parse_path(address)? {
                (path, false) => Self::UnixDatagram { path, mode: None },
                (name, true) => Self::AbstractDatagram { name },
            },
            "pipe" => Self::Pipe { name: parse_name(address)?, message: false },
            "mailslot" => Self::Mailslot { name: parse_name(address)?, max: None },
            scheme if address.is_empty() => {
                if scheme == "stdio" {
                    Self::Stdio
                } else {
                    Self::Systemd
                }
            }
            _ => return Err(EndpointError::Address(address.to_owned())),
        };
        let mut seen = Vec::new();
        for option in options.into_iter().flat_map(|options| options.split(',')) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            if seen.contains(&name) {
                return Err(EndpointError::Option(option.to_owned()));
            }
            seen.push(name);
            set(&mut endpoint, option, name, value)?;
        }
        Ok(endpoint)
    }
}

/// The scheme, `tcp` if there is none, and what follows it.
fn scheme_of(text: &str) -> Result<(&str, &str), EndpointError> {
    let Some((word, rest)) = text.split_once(':') else { return Ok(("tcp", text)) };
    if SCHEMES.contains(&word) {
        return Ok((word, rest.strip_prefix("//").unwrap_or(rest)));
    }
    if rest.starts_with("//") {
        return Err(EndpointError::Scheme(word.to_owned()));
    }
    // `address%zone:port`, without the brackets.
    if let Some((host, _port)) = text.rsplit_once(':')
        && !text.starts_with('[')
        && host.contains('%')
        && address_of(host).parse::<Ipv6Addr>().is_ok()
    {
        return Err(EndpointError::Brackets(text.to_owned()));
    }
    // `word:host:port`: two colons and no IPv6 address.
    if rest.contains(':') && !text.starts_with('[') && text.parse::<Ipv6Addr>().is_err() {
        let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic());
        return Err(if is_word {
            EndpointError::Scheme(word.to_owned())
        } else {
            EndpointError::Brackets(text.to_owned())
        });
    }
    Ok(("tcp", text))
}

/// Sets an option.
fn set(endpoint: &mut Endpoint, option: &str, name: &str, value: &str) -> Result<(), EndpointError> {
    let bad_value = || EndpointError::Value(option.to_owned());
    match (endpoint, name) {
        (Endpoint::Tcp { dual_stack, .. }, "v6only") => {
            *dual_stack = match value {
                "yes" => false,
                "no" => true,
                _ => return Err(bad_value()),
            };
        }
        (Endpoint::Unix { seqpacket, .. } | Endpoint::Abstract { seqpacket, .. }, "type") => {
            *seqpacket = match value {
                "stream" => false,
                "seqpacket" => true,
                _ => return Err(bad_value()),
            };
        }
        (Endpoint::Pipe { message, .. }, "type") => {
            *message = match value {
                "byte" => false,
                "message" => true,
                _ => return Err(bad_value()),
            };
        }
        (Endpoint::Udp { interface, .. }, "if") => {
            *interface = Some(value.parse().map_err(|_| bad_value())?);
        }
        (Endpoint::Udp { broadcast, .. }, "broadcast") if option == name => *broadcast = true,
        (Endpoint::Udp { max, .. } | Endpoint::Mailslot { max, .. }, "max") => {
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let bytes = value.parse().ok().filter(|bytes| is_number && (1..=MAX_DATAGRAM).contains(bytes));
            *max = Some(bytes.ok_or_else(bad_value)?);
        }
        (Endpoint::Unix { mode, .. } | Endpoint::UnixDatagram { mode, .. }, "mode") => {
            let is_octal = (1..=4).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
            let bits = u32::from_str_radix(value, 8).ok().filter(|bits| is_octal && *bits <= 0o777);
            *mode = Some(bits.ok_or_else(bad_value)?);
        }
        _ => return Err(EndpointError::Option(option.to_owned())),
    }
    Ok(())
}

/// A host and a port.
fn parse_port(text: &str) -> Result<(&str, u16), EndpointError> {
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
        if is_ambiguous(text) {
            return Err(EndpointError::Ambiguous(text.to_owned()));
        }
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
    Ok((host, port))
}

/// Whether what follows the last colon of an IPv6 address could be a port, too: `::1:7007`.
fn is_ambiguous(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        host.parse::<Ipv6Addr>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// An IPv6 address without its zone (RFC 6874): `fe80::1%eth0`.
pub(super) fn address_of(host: &str) -> &str {
    host.split_once('%').map_or(host, |(address, _)| address)
}

pub(super) fn check_host(host: &str) -> Result<(), EndpointError> {
    let is_address = address_of(host).parse::<Ipv6Addr>().is_ok();
    let is_name = !host.is_empty()
        && host.len() <= 253
        && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    // A number would be taken for an IPv4 address written as one (inet_aton(3)); a port was meant.
    let is_number = host.bytes().all(|byte| byte.is_ascii_digit());
    if is_address || (is_name && !is_number) { Ok(()) } else { Err(EndpointError::Host(host.to_owned())) }
}

/// A path, or a name in Linux's abstract namespace.
fn parse_path(text: &str) -> Result<(String, bool), EndpointError> {
    let name = text.strip_prefix('@');
    let path = decode(name.unwrap_or(text)).ok_or_else(|| EndpointError::Path(text.to_owned()))?;
    check_path(&path)?;
    Ok((path, name.is_some()))
}

/// What Windows calls a pipe or a mailslot.
fn parse_name(text: &str) -> Result<String, EndpointError> {
    let name = decode(text).ok_or_else(|| EndpointError::Path(text.to_owned()))?;
    check_path(&name)?;
    Ok(name)
}

pub(super) fn check_path(path: &str) -> Result<(), EndpointError> {
    if path.is_empty() || path.contains('\0') { Err(EndpointError::Path(path.to_owned())) } else { Ok(()) }
}

/// What a percent-encoded text says; none if that is no text.
fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp { host: host.to_owned(), port, dual_stack: false }
    }

    fn unix(path: &str, mode: Option<u32>) -> Endpoint {
        Endpoint::Unix { path: path.to_owned(), mode, seqpacket: false }
    }

    fn udp(host: &str, port: u16) -> Endpoint {
        Endpoint::udp(host, port).unwrap()
    }

    #[test]
    fn what_people_write_is_understood() {
        for (text, endpoint) in [
            ("localhost", tcp("localhost", DEFAULT_PORT)),
            ("localhost:7", tcp("localhost", 7)),
            ("tcp:localhost:7", tcp("localhost", 7)),
            ("tcp://localhost:7", tcp("localhost", 7)),
            ("tcp:localhost", tcp("localhost", DEFAULT_PORT)),
            ("127.0.0.1:0", tcp("127.0.0.1", 0)),
            ("[::1]:65535", tcp("::1", 65535)),
            ("[::1]", tcp("::1", DEFAULT_PORT)),
            ("::1", tcp("::1", DEFAULT_PORT)),
            ("tcp:[fe80::1%eth0]:80", tcp("fe80::1%eth0", 80)),
            ("a-b_c.example:80", tcp("a-b_c.example", 80)),
            ("a:80,v6only=yes", tcp("a", 80)),
            ("[::]:80,v6only=no", Endpoint::Tcp { host: "::".into(), port: 80, dual_stack: true }),
            ("unix:/run/a b.sock", unix("/run/a b.sock", None)),
            ("unix:///run/a.sock", unix("/run/a.sock", None)),
            ("unix:/run/a://b", unix("/run/a://b", None)),
            ("unix:a%2Cb%25c%2c", unix("a,b%c,", None)),
            ("unix:a.sock,mode=0600", unix("a.sock", Some(0o600))),
            ("unix:a.sock,mode=777", unix("a.sock", Some(0o777))),
            ("unix:%40a", unix("@a", None)),
            ("unix:@a", Endpoint::abstract_unix("a").unwrap()),
            ("unix://@a", Endpoint::abstract_unix("a").unwrap()),
            ("unix:a,type=stream", unix("a", None)),
            ("unix:a,type=seqpacket", Endpoint::Unix { path: "a".into(), mode: None, seqpacket: true }),
            ("udp:localhost:7", udp("localhost", 7)),
            ("udp://localhost", udp("localhost", DEFAULT_PORT)),
            ("udp:", udp("127.0.0.1", DEFAULT_PORT)),
            ("udp::7", udp("127.0.0.1", 7)),
            ("udp:[::1]:7", udp("::1", 7)),
            (
                "udp:239.1.2.3:7,if=10.0.0.1,broadcast,max=65507",
                Endpoint::Udp {
                    host: "239.1.2.3".into(),
                    port: 7,
                    interface: Some("10.0.0.1".parse().unwrap()),
                    broadcast: true,
                    max: Some(65507),
                },
            ),
            ("unix-dgram:/a", Endpoint::UnixDatagram { path: "/a".into(), mode: None }),
            ("unix-dgram:/a,mode=600", Endpoint::UnixDatagram { path: "/a".into(), mode: Some(0o600) }),
            ("unix-dgram:@a", Endpoint::AbstractDatagram { name: "a".into() }),
            ("pipe:a", Endpoint::Pipe { name: "a".into(), message: false }),
            ("pipe:a,type=message", Endpoint::Pipe { name: "a".into(), message: true }),
            ("mailslot:a\\b,max=424", Endpoint::Mailslot { name: "a\\b".into(), max: Some(424) }),
            ("stdio:", Endpoint::Stdio),
            ("systemd://", Endpoint::Systemd),
        ] {
            assert_eq!(text.parse(), Ok(endpoint), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        use EndpointError::{Address, Ambiguous, Brackets, Host, Option, Path, Port, Scheme, Value};
        for (text, error) in [
            ("localhost:", Port(String::new())),
            ("localhost:http", Port("http".into())),
            ("localhost:65536", Port("65536".into())),
            ("localhost:+80", Port("+80".into())),
            ("localhost:-1", Port("-1".into())),
            ("[::1]80", Port("80".into())),
            ("[::1", Brackets("[::1".into())),
            ("::1:7106", Ambiguous("::1:7106".into())),
            ("2001:db8::1:7", Ambiguous("2001:db8::1:7".into())),
            ("fe80::1%v0:7107", Brackets("fe80::1%v0:7107".into())),
            ("tcp:fe80::1%v0:7107", Brackets("fe80::1%v0:7107".into())),
            ("::1:zz:80", Brackets("::1:zz:80".into())),
            ("tcp:::1:zz", Brackets("::1:zz".into())),
            ("[localhost]:80", Host("localhost".into())),
            ("tpc:localhost:80", Scheme("tpc".into())),
            ("http://localhost", Scheme("http".into())),
            ("http://localhost:80", Scheme("http".into())),
            ("", Host(String::new())),
            (":80", Host(String::new())),
            ("tcp:", Host(String::new())),
            ("8080", Host("8080".into())),
            ("tcp:8080", Host("8080".into())),
            ("a b:80", Host("a b".into())),
            ("a:80,", Option(String::new())),
            ("a:80,b:80", Option("b:80".into())),
            ("a:80,mode=0600", Option("mode=0600".into())),
            ("a:80,v6only=no,v6only=no", Option("v6only=no".into())),
            ("a:80,v6only", Value("v6only".into())),
            ("a:80,v6only=1", Value("v6only=1".into())),
            ("unix:", Path(String::new())),
            ("unix:@", Path(String::new())),
            ("unix:a%2", Path("a%2".into())),
            ("unix:a%zz", Path("a%zz".into())),
            ("unix:a%+1", Path("a%+1".into())),
            ("unix:a%ff", Path("a%ff".into())),
            ("unix:a%00", Path("a\0".into())),
            ("unix:a%é", Path("a%é".into())),
            ("unix:a,mode=rw", Value("mode=rw".into())),
            ("unix:a,mode=1000", Value("mode=1000".into())),
            ("unix:a,mode=08", Value("mode=08".into())),
            ("unix:a,mode=+7", Value("mode=+7".into())),
            ("unix:@a,mode=0600", Option("mode=0600".into())),
            ("unix:a,type=datagram", Value("type=datagram".into())),
            ("tcp:a:1,type=seqpacket", Option("type=seqpacket".into())),
            ("udp:a:1,v6only=no", Option("v6only=no".into())),
            ("udp:a:1,if=eth0", Value("if=eth0".into())),
            ("udp:a:1,broadcast=yes", Option("broadcast=yes".into())),
            ("udp:a:1,max=0", Value("max=0".into())),
            ("udp:a:1,max=65508", Value("max=65508".into())),
            ("udp:a:1,max=+1", Value("max=+1".into())),
            ("unix-dgram:", Path(String::new())),
            ("unix-dgram:@a,mode=0600", Option("mode=0600".into())),
            ("pipe:", Path(String::new())),
            ("pipe:a,type=stream", Value("type=stream".into())),
            ("mailslot:a%00", Path("a\0".into())),
            ("stdio:1", Address("1".into())),
            ("systemd:echo", Address("echo".into())),
            ("stdio:,mode=0600", Option("mode=0600".into())),
        ] {
            let refused = text.parse::<Endpoint>();
            assert_eq!(refused, Err(error), "{text}");
            let error = refused.unwrap_err();
            assert!(!error.to_string().contains('\n') && !error.advice().contains('\n'));
        }
    }
}
