//! Histories as bytes: what a fuzzer mutates, what its corpus is kept in, and what quickcheck reads back.
//!
//! An entry is one byte of version, and then records, each a tag (one byte) and a number (LEB128, low bits first). A
//! record has its number even where its tag needs none, so that who does not know a tag can skip it: a tag is never
//! used for anything else later, and what is kept stays readable.
//!
//! | tags | records | number |
//! | --- | --- | --- |
//! | 1–17 | what a driver does: poll, settle, data, eof, wrote, wrote all, stop, abort, failed, advance, advance to the deadline; and what it must not: empty data, over credit, data after eof, second eof, zero wrote, over wrote | bytes, nanoseconds, or which failure |
//! | 20–23 | what a peer does: echo, garbage, again, skip | bytes |
//! | 30–36 | what happens at a door: arrive, accept, accept failed, end, force, milliseconds pass, the end of nobody; stop and the deadline as above | source, which error, which connection, milliseconds |
//! | 64–72 | a server: buffer, chunk, chunks, idle, half-close idle, age, quiet, drain, linger | bytes; nanoseconds, 0 for none |
//! | 80–90 | a client: window, chunk, write, time-out, half-close, pause, stall, seed, length, given, tail wait | the same |
//! | 96–99 | limits of a door: connections, per source, total plus one, drain | 0 for none; milliseconds |
//! | 104–113 | a load: size, in flight, chunk, time-out, half-close, first, period, until, messages, seed | the same |
//! | 120–122 | a slicing: a read, a write, writes first | bytes |
//! | 124–128 | damage to a stream: which, from, first length, second length, a reset at the end | bytes |
//! | 130–138 | fields of any configuration, in the order of its documentation | anything |
//!
//! Any bytes are an entry: a number out of its bounds is taken modulo them, a field that is missing has its simplest
//! value, of a field that comes twice the last counts, operations beyond the 96th are left out, and an entry of another
//! version is empty.

use roundtrip_core::Failure;
use roundtrip_core::admission::{AcceptError, Limits};

use super::door::{self, Day, MS};
use super::op::{ClientSetup, Op, Served, ServerSetup};
use super::peer::{PeerOp, Visited};
use super::pinging::{PingSetup, Pinged};
use super::slicing::{Damage, Slicing};

/// The version that is written and read.
const VERSION: u8 = 1;

/// Operations in one entry, at the most.
pub const MOST_OPS: usize = 96;
/// Sizes of a slicing, at the most.
const MOST_SLICES: usize = 16;
/// The largest size, bytes.
const MOST_BYTES: usize = 255;
/// The longest time limit, nanoseconds.
const LONGEST: u64 = 1 << 20;

/// What records make.
pub trait Wire: Sized {
    /// Before the first record.
    fn start() -> Self;

    /// Takes a record; one that it does not know changes nothing.
    fn take(&mut self, tag: u8, number: u64);

    /// The records that make it.
    fn records(&self) -> Vec<(u8, u64)>;

    fn decode(bytes: &[u8]) -> Self {
        let mut wire = Self::start();
        for (tag, number) in Records::of(bytes) {
            wire.take(tag, number);
        }
        wire
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for (tag, number) in self.records() {
            write(&mut bytes, tag, number);
        }
        bytes
    }
}

/// Appends a record.
fn write(bytes: &mut Vec<u8>, tag: u8, mut number: u64) {
    bytes.push(tag);
    while number > 0x7f {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// The records of an entry.
pub struct Records<'a>(&'a [u8]);

impl<'a> Records<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes.strip_prefix(&[VERSION]).unwrap_or_default())
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }
}

impl Iterator for Records<'_> {
    type Item = (u8, u64);

    /// Where the bytes end, a number ends as well; what does not fit into 64 bits is left out.
    fn next(&mut self) -> Option<(u8, u64)> {
        let tag = self.byte()?;
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let Some(byte) = self.byte() else { break };
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some((tag, number))
    }
}

/// A number from 1 to `most`.
fn size_to(number: u64, most: usize) -> usize {
    1 + below(number.saturating_sub(1), most)
}

fn size(number: u64) -> usize {
    size_to(number, MOST_BYTES)
}

fn below(number: u64, n: usize) -> usize {
    usize::try_from(number % n as u64).expect("below a usize")
}

fn limit(number: u64) -> Option<u64> {
    (number > 0).then(|| 1 + (number - 1) % LONGEST)
}

