//! RESP2: <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use bytes::{Buf, BytesMut};

/// The longest line: a header, or an inline command. As in Redis.
const MAX_LINE: usize = 64 << 10;
/// The most words of a command. As in Redis.
pub(crate) const MAX_WORDS: usize = 1 << 20;

/// A command and its arguments.
pub type Command = Vec<BytesMut>;

/// What is no RESP: the session ends after it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A line without an end.
    LongLine,
    /// The number of words is none.
    Words,
    /// The length of a word is none, or too large.
    Length,
    /// Another byte than the `$` of a word.
    NoWord(u8),
    /// A quote without its other.
    Quotes,
}

impl Malformed {
    /// As Redis says it.
    pub fn reply(&self) -> String {
        let what = match self {
            Self::LongLine => "too big inline request".to_owned(),
            Self::Words => "invalid multibulk length".to_owned(),
            Self::Length => "invalid bulk length".to_owned(),
            Self::NoWord(byte) => format!("expected '$', got '{}'", byte.escape_ascii()),
            Self::Quotes => "unbalanced quotes in request".to_owned(),
        };
        format!("-ERR Protocol error: {what}\r\n")
    }
}

/// Takes the first command from `inbox` if it is whole; an empty one is no command to answer. `max` is the largest word,
/// in bytes.
///
/// # Errors
///
/// If it is no command, and never will be.
pub fn parse(inbox: &mut BytesMut, max: usize) -> Result<Option<Command>, Malformed> {
    if inbox.first().is_some_and(|first| *first != b'*') {
        return inline(inbox);
    }
    let Some((words, mut at)) = header(inbox, 0, Malformed::Words)? else { return Ok(None) };
    let words = usize::try_from(words).unwrap_or(0);
    if words > MAX_WORDS {
        return Err(Malformed::Words);
    }
    // Where each word is: nothing is taken before all of them are there.
    let mut found = Vec::new();
    for _ in 0..words {
        match inbox.get(at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(other) => return Err(Malformed::NoWord(*other)),
        }
        let Some((length, start)) = header(inbox, at, Malformed::Length)? else { return Ok(None) };
        let length = usize::try_from(length).ok().filter(|length| *length <= max).ok_or(Malformed::Length)?;
        at = start + length + 2;
        if inbox.len() < at {
            return Ok(None);
        }
        found.push(start..start + length);
    }
    let mut taken = 0;
    let mut command = Vec::with_capacity(found.len());
    for word in found {
        inbox.advance(word.start - taken);
        command.push(inbox.split_to(word.len()));
        taken = word.end;
    }
    inbox.advance(at - taken);
    Ok(Some(command))
}

/// The number between the type at `at` and the end of its line, and where the next line begins.
fn header(inbox: &[u8], at: usize, wrong: Malformed) -> Result<Option<(i64, usize)>, Malformed> {
    let Some((text, next)) = line(inbox, at).map_err(|LongLine| Malformed::LongLine)? else {
        return Ok(None);
    };
    Ok(Some((number(text).ok_or(wrong)?, next)))
}

/// A line without an end.
#[derive(Debug)]
pub(crate) struct LongLine;

/// What is between the type at `at` and the end of its line, and where the next line begins; none if it is not whole.
pub(crate) fn line(inbox: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, LongLine> {
    let rest = inbox.get(at + 1..).unwrap_or_default();
    let Some(end) = rest.iter().position(|byte| *byte == b'\r') else {
        return if rest.len() > MAX_LINE { Err(LongLine) } else { Ok(None) };
    };
    if end > MAX_LINE {
        return Err(LongLine);
    }
    if rest.len() < end + 2 {
        return Ok(None);
    }
    Ok(Some((&rest[..end], at + 1 + end + 2)))
}

pub(crate) fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A line of words, as people type it.
fn inline(inbox: &mut BytesMut) -> Result<Option<Command>, Malformed> {
    let Some(end) = inbox.iter().position(|byte| *byte == b'\n') else {
        return if inbox.len() > MAX_LINE { Err(Malformed::LongLine) } else { Ok(None) };
    };
    if end > MAX_LINE {
        return Err(Malformed::LongLine);
    }
    let line = inbox.split_to(end + 1);
    if line.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
        return quoted(&line).map(Some).ok_or(Malformed::Quotes);
    }
    let words = line[..].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    Ok(Some(words.map(BytesMut::from).collect()))
}

