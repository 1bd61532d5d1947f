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

use mio::Interest;
use mio::unix::SourceFd;
use roundtrip_core::Machine;
use roundtrip_core::admission::Limits;
use roundtrip_core::hub::Hub;
use roundtrip_net::event_loop::{DOOR, Desk, Desks, Entrance, Rest, Ring, Serving};
use roundtrip_net::{Clock, Listener, Served, ServerHandle, Service, SharedHub, SystemClock};

use crate::options::ReactorOptions;
use crate::poller::{Poller, mio};
use crate::thread::{Thread, Timing};

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
        let entrance = Entrance::new(&server, listeners, desks);
        run(entrance, Thread::new(&server, clock, options, Timing::Turn, poller, own))
    })?;
    Ok(server.served())
}

/// The first thread: what it does besides driving connections, until the server is drained.
fn run<'t, S: Service, T: Clock>(
    mut entrance: Entrance<'_, S, T>,
    mut thread: Thread<'t, Serving<'t, S, T>, T>,
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
