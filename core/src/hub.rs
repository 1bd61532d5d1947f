//! What the connections of one application share, as pure as the machines themselves.

use core::error::Error;
use core::fmt;

use crate::{Machine, Time};

/// Tells the connections of one hub apart while they last, and from those that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The name that a driver gives to a connection: never to two of them at once, and never again after.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The driver's number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// One side of an application: the machine for each of its connections, and what these share.
///
/// A hub is driven like a machine: calls come one after the other, none of them blocks, and it has neither a
/// clock nor a socket. What one connection has to say to another it posts as mail.
pub trait Hub {
    /// The protocol of each connection.
    type Session: Machine;

    /// There is a new connection: the machine for it.
    fn open(&mut self, now: Time, id: ConnectionId) -> Self::Session;

    /// A session has something to tell.
    fn event(
        &mut self,
        now: Time,
        from: ConnectionId,
        event: <Self::Session as Machine>::Event,
        mail: &mut dyn Mail<<Self::Session as Machine>::Command>,
    ) {
        let _ = (now, from, event, mail);
    }

    /// A session closed; no mail reaches it any more.
    fn closed(
        &mut self,
        now: Time,
        id: ConnectionId,
        outcome: <Self::Session as Machine>::Outcome,
        mail: &mut dyn Mail<<Self::Session as Machine>::Command>,
    ) {
        let _ = (now, id, outcome, mail);
    }
}

/// Commands that the mailbox of a session holds, with every driver.
pub const MAILBOX: usize = 64;

/// Reaches the sessions of a hub. Nothing here blocks: mailboxes are bounded, and a full one says so.
pub trait Mail<C> {
    /// Posts a command; it is delivered when the session gives credit for it.
    ///
    /// # Errors
    ///
    /// [`SendError`] hands the command back.
    fn send(&mut self, to: ConnectionId, command: C) -> Result<(), SendError<C>>;

    /// Asks a session to finish gracefully. Does nothing once it is gone.
    fn stop(&mut self, to: ConnectionId);

    /// Asks a session to end now. Does nothing once it is gone.
    fn abort(&mut self, to: ConnectionId);
}

/// A command was not posted. It hands the command back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError<C> {
    /// The mailbox is full; the session may take commands later.
    Full(C),
    /// The session is gone.
    Gone(C),
}

impl<C> SendError<C> {
    /// The command that was not posted.
    pub fn into_inner(self) -> C {
        match self {
            Self::Full(command) | Self::Gone(command) => command,
        }
    }
}

impl<C> fmt::Display for SendError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the session's mailbox is full",
            Self::Gone(_) => "the session is gone",
        })
    }
}

impl<C: fmt::Debug> Error for SendError<C> {}

/// The hub of connections that share nothing: a closure makes the machine for each.
#[derive(Clone, Debug)]
pub struct Each<F>(pub F);

impl<F, M> Hub for Each<F>
where
    F: FnMut(Time, ConnectionId) -> M,
    M: Machine,
{
    type Session = M;

    fn open(&mut self, now: Time, id: ConnectionId) -> M {
        (self.0)(now, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_send_error_says_why_and_hands_the_command_back() {
        let (full, gone) = (SendError::Full(1), SendError::Gone(2));
        assert_eq!(full.to_string(), "the session's mailbox is full");
        assert_eq!(gone.to_string(), "the session is gone");
        assert_eq!((full.into_inner(), gone.into_inner()), (1, 2));
    }
}
