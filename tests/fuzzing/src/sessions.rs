//! Histories of a [`Session`]: whatever its protocol asks for, and whatever its peer, its driver and the clock do.
//!
//! An entry is a version, four bytes of a configuration ([`Setup`]), and operations: a byte that says what, a byte that
//! says how much, and for data the bytes themselves. What comes tells the [protocol](Scripted) what to do, one
//! [`Message`] after the other.

use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig, SessionEnd, SessionOutcome};
use roundtrip_core::{Action, Driven, Failure, Machine, Step, Teardown, Time, Wait};

const VERSION: u8 = 1;
/// Operations after these are ignored.
const MAX_OPS: usize = 96;
/// Steps that one input may lead to: an event for each byte that an inbox holds, and what ends a session.
const MAX_STEPS: usize = 200;
/// Rounds after a stop: each writes something, or passes a deadline.
const MAX_ROUNDS: usize = 16_384;

/// Runs the history. Then the session is stopped, and ends both with a peer that goes on reading and with one that does
/// not.
pub fn session_ops(bytes: &[u8]) {
    let [VERSION, inbox, outbox, limits, flags, ops @ ..] = bytes else { return };
    let setup = Setup::of([*inbox, *outbox, *limits, *flags]);
    let mut bench = Bench::new(setup);
    bench.settle();
    let mut ops = Ops(ops);
    for _ in 0..MAX_OPS {
        let Some(what) = ops.byte().filter(|_| bench.closed.is_none()) else { break };
        let much = ops.byte().unwrap_or_default();
        let is_settled = bench.run(what % 16, much, &mut ops);
        // Some inputs may follow each other at once; before the others, the driver steps.
        if is_settled || what < 128 {
            bench.settle();
        }
    }
    bench.settle();
    for reads in [true, false] {
        bench.clone().end(reads);
    }
}

/// The rest of an entry.
struct Ops<'a>(&'a [u8]);

impl Ops<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// As many bytes, if there are.
    fn bytes(&mut self, len: usize) -> Bytes {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        Bytes::copy_from_slice(bytes)
    }
}

/// What the protocol begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    Silent,
    Greeting,
    /// A greeting that is all.
    Farewell,
}

/// The configuration of a session, of its protocol and of its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setup {
    inbox: usize,
    outbox: usize,
    idle: Option<Duration>,
    linger: Duration,
    opening: Opening,
    /// The protocol answers without a look at the room.
    is_careless: bool,
    /// It takes commands at any time, and not only those that it asked for.
    is_open: bool,
    /// Bytes that the transport takes and keeps at once.
    transport: usize,
}

impl Setup {
    fn of([inbox, outbox, limits, flags]: [u8; 4]) -> Self {
        let nanos = |n: u8| Duration::from_nanos(u64::from(n));
        Self {
            inbox: usize::from(inbox % 40),
            outbox: usize::from(outbox % 40),
            idle: (limits % 16 > 0).then(|| nanos(limits % 16 * 4 - 4)),
            linger: nanos(limits / 16),
            opening: match flags & 3 {
                1 => Opening::Greeting,
                3 => Opening::Farewell,
                _ => Opening::Silent,
            },
            is_careless: flags & 4 != 0,
            is_open: flags & 8 != 0,
            transport: if flags & 16 != 0 { 8 } else { 0 },
        }
    }

    /// Bytes that the inbox holds.
    fn inbox(&self) -> usize {
        self.inbox.max(1)
    }

    /// I2: bytes that may be held.
    fn bound(&self) -> usize {
        // One answer may exceed the room, and so may what a deadline and commands add.
        let excess = MAX_ANSWER + 8;
        // Without a look at it, all that the inbox holds is answered, once while there is room and once without.
        let careless = if self.is_careless { 2 * self.inbox() * MAX_ANSWER } else { 0 };
        self.inbox() + self.outbox.max(1) + excess + careless
    }
}

/// Bytes of the longest answer to a message.
const MAX_ANSWER: usize = 8;

