//! What the first wrong bytes of a stream tell: who sent them, or what changed them.

use std::fmt::Write;

use roundtrip_core::text::is_hidden;
use roundtrip_echo::{Fault, FaultKind, Payload};

/// Bytes that are shown.
const SHOWN: usize = 8;
/// Bytes that must agree with an explanation: fewer agree by chance.
const ENOUGH: usize = 8;

/// What came at the first wrong offset, and what was due there.
pub(crate) struct Evidence {
    pub(crate) came: Vec<u8>,
    pub(crate) due: Vec<u8>,
    /// The byte before them, which is right; none at offset 0.
    before: Option<u8>,
    at: u64,
}

impl Evidence {
    /// Of a fault of this payload, if a byte was wrong.
    pub(crate) fn of(fault: Fault, came: &[u8], payload: &Payload) -> Option<Self> {
        if came.is_empty() {
            return None;
        }
        let left = usize::try_from(payload.len().saturating_sub(fault.at)).unwrap_or(usize::MAX);
        let mut due = vec![0; came.len().min(left)];
        payload.fill(fault.at.min(payload.len()), &mut due);
        let before = fault.at.checked_sub(1).and_then(|offset| payload.byte(offset));
        Some(Self { came: came.to_vec(), due, before, at: fault.at })
    }

    /// `came 0d 0a "\r\n", due 0a 5c "\n\\"`
    pub(crate) fn words(&self) -> String {
        let due = if self.due.is_empty() { "nothing more".to_owned() } else { shown(&self.due) };
        format!("came {}, due {due}", shown(&self.came))
    }

    /// The service that answered instead of an echo server, and its answer.
    pub(crate) fn service(&self, kind: FaultKind) -> Option<(&'static str, String)> {
        // Where the right bytes follow, it is an echo server.
        if self.at > 0 || !matches!(kind, FaultKind::Corrupted | FaultKind::Trailing) {
            return None;
        }
        let service = service(&self.came)?;
        Some((service, first_line(&self.came)))
    }

    /// What changes bytes in this way.
    pub(crate) fn cause(&self, kind: FaultKind) -> Option<&'static str> {
        if let FaultKind::Inserted { .. } = kind
            && let Some(cause) = self.inserted()
        {
            return Some(cause);
        }
        let [first_due, ..] = *self.due else { return None };
        let is = |change: fn(&[u8]) -> Vec<u8>| {
            let expected = change(&self.due);
            let compared = expected.len().min(self.came.len());
            compared >= ENOUGH.min(self.due.len()) && expected[..compared] == self.came[..compared]
        };
        let doubles_iac = self.before == Some(0xff) && self.came[0] == 0xff && first_due != 0xff;
        if first_due == b'\n' && is(|due| replaced(due, b'\n', b"\r\n")) {
            Some("LF becomes CR LF: a terminal, or a program in text mode, is on the path")
        } else if first_due == b'\r' && is(|due| replaced(due, b'\r', b"\n")) {
            Some("CR becomes LF: a terminal, or a program in text mode, is on the path")
        } else if first_due == b'\r' && is(|due| replaced(due, b'\r', b"")) {
            Some("CR is removed: a program in text mode is on the path")
        } else if doubles_iac {
            Some("0xff is doubled: a telnet server or client is on the path")
        } else if matches!(first_due, 0x11 | 0x13)
            && is(|due| due.iter().copied().filter(|byte| !matches!(byte, 0x11 | 0x13)).collect())
        {
            Some(
                "XON and XOFF (0x11, 0x13) are removed: software flow control of a serial line is on the path",
            )
        } else if first_due >= 0x80 && is(|due| due.iter().map(|byte| byte & 0x7f).collect()) {
            Some("the eighth bit is removed: a path of seven bits, such as a serial line")
        } else if first_due.is_ascii_lowercase() && is(<[u8]>::to_ascii_uppercase) {
            Some("letters become upper-case: a terminal is on the path")
        } else if self.is_bit() {
            Some("bits are flipped: faulty memory, or a program that changes the bytes")
        } else {
            None
        }
    }

    /// Whose the inserted bytes are.
    fn inserted(&self) -> Option<&'static str> {
        match self.came.as_slice() {
            [0xff, 0xfb..=0xfe, ..] => Some("telnet negotiation: a telnet server is on the path"),
            came if came.starts_with(b"PROXY ") || came.starts_with(PROXY_V2) => {
                Some("a proxy sends the header of the PROXY protocol, and the server does not expect it")
            }
            _ => None,
        }
    }

    /// Whether one byte differs, in one bit.
    fn is_bit(&self) -> bool {
        let differences = || self.came.iter().zip(&self.due).filter(|(came, due)| came != due);
        self.came.len() <= self.due.len()
            && differences().count() == 1
            && differences().all(|(came, due)| (came ^ due).is_power_of_two())
    }
}

