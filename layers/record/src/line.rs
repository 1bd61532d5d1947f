//! What stands in a line: inputs, written and read; actions, written, and compared as they stand.

use std::fmt::Debug;
use std::io::Write;

use roundtrip_core::bytes::Bytes;
use roundtrip_core::{Action, Failure, Input, Teardown};

use crate::CommandBytes;
use crate::hash::mix;

/// The largest input that is recorded, data or command: 16 MiB.
pub const MAX_INPUT: usize = 16 << 20;
/// The longest line, its end included: the largest input in hexadecimal, and what stands beside it.
pub(crate) const MAX_LINE: usize = 2 * MAX_INPUT + 4096;
/// Characters of an event's or an outcome's `Debug` that are written.
const SHOWN: usize = 120;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// An input as it stands in a record. A command comes as its bytes.
pub(crate) fn write_input(line: &mut Vec<u8>, input: &Input<Vec<u8>>) {
    line.extend_from_slice(b"in ");
    match input {
        Input::Data(bytes) => write_hex(line, b"data ", bytes),
        Input::Command(bytes) => write_hex(line, b"command ", bytes),
        // Writing to memory does not fail.
        Input::Wrote(n) => drop(write!(line, "wrote {n}")),
        Input::Eof => line.extend_from_slice(b"eof"),
        Input::Stop => line.extend_from_slice(b"stop"),
        Input::Abort => line.extend_from_slice(b"abort"),
        Input::Failed(Failure::Reset) => line.extend_from_slice(b"failed reset"),
        Input::Failed(Failure::Truncated) => line.extend_from_slice(b"failed truncated"),
        Input::Failed(Failure::Io) => line.extend_from_slice(b"failed io"),
    }
}

fn write_hex(line: &mut Vec<u8>, kind: &[u8], bytes: &[u8]) {
    line.extend_from_slice(kind);
    line.reserve(2 * bytes.len());
    for byte in bytes {
        line.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// The input that stands after `in `, if it is one.
pub(crate) fn read_input<C: CommandBytes>(text: &str) -> Option<Input<C>> {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some(match (kind, rest) {
        ("data", _) => Input::Data(Bytes::from(read_hex(rest)?)),
        ("command", _) => Input::Command(C::from_bytes(&read_hex(rest)?)?),
        ("wrote", _) => Input::Wrote(rest.parse().ok()?),
        ("eof", "") => Input::Eof,
        ("stop", "") => Input::Stop,
        ("abort", "") => Input::Abort,
        ("failed", "reset") => Input::Failed(Failure::Reset),
        ("failed", "truncated") => Input::Failed(Failure::Truncated),
        ("failed", "io") => Input::Failed(Failure::Io),
        _ => return None,
    })
}

fn read_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

/// An action as it stands in a record: actions that read the same are the same.
pub(crate) fn action<E: Debug, O: Debug>(action: &Action<E, O>) -> String {
    match action {
        Action::Write(bytes) => format!("write {} {:016x}", bytes.len(), mix(0, bytes)),
        Action::ShutdownWrite => "shutdown".to_owned(),
        Action::Event(event) => format!("event {}", told(event)),
        Action::Wait(wait) => {
            let deadline = wait.deadline.map_or_else(|| "-".to_owned(), |at| at.as_nanos().to_string());
            format!("wait {} {} {deadline}", wait.read, wait.commands)
        }
        Action::Close { how: Teardown::Graceful, outcome } => format!("close graceful {}", told(outcome)),
        Action::Close { how: Teardown::Reset, outcome } => format!("close reset {}", told(outcome)),
    }
}

/// The hash of a value's `Debug`, and its beginning.
fn told(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    format!("{:016x} {shown}", mix(0, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use roundtrip_core::{Time, Wait};
    use std::convert::Infallible;

    fn written(input: &Input<Vec<u8>>) -> String {
        let mut line = Vec::new();
        write_input(&mut line, input);
        String::from_utf8(line).unwrap()
    }

    /// A command that is its bytes.
    #[derive(Debug, PartialEq)]
    struct Raw(Vec<u8>);

    impl CommandBytes for Raw {
        fn to_bytes(&self) -> Vec<u8> {
            self.0.clone()
        }

        fn from_bytes(bytes: &[u8]) -> Option<Self> {
            Some(Self(bytes.to_vec()))
        }
    }

    #[test]
    fn every_input_is_read_as_it_was_written() {
        let all = [Failure::Reset, Failure::Truncated, Failure::Io].map(Input::Failed);
        for input in all.into_iter().chain([
            Input::Data(Bytes::new()),
            Input::Data(Bytes::from_static(b"\x00\xff a")),
            Input::Command(Vec::new()),
            Input::Command(vec![7]),
            Input::Wrote(0),
            Input::Wrote(usize::MAX),
            Input::Eof,
            Input::Stop,
            Input::Abort,
        ]) {
            let text = written(&input);
            let raw = match input {
                Input::Command(bytes) => Input::Command(Raw(bytes)),
                Input::Data(bytes) => Input::Data(bytes),
                Input::Wrote(n) => Input::Wrote(n),
                Input::Failed(failure) => Input::Failed(failure),
                Input::Eof => Input::Eof,
                Input::Stop => Input::Stop,
                Input::Abort => Input::Abort,
            };
            assert_eq!(read_input(text.strip_prefix("in ").unwrap()), Some(raw), "{text}");
        }
    }

    #[test]
    fn what_is_no_input_is_none() {
        for text in ["", "data 7", "data 7g", "data 7é", "wrote", "wrote -1", "eof 1", "failed", "x"] {
            assert_eq!(read_input::<Raw>(text), None, "{text}");
        }
        assert_eq!(read_input::<Infallible>("command 00"), None);
    }

    #[test]
    fn actions_that_differ_read_differently() {
        let wait = |read, commands, deadline| Action::Wait(Wait { read, commands, deadline });
        let close = |how, outcome| Action::Close { how, outcome };
        let long = |end: &str| "x".repeat(1000) + end;
        let actions: [Action<String, String>; 12] = [
            Action::Write(Bytes::from_static(b"ab")),
            Action::Write(Bytes::from_static(b"ac")),
            Action::ShutdownWrite,
            Action::Event(long("a")),
            Action::Event(long("b")),
            wait(1, 0, None),
            wait(0, 1, None),
            wait(1, 0, Some(Time::ZERO)),
            wait(1, 0, Some(Time::from_nanos(1))),
            close(Teardown::Graceful, "a\nb".to_owned()),
            close(Teardown::Reset, "a\nb".to_owned()),
            close(Teardown::Reset, "a".to_owned()),
        ];
        let lines: Vec<_> = actions.iter().map(action).collect();
        for (index, line) in lines.iter().enumerate() {
            assert!(!line.contains('\n') && line.len() < 2000, "{line}");
            assert!(!lines[..index].contains(line), "{line}");
        }
    }

    quickcheck! {
        fn hexadecimal_is_read_back(bytes: Vec<u8>) -> bool {
            let mut line = Vec::new();
            write_hex(&mut line, b"", &bytes);
            read_hex(&String::from_utf8(line).unwrap()) == Some(bytes)
        }
    }
}