/// What a byte asks for.
enum Message {
    /// An answer of some bytes.
    Answer(u8),
    /// So many bytes follow, and each is an answer as it comes.
    Body(u8),
    /// So many bytes follow, and are answered as a whole.
    Whole(u8),
    /// Tell the application, and wait for its command, or for a deadline.
    Ask(u8),
    /// Tell the application.
    Tell(u8),
    /// Set a deadline this many nanoseconds from now, unless one is set.
    Deadline(u8),
    /// Send as many bytes as there is room for, while more messages are taken.
    Pump(u8),
    Finish,
    Reset,
}

impl Message {
    const fn of(byte: u8) -> Self {
        let n = byte % 32;
        match byte / 32 {
            0 => Self::Answer(n),
            1 => Self::Body(n),
            2 => Self::Whole(n),
            3 => Self::Ask(n),
            4 => Self::Tell(n),
            5 => Self::Deadline(n),
            6 => Self::Pump(n),
            _ if n == 0 => Self::Finish,
            _ if n == 1 => Self::Reset,
            _ => Self::Answer(n),
        }
    }
}

// What is written tells where it comes from. Answers to messages are below all of these.
const PUMPED: u8 = 0x40;
const COMMANDED: u8 = 0x80;
const TIMED_OUT: u8 = 0xc0;
const GREETING: u8 = 0xfe;
const TOO_LARGE: u8 = 0xff;
/// The bits that are left.
const MASK: u8 = 0x3f;

fn answer(n: u8) -> impl Iterator<Item = u8> {
    std::iter::repeat_n(n, usize::from(n) % MAX_ANSWER + 1)
}

fn whole_answer(message: &[u8]) -> u8 {
    message.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)) & MASK
}

/// What the protocol is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Body(usize),
    Whole(usize),
    Asking,
}

/// A protocol whose answers, needs, events, deadlines and ends follow from the bytes it receives.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scripted {
    setup: Setup,
    state: State,
    /// Bytes to send as there is room.
    pump: usize,
    pumped: u8,
    /// When, and what it does then.
    deadline: Option<(Time, u8)>,
    /// Commands that it was given.
    commands: usize,
    /// A deadline, a command or the greeting ended it, and no message.
    was_cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Message(u8),
    End(SessionEnd),
}

impl Scripted {
    const fn new(setup: Setup) -> Self {
        Self { setup, state: State::Ready, pump: 0, pumped: 0, deadline: None, commands: 0, was_cut: false }
    }

    fn set_deadline(&mut self, now: Time, n: u8) {
        self.deadline.get_or_insert((now.after(Duration::from_nanos(u64::from(n) + 1)), n));
    }

    fn send_pumped(&mut self, io: &mut Io<'_, Told>) {
        let piece = io.room().min(self.pump);
        self.pump -= piece;
        for _ in 0..piece {
            io.outbox().extend_from_slice(&[PUMPED | self.pumped]);
            self.pumped = (self.pumped + 1) & MASK;
        }
    }

    /// It has taken all that it can use.
    const fn more(&self) -> Need {
        if self.pump > 0 { Need::Any } else { Need::Bytes }
    }

    fn take(&mut self, now: Time, message: &Message, io: &mut Io<'_, Told>) {
        match *message {
            Message::Answer(n) => io.outbox().extend(answer(n)),
            Message::Body(n) => self.state = State::Body(n.into()),
            Message::Whole(n) => self.state = State::Whole(n.into()),
            Message::Ask(n) => {
                io.event(Told::Message(n));
                self.state = State::Asking;
                if n % 2 == 1 {
                    self.set_deadline(now, n);
                }
            }
            Message::Tell(n) => io.event(Told::Message(n)),
            Message::Deadline(n) => self.set_deadline(now, n),
            Message::Pump(n) => self.pump += usize::from(n),
            Message::Finish => io.finish(),
            Message::Reset => io.reset(),
        }
    }
}

impl Protocol for Scripted {
    type Command = u8;
    type Event = Told;

    fn begin(&mut self, _: Time, io: &mut Io<'_, Told>) {
        if self.setup.opening != Opening::Silent {
            io.outbox().extend_from_slice(&[GREETING; 3]);
        }
        if self.setup.opening == Opening::Farewell {
            self.was_cut = true;
            io.finish();
        }
    }

