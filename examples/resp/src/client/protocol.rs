//! The machine: calls go in, each comes out once, answered or lost.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use roundtrip_core::Time;
use roundtrip_core::protocol::{Io, Need, Protocol, SessionConfig, SessionEnd};

use super::reply::{BadReply, Reply, parse_reply};
use crate::parse::{array, bulk};
use crate::server::MAX_WORD;

/// Calls that are on their way at the most: asked, and not answered yet.
pub const IN_FLIGHT: usize = 128;

/// A command to a server, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<T> {
    /// The command's name, and its arguments.
    pub words: Vec<Bytes>,
    /// Comes back with the answer: a sender, a number, or nothing.
    pub token: T,
}

impl<T> Call<T> {
    /// A call of these words, which are copied.
    pub fn new<W: AsRef<[u8]>>(words: &[W], token: T) -> Self {
        Self { words: words.iter().map(|word| Bytes::copy_from_slice(word.as_ref())).collect(), token }
    }
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done<T> {
    /// As it was given.
    pub token: T,
    /// The answer.
    pub result: Result<Reply, Lost>,
}

/// Why a call has no answer. Unless nothing was sent, the server may have carried it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// As many calls wait as may: nothing was sent, and later there may be room.
    Busy,
    /// The call has no words: nothing was sent.
    Empty,
    /// The connection is gone: nothing was sent.
    Gone,
    /// The connection ended before the answer.
    Ended(SessionEnd),
    /// The server ended before the answer.
    Closed,
    /// The server answered what was no reply, to this call or one before it.
    Malformed(BadReply),
    /// A reply was larger than may be, to this call or one before it.
    TooLarge,
    /// The server answered what was not asked.
    Unasked,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("too many calls wait"),
            Self::Empty => f.write_str("a call without words"),
            Self::Gone => f.write_str("the connection is gone"),
            Self::Ended(end) => write!(f, "the connection ended: {end:?}"),
            Self::Closed => f.write_str("the server ended the connection"),
            Self::Malformed(bad) => write!(f, "no reply: {bad}"),
            Self::TooLarge => f.write_str("a reply is too large"),
            Self::Unasked => f.write_str("a reply to nothing that was asked"),
        }
    }
}

impl Error for Lost {}

/// Bounds that let the largest reply of this server in, and give up on one that is silent for 30 s. That ends a connection
/// that is not used for as long, too.
pub fn config() -> SessionConfig {
    let idle = Some(Duration::from_secs(30));
    crate::server::config().idle(idle)
}

/// One connection to a server that speaks RESP2, for commands that are answered once each: pipelines up to [`IN_FLIGHT`]
/// calls, and tells of each exactly once, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client<T> {
    in_flight: VecDeque<T>,
}

impl<T> Client<T> {
    /// A connection that was asked nothing yet.
    pub const fn new() -> Self {
        Self { in_flight: VecDeque::new() }
    }

    /// Calls that are on their way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Takes whole replies.
    fn take(&mut self, io: &mut Io<'_, Done<T>>) -> Result<(), Lost> {
        while let Some(reply) = parse_reply(io.inbox(), MAX_WORD).map_err(Lost::Malformed)? {
            let token = self.in_flight.pop_front().ok_or(Lost::Unasked)?;
            io.event(Done { token, result: Ok(reply) });
        }
        Ok(())
    }

    fn lose_all(&mut self, lost: Lost, io: &mut Io<'_, Done<T>>) {
        for token in self.in_flight.drain(..) {
            io.event(Done { token, result: Err(lost) });
        }
    }
}

impl<T> Default for Client<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Protocol for Client<T> {
    type Command = Call<T>;
    type Event = Done<T>;

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Done<T>>) -> Need {
        let taken = self.take(io);
        let ended = if io.peer_ended() { Err(Lost::Closed) } else { Ok(()) };
        if let Err(lost) = taken.and(ended) {
            self.lose_all(lost, io);
            io.finish();
        }
        Need::Bytes
    }

    fn command_capacity(&self) -> usize {
        IN_FLIGHT - self.in_flight.len()
    }

    fn command(&mut self, _now: Time, call: Call<T>, io: &mut Io<'_, Done<T>>) {
        let Call { words, token } = call;
        if words.is_empty() {
            // A server has no answer to that, and the next one would be taken for it.
            return io.event(Done { token, result: Err(Lost::Empty) });
        }
        ask(io.outbox(), &words);
        self.in_flight.push_back(token);
    }

    fn on_message_too_large(&mut self, _now: Time, io: &mut Io<'_, Done<T>>) {
        self.lose_all(Lost::TooLarge, io);
    }

    fn ended(&mut self, _now: Time, end: SessionEnd, io: &mut Io<'_, Done<T>>) {
        self.lose_all(Lost::Ended(end), io);
    }
}

fn ask(out: &mut BytesMut, words: &[Bytes]) {
    array(out, words.len());
    for word in words {
        bulk(out, Some(word));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use roundtrip_core::protocol::Session;
    use roundtrip_core::{Action, Input, Machine};
    use std::sync::Arc;

    /// What a session with a call on its way does when this comes.
    fn told(calls: u8, reply: &'static [u8]) -> Vec<(u8, Result<Reply, Lost>)> {
        let now = Time::ZERO;
        let config = config().inbox(20);
        let mut session = Session::new(Client::new(), Arc::new(config), now);
        assert!(matches!(session.poll(now), Action::Wait(wait) if wait.commands == IN_FLIGHT));
        for token in 0..calls {
            session.handle(now, Input::Command(Call::new(&["PING"], token)));
        }
        session.handle(now, Input::Data(Bytes::from_static(reply)));
        let mut told = Vec::new();
        loop {
            match session.poll(now) {
                Action::Event(Done { token, result }) => told.push((token, result)),
                Action::Write(bytes) => session.handle(now, Input::Wrote(bytes.len())),
                Action::ShutdownWrite => return told,
                Action::Wait(_) | Action::Close { .. } => panic!("it goes on: {told:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_answer_ends_it_and_each_call_is_told_why() {
        let one = || Ok(Reply::Integer(1));
        assert_eq!(told(0, b":1\r\n"), []);
        assert_eq!(told(1, b":1\r\n:2\r\n"), [(0, one())]);
        let bad = Err(Lost::Malformed(BadReply::Number));
        assert_eq!(told(3, b":1\r\n:x\r\n"), [(0, one()), (1, bad.clone()), (2, bad)]);
        let large = Err(Lost::TooLarge);
        assert_eq!(told(2, b"$50\r\nabcdefghijklmno"), [(0, large.clone()), (1, large)]);
    }
}