/// A limit that there must be.
fn span(number: u64) -> u64 {
    limit(number).unwrap_or(1)
}

fn push<T>(ops: &mut Vec<T>, op: Option<T>) {
    if ops.len() < MOST_OPS {
        ops.extend(op);
    }
}

const FAILURES: [Failure; 3] = [Failure::Reset, Failure::Truncated, Failure::Io];

fn op_of(tag: u8, number: u64) -> Option<Op> {
    Some(match tag {
        1 => Op::Poll,
        2 => Op::Settle,
        3 => Op::Data(size(number)),
        4 => Op::Eof,
        5 => Op::Wrote(size(number)),
        6 => Op::WroteAll,
        7 => Op::Stop,
        8 => Op::Abort,
        9 => Op::Failed(FAILURES[below(number, 3)]),
        10 => Op::Advance(number % LONGEST),
        11 => Op::AdvanceToDeadline,
        _ => return None,
    })
}

fn record_of(op: Op) -> (u8, u64) {
    match op {
        Op::Poll => (1, 0),
        Op::Settle => (2, 0),
        Op::Data(n) => (3, n as u64),
        Op::Eof => (4, 0),
        Op::Wrote(n) => (5, n as u64),
        Op::WroteAll => (6, 0),
        Op::Stop => (7, 0),
        Op::Abort => (8, 0),
        Op::Failed(failure) => (9, FAILURES.iter().take_while(|known| **known != failure).count() as u64),
        Op::Advance(nanos) => (10, nanos),
        Op::AdvanceToDeadline => (11, 0),
    }
}

fn peer_op_of(tag: u8, number: u64) -> Option<PeerOp> {
    Some(match tag {
        20 => PeerOp::Echo(size(number)),
        21 => PeerOp::Garbage(size(number)),
        22 => PeerOp::Again(size(number)),
        23 => PeerOp::Skip(size(number)),
        _ => PeerOp::Driver(op_of(tag, number)?),
    })
}

fn peer_record_of(op: PeerOp) -> (u8, u64) {
    match op {
        PeerOp::Echo(n) => (20, n as u64),
        PeerOp::Garbage(n) => (21, n as u64),
        PeerOp::Again(n) => (22, n as u64),
        PeerOp::Skip(n) => (23, n as u64),
        PeerOp::Driver(op) => record_of(op),
    }
}

impl Wire for ServerSetup {
    fn start() -> Self {
        Self {
            buffer: MOST_BYTES,
            chunk: MOST_BYTES,
            max_chunks: 4,
            idle: None,
            half_close_idle: None,
            max_age: None,
            quiet: 8,
            drain: 24,
            linger: 12,
        }
    }

    fn take(&mut self, tag: u8, number: u64) {
        match tag {
            64 => self.buffer = size(number),
            65 => self.chunk = size(number),
            66 => self.max_chunks = size_to(number, 8),
            67 => self.idle = limit(number),
            68 => self.half_close_idle = limit(number),
            69 => self.max_age = limit(number),
            70 => self.quiet = span(number),
            71 => self.drain = span(number),
            72 => self.linger = span(number),
            _ => {}
        }
        // The buffer bounds the chunk, whichever comes first.
        self.chunk = self.chunk.min(self.buffer);
    }

    fn records(&self) -> Vec<(u8, u64)> {
        vec![
            (64, self.buffer as u64),
            (65, self.chunk as u64),
            (66, self.max_chunks as u64),
            (67, self.idle.unwrap_or(0)),
            (68, self.half_close_idle.unwrap_or(0)),
            (69, self.max_age.unwrap_or(0)),
            (70, self.quiet),
            (71, self.drain),
            (72, self.linger),
        ]
    }
}

impl Wire for Served {
    fn start() -> Self {
        Self { setup: ServerSetup::start(), ops: Vec::new() }
    }

    fn take(&mut self, tag: u8, number: u64) {
        self.setup.take(tag, number);
        push(&mut self.ops, op_of(tag, number));
    }

    fn records(&self) -> Vec<(u8, u64)> {
        let mut records = self.setup.records();
        records.extend(self.ops.iter().map(|op| record_of(*op)));
        records
    }
}

