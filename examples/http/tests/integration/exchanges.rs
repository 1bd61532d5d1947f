//! The oracle: requests and the responses that they must get, made and read by the simplest code.

use std::fmt::Write;

/// A request, and what must be answered to it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Vec<u8>,
    /// The head of the response, after an interim one where the client waits for that.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) is_chunked: bool,
    /// The server closes after it.
    pub(crate) closes: bool,
}

impl Exchange {
    /// The head of the response if the server was stopped meanwhile: it closes.
    fn head_of_a_server_that_drains(&self) -> String {
        let head = self.head.replace("Connection: keep-alive\r\n", "").replace("Connection: close\r\n", "");
        // Behind the last status line; an interim response has one, too.
        let status = head.rfind("HTTP/1.1 ").unwrap_or(0);
        let line = head[status..].find("\r\n").map_or(head.len(), |line| status + line + 2);
        format!("{}Connection: close\r\n{}", &head[..line], &head[line..])
    }
}

/// The response to a head that takes too long.
pub(crate) const TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// What comes before a response, where the client waits for it before it sends the body.
pub(crate) const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// Numbers that follow from a seed.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

/// What `/bytes/N` is made of.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let text = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+\n";
    text.iter().copied().cycle().take(len).collect()
}

/// What is said of a body that was counted.
pub(crate) fn summary(body: &[u8]) -> String {
    let hash =
        body.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(16_777_619));
    format!("{} {hash:08x}\n", body.len())
}

/// The exchanges of a connection, with bodies below `most` bytes. The last one may close it.
pub(crate) fn draw(numbers: &mut Numbers, count: usize, most: usize) -> Vec<Exchange> {
    (1..=count).map(|number| exchange(numbers, most, number == count)).collect()
}

fn exchange(numbers: &mut Numbers, most: usize, is_last: bool) -> Exchange {
    let kind = numbers.below(if is_last { 12 } else { 10 });
    if kind >= 10 {
        return refused(numbers);
    }
    let len = numbers.below(most);
    let bytes: Vec<u8> = (0..len).map(|_| b"01\r\n;:GET /"[numbers.below(10)]).collect();
    let number = numbers.below(most);
    let (method, target) = match kind {
        0 => ("GET", "/".to_owned()),
        1 => ("HEAD", "/?a=b".to_owned()),
        2 => ("GET", format!("/bytes/{number}")),
        3 => ("HEAD", format!("http://a/bytes/{number}")),
        4..=6 => ("POST", "/echo".to_owned()),
        7 => ("POST", "/".to_owned()),
        8 => ("GET", "/none".to_owned()),
        _ => ("PUT", "/echo".to_owned()),
    };
    let has_body = method == "POST" || numbers.below(4) == 0;
    let (is_1_0, asks) = (numbers.below(5) == 0, numbers.below(4));
    let is_chunked = has_body && !is_1_0 && numbers.below(2) == 0;
    let expects = has_body && !is_1_0 && matches!(kind, 4 | 7) && numbers.below(2) == 0;
    let closes = is_last && if is_1_0 { asks != 0 } else { asks == 0 };

    let version = if is_1_0 { "1.0" } else { "1.1" };
    let mut request = format!("{method} {target} HTTP/{version}\r\nHost: a\r\n");
    request += match (is_1_0, closes) {
        (true, false) => "connection: Keep-Alive\r\n",
        (false, true) => "Connection: close\r\n",
        _ => "",
    };
    request += if expects { "Expect: 100-continue\r\n" } else { "" };
    let mut request = request.into_bytes();
    if is_chunked {
        request.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(1 + numbers.below(rest.len()));
            let extension = ["", ";a", " ; b=\"c\""][numbers.below(3)];
            request.extend(format!("{:X}{extension}\r\n", chunk.len()).bytes());
            request.extend([chunk, b"\r\n"].concat());
            rest = others;
        }
        request.extend(["0\r\n\r\n", "00;c\r\nA: b\r\n\r\n"][numbers.below(2)].bytes());
    } else if has_body {
        request.extend(format!("Content-Length: {}\r\n\r\n", bytes.len()).bytes());
        request.extend(&bytes);
    } else {
        request.extend(b"\r\n");
    }

    let connection = match (closes, is_1_0) {
        (true, _) => "Connection: close\r\n",
        (false, true) => "Connection: keep-alive\r\n",
        (false, false) => "",
    };
    let (status, fields, body) = match kind {
        0 | 1 => ("200 OK", "Content-Type: text/plain\r\n", b"hello\n".to_vec()),
        2 | 3 => ("200 OK", "Content-Type: text/plain\r\n", pattern(number)),
        4..=6 => ("200 OK", "", bytes),
        7 => ("200 OK", "Content-Type: text/plain\r\n", summary(&bytes).into_bytes()),
        8 => ("404 Not Found", "", Vec::new()),
        _ => ("405 Method Not Allowed", "Allow: POST\r\n", Vec::new()),
    };
    let mut head = String::new();
    if expects {
        head += CONTINUE;
    }
    write!(head, "HTTP/1.1 {status}\r\n{connection}{fields}").unwrap();
    let is_chunked = is_chunked && matches!(kind, 4..=6);
    if is_chunked {
        head += "Transfer-Encoding: chunked\r\n\r\n";
    } else {
        write!(head, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
    }
    let body = if method == "HEAD" { Vec::new() } else { body };
    Exchange { request, head, body, is_chunked, closes }
}

