//! What a client does for each of its connections, whichever driver runs it.

use roundtrip_core::{Machine, Time};

use crate::{Control, Ended};

/// A client's side of many connections: the machine for each, and who hears of it. They are numbered from 0, in the
/// order of their streams.
///
/// Called from many threads at once. A closure `|now, index: usize| machine` listens to nothing.
pub trait Clients: Sync {
    /// The protocol.
    type Machine: Machine<Command: Send>;

    /// A connection begins: the machine for it. `control` reaches that session while it lasts.
    fn open(
        &self,
        now: Time,
        index: usize,
        control: &Control<<Self::Machine as Machine>::Command>,
    ) -> Self::Machine;

    /// A session has something to tell.
    fn event(&self, index: usize, event: <Self::Machine as Machine>::Event) {
        let _ = (index, event);
    }

    /// A session ended and its connection is torn down.
    fn ended(&self, index: usize, ended: Ended<<Self::Machine as Machine>::Outcome>) {
        let _ = (index, ended);
    }
}

impl<F, M> Clients for F
where
    F: Fn(Time, usize) -> M + Sync,
    M: Machine<Command: Send>,
{
    type Machine = M;

    fn open(&self, now: Time, index: usize, _control: &Control<M::Command>) -> M {
        self(now, index)
    }
}
