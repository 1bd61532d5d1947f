//! The server: a thread that accepts and drives, and others that drive.
//!
//! The first thread alone obeys the core's admission policy, so what the policy says is done in order, and hands each
//! thread, itself too, its share of the connections. A session reports its own end to the gate, and wakes the
//! acceptor if the policy waits for that.
//!
//! The ring tells when somebody waits in a backlog; who that is, accept(2) is asked, for as long as the policy lets in.
//! So no connection is ever accepted that nobody asked for: a pause is a look that is put off, a sweep ends when the backlog
//! says that it is empty, and a listener that is closed has no accept in flight that might succeed all the same. With
//! accepts in the ring each of that would have to be undone, and nothing would be saved: the peer's address comes with
//! accept(2), and would take a call of its own with a multishot accept.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use roundtrip_core::admission::Limits;

use roundtrip_net::event_loop::{
    AcceptWait, Acceptor, HandoffQueue, HandoffQueues, LISTENER, Ring, ServerApp,
};
use roundtrip_net::{Accepted, Application, Clock, Listener, ServerHandle, ServerStats};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::options::Uring;
use crate::ring::{LineId, Prepared, ThreadRing, Watch};
use crate::session::packets;
use crate::thread::Thread;

/// Serves on the calling thread and `options.threads` - 1 others until the server is drained. A session stays on the thread that
/// it began on; they are given to the threads in turn.
pub(crate) fn serve<A: Application<Accepted>>(
    options: Uring,
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    app: &A,
) -> io::Result<ServerStats> {
    if listeners.iter().any(Listener::is_of_packets) {
        return Err(packets());
    }
    let prepared = Prepared::new(options)?;
    let ring = Arc::new(Ring::new(Arc::clone(prepared.wake())));
    // What was asked before is looked for when the acceptor begins.
    let _ = ring.belongs_to(LISTENER);
    let server = ServerApp::new(app, clock, ring, limits, handle);
    thread::scope(|scope| {
        let mut queues = HandoffQueues::new();
        let own = Arc::new(HandoffQueue::new(Arc::clone(prepared.wake())));
        queues.push(Arc::clone(&own));
        for _ in 1..options.threads.get() {
            queues.push(Thread::start(scope, &server, clock, Prepared::new(options)?)?);
        }
        let mut thread = Thread::new(&server, clock, prepared, own);
        let listening = Listening::new(thread.uring(), &listeners)?;
        run(Acceptor::new(&server, listeners, queues), &listening, thread)
    })?;
    Ok(server.stats())
}

/// The first thread: what it does besides driving connections, until the server is drained.
fn run<'t, A: Application<Accepted>, T: Clock>(
    mut acceptor: Acceptor<'_, A, T>,
    listening: &Listening,
    mut thread: Thread<'t, Accepted, ServerApp<&'t A, &'t T>, T>,
) -> io::Result<()> {
    let mut wait: Option<AcceptWait> = None;
    loop {
        if wait.is_none_or(|wait| acceptor.is_over(wait)) {
            let Some(begun) = acceptor.obey(|listener| listening.close(listener)) else { return Ok(()) };
            if begun.open {
                listening.watch(thread.uring());
            }
            wait = Some(begun);
        }
        if thread.turn(wait.and_then(|wait| wait.until))? {
            wait = None;
        }
    }
}

/// The line by which it is told that somebody waits at a listener.
///
/// The ring watches an epoll instance, which holds nothing open, and not the listeners: the kernel holds what a ring is
/// working on for some time after its process was killed, and the next server would find the address in use.
struct Listening {
    epoll: Rc<OwnedFd>,
    line: LineId,
}

impl Listening {
    fn new(uring: &mut ThreadRing, listeners: &[Listener]) -> io::Result<Self> {
        let epoll = Rc::new(epoll::create(CreateFlags::CLOEXEC)?);
        for listener in listeners {
            epoll::add(&epoll, listener, EventData::new_u64(0), EventFlags::IN)?;
        }
        Ok(Self { line: uring.attach(LISTENER, epoll.clone()), epoll })
    }

    /// Has it told, once, if that was not asked for before.
    fn watch(&self, uring: &mut ThreadRing) {
        if uring.is_idle(self.line) {
            uring.watch(self.line, Watch::Once);
        }
    }

    /// This listener is closed.
    fn close(&self, listener: &Listener) {
        // Whoever passed it to us may hold it still, and it would go on being told of.
        let _ = epoll::delete(&self.epoll, listener);
    }
}
