//! What a server does for each connection, whichever driver runs it.

use std::error::Error;
use std::fmt;
use std::io;

use roundtrip_core::admission::Tally;
use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Machine, Time};

use crate::{Control, Peer};

/// A connection that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// Its name: no other connection of this server has it, then or later.
    pub id: ConnectionId,
    /// Who is at the other end.
    pub peer: Peer,
}

impl Caller {
    /// A connection with this name and this peer.
    pub const fn new(id: ConnectionId, peer: Peer) -> Self {
        Self { id, peer }
    }
}

/// A server's side of every connection: the machine, and who hears of it.
///
/// Called from many threads at once. A closure `|now, peer: &Peer| machine` is a service that listens to nothing;
/// its parameter needs the type, or the compiler takes it for one lifetime.
pub trait Service: Sync {
    /// The protocol.
    type Machine: Machine<Command: Send>;

    /// A connection was admitted: the machine for it. `control` reaches that session while it lasts.
    fn open(
        &self,
        now: Time,
        caller: &Caller,
        control: &Control<<Self::Machine as Machine>::Command>,
    ) -> Self::Machine;

    /// A session has something to tell.
    fn event(&self, caller: &Caller, event: <Self::Machine as Machine>::Event) {
        let _ = (caller, event);
    }

    /// A session ended and its connection is torn down.
    fn ended(&self, caller: &Caller, ended: Ended<<Self::Machine as Machine>::Outcome>) {
        let _ = (caller, ended);
    }

    /// A session panicked, or making it did, and its connection is reset: nothing else is told of it.
    fn panicked(&self, caller: &Caller) {
        let _ = caller;
    }

    /// Accepting failed; the server goes on.
    fn accept_failed(&self, error: &io::Error) {
        let _ = error;
    }

    /// The limits refused a connection of this peer, and it is closed.
    fn refused(&self, peer: &Peer) {
        let _ = peer;
    }
}

impl<F, M> Service for F
where
    F: Fn(Time, &Peer) -> M + Sync,
    M: Machine<Command: Send>,
{
    type Machine = M;

    fn open(&self, now: Time, caller: &Caller, _control: &Control<M::Command>) -> M {
        self(now, &caller.peer)
    }
}

/// What came of driving one connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended<O> {
    /// The machine's own outcome.
    pub outcome: O,
    /// Bytes that the transport took, what completed after the machine's end included.
    pub written: u64,
    /// Bytes that were still readable when the connection was torn down: the peer sent them, its TCP got them
    /// acknowledged, and nobody read them.
    pub unread: u64,
    /// Bytes that were readable when the machine [began to discard](Machine::discards_input) what it reads; none if it did not.
    pub unread_at_cut: Option<u64>,
    /// Bytes that were written and not acknowledged when the connection was reset: at the most so many of
    /// `written` never arrived. 0 after an orderly close, which delivers them.
    pub destroyed: u64,
    /// Events that were dropped after an abort, because their channel was full.
    pub undelivered: u64,
    /// What the operating system said, if the transport failed.
    pub failure: Option<CallFailed>,
}

impl<O> Ended<O> {
    /// An end with this outcome, of a connection that neither moved nor lost a byte.
    pub const fn new(outcome: O) -> Self {
        Self {
            outcome,
            written: 0,
            unread: 0,
            unread_at_cut: None,
            destroyed: 0,
            undelivered: 0,
            failure: None,
        }
    }

    /// The same end with another outcome.
    pub fn map<T>(self, map: impl FnOnce(O) -> T) -> Ended<T> {
        let Self { outcome, written, unread, unread_at_cut, destroyed, undelivered, failure } = self;
        Ended { outcome: map(outcome), written, unread, unread_at_cut, destroyed, undelivered, failure }
    }

    /// Bytes that the peer had sent and that the outcome does not account for, as lost and refused: those that it sent before
    /// the conversation was cut, and after that. The machine says how many it `discarded` after the cut; what it dropped before
    /// is not among them.
    pub fn unaccounted(&self, discarded: u64) -> (u64, u64) {
        let after = discarded + self.unread;
        match self.unread_at_cut {
            None => (after, 0),
            Some(at_cut) => (after.min(at_cut), after.saturating_sub(at_cut)),
        }
    }
}

/// A call to the operating system failed, and with it the transport.
#[derive(Debug)]
#[non_exhaustive]
pub struct CallFailed {
    /// The call.
    pub call: Call,
    /// What the system said.
    pub error: io::Error,
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = match self.call {
            Call::Read => "cannot read",
            Call::Write => "cannot write",
            Call::HalfClose => "cannot half-close",
            Call::Wait => "cannot wait",
        };
        write!(f, "{call}: {}", self.error)
    }
}

impl Error for CallFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// A call that a driver makes for a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// Reading: recv(2).
    Read,
    /// Writing: send(2).
    Write,
    /// Half-closing: shutdown(2).
    HalfClose,
    /// Waiting: poll(2).
    Wait,
}

/// What came of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// What happened at the door.
    pub tally: Tally,
    /// Panics of a machine or of the service: a connection whose machine panicked was reset, the others went on.
    pub panicked: u64,
}

impl Call {
    /// What to make of an error of this call.
    pub fn failed(self) -> impl FnOnce(io::Error) -> CallFailed {
        move |error| CallFailed { call: self, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_before_the_cut_is_lost_and_the_rest_refused() {
        let ended = |unread, unread_at_cut| Ended { unread, unread_at_cut, ..Ended::new(()) };
        assert_eq!(ended(5, None).unaccounted(0), (5, 0));
        assert_eq!(ended(5, Some(0)).unaccounted(7), (0, 12));
        assert_eq!(ended(5, Some(9)).unaccounted(7), (9, 3));
        // The peer reset what was there.
        assert_eq!(ended(0, Some(9)).unaccounted(7), (7, 0));
    }
}