impl Wire for ClientSetup {
    fn start() -> Self {
        Self {
            window: MOST_BYTES,
            chunk: MOST_BYTES,
            write: MOST_BYTES,
            timeout: None,
            half_close: true,
            tail_wait: None,
            pause: None,
            stall: None,
            seed: 0,
            len: 0,
            given: false,
        }
    }

    fn take(&mut self, tag: u8, number: u64) {
        match tag {
            80 => self.window = size(number),
            81 => self.chunk = size(number),
            82 => self.write = size(number),
            83 => self.timeout = limit(number),
            84 => self.half_close = number.is_multiple_of(2),
            85 => self.pause = limit(number),
            86 => self.stall = limit(number),
            87 => self.seed = number,
            88 => self.len = below(number, MOST_BYTES + 1),
            89 => self.given = number % 2 == 1,
            90 => self.tail_wait = limit(number),
            _ => {}
        }
    }

    fn records(&self) -> Vec<(u8, u64)> {
        vec![
            (80, self.window as u64),
            (81, self.chunk as u64),
            (82, self.write as u64),
            (83, self.timeout.unwrap_or(0)),
            (84, u64::from(!self.half_close)),
            (85, self.pause.unwrap_or(0)),
            (86, self.stall.unwrap_or(0)),
            (87, self.seed),
            (88, self.len as u64),
            (89, u64::from(self.given)),
            (90, self.tail_wait.unwrap_or(0)),
        ]
    }
}

impl Wire for Visited {
    fn start() -> Self {
        Self { setup: ClientSetup::start(), ops: Vec::new() }
    }

    fn take(&mut self, tag: u8, number: u64) {
        self.setup.take(tag, number);
        push(&mut self.ops, peer_op_of(tag, number));
    }

    fn records(&self) -> Vec<(u8, u64)> {
        let mut records = self.setup.records();
        records.extend(self.ops.iter().map(|op| peer_record_of(*op)));
        records
    }
}

impl Wire for Pinged {
    fn start() -> Self {
        let setup = PingSetup {
            size: 1,
            in_flight: 1,
            chunk: MOST_BYTES,
            timeout: None,
            half_close: true,
            first: 0,
            period: None,
            until: None,
            messages: 0,
            seed: 0,
        };
        Self { setup, ops: Vec::new() }
    }

    fn take(&mut self, tag: u8, number: u64) {
        let setup = &mut self.setup;
        match tag {
            104 => setup.size = size_to(number, 64),
            105 => setup.in_flight = size_to(number, 16),
            106 => setup.chunk = size(number),
            107 => setup.timeout = limit(number),
            108 => setup.half_close = number.is_multiple_of(2),
            109 => setup.first = number % LONGEST,
            110 => setup.period = limit(number),
            111 => setup.until = limit(number),
            112 => setup.messages = number % 64,
            113 => setup.seed = number,
            _ => push(&mut self.ops, peer_op_of(tag, number)),
        }
    }

    fn records(&self) -> Vec<(u8, u64)> {
        let setup = &self.setup;
        let mut records = vec![
            (104, setup.size as u64),
            (105, setup.in_flight as u64),
            (106, setup.chunk as u64),
            (107, setup.timeout.unwrap_or(0)),
            (108, u64::from(!setup.half_close)),
            (109, setup.first),
            (110, setup.period.unwrap_or(0)),
            (111, setup.until.unwrap_or(0)),
            (112, setup.messages),
            (113, setup.seed),
        ];
        records.extend(self.ops.iter().map(|op| peer_record_of(*op)));
        records
    }
}

const ACCEPT_ERRORS: [AcceptError; 2] = [AcceptError::Connection, AcceptError::Exhausted];
/// The longest drain, milliseconds.
const LONGEST_DRAIN: usize = 1 << 12;

impl Wire for Day {
    fn start() -> Self {
        Self { limits: Limits::default().drain(MS), ops: Vec::new() }
    }

    fn take(&mut self, tag: u8, number: u64) {
        let some = |most| (number > 0).then(|| size_to(number, most));
        let op = match tag {
            7 => door::Op::Stop,
            11 => door::Op::AdvanceToDeadline,
            30 => door::Op::Arrive(u8::try_from(size_to(number, 8)).expect("at most 8")),
            31 => door::Op::Accept,
            32 => door::Op::AcceptFailed(ACCEPT_ERRORS[below(number, 2)]),
            33 => door::Op::End(below(number, usize::MAX)),
            34 => door::Op::Force,
            35 => door::Op::AdvanceMs(u32::try_from(below(number, 1 << 16)).expect("16 bits")),
            36 => door::Op::EndOfNobody,
            96 => return self.limits.connections = some(8).unwrap_or(usize::MAX),
            97 => return self.limits.per_source = some(4),
            98 => return self.limits.total = some(16).map(|total| total as u64 - 1),
            99 => {
                let millis = u32::try_from(size_to(number, LONGEST_DRAIN)).expect("12 bits");
                return self.limits.drain = MS * millis;
            }
            _ => return,
        };
        push(&mut self.ops, Some(op));
    }

