//! The head of a request: its line and its fields (RFC 9112 sections 2 to 6).

use std::ops::Range;

use crate::response::Status;

/// The largest head, bytes.
pub const MAX_HEAD: usize = 8 << 10;

/// A request, parsed line by line while its head comes. Its fields hold once the head is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// Where the path is in the head, without its query; empty if the target is an absolute URI without a path.
    pub path: Range<usize>,
    /// How the end of the body is found.
    pub framing: Framing,
    /// What becomes of the connection.
    pub persistence: Persistence,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// None before the first line.
    version: Option<Version>,
    has_host: bool,
    /// Where the first line begins that is not parsed yet.
    line: usize,
    /// Where to go on looking for its end.
    scanned: usize,
}

/// What a request asks to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// Transfer what is there.
    #[default]
    Get,
    /// The same, without the body of the response.
    Head,
    /// Process the body.
    Post,
    /// A method of RFC 9110 or RFC 5789 that no target here allows.
    Standard,
    /// Any other.
    Unknown,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// By its length in bytes.
    Length(u64),
    /// By its last chunk.
    Chunked,
}

/// What becomes of the connection after the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Persistence {
    /// It stays open, as it does by default.
    #[default]
    KeepAlive,
    /// It stays open, and a client of HTTP/1.0 has to be told.
    KeepAlive10,
    /// It closes, as it does by default in HTTP/1.0.
    Close10,
    /// It closes.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Version {
    Http10,
    Http11,
}

impl Request {
    /// The length of the head at the front of `bytes`, if it is whole. Until it is, call this again with the same bytes and
    /// more.
    ///
    /// # Errors
    ///
    /// What to refuse the request with. Where its body ends is unknown, so the connection must close.
    pub fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, Status> {
        while let Some(end) = line_end(&bytes[self.scanned..]).map(|end| self.scanned + end) {
            if end >= MAX_HEAD {
                return Err(Status::HEADERS_TOO_LARGE);
            }
            // A bare LF does not end a line.
            let line = bytes[self.line..end].strip_suffix(b"\r").ok_or(Status::BAD_REQUEST)?;
            if has_controls(line) {
                return Err(Status::BAD_REQUEST);
            }
            self.scanned = end + 1;
            match self.version {
                // One empty line before a request is ignored (RFC 9112 section 2.2).
                None if line.is_empty() && self.line == 0 => {}
                None => self.request_line(line)?,
                Some(Version::Http11) if line.is_empty() && !self.has_host => {
                    return Err(Status::BAD_REQUEST);
                }
                Some(_) if line.is_empty() => return Ok(Some(self.scanned)),
                Some(version) => self.field(line, version)?,
            }
            self.line = self.scanned;
        }
        self.scanned = bytes.len();
        if bytes.len() < MAX_HEAD { Ok(None) } else { Err(Status::HEADERS_TOO_LARGE) }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Status> {
        let mut words = line.split(|byte| *byte == b' ');
        let words = [words.next(), words.next(), words.next(), words.next()];
        let [Some(method), Some(target), Some(version), None] = words else {
            return Err(Status::BAD_REQUEST);
        };
        (self.version, self.persistence) = match version {
            b"HTTP/1.0" => (Some(Version::Http10), Persistence::Close10),
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => {
                (Some(Version::Http11), Persistence::KeepAlive)
            }
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                return Err(Status::VERSION_NOT_SUPPORTED);
            }
            _ => return Err(Status::BAD_REQUEST),
        };
        self.method = match method {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" | b"DELETE" | b"PATCH" | b"OPTIONS" | b"TRACE" | b"CONNECT" => Method::Standard,
            _ if is_token(method) => Method::Unknown,
            _ => return Err(Status::BAD_REQUEST),
        };
        let path = path_of(target, method).ok_or(Status::BAD_REQUEST)?;
        let at = self.line + method.len() + 1;
        self.path = at + path.start..at + path.end;
        Ok(())
    }

