//! Protocols of messages: what to answer is the [`Protocol`]'s, how the bytes come and go is the [`Session`]'s.
//!
//! # Streaming
//!
//! A message need not be whole: [`Protocol::receive`] may take a part of one from the inbox, and queue a part of the
//! answer. So a body of any length passes through buffers of 64 KiB, and [`SessionConfig::inbox`] bounds what a protocol
//! needs at once, such as a header, instead of a message.
//!
//! A body breaks off when the peer ends in the middle of it: [`receive`](Protocol::receive) is called, and
//! [`Io::peer_ended`] is true. A session whose protocol returns [`Need::Bytes`] then ends as after a whole message
//! ([`SessionEnd::Clean`]). If half of an answer is on its way, end with [`Io::reset`] instead, so that the peer does not
//! take it for the whole.

mod session;

use alloc::collections::VecDeque;

use bytes::BytesMut;

use crate::Time;

pub use session::{Session, SessionConfig, SessionEnd, SessionOutcome};

/// A protocol that takes messages and queues replies.
///
/// It sees bytes, and neither credit, nor writes, nor ends: a [`Session`] makes a [`Machine`](crate::Machine) of it. All it
/// asks for goes through [`Io`]. Nor does it see a stop: the session finishes an answer that waits for room, and ends.
pub trait Protocol {
    /// What reaches in from outside; `Infallible` if nothing does.
    type Command;
    /// What leaves for the application; `Infallible` if nothing does.
    type Event;

    /// The session begins: a server that greets, or a client that asks, does so here. [`receive`](Self::receive) is called
    /// next.
    fn begin(&mut self, now: Time, io: &mut Io<'_, Self::Event>) {
        let _ = (now, io);
    }

    /// Takes messages, or parts of them, from the front of [`Io::inbox`], leaves what it cannot use yet, and says what it
    /// needs to go on. It is called again when there is that.
    ///
    /// Queue replies while there is [room](Io::room), and return [`Need::Room`] when there is none. A protocol that queues
    /// some without room is not called again before there is room.
    fn receive(&mut self, now: Time, io: &mut Io<'_, Self::Event>) -> Need;

    /// Commands that it can take now; with 0 they wait outside. Not asked while there is no room for replies.
    fn command_capacity(&self) -> usize {
        0
    }

    /// A command from the application.
    fn command(&mut self, now: Time, command: Self::Command, io: &mut Io<'_, Self::Event>) {
        let _ = (now, command, io);
    }

    /// When [`timeout`](Self::timeout) is to be called, such as the end of the time for a header. Asked whenever the session
    /// is polled, until it ends or takes no more messages.
    fn deadline(&self) -> Option<Time> {
        None
    }

    /// The [deadline](Self::deadline) has passed. The next one must lie after `now`.
    ///
    /// [`receive`](Self::receive) is called next if it needed [`Need::Command`] or [`Need::Any`], and not otherwise.
    fn timeout(&mut self, now: Time, io: &mut Io<'_, Self::Event>) {
        let _ = (now, io);
    }

    /// Whether a message is under way that a stopped session lets come to its end: it goes on reading until there is none,
    /// or nothing moves for [`SessionConfig::linger`]. Asked once it was stopped.
    ///
    /// If never, a stop ends a session that needs anything but room at once, with what is in its inbox.
    fn is_mid_message(&self) -> bool {
        false
    }

    /// The inbox is full, and [`receive`](Self::receive) needs more bytes: the message is larger than the session holds. The
    /// session ends after what is answered here.
    fn on_message_too_large(&mut self, now: Time, io: &mut Io<'_, Self::Event>) {
        let _ = (now, io);
    }

    /// The session has ended: only events can leave.
    fn ended(&mut self, now: Time, end: SessionEnd, io: &mut Io<'_, Self::Event>) {
        let _ = (now, end, io);
    }
}

/// What [`Protocol::receive`] needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// More bytes. Once the peer has ended there are none: the session ends when all replies are written.
    Bytes,
    /// More room in the outbox. Bytes that come meanwhile wait in the inbox; once that is full, nothing is read.
    ///
    /// While the outbox is empty there is all the room that there ever is, and needing more is a panic.
    Room,
    /// A command, or the passing of the [deadline](Protocol::deadline). Bytes that come meanwhile wait in the inbox, and the
    /// peer's end does not end the session. [`Protocol::command_capacity`] must not be 0 then.
    Command,
    /// Any of these, whichever comes first: for a protocol that sends of its own accord while it receives.
    Any,
}

/// What a [`Protocol`] works with.
#[derive(Debug)]
pub struct Io<'a, E> {
    buffers: &'a mut Buffers<E>,
    /// Bytes that the outbox may hold.
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

    /// Whether the peer finished sending: what is in the inbox is all there will be.
    pub const fn peer_ended(&self) -> bool {
        self.buffers.peer_ended
    }

    /// Whether the session was stopped: after the message that is [under way](Protocol::is_mid_message) there is no other.
    pub const fn is_stopped(&self) -> bool {
        self.buffers.stopped
    }

    /// Ends the session when all replies are written. What else comes is dropped, and what [`Protocol::receive`] returns
    /// means nothing any more.
    pub fn finish(&mut self) {
        self.buffers.finish.get_or_insert(Finish::Flush);
    }

    /// Ends the session now and resets the connection: what is queued and not written is dropped. For a message that breaks
    /// off, which an orderly end would make look whole (RFC 9112 section 8).
    pub const fn reset(&mut self) {
        self.buffers.finish = Some(Finish::Reset);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Buffers<E> {
    inbox: BytesMut,
    outbox: BytesMut,
    events: VecDeque<E>,
    peer_ended: bool,
    stopped: bool,
    finish: Option<Finish>,
}

impl<E> Buffers<E> {
    fn new() -> Self {
        Self {
            inbox: BytesMut::new(),
            outbox: BytesMut::new(),
            events: VecDeque::new(),
            peer_ended: false,
            stopped: false,
            finish: None,
        }
    }
}

/// How the protocol ended the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Finish {
    Flush,
    Reset,
}
