//! The server: threads that accept for themselves, behind the core's admission policy.
//!
//! One thread at a time leads: it obeys the policy, waits for a connection and accepts it. Before it serves
//! that connection itself, it hands the lead to a thread that is waiting for it; there always is one, for a
//! leader that has no follower makes one before it accepts. So a connection never changes threads, no two
//! threads wake for one connection, and where no thread can be made, nobody is accepted who could not be
//! served.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use roundtrip_core::Time;
use roundtrip_core::admission::{Accept, Limits};
use roundtrip_net::event_loop::{ServerApp, finish};
use roundtrip_net::{
    Accepted, Application, Block, Callback, Clock, CommandOf, Listener, Peer, ServerHandle, ServerStats,
    Stream, catch, until,
};

use crate::connection::Driver;
use crate::wake::{Wake, wait_any};

/// Threads that wait for the lead; more than these end when their connection does. Each keeps a descriptor.
const MAX_FOLLOWERS: usize = 16;
/// A thread's stack, bytes. Read buffers are not on it.
pub(crate) const STACK: usize = 256 << 10;

/// Serves until the server is drained.
pub(crate) fn serve<A: Application<Accepted>>(
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    app: &A,
) -> io::Result<ServerStats> {
    let server = Server {
        app: ServerApp::new(app, clock, Arc::new(Wake::new()?), limits, handle),
        listeners: Mutex::new(listeners),
        threads: Mutex::new(Threads { followers: 0, lead: Lead::Free }),
        lead_is_free: Condvar::new(),
    };
    thread::scope(|scope| server.spawn(scope))?;
    Ok(server.app.stats())
}

struct Server<'a, A: Application<Accepted>, T> {
    /// Its bell wakes the leader.
    app: ServerApp<&'a A, &'a T, Wake>,
    /// Held by the leader.
    listeners: Mutex<Vec<Listener>>,
    threads: Mutex<Threads>,
    lead_is_free: Condvar,
}

/// Who does what.
struct Threads {
    /// Threads that wait for the lead, or were made to.
    followers: usize,
    lead: Lead,
}

/// Who obeys the policy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// Nobody: the next follower.
    Free,
    /// A thread.
    Taken,
    /// Nobody any more: the server is drained.
    Over,
}

/// A connection that was let in.
struct Admitted<C, T> {
    accepted: Accepted,
    stream: Stream,
    driver: Driver<C, T>,
}