/// The signature of the PROXY protocol, version 2.
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a server is that sends these first.
fn service(came: &[u8]) -> Option<&'static str> {
    let starts_with = |prefix: &[u8]| came.starts_with(prefix);
    match came {
        // RFC 8446 section 5.1: alert and handshake, of version 3.x.
        [0x15 | 0x16, 3, 0..=4, ..] => Some("TLS"),
        _ if starts_with(b"HTTP/") || starts_with(b"<!DOCTYPE") || starts_with(b"<html") => Some("HTTP"),
        _ if starts_with(b"SSH-") => Some("SSH"),
        _ if starts_with(b"PROXY ") || starts_with(PROXY_V2) => Some("the PROXY protocol"),
        _ if starts_with(b"RFB ") => Some("VNC"),
        _ if starts_with(b"* OK ") => Some("IMAP"),
        _ if starts_with(b"+OK ") => Some("POP3"),
        _ if starts_with(b"-ERR ") || starts_with(b"-DENIED ") => Some("Redis"),
        // RFC 5321 section 4.2, RFC 959 section 4.2.
        [b'2', b'2', b'0', b' ' | b'-', ..] | [b'4' | b'5', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', ..] => {
            Some("SMTP or FTP")
        }
        [0xff, 0xfb..=0xfe, ..] => Some("telnet"),
        // RFC 864: the printable characters in order, from any of them on.
        _ if came.len() >= ENOUGH
            && came[..ENOUGH]
                .windows(2)
                .all(|pair| (b' '..b'~').contains(&pair[0]) && pair[1] == pair[0] + 1) =>
        {
            Some("chargen")
        }
        _ if is_banner(came) => Some("another protocol"),
        _ => None,
    }
}

