//! Protocols of whole messages: what to answer is the protocol's, how the bytes come and go is the [`Session`]'s.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::ledger::Ledger;
use crate::{Action, Failure, Input, Machine, Misuse, Teardown, Time};

/// A protocol that takes whole messages and queues replies.
///
/// It sees bytes, and neither credit, nor writes, nor ends: a [`Session`] makes a [`Machine`] of it. All it asks for
/// goes through [`Io`].
pub trait Protocol {
    /// What reaches in from outside; `Infallible` if nothing does.
    type Command;
    /// What leaves for the application; `Infallible` if nothing does.
    type Event;

    /// The session begins: a server that greets, or a client that asks, does so here.
    fn begin(&mut self, now: Time, io: &mut Io<'_, Self::Event>) {
        let _ = (now, io);
    }

    /// Bytes came, or the peer ended, or what this stopped for is over: take whole messages from the front of
    /// [`Io::inbox`], and leave what is not whole. Stop while [`Io::room`] is 0: it will be called again. A protocol whose
    /// answers come as commands can stop with [`Io::hold`], too.
    fn receive(&mut self, now: Time, io: &mut Io<'_, Self::Event>);

    /// How many commands are welcome, at the most; 0 leaves them where they are. Not asked while there is no room for
    /// replies.
    fn welcome(&self) -> usize {
        0
    }

    /// A command came.
    fn command(&mut self, now: Time, command: Self::Command, io: &mut Io<'_, Self::Event>) {
        let _ = (now, command, io);
    }

    /// The inbox is full, and [`receive`](Self::receive) took nothing from it: the message is larger than a session
    /// holds. The session is over after what is answered here.
    fn too_large(&mut self, now: Time, io: &mut Io<'_, Self::Event>) {
        let _ = (now, io);
    }

    /// The session is over: only events can leave.
    fn ended(&mut self, now: Time, end: SessionEnd, io: &mut Io<'_, Self::Event>) {
        let _ = (now, end, io);
    }
}

/// What a [`Protocol`] works with.
#[derive(Debug)]
pub struct Io<'a, E> {
    buffers: &'a mut Buffers<E>,
    limit: usize,
}

impl<E> Io<'_, E> {
    /// What came and was not taken yet: take from its front, and nothing else.
    pub const fn inbox(&mut self) -> &mut BytesMut {
        &mut self.buffers.inbox
    }

    /// Where replies go. One may exceed the [room](Self::room): what is bounded is that none is made when there is none.
    pub const fn outbox(&mut self) -> &mut BytesMut {
        &mut self.buffers.outbox
    }

    /// Bytes of replies that may still be queued.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.buffers.outbox.len())
    }

    /// Tells the application.
    pub fn event(&mut self, event: E) {
        self.buffers.events.push_back(event);
    }

    /// Whether the peer finished sending: what is in the inbox is all there will be. The session ends with the replies to
    /// it, unless [held](Self::hold).
    pub const fn peer_ended(&self) -> bool {
        self.buffers.peer_ended
    }

    /// Said in [`receive`](Protocol::receive): it can go on only after a command. Until then it is not called, no more is
    /// read than was allowed, what is in the inbox stays there, and the peer's end is not the session's.
    /// [`Protocol::welcome`] must not be 0 then.
    pub const fn hold(&mut self) {
        self.buffers.hold = true;
    }

    /// Ends the session when all replies are written. What else comes is not looked at.
    pub const fn finish(&mut self) {
        self.buffers.finish = true;
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Buffers<E> {
    inbox: BytesMut,
    outbox: BytesMut,
    events: VecDeque<E>,
    /// The peer's end was seen.
    peer_ended: bool,
    /// The protocol waits for a command.
    hold: bool,
    finish: bool,
}

/// How a [`Session`] bounds memory and time.
///
/// | field | default | meaning |
/// | --- | --- | --- |
/// | `inbox` | 64 KiB | the largest message, bytes: what is held of those that are not whole |
/// | `outbox` | 64 KiB | bytes of replies after which none is made until some are written |
/// | `idle` | none | longest time without a byte moved either way; after the session's own end, without one written |
/// | `linger` | 2 s | after the session's own end: longest wait for the peer's; once stopped, for it to take a byte as well |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionConfig {
    /// The largest message, at least 1 byte.
    pub inbox: usize,
    /// Bytes of replies after which none is made, at least 1.
    pub outbox: usize,
    /// Longest time without a byte moved either way, at least 1 ns; after the session's own end, without one written.
    pub idle: Option<Duration>,
    /// After the session's own end: longest wait for the peer's, at least 1 ns. Once stopped, longest time without a
    /// byte written as well.
    pub linger: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { inbox: 64 << 10, outbox: 64 << 10, idle: None, linger: Duration::from_secs(2) }
    }
}

