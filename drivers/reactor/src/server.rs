//! The server: a thread that accepts and drives, and others that drive.
//!
//! The first thread alone obeys the core's admission policy, so what the policy says is done in order, and hands each
//! thread, itself too, its share of the connections. With a listener registered in every thread, the policy would have
//! to be asked under a lock by whoever wakes, and all wake; a handover costs a wake-up at the most, once in the life of
//! a connection. A session tells the door of its own end, and rings if the policy waits for that.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::thread;

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use roundtrip_core::admission::{Accept, Limits};
use roundtrip_core::hub::Hub;
use roundtrip_core::{Machine, Time};
use roundtrip_net::event_loop::{DOOR, Desk, Desks, Ring, Serving};
use roundtrip_net::{
    Caller, Clock, Listener, Peer, Served, ServerHandle, Service, SharedHub, Stream, SystemClock,
};

use crate::options::ReactorOptions;
use crate::poller::{Poller, mio};
use crate::thread::{Thread, Timing};

/// Connections that are accepted one after the other before the sessions have their turn.
const ACCEPTS: usize = 32;

/// Serves every connection of `listeners` that `limits` let in, on the calling thread, until the server is drained:
/// stopped by `handle`, or `limits.total` reached, and every session over.
///
/// A connection that fails, a machine that panics and a failed accept each end one connection at the most.
///
/// # Errors
///
/// If the listeners cannot be waited for.
pub fn serve<S: Service>(
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    service: &S,
) -> io::Result<Served> {
    serve_by(&SystemClock::new(), listeners, limits, handle, service)
}

/// Does what [`serve`] does, on this clock.
///
/// # Errors
///
/// If the listeners cannot be waited for.
pub fn serve_by<S: Service>(
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    service: &S,
) -> io::Result<Served> {
    serve_on(NonZeroUsize::MIN, clock, listeners, limits, handle, service)
}

/// Serves a hub: what its connections share is called by one of them at a time, and reaches the others by mail. Gives
/// the hub back once the server is drained.
///
/// # Errors
///
/// If the listeners cannot be waited for.
pub fn serve_hub<H>(
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    hub: H,
) -> io::Result<(Served, H)>
where
    H: Hub<Session: Machine<Command: Send>> + Send,
{
    let service = SharedHub::new(hub, clock);
    let served = serve_by(clock, listeners, limits, handle, &service)?;
    Ok((served, service.into_hub()))
}

/// Does what [`serve_by`] does, on so many threads, of which the calling one is the first. A session stays on the thread
/// that it began on; they are given to the threads in turn.
///
/// # Errors
///
/// If the listeners cannot be waited for, or a thread or its poller cannot be made.
pub fn serve_on<S: Service>(
    options: impl Into<ReactorOptions>,
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    service: &S,
) -> io::Result<Served> {
    let options = options.into();
    let poller = Poller::new()?;
    for listener in &listeners {
        let fd = listener.as_fd().as_raw_fd();
        poller.registry().register(&mut SourceFd(&fd), mio(DOOR), Interest::READABLE)?;
    }
    let ring = Arc::new(Ring::new(Arc::clone(poller.wake())));
    ring.belongs_to(DOOR);
    let server = Serving::new(service, clock, ring, limits, handle);
    thread::scope(|scope| {
        let mut desks = Desks::new();
        let own = Arc::new(Desk::new(Arc::clone(poller.wake())));
        desks.push(Arc::clone(&own));
        for _ in 1..options.threads.get() {
            desks.push(Thread::start(scope, &server, clock, options, Timing::Turn, Poller::new()?)?);
        }
        Entrance { server: &server, listeners, desks }.run(Thread::new(
            &server,
            clock,
            options,
            Timing::Turn,
            poller,
            own,
        ))
    })?;
    Ok(server.served())
}

/// What the first thread does besides driving connections.
struct Entrance<'a, S: Service, T> {
    server: &'a Serving<'a, S, T>,
    listeners: Vec<Listener>,
    desks: Desks<Caller, <S::Machine as Machine>::Command>,
}

impl<S: Service, T: Clock> Entrance<'_, S, T> {
    /// Obeys the policy until the server is drained.
    fn run<'t>(mut self, mut thread: Thread<'t, Serving<'t, S, T>, T>) -> io::Result<()> {
        let mut look = true;
        let mut again = None;
        loop {
            if look || again.is_some_and(|at| at <= self.server.now()) {
                let Some(deadline) = self.obey(thread.poller().registry()) else { return Ok(()) };
                again = deadline;
                // Its own share of those who were let in is served before it looks for more.
                if thread.attend() {
                    look = true;
                    continue;
                }
            }
            look = thread.turn(again)?;
        }
    }

    /// Lets in whom the policy lets in, until it waits or the sessions must have their turn: when to come back at the
    /// latest. None once the server is drained.
    #[expect(clippy::option_option, reason = "the outer one says whether there is a next time at all")]
    fn obey(&mut self, registry: &Registry) -> Option<Option<Time>> {
        self.server.hear();
        for _ in 0..ACCEPTS {
            let now = self.server.now();
            let (accept, deadline) = self.server.door().obey(now)?;
            let found = match accept {
                Accept::Open | Accept::Sweep => self.next(),
                Accept::Paused => Ok(None),
                Accept::Closed => {
                    self.close(registry);
                    Ok(None)
                }
            };
            match found {
                Ok(Some((stream, peer))) => self.decide(now, stream, peer),
                Ok(None) if accept == Accept::Sweep => self.server.door().swept(now),
                Ok(None) => return Some(deadline),
                Err(error) => self.server.accept_failed(now, &error),
            }
        }
        Some(Some(self.server.now()))
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
        if let Some(caller) = admitted {
            desk.hand_over(caller, stream, way_in);
        }
    }

    fn close(&mut self, registry: &Registry) {
        for listener in self.listeners.drain(..) {
            // Whoever passed it to us may hold it still, and the poller would go on telling of it.
            let _ = registry.deregister(&mut SourceFd(&listener.as_fd().as_raw_fd()));
        }
    }
}
