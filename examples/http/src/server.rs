//! What is answered, and when.

use std::convert::Infallible;
use std::fmt::Write;
use std::time::Duration;

use bytes::Buf;
use roundtrip_core::Time;
use roundtrip_core::protocol::{Io, Need, Protocol, SessionConfig};

use crate::body::{Body, Part};
use crate::request::{Framing, Method, Persistence, Request};
use crate::response::{Status, head};

/// Longest time from the first byte of a head to its last. Bytes in between do not extend it.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time without a request. Then the connection closes without a response.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The whole response to most requests for `/`, and its parts for the others.
const HELLO_RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";
const HELLO: &[u8] = b"hello\n";
const TEXT: &str = "Content-Type: text/plain\r\n";

/// What `/bytes/N` is made of, repeated.
const PATTERN: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+\n";

/// One connection of a server that speaks HTTP/1.1.
///
/// | request | answer |
/// | --- | --- |
/// | `GET /` | a short text |
/// | `GET /bytes/N` | N bytes |
/// | `POST /echo` | the body, while it comes; in chunks if it comes in chunks |
/// | `POST` to anything else | the length of the body, and its FNV-1a hash of 32 bits |
/// | `HEAD` | that of `GET`, without the body |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Http {
    state: State,
    /// The end of the time for a head, or for the next request; none during an exchange.
    deadline: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// A head is awaited; `begun` once some of it is there.
    Head { request: Request, begun: bool },
    /// The body of a request comes.
    Body { request: Request, body: Body, answer: Answer },
    /// The body of a response goes: the pattern from the offset `at` to `end`.
    Pattern { at: u64, end: u64, persistence: Persistence },
}

/// What a request is answered with, once its body is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Hello,
    Pattern(u64),
    /// Its body, while it comes; `begun` once the head of the response is queued.
    Echo {
        begun: bool,
    },
    Summary {
        length: u64,
        hash: u32,
    },
    /// No body, and fields.
    Status(Status, &'static str),
}

/// The bounds of a connection: buffers of 64 KiB, and 30 s in which no byte moves.
pub fn config() -> SessionConfig {
    SessionConfig::default().idle(Some(Duration::from_secs(30)))
}

impl Http {
    /// A connection that is about to open.
    pub fn new() -> Self {
        Self { state: State::Head { request: Request::default(), begun: false }, deadline: None }
    }

    /// Goes on to the next request, or ends.
    fn next(&mut self, now: Time, persistence: Persistence, io: &mut Io<'_, Infallible>) -> Option<Need> {
        *self = Self { deadline: Some(now.after(KEEP_ALIVE)), ..Self::new() };
        if matches!(persistence, Persistence::KeepAlive | Persistence::KeepAlive10) {
            return None;
        }
        io.finish();
        Some(Need::Bytes)
    }

    /// Refuses a request and ends: where the next one would begin is unknown.
    fn refuse(&self, status: Status, io: &mut Io<'_, Infallible>) {
        if self.has_begun() {
            return io.reset();
        }
        head(io.outbox(), status, Persistence::Close, "", Framing::None);
        io.finish();
    }

    /// Whether half of a response is on its way, which must not look whole if the other half does not come.
    const fn has_begun(&self) -> bool {
        matches!(self.state, State::Body { answer: Answer::Echo { begun: true }, .. })
    }

