//! Where a server's connections are let in.

use std::fmt;
use std::io;

use roundtrip_core::admission::Accept;
use roundtrip_core::{Machine, Time};

use super::{Desks, Serving};
use crate::{Caller, Clock, Listener, Peer, Service, Stream};

/// Connections that are accepted one after the other before the sessions have their turn.
const ACCEPTS: usize = 32;

/// What the thread that accepts does besides driving connections: it obeys the policy, and gives each thread its share of
/// those who are let in.
pub struct Entrance<'a, S: Service, T> {
    server: &'a Serving<&'a S, &'a T>,
    listeners: Vec<Listener>,
    desks: Desks<Caller, <S::Machine as Machine>::Command>,
}

/// Nothing is to be done at the entrance for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Whether it ends when somebody waits at a listener.
    pub open: bool,
    /// When it ends at the latest.
    pub until: Option<Time>,
}

impl<'a, S: Service, T: Clock> Entrance<'a, S, T> {
    /// The way into `server` from these listeners, to the threads at these desks.
    pub const fn new(
        server: &'a Serving<&'a S, &'a T>,
        listeners: Vec<Listener>,
        desks: Desks<Caller, <S::Machine as Machine>::Command>,
    ) -> Self {
        Self { server, listeners, desks }
    }

    /// Lets in whom the policy lets in, until it waits or the sessions must have their turn. None once the server is
    /// drained. `close` is told of each listener that is about to be closed.
    pub fn obey(&mut self, mut close: impl FnMut(&Listener)) -> Option<Rest> {
        self.server.bell().hear();
        for _ in 0..ACCEPTS {
            let now = self.server.now();
            let (accept, until) = self.server.door().obey(now)?;
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
                Ok(None) if accept == Accept::Sweep => self.server.door().swept(now),
                Ok(None) => return Some(Rest { open: accept == Accept::Open, until }),
                Err(error) => self.server.accept_failed(now, &error),
            }
        }
        Some(Rest { open: false, until: Some(self.server.now()) })
    }

    /// Whether this rest is over by now.
    pub fn is_over(&self, rest: Rest) -> bool {
        rest.until.is_some_and(|at| at <= self.server.now())
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
        let desk = self.desks.next();
        let way_in = desk.way_in();
        let admitted = self.server.door().admit(now, peer, &way_in.control);
        match admitted {
            Some(caller) => desk.hand_over(caller, stream, way_in),
            None => self.server.refused(&peer),
        }
    }
}

impl<S: Service, T> fmt::Debug for Entrance<'_, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}
