//! The session of a protocol: reading within bounds, writing, half-closing, lingering and time limits, once for all.

use alloc::sync::Arc;
use core::time::Duration;

use super::{Buffers, Finish, Io, Need, Protocol};
use crate::{Action, Failure, Input, Machine, Teardown, Time, Wait};

/// How a [`Session`] bounds memory and time.
///
/// | field | default | meaning |
/// | --- | --- | --- |
/// | `inbox` | 64 KiB | bytes received and not taken by the protocol: what it needs at once must fit |
/// | `outbox` | 64 KiB | bytes of replies not written, from which on no reply is made |
/// | `idle` | none | longest time without a byte moved either way; after the session's own end, without one written; then a reset |
/// | `linger` | 2 s | after the session's own end: longest wait for the peer's; once stopped, also for it to take a byte |
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Bytes received and not taken, at least 1.
    pub inbox: usize,
    /// Bytes of replies from which on none is made, at least 1.
    pub outbox: usize,
    /// Longest time without a byte moved either way, at least 1 ns; after the session's own end, without one written.
    pub idle: Option<Duration>,
    /// After the session's own end: longest wait for the peer's, at least 1 ns. Once stopped, longest time without a
    /// byte written as well.
    pub linger: Duration,
}

impl SessionConfig {
    crate::setters! {
        inbox: usize,
        outbox: usize,
        idle: Option<Duration>,
        linger: Duration,
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { inbox: 64 << 10, outbox: 64 << 10, idle: None, linger: Duration::from_secs(2) }
    }
}

/// How a session came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionEnd {
    /// The peer ended, and all replies were written. It may have ended in the middle of a message:
    /// [`SessionOutcome::unread`], or what the protocol knows, tells.
    Clean,
    /// The protocol [finished](Io::finish), or a message was too large, and all replies were written.
    Finished,
    /// The protocol [reset](Io::reset) the connection.
    Reset,
    /// It was stopped, and all replies were written.
    Stopped,
    /// No byte moved for the configured time. The connection is reset, whatever the protocol was at: for a quiet end between
    /// two messages, use [`Protocol::deadline`] and [`Io::finish`].
    Idle,
    /// It was aborted.
    Aborted,
    /// The transport failed.
    Failed(Failure),
}

/// What came of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SessionOutcome {
    /// How it came to its end.
    pub end: SessionEnd,
    /// Bytes received.
    pub received: u64,
    /// Bytes that the transport took.
    pub sent: u64,
    /// Of those received, bytes that the protocol did not take.
    pub unread: usize,
    /// Bytes of replies that the transport did not confirm as taken. After an abort or a failure, it may have taken some.
    pub unsent: usize,
}

/// A [`Machine`] that speaks a [`Protocol`].
///
/// Both directions are independent: it reads while the inbox has room, whether or not its peer takes what it writes.
///
/// Once stopped it ends when neither a reply is under way ([`Need::Room`]) nor a message
/// ([`Protocol::is_mid_message`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session<P: Protocol> {
    protocol: P,
    config: Arc<SessionConfig>,
    buffers: Buffers<P::Event>,
    /// Bytes of the outstanding write that the transport has not taken.
    outstanding: usize,
    need: Need,
    /// Bytes were dropped after a stop: nothing that follows them can be taken.
    has_dropped: bool,
    /// Why no more messages are taken, once that is so.
    closing: Option<SessionEnd>,
    /// When we half-closed.
    shut: Option<Time>,
    last_activity: Time,
    end: Option<SessionEnd>,
    received: u64,
    sent: u64,
}

impl<P: Protocol> Session<P> {
    /// A session that begins at `now`. Bounds of 0 are taken as 1.
    pub fn new(protocol: P, config: Arc<SessionConfig>, now: Time) -> Self {
        let mut session = Self {
            protocol,
            config,
            buffers: Buffers::new(),
            outstanding: 0,
            need: Need::Any,
            has_dropped: false,
            closing: None,
            shut: None,
            last_activity: now,
            end: None,
            received: 0,
            sent: 0,
        };
        session.call(now, P::begin);
        session.resume(now);
        session
    }

