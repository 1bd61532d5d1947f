//! The server: threads that accept for themselves, behind the core's admission policy.
//!
//! One thread at a time leads: it obeys the policy, waits for a connection and accepts it. Before it serves
//! that connection itself, it hands the lead to a thread that is waiting for it; there always is one, for a
//! leader that has no follower makes one before it accepts. So a connection never changes threads, no two
//! threads wake for one connection, and where no thread can be made, nobody is accepted who could not be
//! served.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use roundtrip_core::admission::{Accept, AcceptError, Admission, AdmissionAction, AdmissionInput, Limits};
use roundtrip_core::{Machine, Time};
use roundtrip_net::{
    Bell, Block, Clock, Control, Listener, Peer, Served, Service, Source, Stream, SystemClock, classify,
    until,
};

use crate::connection::Driver;
use crate::wake::{Wake, wait_any};

/// Threads that wait for the lead; more than these end when their connection does. Each keeps a descriptor.
const MAX_FOLLOWERS: usize = 16;
/// A thread's stack, bytes. Read buffers are not on it.
const STACK: usize = 256 << 10;

/// Stops a server from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerHandle(Arc<Requests>);

#[derive(Debug)]
struct Requests {
    wake: Wake,
    stop: AtomicBool,
    force: AtomicBool,
}

impl ServerHandle {
    /// A handle for one server.
    ///
    /// # Errors
    ///
    /// If the system has no descriptor left for the wake-up.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Requests {
            wake: Wake::new()?,
            stop: AtomicBool::new(false),
            force: AtomicBool::new(false),
        })))
    }

    /// Drains: closes the listeners once their backlogs are empty, and stops every session.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
        self.0.wake.ring();
    }

    /// Ends the drain now: aborts every session that is left.
    pub fn force(&self) {
        self.0.force.store(true, Ordering::Release);
        self.0.wake.ring();
    }
}

/// Serves every connection of `listeners` that `limits` let in, each on a thread of its own, until the server
/// is drained: stopped by `handle`, or `limits.total` reached, and every session over.
///
/// A connection that fails, a machine that panics and a failed accept each end one connection at the most.
///
/// # Errors
///
/// If not even the first thread can be made.
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
/// If not even the first thread can be made.
pub fn serve_by<S: Service>(
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    service: &S,
) -> io::Result<Served> {
    let server = Server {
        service,
        requests: &handle.0,
        clock,
        listeners: Mutex::new(listeners),
        door: Mutex::new(Door {
            admission: Admission::new(limits),
            sessions: BTreeMap::new(),
            next: 0,
            followers: 0,
            lead: Lead::Free,
            stopping: false,
            needs_word: false,
            panicked: 0,
        }),
        lead_is_free: Condvar::new(),
    };
    thread::scope(|scope| server.spawn(scope))?;
    let door = server.door();
    Ok(Served { tally: door.admission.tally(), panicked: door.panicked })
}

type Command<S> = <<S as Service>::Machine as Machine>::Command;

struct Server<'a, S: Service, T> {
    service: &'a S,
    requests: &'a Requests,
    clock: &'a T,
    /// Held by the leader.
    listeners: Mutex<Vec<Listener>>,
    door: Mutex<Door<Command<S>>>,
    lead_is_free: Condvar,
}

/// What the threads share.
struct Door<C> {
    admission: Admission<Source>,
    /// The way into every session that is open.
    sessions: BTreeMap<u64, Control<C>>,
    next: u64,
    /// Threads that wait for the lead, or were made to.
    followers: usize,
    lead: Lead,
    /// `StopAll` was said: it holds for sessions to come as well.
    stopping: bool,
    /// The leader sleeps on something that the end of a session may change.
    needs_word: bool,
    panicked: u64,
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
    number: u64,
    stream: Stream,
    peer: Peer,
    driver: Driver<C, T>,
}

impl<'a, S: Service, T: Clock> Server<'a, S, T> {
    /// Makes a follower.
    fn spawn<'scope>(&'scope self, scope: &'scope thread::Scope<'scope, '_>) -> io::Result<()> {
        self.door().followers += 1;
        let thread = thread::Builder::new().name("roundtrip".into()).stack_size(STACK);
        let made = thread.spawn_scoped(scope, || self.work(scope));
        if made.is_err() {
            self.door().followers -= 1;
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
        let mut door = self.door();
        while door.lead == Lead::Taken {
            door = self.lead_is_free.wait(door).unwrap_or_else(PoisonError::into_inner);
        }
        door.followers -= 1;
        let needed = door.lead == Lead::Free;
        if needed {
            door.lead = Lead::Taken;
        }
        needed
    }

    /// Becomes a follower again; false if there are enough.
    fn enlist(&self) -> bool {
        let mut door = self.door();
        let needed = door.followers < MAX_FOLLOWERS;
        door.followers += usize::from(needed);
        needed
    }

