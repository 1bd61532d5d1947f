//! The server: a thread that accepts and drives, and others that drive.
//!
//! The first thread alone obeys the core's admission policy, so what the policy says is done in order, and hands each
//! thread, itself too, its share of the connections. A session tells the door of its own end, and rings if the policy
//! waits for that.
//!
//! The ring tells when somebody waits in a backlog; who that is, accept(2) is asked, for as long as the policy lets in.
//! So no connection is ever accepted that nobody asked for: a pause is a look that is put off, a sweep ends when the backlog
//! says that it is empty, and a listener that is closed has no accept in flight that might succeed all the same. With
//! accepts in the ring each of that would have to be undone, and nothing would be saved: the peer's address comes with
//! accept(2), and would take a call of its own with a multishot accept.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use roundtrip_core::admission::{Accept, Limits};
use roundtrip_core::hub::Hub;
use roundtrip_core::{Machine, Time};

use roundtrip_net::event_loop::{DOOR, Desk, Desks, Ring, Serving};
use roundtrip_net::{
    Caller, Clock, Listener, Peer, Served, ServerHandle, Service, SharedHub, Stream, SystemClock,
};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::options::UringOptions;
use crate::ring::{LineId, Prepared, Uring, Watch};
use crate::thread::Thread;

/// Connections that are accepted one after the other before the sessions have their turn.
const ACCEPTS: usize = 32;

/// Serves every connection of `listeners` that `limits` let in, on the calling thread, until the server is drained:
/// stopped by `handle`, or `limits.total` reached, and every session over.
///
/// A connection that fails, a machine that panics and a failed accept each end one connection at the most.
///
/// # Errors
///
/// If a ring cannot be made: the kernel has none, or forbids it.
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
/// If a ring cannot be made: the kernel has none, or forbids it.
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
/// If a ring cannot be made: the kernel has none, or forbids it.
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
/// If a thread or its ring cannot be made: the kernel has none, or forbids it. If a ring is of no use any more.
pub fn serve_on<S: Service>(
    options: impl Into<UringOptions>,
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    service: &S,
) -> io::Result<Served> {
    let options = options.into();
    let prepared = Prepared::new(options)?;
    let ring = Arc::new(Ring::new(Arc::clone(prepared.wake())));
    ring.belongs_to(DOOR);
    let server = Serving::new(service, clock, ring, limits, handle);
    thread::scope(|scope| {
        let mut desks = Desks::new();
        let own = Arc::new(Desk::new(Arc::clone(prepared.wake())));
        desks.push(Arc::clone(&own));
        for _ in 1..options.threads.get() {
            desks.push(Thread::start(scope, &server, clock, Prepared::new(options)?)?);
        }
        let mut thread = Thread::new(&server, clock, prepared, own);
        let listening = Listening::new(thread.uring(), listeners)?;
        Entrance { server: &server, listening, desks }.run(thread)
    })?;
    Ok(server.served())
}

/// What the first thread does besides driving connections.
struct Entrance<'a, S: Service, T> {
    server: &'a Serving<'a, S, T>,
    listening: Listening,
    desks: Desks<Caller, <S::Machine as Machine>::Command>,
}

impl<S: Service, T: Clock> Entrance<'_, S, T> {
    /// Obeys the policy until the server is drained.
    fn run<'t>(mut self, mut thread: Thread<'t, Serving<'t, S, T>, T>) -> io::Result<()> {
        let mut look = true;
        let mut again = None;
        loop {
            if look || again.is_some_and(|at| at <= self.server.now()) {
                let Some(deadline) = self.obey(thread.uring()) else { return Ok(()) };
                again = deadline;
            }
            look = thread.turn(again)?;
        }
    }

    /// Lets in whom the policy lets in, until it waits or the sessions must have their turn: when to come back at the
    /// latest. None once the server is drained.
    #[expect(clippy::option_option, reason = "the outer one says whether there is a next time at all")]
    fn obey(&mut self, uring: &mut Uring) -> Option<Option<Time>> {
        self.server.hear();
        for _ in 0..ACCEPTS {
            let now = self.server.now();
            let (accept, deadline) = self.server.door().obey(now)?;
            let found = match accept {
                Accept::Open | Accept::Sweep => self.listening.next(),
                Accept::Paused => Ok(None),
                Accept::Closed => {
                    self.listening.close(uring);
                    Ok(None)
                }
            };
            match found {
                Ok(Some((stream, peer))) => self.decide(now, stream, peer),
                Ok(None) if accept == Accept::Sweep => self.server.door().swept(now),
                Ok(None) => {
                    if accept == Accept::Open {
                        self.listening.watch(uring);
                    }
                    return Some(deadline);
                }
                Err(error) => self.server.accept_failed(now, &error),
            }
        }
        Some(Some(self.server.now()))
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
}

/// The listeners, and the line by which it is told that somebody waits at one of them.
///
/// The ring watches an epoll instance, which holds nothing open, and not the listeners: the kernel holds what a ring is
/// working on for some time after its process was killed, and the next server would find the address in use.
struct Listening {
    listeners: Vec<Listener>,
    epoll: Rc<OwnedFd>,
    line: Option<LineId>,
}

impl Listening {
    fn new(uring: &mut Uring, listeners: Vec<Listener>) -> io::Result<Self> {
        let epoll = Rc::new(epoll::create(CreateFlags::CLOEXEC)?);
        for listener in &listeners {
            epoll::add(&epoll, listener, EventData::new_u64(0), EventFlags::IN)?;
        }
        Ok(Self { listeners, line: Some(uring.attach(DOOR, epoll.clone())), epoll })
    }

    /// Has it told, once, if that was not asked for before.
    fn watch(&self, uring: &mut Uring) {
        if let Some(line) = self.line.filter(|line| uring.is_idle(*line)) {
            uring.watch(line, Watch::Once);
        }
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

    fn close(&mut self, uring: &mut Uring) {
        for listener in self.listeners.drain(..) {
            // Whoever passed it to us may hold it still, and it would go on being told of.
            let _ = epoll::delete(&self.epoll, &listener);
        }
        if let Some(line) = self.line.take() {
            uring.detach(line);
        }
    }
}
