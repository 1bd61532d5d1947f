//! The server: one thread accepts, behind the core's admission policy, and each connection has a thread of its own.
//!
//! The thread for a connection is made before it is candidate: where none can be made, no client is let in that could not be
//! served.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use roundtrip_core::admission::{Accept, Limits};
use roundtrip_core::hub::Hub;
use roundtrip_core::{Machine, Time};
use roundtrip_net::event_loop::{ServerApp, finish};
use roundtrip_net::{
    Accepted, Application, Clock, CommandOf, Peer, ServerHandle, ServerStats, SharedHub, SystemClock, catch,
    until,
};

use crate::driver::Driver;
use crate::listener::Listener;
use crate::stream::Stream;
use crate::system::{self, Event, MOST, Operation};

/// A thread's stack, bytes. Read buffers are not on it.
pub(crate) const STACK: usize = 256 << 10;

/// Serves every connection of `listeners` that `limits` let in, each on a thread of its own, until the server
/// is drained: stopped by `handle`, or `limits.total` reached, and every session over.
///
/// A connection that fails, a machine that panics and a failed accept each end one connection at the most.
///
/// # Errors
///
/// If there are more listeners than one call can wait for, 63, or the system has no event left for the wake-up.
pub fn serve<A: Application<Accepted>>(
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    app: &A,
) -> io::Result<ServerStats> {
    serve_by(&SystemClock::new(), listeners, limits, handle, app)
}

/// Does what [`serve`] does, on this clock.
///
/// # Errors
///
/// As those of [`serve`].
pub fn serve_by<A: Application<Accepted>>(
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    app: &A,
) -> io::Result<ServerStats> {
    if listeners.len() >= MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more than 63 pipes cannot be waited for"));
    }
    let server = Server { app: ServerApp::new(app, clock, Arc::new(Event::new()?), limits, handle) };
    thread::scope(|scope| server.run(scope, listeners));
    Ok(server.app.stats())
}

/// Serves a hub: what its connections share is called by one of them at a time, and reaches the others by mail. Gives
/// the hub back once the server is drained.
///
/// # Errors
///
/// As those of [`serve`].
pub fn serve_hub<H>(
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    hub: H,
) -> io::Result<(ServerStats, H)>
where
    H: Hub<Session: Machine<Command: Send>> + Send,
{
    let hub = SharedHub::new(hub, clock);
    let stats = serve_by(clock, listeners, limits, handle, &hub)?;
    Ok((stats, hub.into_hub()))
}

struct Server<'a, A: Application<Accepted>, T> {
    /// Its bell wakes the thread that accepts.
    app: ServerApp<&'a A, &'a T, Event>,
}

/// A connection that was let in.
struct Admitted<C, T> {
    accepted: Accepted,
    stream: Stream,
    driver: Driver<C, T>,
}

/// A connection, and the thread that waits for it.
struct Candidate<C, T> {
    stream: Stream,
    driver: Driver<C, T>,
    thread: SyncSender<Admitted<C, T>>,
}

impl<'a, A: Application<Accepted>, T: Clock> Server<'a, A, T> {
    /// Obeys the policy until the server is drained.
    fn run<'scope>(&'scope self, scope: &'scope thread::Scope<'scope, '_>, mut listeners: Vec<Listener>) {
        let mut now = self.app.now();
        loop {
            self.app.bell().clear();
            let Some((accept, deadline)) = self.app.gate().obey(now) else { return };
            let candidate = match accept {
                Accept::Open | Accept::Sweep => {
                    let waits = (accept == Accept::Open).then_some((now, deadline));
                    self.accept(scope, &mut listeners, waits)
                }
                Accept::Paused => self.sleep(&[], now, deadline).map(|()| None),
                Accept::Closed => {
                    listeners.clear();
                    self.sleep(&[], now, deadline).map(|()| None)
                }
            };
            now = self.app.now();
            match candidate {
                Ok(Some(candidate)) => self.decide(now, candidate),
                Ok(None) if accept == Accept::Sweep => self.app.gate().swept(now),
                Ok(None) => {}
                Err(error) => self.app.accept_failed(now, &error),
            }
        }
    }

    /// The next client, if one has come; if none has and it may wait, it sleeps once.
    fn accept<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        listeners: &mut [Listener],
        waits: Option<(Time, Option<Time>)>,
    ) -> io::Result<Option<Candidate<CommandOf<A, Accepted>, &'a T>>> {
        let waiting = listeners.iter_mut().map(Listener::listen).collect::<io::Result<Vec<_>>>()?;
        if let Some((now, deadline)) = waits
            && !waiting.iter().any(|operation| operation.is_complete())
        {
            self.sleep(&waiting, now, deadline)?;
        }
        let Some(ready) = listeners.iter().position(Listener::has_client) else { return Ok(None) };
        let (thread, admitted) = sync_channel::<Admitted<CommandOf<A, Accepted>, &'a T>>(1);
        let builder = thread::Builder::new().name("roundtrip".into()).stack_size(STACK);
        builder.spawn_scoped(scope, move || {
            // None is sent if it was not let in.
            if let Ok(admitted) = admitted.recv() {
                self.serve_one(admitted);
            }
        })?;
        let driver = Driver::new(*self.app.clock())?;
        let stream = listeners[ready].accept()?;
        // The next look begins behind it: a busy listener must not starve the others.
        listeners.rotate_left(ready + 1);
        Ok(stream.map(|stream| Candidate { stream, driver, thread }))
    }

    fn sleep(&self, waiting: &[&Operation], now: Time, deadline: Option<Time>) -> io::Result<()> {
        system::wait(self.app.bell(), waiting, until(now, deadline)).map(drop)
    }

    /// Asks the policy about a connection; one that is refused is ended.
    fn decide(&self, now: Time, candidate: Candidate<CommandOf<A, Accepted>, &'a T>) {
        let Candidate { stream, driver, thread } = candidate;
        let accepted = self.app.gate().admit(now, Peer::local(), &driver.control());
        if let Some(accepted) = accepted {
            // The thread waits for nothing else.
            drop(thread.send(Admitted { accepted, stream, driver }));
        } else {
            stream.end();
            self.app.refused(&Peer::local());
        }
    }

    fn serve_one(&self, admitted: Admitted<CommandOf<A, Accepted>, &'a T>) {
        let Admitted { accepted, stream, driver } = admitted;
        let control = driver.control();
        let driven = catch(|| {
            driver.try_drive(
                stream,
                |now| self.app.open(now, &accepted, &control),
                |event| self.app.event(&accepted, &control, event),
            )
        });
        finish(&self.app, &accepted, (), driven.flatten());
    }
}