    fn records(&self) -> Vec<(u8, u64)> {
        let limits = &self.limits;
        let connections = Some(limits.connections).filter(|connections| *connections != usize::MAX);
        let drain = u64::try_from(limits.drain.as_millis()).expect("12 bits");
        let mut records = vec![
            (96, connections.unwrap_or(0) as u64),
            (97, limits.per_source.unwrap_or(0) as u64),
            (98, limits.total.map_or(0, |total| total + 1)),
            (99, drain),
        ];
        records.extend(self.ops.iter().map(|op| match *op {
            door::Op::Stop => (7, 0),
            door::Op::AdvanceToDeadline => (11, 0),
            door::Op::Arrive(source) => (30, source.into()),
            door::Op::Accept => (31, 0),
            door::Op::AcceptFailed(error) => (32, u64::from(error == AcceptError::Exhausted)),
            door::Op::End(which) => (33, which as u64),
            door::Op::Force => (34, 0),
            door::Op::AdvanceMs(millis) => (35, millis.into()),
            door::Op::EndOfNobody => (36, 0),
        }));
        records
    }
}

impl Wire for Slicing {
    /// Nothing is cut.
    fn start() -> Self {
        Self { reads: Vec::new(), writes: Vec::new(), reads_first: true }
    }

    fn take(&mut self, tag: u8, number: u64) {
        match tag {
            120 if self.reads.len() < MOST_SLICES => self.reads.push(size(number)),
            121 if self.writes.len() < MOST_SLICES => self.writes.push(size(number)),
            122 => self.reads_first = number.is_multiple_of(2),
            _ => {}
        }
    }

    fn records(&self) -> Vec<(u8, u64)> {
        let reads = self.reads.iter().map(|read| (120, *read as u64));
        let writes = self.writes.iter().map(|write| (121, *write as u64));
        reads.chain(writes).chain([(122, u64::from(!self.reads_first))]).collect()
    }
}

/// What becomes of a stream on its way, and whether it ends with a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    which: u8,
    from: usize,
    first: usize,
    second: usize,
    pub reset: bool,
}

impl Damaged {
    pub const fn damage(self) -> Damage {
        let Self { which, from, first, second, .. } = self;
        match which {
            1 => Damage::Drop(from, first),
            2 => Damage::Repeat(from, first),
            3 => Damage::Swap(from, first, second),
            4 => Damage::Flip(from),
            5 => Damage::Append(from),
            6 => Damage::Cut(from),
            _ => Damage::None,
        }
    }

    pub const fn of(damage: Damage, reset: bool) -> Self {
        let (which, from, first, second) = match damage {
            Damage::None => (0, 0, 0, 0),
            Damage::Drop(from, n) => (1, from, n, 0),
            Damage::Repeat(from, n) => (2, from, n, 0),
            Damage::Swap(from, first, second) => (3, from, first, second),
            Damage::Flip(from) => (4, from, 0, 0),
            Damage::Append(n) => (5, n, 0, 0),
            Damage::Cut(to) => (6, to, 0, 0),
        };
        Self { which, from, first, second, reset }
    }
}

impl Wire for Damaged {
    fn start() -> Self {
        Self::of(Damage::None, false)
    }

    fn take(&mut self, tag: u8, number: u64) {
        match tag {
            124 => self.which = u8::try_from(below(number, 7)).expect("below 7"),
            125 => self.from = below(number, 300),
            126 => self.first = below(number, 300),
            127 => self.second = below(number, 300),
            128 => self.reset = number % 2 == 1,
            _ => {}
        }
    }

    fn records(&self) -> Vec<(u8, u64)> {
        vec![
            (124, self.which.into()),
            (125, self.from as u64),
            (126, self.first as u64),
            (127, self.second as u64),
            (128, u64::from(self.reset)),
        ]
    }
}