/// How a session came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionEnd {
    /// The peer ended, and all replies were written.
    Clean,
    /// The protocol finished, or a message was too large, and all replies were written.
    Finished,
    /// It was stopped, and all replies were written.
    Stopped,
    /// No byte moved for the configured time.
    Idle,
    /// It was aborted.
    Aborted,
    /// The transport failed.
    Failed(Failure),
}

/// What came of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionOutcome {
    /// How it came to its end.
    pub end: SessionEnd,
    /// Bytes that came.
    pub received: u64,
    /// Bytes that the transport took.
    pub sent: u64,
    /// Of those that came, bytes that no message was made of.
    pub unread: usize,
    /// Bytes of replies that were not written.
    pub unsent: usize,
}

/// A [`Machine`] that speaks a [`Protocol`]: reading within bounds, writing, half-closing, lingering and time-outs, once
/// for all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session<P: Protocol> {
    protocol: P,
    config: Arc<SessionConfig>,
    buffers: Buffers<P::Event>,
    ledger: Ledger,
    /// The protocol left messages where they are for want of room.
    blocked: bool,
    /// Why no more messages are taken, once that is so.
    closing: Option<SessionEnd>,
    /// When we half-closed.
    shut: Option<Time>,
    moved: Time,
    end: Option<SessionEnd>,
    received: u64,
    sent: u64,
}

impl<P: Protocol> Session<P> {
    /// A session that begins at `now`. Bounds of 0 are taken as 1.
    pub fn new(mut protocol: P, config: Arc<SessionConfig>, now: Time) -> Self {
        let mut buffers = Buffers {
            inbox: BytesMut::new(),
            outbox: BytesMut::new(),
            events: VecDeque::new(),
            peer_ended: false,
            hold: false,
            finish: false,
        };
        protocol.begin(now, &mut Io { buffers: &mut buffers, limit: config.outbox.max(1) });
        let closing = buffers.finish.then_some(SessionEnd::Finished);
        Self {
            protocol,
            config,
            buffers,
            ledger: Ledger::default(),
            blocked: false,
            closing,
            shut: None,
            moved: now,
            end: None,
            received: 0,
            sent: 0,
        }
    }

    /// The protocol, to look at.
    pub const fn protocol(&self) -> &P {
        &self.protocol
    }

    /// Bytes held: of messages that are not whole, and of replies.
    pub fn held(&self) -> usize {
        self.buffers.inbox.len() + self.buffers.outbox.len() + self.ledger.outstanding()
    }

    fn room(&self) -> usize {
        self.config.outbox.max(1).saturating_sub(self.buffers.outbox.len() + self.ledger.outstanding())
    }

    /// Lets the protocol take what it can.
    fn receive(&mut self, now: Time) {
        if self.closing.is_some() || self.buffers.hold {
            return;
        }
        self.blocked = self.room() == 0;
        if !self.blocked {
            let limit = self.limit();
            let mut io = Io { buffers: &mut self.buffers, limit };
            self.protocol.receive(now, &mut io);
            self.blocked = self.room() == 0 && !self.buffers.inbox.is_empty();
        }
        let waits = self.blocked || self.buffers.hold;
        if self.buffers.finish {
            self.closing = Some(SessionEnd::Finished);
        } else if !waits && self.buffers.inbox.len() >= self.config.inbox.max(1) {
            let limit = self.limit();
            self.protocol.too_large(now, &mut Io { buffers: &mut self.buffers, limit });
            self.closing = Some(SessionEnd::Finished);
        } else if self.buffers.peer_ended && !waits {
            self.closing = Some(SessionEnd::Clean);
        }
    }

    /// What the outbox may hold: what is being written counts.
    fn limit(&self) -> usize {
        self.config.outbox.max(1).saturating_sub(self.ledger.outstanding())
    }

    fn close(&mut self, now: Time, end: SessionEnd) {
        if self.end.is_none() {
            self.end = Some(end);
            self.protocol.ended(now, end, &mut Io { buffers: &mut self.buffers, limit: 0 });
        }
    }