    /// The protocol, to look at.
    pub const fn protocol(&self) -> &P {
        &self.protocol
    }

    /// Bytes held: received and not taken, and of replies that are not written.
    pub fn held(&self) -> usize {
        self.buffers.inbox.len() + self.unsent()
    }

    fn unsent(&self) -> usize {
        self.buffers.outbox.len() + self.outstanding
    }

    fn inbox_limit(&self) -> usize {
        self.config.inbox.max(1)
    }

    fn room(&self) -> usize {
        self.config.outbox.max(1).saturating_sub(self.unsent())
    }

    fn call<R>(&mut self, now: Time, call: impl FnOnce(&mut P, Time, &mut Io<'_, P::Event>) -> R) -> R {
        // What is being written counts as queued.
        let limit = self.config.outbox.max(1).saturating_sub(self.outstanding);
        let result = call(&mut self.protocol, now, &mut Io { buffers: &mut self.buffers, limit });
        match self.buffers.finish {
            Some(Finish::Reset) => self.close(now, SessionEnd::Reset),
            Some(Finish::Flush) => _ = self.closing.get_or_insert(SessionEnd::Finished),
            None => {}
        }
        result
    }

    const fn takes_messages(&self) -> bool {
        self.closing.is_none() && self.end.is_none()
    }

    /// Lets the protocol go on with what there is.
    fn resume(&mut self, now: Time) {
        if !self.takes_messages() {
            return;
        }
        let (had_room, queued) = (self.room() > 0, self.buffers.outbox.len());
        self.need = self.call(now, P::receive);
        if !self.takes_messages() {
            return;
        }
        if !had_room && self.buffers.outbox.len() > queued {
            // Memory stays bounded, whatever the protocol makes of the rule.
            self.need = Need::Room;
        }
        let is_writing = self.unsent() > 0;
        assert!(
            self.need != Need::Room || is_writing,
            "I4: {} needs room, and its outbox is empty",
            core::any::type_name::<P>()
        );
        let wants_bytes = self.need == Need::Bytes || (self.need == Need::Any && !is_writing);
        if self.must_stop() {
            self.closing = Some(SessionEnd::Stopped);
        } else if wants_bytes && self.buffers.inbox.len() >= self.inbox_limit() {
            self.closing = Some(SessionEnd::Finished);
            self.call(now, P::on_message_too_large);
        } else if wants_bytes && self.buffers.peer_ended {
            self.closing = Some(SessionEnd::Clean);
        }
    }

    /// Whether it was stopped, and no message is under way that can come to its end.
    fn takes_no_more(&self) -> bool {
        self.buffers.stopped && (self.has_dropped || !self.protocol.is_mid_message())
    }

    /// Whether it was stopped, and neither a message nor an answer is under way.
    fn must_stop(&self) -> bool {
        self.takes_no_more() && self.need != Need::Room
    }

    /// Whether what comes is dropped: it is read so that closing does not reset.
    fn drops_input(&self) -> bool {
        self.closing.is_some() || self.takes_no_more()
    }

    fn close(&mut self, now: Time, end: SessionEnd) {
        if self.end.is_none() {
            self.end = Some(end);
            self.protocol.ended(now, end, &mut Io { buffers: &mut self.buffers, limit: 0 });
        }
    }

    /// When the session's own limits pass.
    fn limit(&self) -> Option<Time> {
        // A limit of 0 would pass the moment it is set.
        let least = |limit: Duration| limit.max(Duration::from_nanos(1));
        if let Some(shut) = self.shut {
            return Some(shut.after(least(self.config.linger)));
        }
        // Once stopped it ends in bounded time, even if its peer takes nothing of what is left to be written.
        let flush = self.buffers.stopped.then_some(self.config.linger);
        let quiet = self.config.idle.into_iter().chain(flush).min();
        quiet.map(|quiet| self.last_activity.after(least(quiet)))
    }

    fn pass_limits(&mut self, now: Time) {
        if self.takes_messages() && self.protocol.deadline().is_some_and(|at| at <= now) {
            self.call(now, P::timeout);
            if matches!(self.need, Need::Command | Need::Any) {
                self.resume(now);
            }
        }
        let is_due = self.limit().is_some_and(|at| at <= now);
        match (self.closing, self.shut) {
            (Some(closing), Some(_)) if self.buffers.peer_ended || is_due => self.close(now, closing),
            (_, None) if is_due => self.close(now, SessionEnd::Idle),
            _ => {}
        }
    }
}

impl<P: Protocol> Machine for Session<P> {
    type Command = P::Command;
    type Event = P::Event;
    type Outcome = SessionOutcome;

