//! Running a record again.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Debug};
use std::io::{self, Read};

use roundtrip_core::hub::ConnectionId;
use roundtrip_core::text::escaped;
use roundtrip_core::{Input, Machine, Time};

use crate::CommandBytes;
use crate::credit::Credit;
use crate::line;
use crate::lines::{Header, Lines, Next, VERSION};

/// A record that is about to be replayed. It is read once, from its beginning to its end: one line is held at a time, and
/// the machines of the connections that are open.
#[derive(Debug)]
pub struct Record<R> {
    lines: Lines<R>,
    header: Header,
}

/// A connection of a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// Its name: that of no other that is open.
    pub connection: ConnectionId,
    /// When it began.
    pub at: Time,
}

/// What was replayed: every action was the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Connections.
    pub sessions: u64,
    /// Inputs.
    pub inputs: u64,
    /// Bytes of data among them.
    pub bytes: u64,
    /// Actions that were compared.
    pub actions: u64,
    /// Where the record breaks off, if it is not whole: what comes after is not known.
    pub torn: Option<Position>,
}

/// A line of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its number, counted from 1.
    pub line: u64,
    /// Where it begins, in bytes from the beginning of the record.
    pub offset: u64,
}

/// Why a record was not replayed to its end, and in which line.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReplayError {
    /// The line.
    pub position: Position,
    /// What is wrong there.
    pub cause: ReplayErrorCause,
}

/// What is wrong with a line of a record.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayErrorCause {
    /// It cannot be read.
    Io(io::Error),
    /// The file does not begin like a record.
    NotARecord,
    /// It was written by a later release.
    Newer(u64),
    /// The record breaks off in its first line.
    Torn,
    /// The line was changed, or is not the one that was written after the one before.
    Damaged,
    /// The line is longer than any that is written.
    TooLong,
    /// The line is as it was written, and says nothing that this release or these machines know.
    Malformed,
    /// The machine had not asked for the input: data or a command beyond its credit, a second end, more written than was
    /// outstanding.
    Misuse,
    /// The record has ended before this.
    Trailing,
    /// The machine does something else.
    Diverged(Divergence),
}

/// Where a replay goes another way than what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Divergence {
    /// On which connection.
    pub connection: ConnectionId,
    /// When.
    pub at: Time,
    /// What the machine did when it was recorded, as it stands in the record.
    pub recorded: String,
    /// What it does now.
    pub replayed: String,
}

/// A connection that is open.
struct Live<M> {
    machine: M,
    latest: Time,
    credit: Credit,
}

impl<R: Read> Record<R> {
    /// Reads the first line.
    ///
    /// # Errors
    ///
    /// If this is no record, or one of a later release.
    pub fn open(input: R) -> Result<Self, ReplayError> {
        Lines::open(input).map(|(lines, header)| Self { lines, header })
    }

    /// What the first line says.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Runs every connection again, in the order in which it was recorded, on machines that `make` makes.
    ///
    /// # Errors
    ///
    /// The first line that is damaged, or that the machines do not agree with.
    ///
    /// # Panics
    ///
    /// If a machine does.
    pub fn replay<M>(mut self, mut make: impl FnMut(&Opened) -> M) -> Result<Replayed, ReplayError>
    where
        M: Machine<Command: CommandBytes, Event: Debug, Outcome: Debug>,
    {
        let mut replayed = Replayed::default();
        let mut live = BTreeMap::new();
        loop {
            let done = match self.lines.next()? {
                Next::Line("whole") => break,
                Next::Line(text) => step(text, &mut live, &mut make, &mut replayed),
                Next::Torn | Next::End => {
                    replayed.torn = Some(self.lines.position());
                    return Ok(replayed);
                }
            };
            done.map_err(|cause| self.lines.error(cause))?;
        }
        match self.lines.next() {
            Ok(Next::End) => Ok(replayed),
            Ok(_) | Err(_) => Err(self.lines.error(ReplayErrorCause::Trailing)),
        }
    }
}

/// What one line tells.
fn step<M>(
    text: &str,
    live: &mut BTreeMap<u64, Live<M>>,
    make: &mut impl FnMut(&Opened) -> M,
    replayed: &mut Replayed,
) -> Result<(), ReplayErrorCause>
where
    M: Machine<Command: CommandBytes, Event: Debug, Outcome: Debug>,
{
    let malformed = || ReplayErrorCause::Malformed;
    let mut parts = text.splitn(3, ' ');
    let mut part = || parts.next().ok_or_else(malformed);
    let number: u64 = part()?.parse().map_err(|_| malformed())?;
    let at = Time::from_nanos(part()?.parse().map_err(|_| malformed())?);
    let what = part()?;
    let connection = ConnectionId::new(number);
    if what == "open" {
        replayed.sessions += 1;
        let session =
            Live { machine: make(&Opened { connection, at }), latest: at, credit: Credit::default() };
        return live.insert(number, session).map_or(Ok(()), |_| Err(malformed()));
    }
    let session = live.get_mut(&number).filter(|session| session.latest <= at).ok_or_else(malformed)?;
    session.latest = at;
    let same = |recorded: &str, replayed: String| {
        if recorded == replayed {
            return Ok(());
        }
        let recorded = recorded.strip_prefix("out ").unwrap_or(recorded).to_owned();
        Err(ReplayErrorCause::Diverged(Divergence { connection, at, recorded, replayed }))
    };
    if what == "gone" {
        live.remove(&number);
    } else if let Some(recorded) = what.strip_prefix("out ") {
        let action = session.machine.poll(at);
        session.credit.note(&action);
        same(recorded, line::action(&action))?;
        replayed.actions += 1;
    } else {
        let input = what.strip_prefix("in ").and_then(line::read_input).ok_or_else(malformed)?;
        replayed.inputs += 1;
        if let Input::Data(bytes) = &input {
            replayed.bytes += bytes.len() as u64;
        }
        session.credit.spend(&input).ok_or(ReplayErrorCause::Misuse)?;
        session.machine.handle(at, input);
    }
    Ok(())
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, which begins at byte {}", self.line, self.offset)
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.position)?;
        match &self.cause {
            ReplayErrorCause::Io(error) => write!(f, "it cannot be read: {error}"),
            ReplayErrorCause::NotARecord => f.write_str("this is no record"),
            ReplayErrorCause::Newer(version) => {
                write!(f, "the record has version {version}, and this release reads up to {VERSION}")
            }
            ReplayErrorCause::Torn => f.write_str("the record breaks off in its first line"),
            ReplayErrorCause::Damaged => f.write_str("it is not what was written there"),
            ReplayErrorCause::TooLong => f.write_str("no line is so long"),
            ReplayErrorCause::Misuse => f.write_str("the machine did not ask for this input"),
            ReplayErrorCause::Malformed => f.write_str("it says nothing that is known"),
            ReplayErrorCause::Trailing => f.write_str("the record has ended before this"),
            ReplayErrorCause::Diverged(divergence) => write!(f, "{divergence}"),
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, at, recorded, replayed } = self;
        write!(
            f,
            "connection {} goes another way at {at:?}\n  recorded  {}\n  replayed  {}",
            connection.number(),
            escaped(recorded),
            escaped(replayed)
        )
    }
}

impl Error for ReplayError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let ReplayErrorCause::Io(error) = &self.cause { Some(error) } else { None }
    }
}