    /// Obeys the policy until a connection is let in, and hands the lead on; none once the server is drained.
    fn lead<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        wake: &mut Option<Arc<Wake>>,
    ) -> Option<Admitted<Command<S>, &'a T>> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = self.clock.now();
        let mut admitted = None;
        loop {
            let (door, deadline) = self.obey(now)?;
            if door == Accept::Closed {
                listeners.clear();
            }
            // Only now: after the last one that may come, the door is closed before he is served.
            if admitted.is_some() {
                self.hand_on();
                return admitted;
            }
            let accepted = match door {
                Accept::Open | Accept::Sweep => self.prepare(scope, wake).and_then(|wake| {
                    let found = if door == Accept::Sweep {
                        accept_any(&listeners)?
                    } else {
                        self.accept_next(&mut listeners, now, deadline)?
                    };
                    Ok(found.map(|connection| (connection, wake)))
                }),
                Accept::Paused | Accept::Closed => self.sleep(&[], now, deadline).map(|_nobody| None),
            };
            now = self.clock.now();
            match accepted {
                Ok(Some(((stream, peer), wake))) => admitted = self.decide(now, stream, peer, wake),
                Ok(None) if door == Accept::Sweep => self.tell(now, AdmissionInput::Swept),
                Ok(None) => {}
                Err(error) => {
                    // A panic here must not take the lead with it.
                    let told = catch_unwind(AssertUnwindSafe(|| self.service.accept_failed(&error)));
                    self.door().panicked += u64::from(told.is_err());
                    let class = classify::accept(&error).unwrap_or(AcceptError::Exhausted);
                    self.tell(now, AdmissionInput::AcceptFailed(class));
                }
            }
        }
    }

    /// Carries out what the policy wants until it waits; none once the server is drained.
    fn obey(&self, now: Time) -> Option<(Accept, Option<Time>)> {
        self.requests.wake.clear();
        if self.requests.stop.swap(false, Ordering::Acquire) {
            self.tell(now, AdmissionInput::Stop);
        }
        if self.requests.force.swap(false, Ordering::Acquire) {
            self.tell(now, AdmissionInput::Force);
        }
        let mut door = self.door();
        loop {
            match door.admission.poll(now) {
                // Connections are decided where they are accepted.
                AdmissionAction::Admit(_) | AdmissionAction::Refuse(_) => {}
                AdmissionAction::StopAll => {
                    door.stopping = true;
                    door.sessions.values().for_each(Control::stop);
                }
                AdmissionAction::AbortAll => door.sessions.values().for_each(Control::abort),
                AdmissionAction::Wait { accept, deadline } => {
                    door.needs_word = accept != Accept::Open;
                    return Some((accept, deadline));
                }
                AdmissionAction::Drained => {
                    door.lead = Lead::Over;
                    self.lead_is_free.notify_all();
                    return None;
                }
            }
        }
    }

    /// Makes sure of all that serving a connection takes, before one is accepted: somebody to take the lead,
    /// and a descriptor to be woken by.
    fn prepare<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        wake: &mut Option<Arc<Wake>>,
    ) -> io::Result<Arc<Wake>> {
        if self.door().followers == 0 {
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
        listeners.last().map_or(Ok(None), accept)
    }

    fn sleep(&self, listeners: &[Listener], now: Time, deadline: Option<Time>) -> io::Result<Option<usize>> {
        wait_any(listeners, &self.requests.wake, until(now, deadline))
    }

    /// Asks the policy about a connection; none if it is refused, and closed.
    fn decide(
        &self,
        now: Time,
        stream: Stream,
        peer: Peer,
        wake: Arc<Wake>,
    ) -> Option<Admitted<Command<S>, &'a T>> {
        let mut door = self.door();
        let heard = door.admission.handle(now, AdmissionInput::Accepted(peer.source()));
        debug_assert!(heard.is_ok(), "{heard:?}");
        let AdmissionAction::Admit(_) = door.admission.poll(now) else { return None };
        let driver = Driver::with_wake(wake, self.clock);
        let control = driver.control();
        if door.stopping {
            control.stop();
        }
        let number = door.next;
        door.next += 1;
        door.sessions.insert(number, control);
        Some(Admitted { number, stream, peer, driver })
    }

    /// Gives the lead to whoever waits for it.
    fn hand_on(&self) {
        self.door().lead = Lead::Free;
        self.lead_is_free.notify_one();
    }

    fn serve_one(&self, block: &mut Block, admitted: Admitted<Command<S>, &'a T>) {
        let Admitted { number, stream, peer, driver } = admitted;
        let control = driver.control();
        let served = catch_unwind(AssertUnwindSafe(|| {
            let ended = driver.drive_with(
                block,
                stream,
                |now| self.service.open(now, &peer, &control),
                |event| self.service.event(&peer, event),
            );
            self.service.ended(&peer, ended);
        }));
        let mut door = self.door();
        door.sessions.remove(&number);
        door.panicked += u64::from(served.is_err());
        let heard = door.admission.handle(self.clock.now(), AdmissionInput::Ended(peer.source()));
        debug_assert!(heard.is_ok(), "{heard:?}");
        if door.needs_word {
            self.requests.wake.ring();
        }
    }

    fn tell(&self, now: Time, input: AdmissionInput<Source>) {
        let heard = self.door().admission.handle(now, input);
        debug_assert!(heard.is_ok(), "{heard:?}");
    }

    fn door(&self) -> MutexGuard<'_, Door<Command<S>>> {
        // No service and no machine runs under this lock, so the door is whole even if a holder panicked.
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts the connection that waits first in the first backlog that is not empty.
fn accept_any(listeners: &[Listener]) -> io::Result<Option<(Stream, Peer)>> {
    listeners.iter().find_map(|listener| accept(listener).transpose()).transpose()
}

/// Accepts the connection that waits first, if there is one.
fn accept(listener: &Listener) -> io::Result<Option<(Stream, Peer)>> {
    match listener.accept() {
        Err(error) if classify::is_again(&error) => Ok(None),
        accepted => accepted.map(Some),
    }
}
