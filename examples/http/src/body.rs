//! The body of a request, by its length or in chunks, as it comes (RFC 9112 sections 6 and 7).

use bytes::{Buf, BytesMut};

use crate::request::{Framing, MAX_HEAD, field_line, has_controls, line_end};
use crate::response::Status;

/// The largest body, bytes: 4 GiB. None is ever held.
pub const MAX_BODY: u64 = 4 << 30;

/// The longest line with a chunk's size and extensions, bytes.
const MAX_SIZE_LINE: usize = 256;

/// Finds the parts of a body, and its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Body {
    expected: Expected,
    /// Bytes that chunks may still have.
    budget: u64,
    /// Bytes that trailers may still have.
    trailers: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Expected {
    /// This number of bytes, then the end of the body.
    Bytes(u64),
    ChunkSize,
    /// This number of bytes of a chunk, then CR LF.
    Chunk(u64),
    Trailers,
}

/// The next part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Some of its bytes.
    Data(BytesMut),
    /// Nothing before more bytes come.
    More,
    /// Its end. What follows is the next request's.
    End,
}

impl Body {
    /// A body of which nothing came yet.
    ///
    /// # Errors
    ///
    /// If it is declared to be larger than [`MAX_BODY`].
    pub const fn new(framing: Framing) -> Result<Self, Status> {
        let expected = match framing {
            Framing::Length(length) if length > MAX_BODY => return Err(Status::CONTENT_TOO_LARGE),
            Framing::Length(length) => Expected::Bytes(length),
            Framing::None => Expected::Bytes(0),
            Framing::Chunked => Expected::ChunkSize,
        };
        Ok(Self { expected, budget: MAX_BODY, trailers: MAX_HEAD })
    }

    /// Takes the next part from the front of `inbox`, at most `max` bytes of data.
    ///
    /// # Errors
    ///
    /// If the chunks are malformed or too large. Where the body ends is unknown then, so the connection must close.
    pub fn take(&mut self, inbox: &mut BytesMut, max: usize) -> Result<Part, Status> {
        loop {
            match &mut self.expected {
                Expected::Bytes(0) => return Ok(Part::End),
                Expected::Bytes(left) | Expected::Chunk(left @ 1..) => {
                    let len = inbox.len().min(max).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= len as u64;
                    return Ok(if len == 0 { Part::More } else { Part::Data(inbox.split_to(len)) });
                }
                Expected::Chunk(_) => match take_line(inbox, 2, Status::BAD_REQUEST)? {
                    None => return Ok(Part::More),
                    Some(_) => self.expected = Expected::ChunkSize,
                },
                Expected::ChunkSize => {
                    let line = take_line(inbox, MAX_SIZE_LINE, Status::BAD_REQUEST)?;
                    let Some(line) = line else { return Ok(Part::More) };
                    let size = chunk_size(&line).ok_or(Status::BAD_REQUEST)?;
                    self.budget = self.budget.checked_sub(size).ok_or(Status::CONTENT_TOO_LARGE)?;
                    self.expected = if size == 0 { Expected::Trailers } else { Expected::Chunk(size) };
                }
                Expected::Trailers => {
                    let line = take_line(inbox, self.trailers, Status::HEADERS_TOO_LARGE)?;
                    let Some(line) = line else { return Ok(Part::More) };
                    if line.is_empty() {
                        self.expected = Expected::Bytes(0);
                        continue;
                    }
                    // Checked, and ignored.
                    field_line(&line)?;
                    self.trailers -= line.len() + 2;
                }
            }
        }
    }
}

/// Takes a line of at most `max` bytes with its end, which is left out, if it is whole.
fn take_line(inbox: &mut BytesMut, max: usize, too_long: Status) -> Result<Option<BytesMut>, Status> {
    let Some(end) = line_end(&inbox[..inbox.len().min(max)]) else {
        return if inbox.len() < max { Ok(None) } else { Err(too_long) };
    };
    if end == 0 || inbox[end - 1] != b'\r' || has_controls(&inbox[..end - 1]) {
        return Err(Status::BAD_REQUEST);
    }
    let line = inbox.split_to(end - 1);
    inbox.advance(2);
    Ok(Some(line))
}