    fn receive(&mut self, now: Time, io: &mut Io<'_, Told>) -> Need {
        loop {
            self.send_pumped(io);
            let (held, room) = (io.inbox().len(), io.room());
            match self.state {
                State::Asking => return Need::Command,
                State::Body(0) => self.state = State::Ready,
                State::Body(_) if held == 0 => {
                    if io.peer_ended() {
                        io.reset();
                    }
                    return self.more();
                }
                State::Whole(len) if held < len => return self.more(),
                State::Ready if held == 0 => return self.more(),
                State::Body(_) | State::Whole(_) if room == 0 => return Need::Room,
                State::Ready if room == 0 && !self.setup.is_careless => return Need::Room,
                State::Body(left) => {
                    let piece = io.inbox().split_to(left.min(held).min(room));
                    io.outbox().extend(piece.iter().map(|byte| byte & MASK));
                    self.state = State::Body(left - piece.len());
                }
                State::Whole(len) => {
                    let message = io.inbox().split_to(len);
                    io.outbox().extend_from_slice(&[whole_answer(&message)]);
                    self.state = State::Ready;
                }
                State::Ready => {
                    let message = Message::of(io.inbox().split_to(1)[0]);
                    self.take(now, &message, io);
                    if matches!(message, Message::Finish | Message::Reset) {
                        return Need::Any;
                    }
                }
            }
        }
    }

    fn command_capacity(&self) -> usize {
        if self.setup.is_open { 2 } else { usize::from(self.state == State::Asking) }
    }

