//! The applications that a driver runs: a server's behind its admission gate, or a client's.
//!
//! Both catch the panics of what they wrap: `ended` and `panicked` do not panic.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roundtrip_core::Time;
use roundtrip_core::admission::Limits;

use super::Ring;
use crate::{
    Accepted, AdmissionGate, Application, Bell, Clock, CommandOf, ConnectionReport, Control, EventOf,
    OutcomeOf, Panic, Peer, ServerHandle, ServerStats, catch, drop_driven,
};

/// Drops a session, and reports to [`ServerApp`] or [`ClientApp`] what came of it, or its panic. `session` is all of a connection
/// but its key: machine, stream, mailbox. A machine and an outcome may panic even in this.
pub fn finish<K, A: Application<K>, S>(
    app: &A,
    key: &K,
    session: S,
    ended: Result<ConnectionReport<OutcomeOf<A, K>>, Panic>,
) {
    match drop_driven(session, ended) {
        Ok(report) => app.ended(key, report),
        Err(panic) => app.panicked(key, panic),
    }
}

/// A client's application, and the first panic of any of its sessions.
pub struct ClientApp<'a, A> {
    app: &'a A,
    panic: Mutex<Option<Panic>>,
}

impl<'a, A> ClientApp<'a, A> {
    /// This application, no session of which has panicked yet.
    pub fn new(app: &'a A) -> Self {
        Self { app, panic: Mutex::default() }
    }

    /// All sessions are over.
    ///
    /// # Panics
    ///
    /// If one of them did, with its payload.
    pub fn finish(self) {
        if let Some(panic) = self.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            panic.resume();
        }
    }
}

impl<A: Application<usize>> Application<usize> for ClientApp<'_, A> {
    type Machine = A::Machine;

    fn open(&self, now: Time, index: &usize, control: &Control<CommandOf<A, usize>>) -> A::Machine {
        self.app.open(now, index, control)
    }

    fn event(&self, index: &usize, control: &Control<CommandOf<A, usize>>, event: EventOf<A, usize>) {
        self.app.event(index, control, event);
    }

    fn ended(&self, index: &usize, report: ConnectionReport<OutcomeOf<A, usize>>) {
        if let Err(panic) = catch(|| self.app.ended(index, report)) {
            self.panicked(index, panic);
        }
    }

    fn panicked(&self, _index: &usize, panic: Panic) {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
    }
}

/// A server's application behind its admission gate. The end of a session is reported to the gate, and wakes the acceptor if
/// the policy waits for that.
///
/// `P` points to the application: a reference, or an `Arc` where the server must own it.
pub struct ServerApp<P: Deref<Target: Application<Accepted>>, T, B = Ring> {
    app: P,
    clock: T,
    bell: Arc<B>,
    gate: Mutex<GateOf<P>>,
}

type GateOf<P> = AdmissionGate<CommandOf<<P as Deref>::Target, Accepted>>;

impl<P: Deref<Target: Application<Accepted>>, T: Clock, B: Bell + 'static> ServerApp<P, T, B> {
    /// This application; what is asked through `handle` from here on rings `bell`, which wakes the acceptor: in an event loop, a
    /// [`Ring`](super::Ring) that belongs to [`LISTENER`](super::LISTENER).
    pub fn new(app: P, clock: T, bell: Arc<B>, limits: Limits, handle: &ServerHandle) -> Self {
        handle.ring_with(bell.clone());
        Self { app, clock, bell, gate: Mutex::new(AdmissionGate::new(limits, handle)) }
    }

    /// The clock of all connections.
    pub const fn clock(&self) -> &T {
        &self.clock
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Wakes the thread or task that accepts.
    pub fn bell(&self) -> &B {
        &self.bell
    }

    /// The admission gate.
    pub fn gate(&self) -> MutexGuard<'_, GateOf<P>> {
        // No application and no machine runs under this lock, so the gate is whole even if a holder panicked.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepting failed.
    pub fn accept_failed(&self, now: Time, error: &io::Error) {
        let handled = catch(|| self.app.accept_failed(error));
        let mut gate = self.gate();
        if handled.is_err() {
            gate.panicked();
        }
        gate.accept_failed(now, error);
    }

    /// The policy refused a connection.
    pub fn refused(&self, peer: &Peer) {
        if catch(|| self.app.refused(peer)).is_err() {
            self.gate().panicked();
        }
    }

    /// What came of the server so far.
    pub fn stats(&self) -> ServerStats {
        self.gate().stats()
    }

    /// A session is over, and the application was told.
    fn over(&self, accepted: &Accepted, has_panicked: bool) {
        let mut gate = self.gate();
        if has_panicked {
            gate.panicked();
        }
        if gate.ended(self.clock.now(), accepted) {
            self.bell.ring();
        }
    }
}

impl<P, T: Clock, B: Bell + 'static> Application<Accepted> for ServerApp<P, T, B>
where
    P: Deref<Target: Application<Accepted>> + Sync,
{
    type Machine = <P::Target as Application<Accepted>>::Machine;

    fn open(
        &self,
        now: Time,
        accepted: &Accepted,
        control: &Control<CommandOf<Self, Accepted>>,
    ) -> Self::Machine {
        self.app.open(now, accepted, control)
    }

    fn event(
        &self,
        accepted: &Accepted,
        control: &Control<CommandOf<Self, Accepted>>,
        event: EventOf<Self, Accepted>,
    ) {
        self.app.event(accepted, control, event);
    }

    fn ended(&self, accepted: &Accepted, report: ConnectionReport<OutcomeOf<Self, Accepted>>) {
        let handled = catch(|| self.app.ended(accepted, report));
        self.over(accepted, handled.is_err());
    }

    fn panicked(&self, accepted: &Accepted, panic: Panic) {
        let _ = catch(|| self.app.panicked(accepted, panic));
        self.over(accepted, true);
    }
}

impl<C> fmt::Debug for ClientApp<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientApp").finish_non_exhaustive()
    }
}

impl<P: Deref<Target: Application<Accepted>>, T, B: fmt::Debug> fmt::Debug for ServerApp<P, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerApp").field("bell", &self.bell).finish_non_exhaustive()
    }
}