    fn field(&mut self, line: &[u8], version: Version) -> Result<(), Status> {
        let (name, value) = field_line(line)?;
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("host") {
            if self.has_host || !is_host(value) {
                return Err(Status::BAD_REQUEST);
            }
            self.has_host = true;
        } else if is("content-length") || is("transfer-encoding") {
            // Two lengths, even equal ones, or a length beside chunks would let requests be smuggled past a proxy.
            if self.framing != Framing::None {
                return Err(Status::BAD_REQUEST);
            }
            self.framing = if is("content-length") { length(value)? } else { coding(value, version)? };
        } else if is("connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                if option.eq_ignore_ascii_case(b"close") {
                    self.persistence = Persistence::Close;
                } else if option.eq_ignore_ascii_case(b"keep-alive")
                    && self.persistence == Persistence::Close10
                {
                    self.persistence = Persistence::KeepAlive10;
                }
            }
        } else if is("expect") && version >= Version::Http11 {
            self.expects_continue = true;
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Status::EXPECTATION_FAILED);
            }
        }
        Ok(())
    }
}

/// Where the path of a target is, in any of its four forms (RFC 9112 section 3.2). None if the target is malformed.
fn path_of(target: &[u8], method: &[u8]) -> Option<Range<usize>> {
    let start = match target {
        [b'/', ..] => 0,
        b"*" if method == b"OPTIONS" => return Some(0..1),
        _ if method == b"CONNECT" => return is_host(target).then_some(0..target.len()),
        _ => {
            let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
                target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            })?;
            let rest = &target[scheme.len()..];
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
            if !is_host(&rest[..end]) || matches!(rest[..end], [] | [b':', ..]) {
                return None;
            }
            scheme.len() + end
        }
    };
    let path = &target[start..];
    let end = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
    (path.is_ascii() && !path.contains(&b'#')).then_some(start..start + end)
}

fn length(value: &[u8]) -> Result<Framing, Status> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Status::BAD_REQUEST);
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Ok(Framing::Length(value.iter().fold(0, add)))
}

fn coding(value: &[u8], version: Version) -> Result<Framing, Status> {
    match value {
        _ if version < Version::Http11 => Err(Status::BAD_REQUEST),
        b"" => Err(Status::BAD_REQUEST),
        _ if value.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        _ => Err(Status::NOT_IMPLEMENTED),
    }
}

/// The name and the value of a field. A continuation line (obs-fold) and a blank before the colon are errors: a name is a
/// token.
pub(crate) fn field_line(line: &[u8]) -> Result<(&[u8], &[u8]), Status> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Status::BAD_REQUEST)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if is_token(name) { Ok((name, value.trim_ascii())) } else { Err(Status::BAD_REQUEST) }
}

/// Where the first LF is: eight bytes at a time.
pub(crate) fn line_end(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'\n'));
        // The lowest bit that is set is the highest of the first byte that is 0.
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return Some(index * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| *byte == b'\n').map(|at| words.len() * 8 + at)
}

/// Whether there is a bare CR, a NUL or another control character except tab. It has no early exit, so that it is vectorized.
pub(crate) fn has_controls(line: &[u8]) -> bool {
    line.iter().fold(false, |found, byte| found | (byte.is_ascii_control() && *byte != b'\t'))
}

fn is_token(name: &[u8]) -> bool {
    let is_char = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_!#$%&'*+.^`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_char)
}