/// Words with blanks in them; none if a quote has no other.
fn quoted(line: &[u8]) -> Option<Command> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<BytesMut>, None);
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match quote {
            Some(b'"') if byte == b'\\' => {
                let escaped = match bytes.next()? {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                };
                word.get_or_insert_default().extend([escaped]);
            }
            Some(open) if byte == open => quote = None,
            None if matches!(byte, b'"' | b'\'') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            None if byte.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().extend([byte]),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// `+OK`
pub(crate) fn simple(out: &mut BytesMut, text: &str) {
    put(out, &[b"+", text.as_bytes(), b"\r\n"]);
}

/// `-ERR …`
pub(crate) fn error(out: &mut BytesMut, text: &str) {
    // What a client sent must not end the line.
    let line: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    put(out, &[b"-", line.as_bytes(), b"\r\n"]);
}

/// `:1`
pub(crate) fn integer(out: &mut BytesMut, number: i64) {
    put(out, &[b":", number.to_string().as_bytes(), b"\r\n"]);
}

/// `$5`, and five bytes; `$-1` for none.
pub(crate) fn bulk(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => put(out, &[b"$", bytes.len().to_string().as_bytes(), b"\r\n", bytes, b"\r\n"]),
        None => put(out, &[b"$-1\r\n"]),
    }
}

/// `*2`, before its two elements.
pub(crate) fn array(out: &mut BytesMut, len: usize) {
    put(out, &[b"*", len.to_string().as_bytes(), b"\r\n"]);
}

fn put(out: &mut BytesMut, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    const MAX: usize = 100;

    type Words = Vec<Vec<u8>>;

    fn all(text: &[u8]) -> (Vec<Words>, Result<Vec<u8>, Malformed>) {
        let mut inbox = BytesMut::from(text);
        let mut commands = Vec::new();
        loop {
            match parse(&mut inbox, MAX) {
                Ok(Some(command)) => commands.push(command.iter().map(|word| word.to_vec()).collect()),
                Ok(None) => return (commands, Ok(inbox.to_vec())),
                Err(error) => return (commands, Err(error)),
            }
        }
    }

    fn words(text: &[u8]) -> Words {
        let (mut commands, rest) = all(text);
        assert_eq!((commands.len(), rest), (1, Ok(Vec::new())), "{}", text.escape_ascii());
        commands.remove(0)
    }

    #[test]
    fn commands_are_told_in_both_forms() {
        assert_eq!(words(b"*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n"), [b"ECHO".to_vec(), b"a\r\nb".to_vec()]);
        assert_eq!(words(b"SET  a 1\r\n"), [b"SET".to_vec(), b"a".to_vec(), b"1".to_vec()]);
        assert_eq!(words(b"PING\n"), [b"PING".to_vec()]);
        assert_eq!(
            words(b"ECHO \"a b\\n\" 'c\\d'\r\n"),
            [b"ECHO".to_vec(), b"a b\n".to_vec(), b"c\\d".to_vec()]
        );
        assert_eq!(words(b"ECHO \"\"\r\n"), [b"ECHO".to_vec(), Vec::new()]);
        for nothing in [&b"*0\r\n"[..], b"*-1\r\n", b"\r\n", b"  \n"] {
            assert!(words(nothing).is_empty());
        }
    }

    #[test]
    fn what_is_no_command_is_told() {
        for (text, error) in [
            (&b"*x\r\n"[..], Malformed::Words),
            (b"*1048577\r\n", Malformed::Words),
            (b"*1\r\n+OK\r\n", Malformed::NoWord(b'+')),
            (b"*1\r\n$-1\r\n", Malformed::Length),
            (b"*1\r\n$101\r\n", Malformed::Length),
            (b"*1\r\n$99999999999999999999\r\n", Malformed::Length),
            (b"ECHO \"a\r\n", Malformed::Quotes),
        ] {
            assert_eq!(all(text).1, Err(error), "{}", text.escape_ascii());
        }
        assert_eq!(all(&vec![b'a'; MAX_LINE + 1]).1, Err(Malformed::LongLine));
        assert_eq!(all(&vec![b'*'; MAX_LINE + 3]).1, Err(Malformed::LongLine));
    }

    quickcheck! {
        /// Whatever comes, in whatever pieces.
        fn cuts_change_nothing(text: Vec<(u8, u8)>, cuts: Vec<u8>) -> bool {
            let pieces: [&[u8]; 8] =
                [b"*2\r\n", b"$1\r\n", b"a\r\n", b"PING\r\n", b"$3\r\nabc\r\n", b"*1\r\n", b"\"", b"\r\n"];
            let text: Vec<u8> =
                text.iter().flat_map(|(piece, _)| pieces[usize::from(piece % 8)].iter().copied()).collect();
            let whole = all(&text);
            let (mut inbox, mut commands, mut rest) = (BytesMut::new(), Vec::new(), &text[..]);
            let mut cuts = cuts.iter();
            loop {
                let cut = cuts.next().map_or(rest.len(), |cut| usize::from(*cut % 9).min(rest.len()));
                let (now, later) = rest.split_at(cut);
                inbox.extend_from_slice(now);
                rest = later;
                loop {
                    match parse(&mut inbox, MAX) {
                        Ok(Some(command)) => {
                            commands.push(command.iter().map(|word| word.to_vec()).collect::<Vec<_>>());
                        }
                        Ok(None) => break,
                        Err(error) => return (commands, Err(error)) == whole,
                    }
                }
                if rest.is_empty() && cuts.len() == 0 {
                    return (commands, Ok(inbox.to_vec())) == whole;
                }
            }
        }
    }
}
