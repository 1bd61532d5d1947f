//! The server: a thread that accepts and drives, and others that drive.
//!
//! The first thread alone obeys the core's admission policy, so what the policy says is done in order, and hands each
//! thread, itself too, its share of the connections. With a listener registered in every thread, the policy would have
//! to be asked under a lock by whoever wakes, and all wake; a handover costs a wake-up at the most, once in the life of
//! a connection. A session tells the door of its own end, and rings if the policy waits for that.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::thread;

use mio::Interest;
use mio::unix::SourceFd;
use roundtrip_core::admission::Limits;
use roundtrip_net::event_loop::{DOOR, Desk, Desks, Entrance, Rest, Ring, Serving};
use roundtrip_net::{Clock, Listener, Served, ServerHandle, Service};

use crate::options::Reactor;
use crate::poller::{Poller, mio};
use crate::thread::{Thread, Timing};

/// Serves on the calling thread and `options.threads` - 1 others until the server is drained. A session stays on the thread that
/// it began on; they are given to the threads in turn.
pub(crate) fn serve<S: Service>(
    options: Reactor,
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    service: &S,
) -> io::Result<Served> {
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
        let entrance = Entrance::new(&server, listeners, desks);
        run(entrance, Thread::new(&server, clock, options, Timing::Turn, poller, own))
    })?;
    Ok(server.served())
}

/// The first thread: what it does besides driving connections, until the server is drained.
fn run<'t, S: Service, T: Clock>(
    mut entrance: Entrance<'_, S, T>,
    mut thread: Thread<'t, Serving<&'t S, &'t T>, T>,
) -> io::Result<()> {
    let mut rest: Option<Rest> = None;
    loop {
        if rest.is_none_or(|rest| entrance.is_over(rest)) {
            let registry = thread.poller().registry();
            // Whoever passed it to us may hold it still, and the poller would go on telling of it.
            let close = |listener: &Listener| {
                let _ = registry.deregister(&mut SourceFd(&listener.as_fd().as_raw_fd()));
            };
            let Some(begun) = entrance.obey(close) else { return Ok(()) };
            // Its own share of those who were let in is served before it looks for more.
            if thread.attend() {
                continue;
            }
            rest = Some(begun);
        }
        if thread.turn(rest.and_then(|rest| rest.until))? {
            rest = None;
        }
    }
}
