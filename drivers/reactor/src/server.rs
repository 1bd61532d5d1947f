//! The server: a thread that accepts and drives, and others that drive.
//!
//! The first thread alone obeys the core's admission policy, so what the policy says is done in order, and hands each
//! thread, itself too, its share of the connections. With a listener registered in every thread, the policy would have
//! to be asked under a lock by each thread that wakes, and all wake; a handoff costs at most one wake-up in the life of a
//! connection. A session reports its own end to the gate, and wakes the acceptor if the policy waits for that.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::thread;

use mio::Interest;
use mio::unix::SourceFd;
use roundtrip_core::admission::Limits;
use roundtrip_net::event_loop::{
    AcceptWait, Acceptor, HandoffQueue, HandoffQueues, LISTENER, Ring, ServerApp,
};
use roundtrip_net::{Accepted, Application, Clock, Listener, ServerHandle, ServerStats};

use crate::options::Reactor;
use crate::poller::{Poller, mio};
use crate::thread::{Thread, Timing};

/// Serves on the calling thread and `options.threads` - 1 others until the server is drained. A session stays on the thread that
/// it began on; they are given to the threads in turn.
pub(crate) fn serve<A: Application<Accepted>>(
    options: Reactor,
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    app: &A,
) -> io::Result<ServerStats> {
    let poller = Poller::new()?;
    for listener in &listeners {
        let fd = listener.as_fd().as_raw_fd();
        poller.registry().register(&mut SourceFd(&fd), mio(LISTENER), Interest::READABLE)?;
    }
    let ring = Arc::new(Ring::new(Arc::clone(poller.wake())));
    // What was asked before is looked for when the acceptor begins.
    let _ = ring.belongs_to(LISTENER);
    let server = ServerApp::new(app, clock, ring, limits, handle);
    thread::scope(|scope| {
        let mut queues = HandoffQueues::new();
        let own = Arc::new(HandoffQueue::new(Arc::clone(poller.wake())));
        queues.push(Arc::clone(&own));
        for _ in 1..options.threads.get() {
            queues.push(Thread::start(scope, &server, clock, options, Timing::Turn, Poller::new()?)?);
        }
        let acceptor = Acceptor::new(&server, listeners, queues);
        run(acceptor, Thread::new(&server, clock, options, Timing::Turn, poller, own))
    })?;
    Ok(server.stats())
}

/// The first thread: what it does besides driving connections, until the server is drained.
fn run<'t, A: Application<Accepted>, T: Clock>(
    mut acceptor: Acceptor<'_, A, T>,
    mut thread: Thread<'t, Accepted, ServerApp<&'t A, &'t T>, T>,
) -> io::Result<()> {
    let mut wait: Option<AcceptWait> = None;
    loop {
        if wait.is_none_or(|wait| acceptor.is_over(wait)) {
            let registry = thread.poller().registry();
            // Whoever passed it to us may hold it still, and the poller would go on telling of it.
            let close = |listener: &Listener| {
                let _ = registry.deregister(&mut SourceFd(&listener.as_fd().as_raw_fd()));
            };
            let Some(begun) = acceptor.obey(close) else { return Ok(()) };
            // Its own share of those who were let in is served before it looks for more.
            if thread.attend() {
                continue;
            }
            wait = Some(begun);
        }
        if thread.turn(wait.and_then(|wait| wait.until))? {
            wait = None;
        }
    }
}
