//! The statuses, and the head of a response.

use std::fmt::Write;

use bytes::BytesMut;

use crate::request::{Framing, Persistence};

/// How a request went: the code and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub &'static str);

/// RFC 9110 section 15, RFC 6585 section 5.
impl Status {
    /// It went well.
    pub const OK: Self = Self("200 OK");
    /// The request is malformed.
    pub const BAD_REQUEST: Self = Self("400 Bad Request");
    /// Nothing is there.
    pub const NOT_FOUND: Self = Self("404 Not Found");
    /// What is there does not allow the method.
    pub const METHOD_NOT_ALLOWED: Self = Self("405 Method Not Allowed");
    /// The head did not come in time.
    pub const REQUEST_TIMEOUT: Self = Self("408 Request Timeout");
    /// The body is too large.
    pub const CONTENT_TOO_LARGE: Self = Self("413 Content Too Large");
    /// `Expect` has another value than `100-continue`.
    pub const EXPECTATION_FAILED: Self = Self("417 Expectation Failed");
    /// The head, or the trailers, are too large.
    pub const HEADERS_TOO_LARGE: Self = Self("431 Request Header Fields Too Large");
    /// The transfer coding, or the method, is unknown.
    pub const NOT_IMPLEMENTED: Self = Self("501 Not Implemented");
    /// The version is none of HTTP/1.
    pub const VERSION_NOT_SUPPORTED: Self = Self("505 HTTP Version Not Supported");
}

/// Queues the head of a response; `fields` are whole lines.
pub(crate) fn head(
    out: &mut BytesMut,
    status: Status,
    persistence: Persistence,
    fields: &str,
    framing: Framing,
) {
    let connection = match persistence {
        Persistence::Close | Persistence::Close10 => "Connection: close\r\n",
        Persistence::KeepAlive => "",
        Persistence::KeepAlive10 => "Connection: keep-alive\r\n",
    };
    // Writing to memory does not fail.
    let _ = write!(out, "HTTP/1.1 {}\r\n{connection}{fields}", status.0);
    let _ = match framing {
        Framing::None => write!(out, "Content-Length: 0\r\n\r\n"),
        Framing::Length(length) => write!(out, "Content-Length: {length}\r\n\r\n"),
        Framing::Chunked => write!(out, "Transfer-Encoding: chunked\r\n\r\n"),
    };
}