impl<'a, A: Application<Accepted>, T: Clock> Server<'a, A, T> {
    /// Makes a follower.
    fn spawn<'scope>(&'scope self, scope: &'scope thread::Scope<'scope, '_>) -> io::Result<()> {
        self.threads().followers += 1;
        let thread = thread::Builder::new().name("roundtrip".into()).stack_size(STACK);
        let made = thread.spawn_scoped(scope, || self.work(scope));
        if made.is_err() {
            self.threads().followers -= 1;
        }
        made.map(drop)
    }

    /// The life of a thread: follow, lead, serve, and again.
    fn work<'scope>(&'scope self, scope: &'scope thread::Scope<'scope, '_>) {
        let mut block = Block::default();
        let mut wake = None;
        while self.follow()
            && let Some(admitted) = self.lead(scope, &mut wake)
        {
            self.serve_one(&mut block, admitted);
            if !self.enlist() {
                break;
            }
        }
    }

    /// Waits for the lead; false once the server is drained.
    fn follow(&self) -> bool {
        let mut threads = self.threads();
        while threads.lead == Lead::Taken {
            threads = self.lead_is_free.wait(threads).unwrap_or_else(PoisonError::into_inner);
        }
        threads.followers -= 1;
        let needed = threads.lead == Lead::Free;
        if needed {
            threads.lead = Lead::Taken;
        }
        needed
    }

    /// Becomes a follower again; false if there are enough.
    fn enlist(&self) -> bool {
        let mut threads = self.threads();
        let needed = threads.followers < MAX_FOLLOWERS;
        threads.followers += usize::from(needed);
        needed
    }

    /// Obeys the policy until a connection is let in, and hands the lead on; none once the server is drained.
    fn lead<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        wake: &mut Option<Arc<Wake>>,
    ) -> Option<Admitted<CommandOf<A, Accepted>, &'a T>> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = self.app.now();
        let mut admitted = None;
        loop {
            let (accept, deadline) = self.obey(now)?;
            if accept == Accept::Closed {
                listeners.clear();
            }
            // Only now: after the last one that may come, the gate is closed before he is served.
            if admitted.is_some() {
                self.hand_on();
                return admitted;
            }
            let accepted = match accept {
                Accept::Open | Accept::Sweep => self.prepare(scope, wake).and_then(|wake| {
                    let found = if accept == Accept::Sweep {
                        accept_any(&listeners)?
                    } else {
                        self.accept_next(&mut listeners, now, deadline)?
                    };
                    Ok(found.map(|connection| (connection, wake)))
                }),
                Accept::Paused | Accept::Closed => self.sleep(&[], now, deadline).map(|_nobody| None),
            };
            now = self.app.now();
            match accepted {
                Ok(Some(((stream, peer), wake))) => admitted = self.decide(now, stream, peer, wake),
                Ok(None) if accept == Accept::Sweep => self.app.gate().swept(now),
                Ok(None) => {}
                Err(error) => self.app.accept_failed(now, &error),
            }
        }
    }

    /// Obeys the policy until it waits; none once the server is drained, and then nobody leads any more.
    fn obey(&self, now: Time) -> Option<(Accept, Option<Time>)> {
        self.app.bell().clear();
        let waits = self.app.gate().obey(now);
        if waits.is_none() {
            self.threads().lead = Lead::Over;
            self.lead_is_free.notify_all();
        }
        waits
    }

    /// Makes sure of all that serving a connection takes, before one is accepted: somebody to take the lead,
    /// and a descriptor to be woken by.
    fn prepare<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        wake: &mut Option<Arc<Wake>>,
    ) -> io::Result<Arc<Wake>> {
        if self.threads().followers == 0 {
            self.spawn(scope)?;
        }
        // Used by one connection after the other: a `Control` of an earlier one rings no bell any more.
        let wake = match wake {
            Some(wake) => wake,
            None => wake.insert(Arc::new(Wake::new()?)),
        };
        Ok(Arc::clone(wake))
    }

    /// Waits for a connection and accepts it; none if the wait ended otherwise.
    fn accept_next(
        &self,
        listeners: &mut [Listener],
        now: Time,
        deadline: Option<Time>,
    ) -> io::Result<Option<(Stream, Peer)>> {
        let Some(ready) = self.sleep(listeners, now, deadline)? else { return Ok(None) };
        // The next look begins behind it: a busy listener must not starve the others.
        listeners.rotate_left(ready + 1);
        listeners.last().map_or(Ok(None), Listener::accept_waiting)
    }

    fn sleep(&self, listeners: &[Listener], now: Time, deadline: Option<Time>) -> io::Result<Option<usize>> {
        wait_any(listeners, self.app.bell(), until(now, deadline))
    }

    /// Asks the policy about a connection; none if it is refused, and closed.
    fn decide(
        &self,
        now: Time,
        stream: Stream,
        peer: Peer,
        wake: Arc<Wake>,
    ) -> Option<Admitted<CommandOf<A, Accepted>, &'a T>> {
        let driver = Driver::with_wake(wake, *self.app.clock());
        let admitted = self.app.gate().admit(now, peer, &driver.control());
        if admitted.is_none() {
            self.app.refused(&peer);
        }
        admitted.map(|accepted| Admitted { accepted, stream, driver })
    }

    /// Gives the lead to whoever waits for it.
    fn hand_on(&self) {
        self.threads().lead = Lead::Free;
        self.lead_is_free.notify_one();
    }

    fn serve_one(&self, block: &mut Block, admitted: Admitted<CommandOf<A, Accepted>, &'a T>) {
        let Admitted { accepted, stream, driver } = admitted;
        let control = driver.control();
        let driven = catch(|| {
            driver.drive_with(
                block,
                stream,
                |now| self.app.open(now, &accepted, &control),
                Callback(|event| self.app.event(&accepted, &control, event)),
            )
        });
        finish(&self.app, &accepted, (), driven.flatten());
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        // No service and no machine runs under this lock, so all is whole even if a holder panicked.
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts the connection that waits first in the first backlog that is not empty.
fn accept_any(listeners: &[Listener]) -> io::Result<Option<(Stream, Peer)>> {
    listeners.iter().find_map(|listener| listener.accept_waiting().transpose()).transpose()
}