/// A host and a port, by their characters (RFC 3986 section 3.2); it may be empty.
fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b".:-_[]~!$&'()*+,;=%".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a head, if it comes in pieces of `size` bytes: the same for every size.
    fn parsed(text: &[u8]) -> Result<Option<(Request, usize)>, Status> {
        let in_pieces = |size: usize| {
            let mut request = Request::default();
            let mut came = 0;
            while came < text.len() {
                came = text.len().min(came + size);
                if let Some(len) = request.parse(&text[..came])? {
                    return Ok(Some((request, len)));
                }
            }
            Ok(None)
        };
        let whole = in_pieces(text.len());
        for size in 1..text.len() {
            assert_eq!(in_pieces(size), whole, "in pieces of {size}: {}", text.escape_ascii());
        }
        // Cut once, at every byte.
        for cut in 1..text.len() {
            let mut request = Request::default();
            let cut = match request.parse(&text[..cut]) {
                Ok(None) => request.parse(text).map(|len| len.map(|len| (request, len))),
                whole => whole.map(|len| len.map(|len| (request, len))),
            };
            assert_eq!(cut, whole, "{}", text.escape_ascii());
        }
        whole
    }

    fn request(text: &str) -> (Request, String) {
        let (request, len) = parsed(text.as_bytes()).unwrap().unwrap();
        assert_eq!(len, text.find("\r\n\r\n").unwrap() + 4);
        let path = text[request.path.clone()].to_owned();
        (request, path)
    }

    /// A request for `/` with these fields beside `Host`.
    fn with(fields: &str) -> Result<Request, Status> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        parsed(text.as_bytes()).map(|parsed| parsed.unwrap().0)
    }

    #[test]
    fn every_form_of_a_target_has_a_path() {
        for (line, method, path) in [
            ("GET / HTTP/1.1", Method::Get, "/"),
            ("HEAD /a/b?c?d HTTP/1.1", Method::Head, "/a/b"),
            ("POST http://a:80/b?c HTTP/1.1", Method::Post, "/b"),
            ("GET HTTPS://[::1] HTTP/1.1", Method::Get, ""),
            ("GET http://a?b HTTP/1.1", Method::Get, ""),
            ("OPTIONS * HTTP/1.1", Method::Standard, "*"),
            ("CONNECT a:80 HTTP/1.1", Method::Standard, "a:80"),
            ("BREW / HTTP/1.9", Method::Unknown, "/"),
            ("get / HTTP/1.1", Method::Unknown, "/"),
        ] {
            let (request, found) = request(&format!("{line}\r\nHost: a\r\n\r\nGET / "));
            assert_eq!((request.method, &*found), (method, path), "{line}");
        }
    }

    #[test]
    fn a_malformed_line_is_a_bad_request() {
        for line in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "G(T / HTTP/1.1",
            "GET a HTTP/1.1",
            "GET * HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET http:/// HTTP/1.1",
            "GET http://:80/ HTTP/1.1",
            "GET http://a@b/ HTTP/1.1",
            "GET ftp://a/ HTTP/1.1",
            "CONNECT a/b HTTP/1.1",
            "GET / HTTP/1.",
            "GET / HTTP/11",
            "GET / http/1.1",
            "GET / HTTP/1.1\rHost: a",
            "",
        ] {
            let text = format!("{line}\r\nHost: a\r\n\r\n");
            let text = if line.is_empty() { format!("\r\n{text}") } else { text };
            assert_eq!(parsed(text.as_bytes()), Err(Status::BAD_REQUEST), "{line}");
        }
        for version in ["2.0", "0.9", "3.1"] {
            let text = format!("GET / HTTP/{version}\r\n\r\n");
            assert_eq!(parsed(text.as_bytes()), Err(Status::VERSION_NOT_SUPPORTED));
        }
        // One empty line before a request is ignored.
        assert!(parsed(b"\r\nGET / HTTP/1.0\r\n\r\n").unwrap().is_some());
    }

    #[test]
    fn a_malformed_field_is_a_bad_request() {
        for field in [
            "A : b\r\n",
            " A: b\r\n",
            "A: b\r\n c\r\n",
            "A\r\n",
            ": b\r\n",
            "A: b\rc\r\n",
            "A: b\0c\r\n",
            "A: b\nC: d\r\n",
            "A: b\x7f\r\n",
            "Host: a\r\n",
            "hOST: b\r\n",
        ] {
            assert_eq!(with(field), Err(Status::BAD_REQUEST), "{}", field.escape_debug());
        }
        assert!(with("A:\r\nB: \t b\tc \t\r\nC: \u{fc}\r\n").is_ok());
        for (host, is_host) in
            [("", true), ("[::1]:80", true), ("a b", false), ("a/b", false), ("a@b", false)]
        {
            let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(parsed(text.as_bytes()).is_ok(), is_host, "{host}");
        }
        assert_eq!(parsed(b"GET / HTTP/1.1\r\nA: b\r\n\r\n"), Err(Status::BAD_REQUEST));
    }

    #[test]
    fn a_body_has_one_end_or_the_request_is_refused() {
        assert_eq!(with("").unwrap().framing, Framing::None);
        assert_eq!(with("Content-Length: 0012\r\n").unwrap().framing, Framing::Length(12));
        let huge = "9".repeat(30);
        let framing = with(&format!("content-length: {huge}\r\n")).unwrap().framing;
        assert_eq!(framing, Framing::Length(u64::MAX));
        assert_eq!(with("TRANSFER-ENCODING: Chunked\r\n").unwrap().framing, Framing::Chunked);
        for fields in [
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length: 1 1\r\n",
            "Content-Length:\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\r\n",
        ] {
            assert_eq!(with(fields), Err(Status::BAD_REQUEST), "{fields}");
        }
        for coding in ["gzip", "gzip, chunked", "chunked, chunked", "identity", "chunked;a", "xchunked"] {
            let fields = format!("Transfer-Encoding: {coding}\r\n");
            assert_eq!(with(&fields), Err(Status::NOT_IMPLEMENTED), "{coding}");
        }
        let in_1_0 = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(parsed(in_1_0), Err(Status::BAD_REQUEST));
    }

    #[test]
    fn the_connection_persists_as_both_sides_say() {
        use Persistence::{Close, Close10, KeepAlive, KeepAlive10};
        for (fields, in_1_1, in_1_0) in [
            ("", KeepAlive, Close10),
            ("Connection: close\r\n", Close, Close),
            ("connection: Keep-Alive\r\n", KeepAlive, KeepAlive10),
            ("Connection: a, CLOSE ,keep-alive\r\n", Close, Close),
            ("Connection: keep-alive\r\nConnection: close\r\n", Close, Close),
        ] {
            assert_eq!(with(fields).unwrap().persistence, in_1_1, "{fields}");
            let (request, _) = request(&format!("GET / HTTP/1.0\r\n{fields}\r\n"));
            assert_eq!(request.persistence, in_1_0, "{fields}");
        }
    }

    #[test]
    fn only_one_expectation_is_known_and_none_in_http_1_0() {
        assert!(with("Expect: 100-Continue\r\n").unwrap().expects_continue);
        assert_eq!(with("Expect: a\r\n"), Err(Status::EXPECTATION_FAILED));
        assert!(!request("GET / HTTP/1.0\r\nExpect: a\r\n\r\n").0.expects_continue);
    }

    #[test]
    fn a_head_of_8_kib_is_the_largest() {
        let text = |len: usize| {
            let mut text = b"GET / HTTP/1.0\r\nA: ".to_vec();
            text.resize(len - 4, b'x');
            [&text[..], b"\r\n\r\n"].concat()
        };
        let parse = |text: &[u8]| Request::default().parse(text);
        assert_eq!(parse(&text(MAX_HEAD)), Ok(Some(MAX_HEAD)));
        assert_eq!(parse(&text(MAX_HEAD)[..MAX_HEAD - 1]), Ok(None));
        assert_eq!(parse(&text(MAX_HEAD + 1)), Err(Status::HEADERS_TOO_LARGE));
        assert_eq!(parse(&text(MAX_HEAD + 1)[..MAX_HEAD]), Err(Status::HEADERS_TOO_LARGE));
        assert_eq!(parse(&[b'G'; MAX_HEAD]), Err(Status::HEADERS_TOO_LARGE));
    }

    quickcheck::quickcheck! {
        fn the_end_of_a_line_is_found(bytes: Vec<u8>, at: usize) -> bool {
            let mut bytes = bytes;
            if let Some(at) = at.checked_rem(bytes.len()) {
                bytes[at] = b'\n';
            }
            line_end(&bytes) == bytes.iter().position(|byte| *byte == b'\n')
        }
    }
}