/// Whether these begin with a line of text.
fn is_banner(came: &[u8]) -> bool {
    let line = came.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    line.len() >= 3 && line.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// As text, as far as it is some.
fn first_line(came: &[u8]) -> String {
    let line = came.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    if is_banner(came) { format!("\"{}\"", line.escape_ascii()) } else { shown(came) }
}

fn replaced(bytes: &[u8], from: u8, to: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for &byte in bytes {
        if byte == from { all.extend_from_slice(to) } else { all.push(byte) }
    }
    all
}

/// `48 54 54 50 "HTTP"`, of the first of them.
fn shown(bytes: &[u8]) -> String {
    let first = &bytes[..bytes.len().min(SHOWN)];
    let mut text = hex(first);
    let _ = write!(text, " \"{}\"", first.escape_ascii());
    debug_assert!(!text.chars().any(is_hidden));
    text
}

/// `48 54 54 50`
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 9;
    const TOTAL: u64 = 100_000;

    fn payload() -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(TOTAL).unwrap()];
        Payload::seeded(SEED, TOTAL).fill(0, &mut bytes);
        bytes
    }

    /// What is said of a path that makes this of the payload.
    fn cause(change: impl Fn(&[u8]) -> Vec<u8>) -> Option<&'static str> {
        let sent = payload();
        let came = change(&sent);
        let at = sent.iter().zip(&came).take_while(|(sent, came)| sent == came).count();
        let fault = Fault { at: at as u64, kind: FaultKind::Corrupted };
        Evidence::of(fault, &came[at..at + 64], &Payload::seeded(SEED, TOTAL))
            .unwrap()
            .cause(FaultKind::Corrupted)
    }

    #[test]
    fn what_changes_bytes_in_a_known_way_is_named() {
        let words = |cause: Option<&'static str>| cause.unwrap_or_default().split(':').next().unwrap();
        assert_eq!(words(cause(|sent| replaced(sent, b'\n', b"\r\n"))), "LF becomes CR LF");
        assert_eq!(words(cause(|sent| replaced(sent, b'\r', b"\n"))), "CR becomes LF");
        assert_eq!(words(cause(|sent| replaced(sent, b'\r', b""))), "CR is removed");
        assert_eq!(words(cause(|sent| replaced(sent, 0xff, &[0xff, 0xff]))), "0xff is doubled");
        let without_flow_control = |sent: &[u8]| {
            sent.iter().copied().filter(|byte| !matches!(byte, 0x11 | 0x13)).collect::<Vec<_>>()
        };
        assert_eq!(words(cause(without_flow_control)), "XON and XOFF (0x11, 0x13) are removed");
        assert_eq!(
            words(cause(|sent| sent.iter().map(|byte| byte & 0x7f).collect())),
            "the eighth bit is removed"
        );
        assert_eq!(words(cause(<[u8]>::to_ascii_uppercase)), "letters become upper-case");
        let flipped = |sent: &[u8]| {
            let mut sent = sent.to_vec();
            sent[1234] ^= 0x20;
            sent
        };
        assert_eq!(words(cause(flipped)), "bits are flipped");
    }

    #[test]
    fn what_is_none_of_these_is_not() {
        let random = |sent: &[u8]| {
            let mut sent = sent.to_vec();
            sent[500..].reverse();
            sent
        };
        assert_eq!(cause(random), None);
    }

    #[test]
    fn services_are_known_by_what_they_send_first() {
        let named = |came: &[u8]| {
            let fault = Fault { at: 0, kind: FaultKind::Corrupted };
            Evidence::of(fault, came, &Payload::seeded(SEED, TOTAL)).unwrap().service(FaultKind::Corrupted)
        };
        for (came, service, line) in [
            (&b"HTTP/1.1 400 Bad Request\r\nServer: x"[..], "HTTP", "\"HTTP/1.1 400 Bad Request\""),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH", "\"SSH-2.0-OpenSSH_9.2\""),
            (b"220 mail ESMTP\r\n", "SMTP or FTP", "\"220 mail ESMTP\""),
            (b"\x15\x03\x03\x00\x02\x02\x28", "TLS", r#"15 03 03 00 02 02 28 "\x15\x03\x03\x00\x02\x02(""#),
            (b"\x16\x03\x03\x00\x7a\x02", "TLS", r#"16 03 03 00 7a 02 "\x16\x03\x03\x00z\x02""#),
            (b"0123456789:;<=", "chargen", "\"0123456789:;<=\""),
            (b"-ERR unknown command\r\n", "Redis", "\"-ERR unknown command\""),
            (b"hello, who are you\n", "another protocol", "\"hello, who are you\""),
        ] {
            assert_eq!(named(came), Some((service, line.to_owned())));
        }
        assert_eq!(named(b"\x01\x02\x03\x04\x05\x06\x07\x08\x09"), None);
    }

    #[test]
    fn what_came_and_what_was_due_are_shown() {
        let fault = Fault { at: TOTAL, kind: FaultKind::Trailing };
        let evidence = Evidence::of(fault, b"OK\r\n\x1b", &Payload::seeded(SEED, TOTAL)).unwrap();
        assert_eq!(evidence.words(), r#"came 4f 4b 0d 0a 1b "OK\r\n\x1b", due nothing more"#);
    }
}