/// A request that is refused, and bytes after it that must mean nothing.
fn refused(numbers: &mut Numbers) -> Exchange {
    const REFUSED: [(&str, &str); 10] = [
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\nHost: a\n\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501 Not Implemented"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n", "413 Content Too Large"),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: b\r\n\r\n", "417 Expectation Failed"),
        ("GET / HTTP/2.0\r\n\r\n", "505 HTTP Version Not Supported"),
    ];
    let (request, status) = REFUSED[numbers.below(REFUSED.len())];
    Exchange {
        request: [request, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat().into_bytes(),
        head: format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
        body: Vec::new(),
        is_chunked: false,
        closes: true,
    }
}

/// What a client has of the responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Responses that are whole.
    pub(crate) whole: usize,
    /// Their bytes.
    pub(crate) len: usize,
    /// The server sent 408 in place of the next one.
    pub(crate) timed_out: bool,
    /// The server said with the last one that it closes, although nothing had asked for that: it drains.
    pub(crate) drains: bool,
}

/// How many responses are whole in what a server sent.
///
/// # Errors
///
/// If it sent something that is not the beginning of what it has to.
pub(crate) fn judge(sent: &[u8], exchanges: &[Exchange]) -> Result<Progress, String> {
    let mut rest = sent;
    for (whole, exchange) in exchanges.iter().enumerate() {
        let len = sent.len() - rest.len();
        let progress = |timed_out| Ok(Progress { whole, len, timed_out, drains: false });
        let wrong = |rest: &[u8]| Err(format!("to {exchange:?}, after {whole}: {}", rest.escape_ascii()));
        if rest == TIMEOUT {
            return progress(true);
        }
        if TIMEOUT.starts_with(rest) {
            return progress(false);
        }
        let draining = exchange.head_of_a_server_that_drains();
        let heads = [exchange.head.as_bytes(), draining.as_bytes()];
        let Some((head, after)) = heads.iter().find_map(|head| Some((*head, rest.strip_prefix(*head)?)))
        else {
            let is_beginning = heads.iter().any(|head| head.starts_with(rest));
            return if is_beginning { progress(false) } else { wrong(rest) };
        };
        let body = if exchange.is_chunked { chunks(after) } else { Some(plain(after, exchange.body.len())) };
        let Some((body, after)) = body else { return wrong(rest) };
        let drains = !exchange.closes && head == draining.as_bytes();
        match after {
            Some(after) if body == exchange.body && drains => {
                let (whole, len) = (whole + 1, sent.len() - after.len());
                let progress = Progress { whole, len, timed_out: false, drains };
                return if after.is_empty() { Ok(progress) } else { wrong(after) };
            }
            Some(after) if body == exchange.body => rest = after,
            None if exchange.body.starts_with(&body) => return progress(false),
            _ => return wrong(rest),
        }
    }
    if rest.is_empty() || (TIMEOUT.starts_with(rest) && exchanges.last().is_none_or(|last| !last.closes)) {
        return Ok(Progress {
            whole: exchanges.len(),
            len: sent.len() - rest.len(),
            timed_out: rest == TIMEOUT,
            drains: false,
        });
    }
    Err(format!("after all: {}", rest.escape_ascii()))
}

/// A body, and what follows if it is whole.
type Found<'a> = (Vec<u8>, Option<&'a [u8]>);

fn plain(bytes: &[u8], len: usize) -> Found<'_> {
    (bytes[..len.min(bytes.len())].to_vec(), bytes.get(len..))
}

/// None if these are no chunks. The server's have neither extensions nor trailers.
fn chunks(mut bytes: &[u8]) -> Option<Found<'_>> {
    let mut data = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") else {
            let digits = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            return digits.iter().all(u8::is_ascii_hexdigit).then_some((data, None));
        };
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        let rest = &bytes[end + 2..];
        data.extend_from_slice(&rest[..size.min(rest.len())]);
        match rest.get(size..) {
            Some([b'\r', b'\n', after @ ..]) if size == 0 => return Some((data, Some(after))),
            Some([b'\r', b'\n', after @ ..]) => bytes = after,
            None | Some([] | b"\r") => return Some((data, None)),
            Some(_) => return None,
        }
    }
}