    fn command(&mut self, _: Time, command: u8, io: &mut Io<'_, Told>) {
        self.commands += 1;
        io.outbox().extend_from_slice(&[COMMANDED | (command & MASK)]);
        if self.state == State::Asking {
            self.state = State::Ready;
        }
        match command / 64 {
            2 => self.pump += usize::from(command % 16),
            3 => {
                self.was_cut = true;
                io.finish();
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.deadline.map(|(at, _)| at)
    }

    fn timeout(&mut self, now: Time, io: &mut Io<'_, Told>) {
        let (at, n) = self.deadline.take().expect("a deadline is set");
        assert!(at <= now, "called {now:?}, before {at:?}");
        io.outbox().extend_from_slice(&[TIMED_OUT]);
        if self.state == State::Asking {
            self.state = State::Ready;
        }
        if n % 4 >= 2 {
            self.was_cut = true;
            if n % 4 == 2 { io.finish() } else { io.reset() }
        }
    }

    fn on_message_too_large(&mut self, _: Time, io: &mut Io<'_, Told>) {
        io.outbox().extend_from_slice(&[TOO_LARGE]);
    }

    fn ended(&mut self, _: Time, end: SessionEnd, io: &mut Io<'_, Told>) {
        io.event(Told::End(end));
    }
}

/// The second opinion: what the bytes ask for, read at once.
#[derive(Debug, Default)]
struct Reading {
    answers: Vec<u8>,
    told: Vec<u8>,
    pumped: usize,
    /// How the messages end it.
    end: Option<SessionEnd>,
    is_too_large: bool,
    /// The bytes end in a body.
    is_broken_off: bool,
    /// Bytes of a message that is not whole.
    left: usize,
}

impl Reading {
    fn of(mut bytes: &[u8], inbox: usize) -> Self {
        let mut reading = Self::default();
        while let Some((&first, rest)) = bytes.split_first() {
            bytes = rest;
            match Message::of(first) {
                Message::Answer(n) => reading.answers.extend(answer(n)),
                Message::Body(n) => {
                    let (body, rest) = bytes.split_at(bytes.len().min(n.into()));
                    reading.answers.extend(body.iter().map(|byte| byte & MASK));
                    reading.is_broken_off = body.len() < n.into();
                    bytes = rest;
                }
                Message::Whole(n) => {
                    let len = usize::from(n);
                    reading.is_too_large = len > inbox && bytes.len() >= inbox;
                    if reading.is_too_large {
                        reading.end = Some(SessionEnd::Finished);
                    } else if bytes.len() < len {
                        reading.left = bytes.len();
                    } else {
                        reading.answers.push(whole_answer(&bytes[..len]));
                        bytes = &bytes[len..];
                        continue;
                    }
                    break;
                }
                Message::Ask(n) | Message::Tell(n) => reading.told.push(n),
                Message::Deadline(_) => {}
                Message::Pump(n) => reading.pumped += usize::from(n),
                Message::Finish => reading.end = Some(SessionEnd::Finished),
                Message::Reset => reading.end = Some(SessionEnd::Reset),
            }
            if reading.end.is_some() {
                break;
            }
        }
        reading
    }
}

/// A session, and what its driver and its peer know.
#[derive(Clone)]
struct Bench {
    setup: Setup,
    driven: Driven<Session<Scripted>>,
    now: Time,
    /// What came before a stop.
    taken: Vec<u8>,
    /// Bytes that came.
    received: u64,
    written: Vec<u8>,
    told: Vec<Told>,
    commands: Vec<u8>,
    has_ended: bool,
    is_stopped: bool,
    half_closed: Option<Time>,
    /// The latest input that counts as activity whatever the session is doing, and the latest at all.
    active: Time,
    latest: Time,
    closed: Option<(Teardown, SessionOutcome)>,
}

impl Bench {
    fn new(setup: Setup) -> Self {
        let Setup { inbox, outbox, idle, linger, .. } = setup;
        let config = SessionConfig::default().inbox(inbox).outbox(outbox).idle(idle).linger(linger);
        let now = Time::ZERO;
        Self {
            setup,
            driven: Driven::new(Session::new(Scripted::new(setup), config.into(), now)),
            now,
            taken: Vec::new(),
            received: 0,
            written: Vec::new(),
            told: Vec::new(),
            commands: Vec::new(),
            has_ended: false,
            is_stopped: false,
            half_closed: None,
            active: now,
            latest: now,
            closed: None,
        }
    }

    /// Carries out an operation; whether the driver must step now.
    fn run(&mut self, what: u8, much: u8, ops: &mut Ops<'_>) -> bool {
        let n = usize::from(much);
        match what {
            0..=4 => {
                let bytes = ops.bytes(n % 64 + 1);
                self.data(&bytes, what == 4);
            }
            5 | 6 => self.write(n % 16 + 1),
            7 => self.write(usize::MAX),
            8 => {
                self.driven.eof(self.now);
                // A second one is ignored.
                if !self.has_ended {
                    self.has_ended = true;
                    (self.active, self.latest) = (self.now, self.now);
                }
            }
            9 => {
                let credit = self.driven.command_credit();
                let told = self.driven.command(self.now, much);
                assert_eq!(told, if credit > 0 { Ok(()) } else { Err(much) });
                if told.is_ok() {
                    self.commands.push(much);
                }
                return true;
            }
            10 => self.stop(),
            11 if n >= 128 => self.driven.abort(self.now),
            12 if n >= 128 => {
                let failures = [Failure::Reset, Failure::Truncated, Failure::Io];
                self.driven.failed(self.now, failures[n % 3]);
            }
            13 | 14 => self.now = self.now.after(Duration::from_nanos(u64::from(much) % 64)),
            15 => self.pass_deadline(),
            _ => {}
        }
        matches!(what, 10..=12)
    }

    /// Bytes come: what has no credit was never sent.
    fn data(&mut self, bytes: &Bytes, all_or_nothing: bool) {
        let credit = self.driven.credit();
        let fits = bytes.len() <= credit;
        let len = if fits || !all_or_nothing { bytes.len().min(credit) } else { 0 };
        let came = bytes.slice(..len);
        let rest = if all_or_nothing {
            self.driven.data_within_credit(self.now, bytes.clone()).err().unwrap_or_default()
        } else {
            self.driven.data(self.now, bytes.clone())
        };
        assert_eq!(rest, bytes[len..], "what has no credit is handed back");
        if !came.is_empty() {
            self.received += len as u64;
            self.latest = self.now;
            if !self.is_stopped {
                self.taken.extend_from_slice(&came);
            }
        }
    }

    /// The transport takes some of the bytes that are pending.
    fn write(&mut self, most: usize) {
        let pending = self.driven.pending();
        let wrote = most.min(pending.len());
        if wrote == 0 {
            // It is ignored.
            self.driven.wrote(self.now, 0);
            return;
        }
        if most == usize::MAX {
            let taken = self.driven.take(self.now, most);
            self.written.extend_from_slice(&taken);
        } else {
            self.written.extend_from_slice(&pending[..wrote]);
            self.driven.wrote(self.now, wrote);
        }
        (self.active, self.latest) = (self.now, self.now);
    }

    fn stop(&mut self) {
        self.driven.stop(self.now);
        self.is_stopped = true;
        self.latest = self.now;
    }

    fn pass_deadline(&mut self) {
        self.now = self.driven.deadline().map_or(self.now, |at| at.max(self.now));
    }

    /// Steps until it waits or is closed.
    fn settle(&mut self) {
        let mut steps = 0;
        while steps < MAX_STEPS {
            steps += 1;
            let credit = self.driven.credit();
            match self.driven.step_taking(self.now, self.setup.transport) {
                Ok(taken) => {
                    assert_eq!(self.half_closed, None, "I7: a write after the half-close");
                    self.written.extend_from_slice(&taken);
                    (self.active, self.latest) = (self.now, self.now);
                    // That was an input as well.
                    steps = 0;
                }
                Err(Step::Write) => assert_eq!(self.half_closed, None, "I7: a write after the half-close"),
                Err(Step::ShutdownWrite) => {
                    assert_eq!(self.half_closed.replace(self.now), None, "I7: a second half-close");
                }
                Err(Step::Event(event)) => {
                    assert_eq!(self.closed, None, "I3: an event after the close");
                    self.told.push(event);
                }
                Err(Step::Wait(wait)) => {
                    assert_eq!(self.closed, None, "I3: a wait after the close");
                    return self.assert_rest(wait, credit);
                }
                Err(Step::Close { how, outcome }) => {
                    assert_eq!(*self.closed.get_or_insert((how, outcome)), (how, outcome), "I3");
                    return;
                }
            }
        }
        panic!("I5: no rest after {MAX_STEPS} steps");
    }

    /// What holds while it waits.
    fn assert_rest(&self, wait: Wait, credit: usize) {
        let session = self.driven.machine();
        let (held, bound) = (session.held(), self.setup.bound());
        assert!(held <= bound, "I2: {held} bytes are held, and {bound} may be");
        assert!(wait.read >= credit, "I6: the credit fell from {credit} to {}", wait.read);
        assert!(wait.read <= self.setup.inbox(), "I2: {} bytes may be read", wait.read);
        // I5: a poll of a machine that waits changes nothing.
        let mut again = session.clone();
        assert_eq!(again.poll(self.now), Action::Wait(wait), "I5: a second poll");
        assert_eq!(again, *session, "I5: a second poll changed the session");
        // No later than the limits.
        let limit = match self.half_closed {
            Some(at) => Some(at.after(least(self.setup.linger))),
            None => self.quiet().map(|quiet| self.latest.after(quiet)),
        };
        if let Some(limit) = limit {
            assert!(wait.deadline.is_some_and(|at| at <= limit), "{wait:?} goes beyond {limit:?}");
        }
    }

    /// Longest time without a byte moved.
    fn quiet(&self) -> Option<Duration> {
        let linger = self.is_stopped.then_some(self.setup.linger);
        self.setup.idle.into_iter().chain(linger).min().map(least)
    }

    /// Stops it, and sees it end: all that is pending is read at once, or nothing is.
    fn end(mut self, reads: bool) {
        let was_closed = self.closed.is_some();
        if !was_closed {
            self.stop();
            self.settle();
        }
        for _ in 0..MAX_ROUNDS {
            if let Some((how, outcome)) = self.closed {
                assert!(was_closed || !reads || outcome.end != SessionEnd::Idle, "its peer read all of it");
                self.assert_end(how, &outcome);
                return self.assert_closed();
            }
            if reads && !self.driven.pending().is_empty() {
                self.write(usize::MAX);
            } else {
                self.pass_deadline();
            }
            self.settle();
        }
        panic!("it does not end, {:?} after it was stopped", self.now);
    }

    /// What is written, told and counted is what the bytes ask for.
    fn assert_end(&self, how: Teardown, outcome: &SessionOutcome) {
        let protocol = self.driven.machine().protocol();
        let reading = Reading::of(&self.taken, self.setup.inbox());
        let end = outcome.end;
        let is_flushed = matches!(end, SessionEnd::Clean | SessionEnd::Finished | SessionEnd::Stopped);
        assert_eq!(how == Teardown::Graceful, is_flushed, "{end:?}");
        let (received, sent) = (self.received, self.written.len() as u64);
        // What is moved once its end is decided, and before the driver hears of it, is not counted.
        assert!(outcome.received <= received && outcome.sent <= sent, "{outcome:?}: {received}, {sent}");
        if is_flushed {
            assert_eq!((outcome.received, outcome.sent), (received, sent), "{end:?}");
        }
        assert!(outcome.unread <= self.setup.inbox());
        if is_flushed {
            assert_eq!(outcome.unsent, 0, "{end:?}");
            assert!(self.half_closed.is_some(), "{end:?} without a half-close");
        }

        let of = |from: u8, to: u8| {
            let bytes = self.written.iter().copied();
            bytes.filter(|byte| (from..to).contains(byte)).collect::<Vec<_>>()
        };
        let answers = of(0, PUMPED);
        assert!(reading.answers.starts_with(&answers), "{answers:?} of {reading:?}");
        let pumped = of(PUMPED, COMMANDED);
        assert!(pumped.iter().zip((0..=MASK).cycle()).all(|(byte, n)| *byte == PUMPED | n), "{pumped:?}");
        let commanded = of(COMMANDED, TIMED_OUT);
        let commands: Vec<_> = self.commands.iter().map(|command| COMMANDED | (command & MASK)).collect();
        assert!(commands.starts_with(&commanded), "{commanded:?} of {commands:?}");
        assert!(protocol.commands <= commands.len() && commanded.len() <= protocol.commands);
        let greeting = self.written.iter().take_while(|byte| **byte == GREETING).count();
        assert_eq!(of(GREETING, TOO_LARGE).len(), greeting, "a greeting comes first");
        assert!(!is_flushed || greeting == if self.setup.opening == Opening::Silent { 0 } else { 3 });

        let (last, told) = self.told.split_last().expect("the end is told");
        assert_eq!(*last, Told::End(end));
        let expected: Vec<_> = reading.told.iter().map(|n| Told::Message(*n)).collect();
        assert!(expected.starts_with(told), "{told:?} of {expected:?}");

        let is_told_large = self.written.contains(&TOO_LARGE);
        assert!(!is_told_large || (end == SessionEnd::Finished || !is_flushed) && reading.is_too_large);
        // All that could be answered was, unless something else was faster.
        if is_flushed && !protocol.was_cut && protocol.state != State::Asking {
            assert_eq!((answers, told), (reading.answers, &*expected), "{end:?}");
            assert_eq!(commanded.len(), protocol.commands);
            let is_finished = end == SessionEnd::Finished;
            assert_eq!(is_told_large, is_finished && reading.is_too_large);
            assert_eq!(is_finished, reading.end.is_some() && (!reading.is_too_large || is_told_large));
        }
        match end {
            SessionEnd::Clean => {
                assert!(self.has_ended && !reading.is_broken_off && protocol.pump == 0);
                assert_eq!((outcome.unread, reading.end), (reading.left, None));
                assert!(pumped.len() >= reading.pumped);
            }
            SessionEnd::Finished => assert!(reading.end == Some(end) || protocol.was_cut),
            SessionEnd::Reset => {
                let is_broken_off = self.has_ended && reading.is_broken_off;
                assert!(reading.end == Some(end) || is_broken_off || protocol.was_cut);
            }
            SessionEnd::Idle => {
                let quiet = self.quiet().expect("there is a limit");
                assert!(self.now >= self.active.after(quiet), "idle at {:?}", self.now);
            }
            SessionEnd::Stopped => assert!(self.is_stopped),
            SessionEnd::Aborted | SessionEnd::Failed(_) => {}
        }
    }

    /// I3: whatever is still told, it stays closed.
    fn assert_closed(mut self) {
        self.driven.wrote(self.now, 1);
        self.driven.eof(self.now);
        assert_eq!(self.driven.command(self.now, 1), Err(1));
        assert_eq!(self.driven.data(self.now, Bytes::from_static(b"x")), "x");
        self.driven.stop(self.now);
        self.driven.failed(self.now, Failure::Io);
        self.settle();
    }
}

/// A limit of 0 is one of the least.
fn least(limit: Duration) -> Duration {
    limit.max(Duration::from_nanos(1))
}

/// What a corpus begins with.
#[cfg(feature = "seeds")]
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const ANSWER: u8 = 3;
    const BODY: u8 = 1 << 5 | 6;
    const WHOLE: u8 = 2 << 5 | 4;
    const LARGE: u8 = 2 << 5 | 31;
    const ASK: u8 = 3 << 5;
    const ASK_IN_TIME: u8 = 3 << 5 | 1;
    const TELL: u8 = 4 << 5 | 5;
    const DEADLINE: u8 = 5 << 5 | 4;
    const PUMP: u8 = 6 << 5 | 0x14;
    const FINISH: u8 = 7 << 5;
    const RESET: u8 = 7 << 5 | 1;
    let data = |bytes: &[u8]| [&[0, u8::try_from(bytes.len() - 1).unwrap_or(63)], bytes].concat();
    let (wrote, all, eof, command, stop) = (&[5, 2], &[7, 0], &[8, 0], &[9, 7], &[10, 0]);
    let (pause, deadline) = (&[13, 3], &[15, 0]);
    let streams: [&[u8]; 12] = [
        &[ANSWER, ANSWER, TELL, ANSWER],
        &[BODY, 1, 2, 3, 4, 5, 6, ANSWER, BODY, 1],
        &[WHOLE, 1, 2, 3, 4, ANSWER, WHOLE, 1, 2],
        &[LARGE, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        &[ASK, ANSWER, ASK_IN_TIME, ANSWER],
        &[DEADLINE, ANSWER, BODY, 1, 2],
        // Deadlines that finish, and that reset.
        &[DEADLINE | 2, ANSWER],
        &[DEADLINE | 3, ANSWER],
        &[PUMP, ANSWER, PUMP, TELL, PUMP, ANSWER],
        &[ANSWER, FINISH, ANSWER],
        &[ANSWER, RESET, ANSWER],
        &[7; 40],
    ];
    let setups: [[u8; 4]; 6] = [
        [39, 39, 0, 0],
        [4, 1, 0xf3, 1],
        [8, 2, 0x25, 4],
        [12, 5, 0x10, 8],
        [3, 30, 0x4f, 16],
        [0, 0, 0x01, 13],
    ];
    let mut histories: Vec<Vec<u8>> = Vec::new();
    for stream in streams {
        let (first, second) = stream.split_at(stream.len() / 2);
        let turns = [&wrote[..], command, all, pause].concat();
        let begun = [&data(first), &turns[..], &data(second), &turns].concat();
        histories.extend([
            [&data(stream), &eof[..], all, all, all].concat(),
            [&begun, &all[..], command, all, eof, all, all].concat(),
            [&begun, &deadline[..], all, deadline, all, deadline].concat(),
            [&data(first), &stop[..], &data(second), wrote, all, eof].concat(),
            [&begun[..], &[4, 9], stream, &[11, 255]].concat(),
            [&begun[..], &[9, 0xff, 9, 0x8f, 12, 200]].concat(),
        ]);
    }
    let scripts = setups
        .into_iter()
        .flat_map(|setup| histories.iter().map(move |history| [&[VERSION], &setup[..], history].concat()));
    // A greeting that is all; and answers to all that comes, of which the peer takes none.
    let greeting = vec![VERSION, 9, 9, 0, 3, 5, 2, 7, 0];
    let careless = [&[VERSION, 8, 2, 0, 4][..], &data(&[7; 8]).repeat(9)].concat();
    scripts.chain([greeting, careless]).collect()
}