    fn handle(&mut self, now: Time, input: Input<P::Command>) {
        if self.end.is_some() {
            return;
        }
        match input {
            Input::Data(bytes) => {
                self.received += bytes.len() as u64;
                if self.drops_input() {
                    self.has_dropped = true;
                } else {
                    self.last_activity = now;
                    self.buffers.inbox.extend_from_slice(&bytes);
                    if matches!(self.need, Need::Bytes | Need::Any) {
                        self.resume(now);
                    }
                }
            }
            Input::Eof => {
                self.buffers.peer_ended = true;
                self.last_activity = now;
                if matches!(self.need, Need::Bytes | Need::Any) {
                    self.resume(now);
                }
            }
            Input::Wrote(wrote) => {
                self.outstanding -= wrote;
                self.sent += wrote as u64;
                self.last_activity = now;
                if matches!(self.need, Need::Room | Need::Any) && self.room() > 0 {
                    self.resume(now);
                }
            }
            Input::Command(command) => {
                if self.takes_messages() {
                    self.call(now, |protocol, now, io| protocol.command(now, command, io));
                    if matches!(self.need, Need::Command | Need::Any) {
                        self.resume(now);
                    }
                }
            }
            Input::Stop => {
                // Also after its own end: what is left to be written is bounded in time from here on.
                if !self.buffers.stopped {
                    self.buffers.stopped = true;
                    self.last_activity = now;
                    if self.must_stop() {
                        self.closing.get_or_insert(SessionEnd::Stopped);
                    }
                }
            }
            Input::Abort => self.close(now, SessionEnd::Aborted),
            Input::Failed(failure) => self.close(now, SessionEnd::Failed(failure)),
        }
    }

    fn poll(&mut self, now: Time) -> Action<P::Event, SessionOutcome> {
        if self.end.is_none() {
            self.pass_limits(now);
        }
        if let Some(event) = self.buffers.events.pop_front() {
            return Action::Event(event);
        }
        if let Some(end) = self.end {
            let how = match end {
                SessionEnd::Clean | SessionEnd::Finished | SessionEnd::Stopped => Teardown::Graceful,
                SessionEnd::Reset | SessionEnd::Idle | SessionEnd::Aborted | SessionEnd::Failed(_) => {
                    Teardown::Reset
                }
            };
            let (received, sent) = (self.received, self.sent);
            let (unread, unsent) = (self.buffers.inbox.len(), self.unsent());
            return Action::Close { how, outcome: SessionOutcome { end, received, sent, unread, unsent } };
        }
        if self.outstanding == 0 {
            if !self.buffers.outbox.is_empty() {
                let bytes = self.buffers.outbox.split().freeze();
                self.outstanding = bytes.len();
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
        let drops_input = self.drops_input();
        let held = if drops_input { 0 } else { self.buffers.inbox.len() };
        let read = if self.buffers.peer_ended { 0 } else { self.inbox_limit().saturating_sub(held) };
        let takes_commands = !drops_input && !self.buffers.stopped && self.room() > 0;
        let commands = if takes_commands { self.protocol.command_capacity() } else { 0 };
        let deadline = self.closing.is_none().then(|| self.protocol.deadline()).flatten();
        Action::Wait(Wait { read, commands, deadline: self.limit().into_iter().chain(deadline).min() })
    }
}
