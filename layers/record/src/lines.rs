//! Reading a record line by line: where each begins, and whether it is as it was written.

use std::io::{BufRead, BufReader, Read};

use crate::hash::mix;
use crate::line::MAX_LINE;
use crate::replay::{Position, ReplayError, ReplayErrorCause};

/// What a record begins with.
pub(crate) const MAGIC: &str = "roundtrip-record ";
/// The version that is written, and the newest that is read.
pub(crate) const VERSION: u64 = 1;
/// The longest first line.
pub(crate) const MAX_HEADER: usize = 64 << 10;

/// What the first line of a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name of the machines.
    pub machine: String,
    /// What their maker said of their configuration.
    pub config: String,
}

/// The lines of a record. Holds one at a time.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// Where the line begins.
    position: Position,
    /// The checksum of the line before.
    sum: u64,
}

/// A line that is as it was written, without its checksum; or none.
pub(crate) enum Next<'a> {
    Line(&'a str),
    /// The last one has no end.
    Torn,
    /// There is no more.
    End,
}

impl<R: Read> Lines<R> {
    /// Reads the first line.
    pub(crate) fn open(input: R) -> Result<(Self, Header), ReplayError> {
        let position = Position { line: 1, offset: 0 };
        let mut lines = Self { input: BufReader::new(input), line: Vec::new(), position, sum: 0 };
        lines.read(MAX_HEADER)?;
        let version = lines.line.strip_prefix(MAGIC.as_bytes());
        let version = version.and_then(|rest| rest.split(|byte| b" \n".contains(byte)).next());
        let version = version.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
        match version {
            None | Some(0) => return Err(lines.error(ReplayErrorCause::NotARecord)),
            Some(version) if version > VERSION => return Err(lines.error(ReplayErrorCause::Newer(version))),
            Some(_) => {}
        }
        let header = match lines.checked(MAX_HEADER)? {
            Next::Line(line) => {
                let mut words = line.splitn(4, ' ').skip(2).map(ToOwned::to_owned);
                words.next().zip(words.next()).map(|(machine, config)| Header { machine, config })
            }
            Next::Torn | Next::End => return Err(lines.error(ReplayErrorCause::Torn)),
        };
        let header = header.ok_or_else(|| lines.error(ReplayErrorCause::Malformed))?;
        Ok((lines, header))
    }

    /// The next line.
    pub(crate) fn next(&mut self) -> Result<Next<'_>, ReplayError> {
        self.position.line += 1;
        self.position.offset += self.line.len() as u64;
        self.read(MAX_LINE)?;
        self.checked(MAX_LINE)
    }

    /// Where the line that was read last begins.
    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// Something is wrong with the line that was read last.
    pub(crate) const fn error(&self, cause: ReplayErrorCause) -> ReplayError {
        ReplayError { position: self.position, cause }
    }

    /// Reads up to the end of a line, and not far beyond `max`.
    fn read(&mut self, max: usize) -> Result<(), ReplayError> {
        self.line.clear();
        let read = self.input.by_ref().take(max as u64 + 1).read_until(b'\n', &mut self.line);
        read.map(drop).map_err(|error| self.error(ReplayErrorCause::Io(error)))
    }

    /// The line that was read last, if it is no longer than that and its checksum is right.
    fn checked(&mut self, max: usize) -> Result<Next<'_>, ReplayError> {
        if self.line.len() > max {
            return Err(self.error(ReplayErrorCause::TooLong));
        }
        if self.line.is_empty() {
            return Ok(Next::End);
        }
        let Some(line) = self.line.strip_suffix(b"\n") else { return Ok(Next::Torn) };
        let split = line.iter().rposition(|byte| *byte == b' ').map(|at| line.split_at(at));
        let whole = split.filter(|(text, sum)| {
            self.sum = mix(self.sum, text);
            *sum == format!(" {:016x}", self.sum).as_bytes()
        });
        let Some((text, _)) = whole else { return Err(self.error(ReplayErrorCause::Damaged)) };
        std::str::from_utf8(text).map(Next::Line).map_err(|_| self.error(ReplayErrorCause::Malformed))
    }
}
