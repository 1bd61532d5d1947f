//! What runs on each connection of a server or a client, whichever driver it is.

use std::io;

use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Machine, Time};

use crate::{ConnectionReport, Control, Panic, Peer};

/// The commands of an application's machines.
pub type CommandOf<A, K> = <<A as Application<K>>::Machine as Machine>::Command;
/// The events of an application's machines.
pub type EventOf<A, K> = <<A as Application<K>>::Machine as Machine>::Event;
/// The outcomes of an application's machines.
pub type OutcomeOf<A, K> = <<A as Application<K>>::Machine as Machine>::Outcome;

/// What to run on many connections: the machine for each, and what is done with their events and reports.
///
/// A key `K` identifies a connection: for a server it is [`Accepted`], for a client the index of its stream, counted from 0.
///
/// Called from many threads at once. A closure that returns the machine is an application without events: `|now, accepted:
/// &Accepted| machine` for a server, `|now, index: &usize| machine` for a client. Its key needs the type, or the compiler
/// does not infer that it is called with any lifetime.
pub trait Application<K>: Sync {
    /// The protocol.
    type Machine: Machine<Command: Send>;

    /// Opens the session of a new connection. `control` reaches that session while it lasts.
    fn open(&self, now: Time, key: &K, control: &Control<CommandOf<Self, K>>) -> Self::Machine;

    /// Handles an event of a session, which `control` reaches.
    fn event(&self, key: &K, control: &Control<CommandOf<Self, K>>, event: EventOf<Self, K>) {
        let _ = (key, control, event);
    }

    /// Handles the end of a session, after its connection was torn down.
    fn ended(&self, key: &K, report: ConnectionReport<OutcomeOf<Self, K>>) {
        let _ = (key, report);
    }

    /// Handles the panic of a machine, or of `open` or `event`: the connection was reset, and `ended` is not called.
    ///
    /// Only a server calls it, and goes on. A client drives its other connections to their end, and panics then.
    fn panicked(&self, key: &K, panic: Panic) {
        let _ = (key, panic);
    }

    /// Handles a failure of accept(2); the server goes on.
    fn accept_failed(&self, error: &io::Error) {
        let _ = error;
    }

    /// Handles a connection that the limits refused; it is closed without a session.
    fn refused(&self, peer: &Peer) {
        let _ = peer;
    }
}

impl<F, K, M> Application<K> for F
where
    F: Fn(Time, &K) -> M + Sync,
    M: Machine<Command: Send>,
{
    type Machine = M;

    fn open(&self, now: Time, key: &K, _control: &Control<M::Command>) -> M {
        self(now, key)
    }
}

/// A connection that a server admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Unique among all connections of this server, past and future.
    pub id: ConnectionId,
    /// The other end.
    pub peer: Peer,
}

impl Accepted {
    /// A connection of this peer.
    pub const fn new(id: ConnectionId, peer: Peer) -> Self {
        Self { id, peer }
    }
}