    fn deadline(&self) -> Option<Time> {
        // A limit of 0 would pass the moment it is set.
        let least = |limit: Duration| limit.max(Duration::from_nanos(1));
        if let Some(shut) = self.shut {
            return Some(shut.after(least(self.config.linger)));
        }
        // Once stopped it ends in bounded time, even if its peer takes nothing of what is left to be written.
        let flush = (self.closing == Some(SessionEnd::Stopped)).then_some(self.config.linger);
        let quiet = self.config.idle.into_iter().chain(flush).min();
        quiet.map(|quiet| self.moved.after(least(quiet)))
    }
}

impl<P: Protocol> Machine for Session<P> {
    type Command = P::Command;
    type Event = P::Event;
    type Outcome = SessionOutcome;

    fn handle(&mut self, now: Time, input: Input<P::Command>) -> Result<(), Misuse> {
        if self.end.is_some() {
            return Ok(());
        }
        self.ledger.enter(&input)?;
        match input {
            Input::Data(bytes) => {
                self.received += bytes.len() as u64;
                // After its own end nothing is looked at: it is read so that closing does not reset.
                if self.closing.is_none() {
                    self.moved = now;
                    self.buffers.inbox.extend_from_slice(&bytes);
                    self.receive(now);
                }
            }
            Input::Eof => {
                self.buffers.peer_ended = true;
                self.moved = now;
                self.receive(now);
            }
            Input::Wrote(wrote) => {
                self.sent += wrote as u64;
                self.moved = now;
                if self.blocked && self.room() > 0 {
                    self.receive(now);
                }
            }
            Input::Command(command) => {
                if self.closing.is_none() {
                    let limit = self.limit();
                    self.protocol.command(now, command, &mut Io { buffers: &mut self.buffers, limit });
                    if self.buffers.finish {
                        self.closing = Some(SessionEnd::Finished);
                    } else if core::mem::take(&mut self.buffers.hold) {
                        self.receive(now);
                    }
                }
            }
            Input::Stop => {
                if self.closing.is_none() {
                    self.closing = Some(SessionEnd::Stopped);
                    self.moved = now;
                }
            }
            Input::Abort => self.close(now, SessionEnd::Aborted),
            Input::Failed(failure) => self.close(now, SessionEnd::Failed(failure)),
        }
        Ok(())
    }

    fn poll(&mut self, now: Time) -> Action<P::Event, SessionOutcome> {
        if self.end.is_none() {
            let due = self.deadline().is_some_and(|at| at <= now);
            match (self.closing, self.shut) {
                (Some(closing), Some(_)) if self.buffers.peer_ended || due => self.close(now, closing),
                (_, None) if due => self.close(now, SessionEnd::Idle),
                _ => {}
            }
        }
        if let Some(event) = self.buffers.events.pop_front() {
            return Action::Event(event);
        }
        if let Some(end) = self.end {
            let how = match end {
                SessionEnd::Clean | SessionEnd::Finished | SessionEnd::Stopped => Teardown::Graceful,
                SessionEnd::Idle | SessionEnd::Aborted | SessionEnd::Failed(_) => Teardown::Reset,
            };
            let outcome = SessionOutcome {
                end,
                received: self.received,
                sent: self.sent,
                unread: self.buffers.inbox.len(),
                unsent: self.buffers.outbox.len() + self.ledger.outstanding(),
            };
            return Action::Close { how, outcome };
        }
        if self.ledger.outstanding() == 0 {
            if !self.buffers.outbox.is_empty() {
                let bytes: Bytes = self.buffers.outbox.split().freeze();
                self.ledger.write(bytes.len());
                return Action::Write(bytes);
            }
            if let (Some(closing), None) = (self.closing, self.shut) {
                self.shut = Some(now);
                if self.buffers.peer_ended {
                    self.close(now, closing);
                }
                return Action::ShutdownWrite;
            }
        }
        let read = match self.closing {
            // What comes is dropped.
            Some(_) => self.config.inbox.max(1),
            None if self.room() == 0 || self.blocked || self.buffers.hold => 0,
            None => self.config.inbox.max(1) - self.buffers.inbox.len(),
        };
        let commands = if self.closing.is_some() || self.room() == 0 { 0 } else { self.protocol.welcome() };
        Action::Wait(self.ledger.wait(read, commands, self.deadline()))
    }
}