/// Parses the size of a chunk and ignores its extensions. None if it is malformed or exceeds 64 bits.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, extensions) = line.split_at(digits);
    let has_extensions = extensions.trim_ascii_start().starts_with(b";");
    if digits.is_empty() || !(extensions.is_empty() || has_extensions) {
        return None;
    }
    digits.iter().try_fold(0_u64, |size, digit| {
        size.checked_mul(16)?.checked_add(u64::from(char::from(*digit).to_digit(16)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, whether the end was seen, and what is left, if the bytes come in pieces of `size`.
    fn in_pieces(framing: Framing, text: &[u8], size: usize) -> Result<(Vec<u8>, bool, Vec<u8>), Status> {
        let (mut body, mut inbox, mut data) = (Body::new(framing)?, BytesMut::new(), Vec::new());
        let mut pieces = text.chunks(size);
        loop {
            match body.take(&mut inbox, 3)? {
                Part::Data(some) => {
                    assert!(!some.is_empty() && some.len() <= 3);
                    data.extend_from_slice(&some);
                }
                Part::More => match pieces.next() {
                    Some(piece) => inbox.extend_from_slice(piece),
                    None => return Ok((data, false, inbox.to_vec())),
                },
                Part::End => {
                    inbox.extend(pieces.flatten());
                    return Ok((data, true, inbox.to_vec()));
                }
            }
        }
    }

    /// The same for every size of the pieces.
    fn taken(framing: Framing, text: &[u8]) -> Result<(Vec<u8>, bool, Vec<u8>), Status> {
        let whole = in_pieces(framing, text, text.len().max(1));
        for size in 1..text.len() {
            assert_eq!(in_pieces(framing, text, size), whole, "{size}: {}", text.escape_ascii());
        }
        whole
    }

    #[test]
    fn a_body_ends_where_it_says() {
        let end = |data: &str, rest: &str| Ok((data.into(), true, rest.into()));
        assert_eq!(taken(Framing::None, b"GET"), end("", "GET"));
        assert_eq!(taken(Framing::Length(0), b"GET"), end("", "GET"));
        assert_eq!(taken(Framing::Length(5), b"helloGET"), end("hello", "GET"));
        for (chunks, data) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("005;a=\"b\"\r\nhello\r\n1 ;c\r\n!\r\n000\r\nA: b\r\nC:\r\n\r\n", "hello!"),
            ("A\r\n0123\r\n6789\r\n5\r\n\r\n0\r\n\r\n0;\r\n\r\n", "0123\r\n6789\r\n0\r\n"),
        ] {
            let text = [chunks, "GET"].concat();
            let result = taken(Framing::Chunked, text.as_bytes());
            assert_eq!(result, end(data, "GET"), "{text}");
        }
    }

    #[test]
    fn a_body_that_breaks_off_has_no_end() {
        let chunks = b"5\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for cut in 0..chunks.len() {
            assert!(!taken(Framing::Chunked, &chunks[..cut]).unwrap().1, "{cut}");
        }
        assert_eq!(taken(Framing::Length(6), b"hello"), Ok((b"hello".to_vec(), false, Vec::new())));
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for chunks in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\na",
            "0x1\r\na",
            " 1\r\na",
            "1 \r\na",
            "1 a\r\n",
            "1\na",
            "1;\ra\r\n",
            "1\r\nabc",
            "1\r\na\n",
            "1\r\na\rb",
            "10000000000000000\r\n",
            "fffffffffffffffff\r\n",
            "0\r\nA : b\r\n",
            "0\r\n A: b\r\n",
            "0\r\nA\r\n",
            "0\r\n\n",
        ] {
            assert_eq!(taken(Framing::Chunked, chunks.as_bytes()), Err(Status::BAD_REQUEST), "{chunks:?}");
        }
        let long = format!("1;{}\r\n", "a".repeat(MAX_SIZE_LINE));
        assert_eq!(taken(Framing::Chunked, long.as_bytes()), Err(Status::BAD_REQUEST));
    }

    #[test]
    fn a_body_or_trailers_that_are_too_large_are_refused() {
        assert_eq!(taken(Framing::Length(MAX_BODY + 1), b""), Err(Status::CONTENT_TOO_LARGE));
        assert!(Body::new(Framing::Length(MAX_BODY)).is_ok());
        for size in [MAX_BODY + 1, u64::MAX] {
            let chunk = format!("{size:x}\r\n");
            assert_eq!(taken(Framing::Chunked, chunk.as_bytes()), Err(Status::CONTENT_TOO_LARGE));
        }
        let sum = format!("1\r\na\r\n{MAX_BODY:x}\r\n");
        assert_eq!(taken(Framing::Chunked, sum.as_bytes()), Err(Status::CONTENT_TOO_LARGE));
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(MAX_HEAD / 6 + 1));
        assert_eq!(in_pieces(Framing::Chunked, trailers.as_bytes(), 5000), Err(Status::HEADERS_TOO_LARGE));
        assert_eq!(in_pieces(Framing::Chunked, trailers.as_bytes(), 1), Err(Status::HEADERS_TOO_LARGE));
    }
}