    /// Takes one step. Returns what the next one needs, if it cannot follow at once.
    fn advance(&mut self, now: Time, io: &mut Io<'_, Infallible>) -> Result<Option<Need>, Status> {
        let room = io.room();
        match &mut self.state {
            State::Head { request, begun } => {
                let Some(len) = request.parse(io.inbox())? else {
                    // An empty line before a request does not belong to its head.
                    if !*begun && !b"\r\n".starts_with(io.inbox()) {
                        *begun = true;
                        self.deadline = Some(now.after(HEAD_TIMEOUT));
                    }
                    return Ok(Some(Need::Bytes));
                };
                let request = std::mem::take(request);
                let answer = route(request.method, &io.inbox()[request.path.clone()]);
                io.inbox().advance(len);
                let body = Body::new(request.framing)?;
                if request.expects_continue && request.framing != Framing::None {
                    if let Answer::Status(status, fields) = answer {
                        // Whether the body comes all the same is the client's choice: the connection closes.
                        head(io.outbox(), status, Persistence::Close, fields, Framing::None);
                        io.finish();
                        return Ok(Some(Need::Bytes));
                    }
                    io.outbox().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                *self = Self { state: State::Body { request, body, answer }, deadline: None };
            }
            State::Body { request, body, answer } => match body.take(io.inbox(), room)? {
                Part::Data(data) => answer.data(request, &data, io),
                Part::More => {
                    // What has no response yet is dropped.
                    if io.peer_ended() && self.has_begun() {
                        io.reset();
                    }
                    return Ok(Some(Need::Bytes));
                }
                Part::End => {
                    if io.is_stopped() {
                        request.persistence = Persistence::Close;
                    }
                    let persistence = request.persistence;
                    if let Answer::Pattern(end) = *answer {
                        head(io.outbox(), Status::OK, persistence, TEXT, Framing::Length(end));
                        let at = if request.method == Method::Head { end } else { 0 };
                        self.state = State::Pattern { at, end, persistence };
                        return Ok(None);
                    }
                    answer.end(request, io);
                    return Ok(self.next(now, persistence, io));
                }
            },
            State::Pattern { at, end, persistence } if at == end => {
                let persistence = *persistence;
                return Ok(self.next(now, persistence, io));
            }
            State::Pattern { at, end, .. } => {
                let rest = &PATTERN[usize::try_from(*at % PATTERN.len() as u64).unwrap_or(0)..];
                let len = usize::try_from(*end - *at).unwrap_or(usize::MAX).min(rest.len());
                io.outbox().extend_from_slice(&rest[..len]);
                *at += len as u64;
            }
        }
        Ok(None)
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Protocol for Http {
    type Command = Infallible;
    type Event = Infallible;

    fn begin(&mut self, now: Time, io: &mut Io<'_, Infallible>) {
        let _ = self.next(now, Persistence::KeepAlive, io);
    }

    fn receive(&mut self, now: Time, io: &mut Io<'_, Infallible>) -> Need {
        while io.room() > 0 {
            match self.advance(now, io) {
                Ok(None) => {}
                Ok(Some(need)) => return need,
                Err(status) => {
                    self.refuse(status, io);
                    return Need::Bytes;
                }
            }
        }
        Need::Room
    }

    /// A request that has begun is answered before a server that drains closes the connection.
    fn is_mid_message(&self) -> bool {
        !matches!(self.state, State::Head { begun: false, .. })
    }

    fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    fn timeout(&mut self, _now: Time, io: &mut Io<'_, Infallible>) {
        match self.state {
            State::Head { begun: true, .. } => self.refuse(Status::REQUEST_TIMEOUT, io),
            State::Head { .. } | State::Body { .. } | State::Pattern { .. } => io.finish(),
        }
    }

    fn on_message_too_large(&mut self, _now: Time, io: &mut Io<'_, Infallible>) {
        self.refuse(Status::HEADERS_TOO_LARGE, io);
    }
}

impl Answer {
    /// Some of the body of the request came.
    fn data(&mut self, request: &Request, data: &[u8], io: &mut Io<'_, Infallible>) {
        match self {
            Self::Echo { begun } => {
                let out = io.outbox();
                if !std::mem::replace(begun, true) {
                    head(out, Status::OK, request.persistence, "", request.framing);
                }
                if data.is_empty() || request.framing != Framing::Chunked {
                    return out.extend_from_slice(data);
                }
                // Writing to memory does not fail.
                let _ = write!(out, "{:x}\r\n", data.len());
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
            }
            Self::Summary { length, hash } => {
                *length += data.len() as u64;
                *hash =
                    data.iter().fold(*hash, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
            }
            Self::Hello | Self::Pattern(_) | Self::Status(..) => {}
        }
    }

    /// The body of the request has ended.
    fn end(&mut self, request: &Request, io: &mut Io<'_, Infallible>) {
        let text = |out: &mut _, text: &[u8]| {
            head(out, Status::OK, request.persistence, TEXT, Framing::Length(text.len() as u64));
            out.extend_from_slice(if request.method == Method::Head { b"" } else { text });
        };
        match *self {
            Self::Hello if (request.method, request.persistence) == (Method::Get, Persistence::KeepAlive) => {
                io.outbox().extend_from_slice(HELLO_RESPONSE);
            }
            Self::Hello => text(io.outbox(), HELLO),
            Self::Summary { length, hash } => text(io.outbox(), format!("{length} {hash:08x}\n").as_bytes()),
            Self::Echo { .. } => {
                self.data(request, &[], io);
                if request.framing == Framing::Chunked {
                    io.outbox().extend_from_slice(b"0\r\n\r\n");
                }
            }
            Self::Status(status, fields) => {
                head(io.outbox(), status, request.persistence, fields, Framing::None);
            }
            Self::Pattern(_) => {}
        }
    }
}

/// What is at a path, for a method.
fn route(method: Method, path: &[u8]) -> Answer {
    match (method, path) {
        (Method::Unknown, _) => Answer::Status(Status::NOT_IMPLEMENTED, ""),
        (Method::Post, b"/echo") => Answer::Echo { begun: false },
        (_, b"/echo") => Answer::Status(Status::METHOD_NOT_ALLOWED, "Allow: POST\r\n"),
        (Method::Post, _) => Answer::Summary { length: 0, hash: 0x811c_9dc5 },
        (Method::Standard, _) => Answer::Status(Status::METHOD_NOT_ALLOWED, "Allow: GET, HEAD, POST\r\n"),
        (_, b"/" | b"") => Answer::Hello,
        _ => {
            let number = path.strip_prefix(b"/bytes/").filter(|number| number.iter().all(u8::is_ascii_digit));
            let number = number.and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
            number.map_or(Answer::Status(Status::NOT_FOUND, ""), Answer::Pattern)
        }
    }
}
