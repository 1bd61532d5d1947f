//! What the thread of a server that accepts does besides driving connections.

use std::fmt;
use std::io;

use roundtrip_core::Time;
use roundtrip_core::admission::Accept;

use super::{HandoffQueues, ServerApp};
use crate::{Accepted, Application, Clock, CommandOf, Listener, Peer, Stream};

/// Connections that are accepted one after the other before the sessions have their turn.
const ACCEPTS: usize = 32;

/// Accepts as the policy says, and gives each thread its share of the connections that are admitted.
pub struct Acceptor<'a, A: Application<Accepted>, T> {
    server: &'a ServerApp<&'a A, &'a T>,
    listeners: Vec<Listener>,
    queues: HandoffQueues<Accepted, CommandOf<A, Accepted>>,
}

/// What the acceptor waits for. Where only the sessions must have their turn, it is over at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptWait {
    /// Whether a connection in a backlog ends the wait.
    pub open: bool,
    /// When the wait ends at the latest.
    pub until: Option<Time>,
}

impl<'a, A: Application<Accepted>, T: Clock> Acceptor<'a, A, T> {
    /// From these listeners into `server`, to the threads of these queues.
    pub const fn new(
        server: &'a ServerApp<&'a A, &'a T>,
        listeners: Vec<Listener>,
        queues: HandoffQueues<Accepted, CommandOf<A, Accepted>>,
    ) -> Self {
        Self { server, listeners, queues }
    }

    /// The listeners that are open, for a poller that is told anew what to watch.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Accepts what the policy admits, until it waits or the sessions must have their turn. None once the server is
    /// drained. `close` is called with each listener before it is closed.
    ///
    /// Call it at first, and again when a listener is ready if the wait was open, when the server's bell was rung, which it hears
    /// itself, and when the wait [is over](Self::is_over). Once more does no harm.
    pub fn obey(&mut self, mut close: impl FnMut(&Listener)) -> Option<AcceptWait> {
        self.server.bell().hear();
        for _ in 0..ACCEPTS {
            let now = self.server.now();
            let (accept, until) = self.server.gate().obey(now)?;
            let found = match accept {
                Accept::Open | Accept::Sweep => self.next(),
                Accept::Paused => Ok(None),
                Accept::Closed => {
                    self.listeners.drain(..).for_each(|listener| close(&listener));
                    Ok(None)
                }
            };
            match found {
                Ok(Some((stream, peer))) => self.decide(now, stream, peer),
                Ok(None) if accept == Accept::Sweep => self.server.gate().swept(now),
                Ok(None) => return Some(AcceptWait { open: accept == Accept::Open, until }),
                Err(error) => self.server.accept_failed(now, &error),
            }
        }
        Some(AcceptWait { open: false, until: Some(self.server.now()) })
    }

    /// Whether this wait has timed out by now.
    pub fn is_over(&self, wait: AcceptWait) -> bool {
        wait.until.is_some_and(|at| at <= self.server.now())
    }

    /// Accepts a connection from the first backlog that is not empty. The next look begins behind it: a busy listener
    /// must not starve the others.
    fn next(&mut self) -> io::Result<Option<(Stream, Peer)>> {
        for looked in 0..self.listeners.len() {
            if let Some(found) = self.listeners[looked].accept_waiting()? {
                self.listeners.rotate_left(looked + 1);
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Asks the policy about a connection. If it is refused, it is closed.
    fn decide(&mut self, now: Time, stream: Stream, peer: Peer) {
        let handoff = self.queues.next();
        let channel = handoff.channel();
        let admitted = self.server.gate().admit(now, peer, &channel.control);
        match admitted {
            Some(accepted) => handoff.hand_over(accepted, stream, channel),
            None => self.server.refused(&peer),
        }
    }
}

impl<A: Application<Accepted>, T> fmt::Debug for Acceptor<'_, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}
