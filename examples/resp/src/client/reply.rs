//! Bytes to replies.

use std::error::Error;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use crate::parse::{LongLine, MAX_WORDS, line, number};

/// How deep arrays may lie in each other.
const MAX_DEPTH: usize = 16;

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`
    Simple(Bytes),
    /// `-ERR …`
    Error(Bytes),
    /// `:1`
    Integer(i64),
    /// `$5`, and five bytes; none for `$-1`.
    Bulk(Option<Bytes>),
    /// `*2`, and two replies; none for `*-1`.
    Array(Option<Vec<Self>>),
}

/// What is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadReply {
    /// A line without an end, or with another than CR LF.
    Line,
    /// Another type than the five.
    Type(u8),
    /// Digits that are no number.
    Number,
    /// A length below -1, or too large.
    Length,
    /// Arrays in arrays, more than sixteen.
    Depth,
    /// Bytes of which the end is no CR LF.
    End,
}

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line => f.write_str("a line without its end"),
            Self::Type(byte) => write!(f, "the type '{}'", byte.escape_ascii()),
            Self::Number => f.write_str("digits that are no number"),
            Self::Length => f.write_str("a length that is none, or too large"),
            Self::Depth => f.write_str("arrays that lie too deep"),
            Self::End => f.write_str("bytes without their end"),
        }
    }
}

impl Error for BadReply {}

impl From<LongLine> for BadReply {
    fn from(LongLine: LongLine) -> Self {
        Self::Line
    }
}

/// Takes the first reply from `inbox` if it is whole. `max` is the longest bulk, in bytes. What it holds is copied, so that
/// a few bytes that are kept do not keep what was read with them.
///
/// # Errors
///
/// If it is no reply, and never will be.
pub fn parse_reply(inbox: &mut BytesMut, max: usize) -> Result<Option<Reply>, BadReply> {
    let Some((reply, end)) = element(inbox, 0, max, MAX_DEPTH)? else { return Ok(None) };
    inbox.advance(end);
    Ok(Some(reply))
}

/// The reply that begins at `at`, and where the next one does.
fn element(inbox: &[u8], at: usize, max: usize, depth: usize) -> Result<Option<(Reply, usize)>, BadReply> {
    let Some(kind) = inbox.get(at) else { return Ok(None) };
    if !b"+-:$*".contains(kind) {
        return Err(BadReply::Type(*kind));
    }
    let Some((text, next)) = line(inbox, at)? else { return Ok(None) };
    if inbox[next - 1] != b'\n' {
        return Err(BadReply::Line);
    }
    let reply = match kind {
        b'+' => Reply::Simple(Bytes::copy_from_slice(text)),
        b'-' => Reply::Error(Bytes::copy_from_slice(text)),
        b':' => Reply::Integer(number(text).ok_or(BadReply::Number)?),
        b'$' => return bulk(inbox, length(text, max)?, next),
        _ => return array(inbox, length(text, MAX_WORDS)?, next, max, depth),
    };
    Ok(Some((reply, next)))
}

/// None for -1.
fn length(text: &[u8], max: usize) -> Result<Option<usize>, BadReply> {
    match number(text).ok_or(BadReply::Number)? {
        -1 => Ok(None),
        length => {
            usize::try_from(length).ok().filter(|length| *length <= max).map(Some).ok_or(BadReply::Length)
        }
    }
}

fn bulk(inbox: &[u8], length: Option<usize>, at: usize) -> Result<Option<(Reply, usize)>, BadReply> {
    let Some(length) = length else { return Ok(Some((Reply::Bulk(None), at))) };
    let end = at + length;
    match inbox.get(end..end + 2) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some((Reply::Bulk(Some(Bytes::copy_from_slice(&inbox[at..end]))), end + 2))),
        Some(_) => Err(BadReply::End),
    }
}

fn array(
    inbox: &[u8],
    length: Option<usize>,
    mut at: usize,
    max: usize,
    depth: usize,
) -> Result<Option<(Reply, usize)>, BadReply> {
    let Some(length) = length else { return Ok(Some((Reply::Array(None), at))) };
    let depth = depth.checked_sub(1).ok_or(BadReply::Depth)?;
    // Grows with what came: the length is only what the server says.
    let mut replies = Vec::new();
    for _ in 0..length {
        let Some((reply, next)) = element(inbox, at, max, depth)? else { return Ok(None) };
        replies.push(reply);
        at = next;
    }
    Ok(Some((Reply::Array(Some(replies)), at)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    const MAX: usize = 100;

    fn all(mut pieces: impl Iterator<Item = Vec<u8>>) -> (Vec<Reply>, Result<Vec<u8>, BadReply>) {
        let (mut inbox, mut replies) = (BytesMut::new(), Vec::new());
        loop {
            match parse_reply(&mut inbox, MAX) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => match pieces.next() {
                    Some(piece) => inbox.extend_from_slice(&piece),
                    None => return (replies, Ok(inbox.to_vec())),
                },
                Err(error) => return (replies, Err(error)),
            }
        }
    }

    fn whole(text: &[u8]) -> (Vec<Reply>, Result<Vec<u8>, BadReply>) {
        all(std::iter::once(text.to_vec()))
    }

    fn text(text: &'static str) -> Reply {
        Reply::Bulk(Some(text.into()))
    }

    #[test]
    fn every_reply_is_told_however_it_is_cut() {
        let bytes = b"+OK\r\n-ERR no\r\n:-7\r\n$4\r\na\r\nb\r\n$0\r\n\r\n$-1\r\n*0\r\n*-1\r\n*3\r\n:1\r\n*1\r\n$1\r\nx\r\n$-1\r\n+";
        let replies = [
            Reply::Simple("OK".into()),
            Reply::Error("ERR no".into()),
            Reply::Integer(-7),
            text("a\r\nb"),
            text(""),
            Reply::Bulk(None),
            Reply::Array(Some(Vec::new())),
            Reply::Array(None),
            Reply::Array(Some(vec![
                Reply::Integer(1),
                Reply::Array(Some(vec![text("x")])),
                Reply::Bulk(None),
            ])),
        ];
        for size in 1..=bytes.len() {
            let (found, rest) = all(bytes.chunks(size).map(<[u8]>::to_vec));
            assert_eq!(found, replies, "in pieces of {size}");
            assert_eq!(rest, Ok(b"+".to_vec()));
        }
    }

    #[test]
    fn what_is_no_reply_is_told() {
        for (text, error) in [
            (&b"OK\r\n"[..], BadReply::Type(b'O')),
            (b"+OK\rx", BadReply::Line),
            (b":\r\n", BadReply::Number),
            (b":1x\r\n", BadReply::Number),
            (b"$-2\r\n", BadReply::Length),
            (b"$101\r\n", BadReply::Length),
            (b"*1048577\r\n", BadReply::Length),
            (b"*-2\r\n", BadReply::Length),
            (b"$1\r\nabc", BadReply::End),
            (b"*2\r\n:1\r\n?\r\n", BadReply::Type(b'?')),
        ] {
            assert_eq!(whole(text), (Vec::new(), Err(error)), "{}", text.escape_ascii());
        }
        assert_eq!(whole(&vec![b'+'; (64 << 10) + 2]).1, Err(BadReply::Line));
        assert_eq!(whole(&b"*1\r\n".repeat(MAX_DEPTH)).1, Ok(b"*1\r\n".repeat(MAX_DEPTH)));
        assert_eq!(whole(&b"*1\r\n".repeat(MAX_DEPTH + 1)).1, Err(BadReply::Depth));
    }
}
