//! What all connections of a loop are for: a server's service, or clients.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roundtrip_core::admission::Limits;
use roundtrip_core::{Machine, Time};

use super::{Desk, Ring};
use crate::{
    Bell, Caller, Clients, Clock, Control, Door, Ended, Panic, Peer, Served, ServerHandle, Service, catch,
    drop_driven,
};

/// What all connections are for: a server's service, or clients. Called from many threads at once.
pub trait App: Sync {
    /// The protocol.
    type Machine: Machine<Command: Send>;
    /// Tells connections apart.
    type Name: Send;

    /// A connection begins: the machine for it.
    fn open(&self, now: Time, name: &Self::Name, control: &Control<CommandOf<Self>>) -> Self::Machine;

    /// A session has something to tell.
    fn event(&self, name: &Self::Name, event: <Self::Machine as Machine>::Event);

    /// A session ended and its connection is torn down.
    fn ended(&self, name: &Self::Name, ended: Ended<<Self::Machine as Machine>::Outcome>);

    /// The machine panicked, or making it did: it will not be told what came of it.
    fn panicked(&self, name: &Self::Name) {
        let _ = name;
    }

    /// The connection is gone and the application heard of it, or panicked. This must not.
    fn over(&self, name: &Self::Name, panicked: Result<(), Panic>);
}

/// What can be said to a session of this application.
pub type CommandOf<A> = <<A as App>::Machine as Machine>::Command;
/// Where a thread is given connections of this application.
pub type DeskOf<A> = Desk<<A as App>::Name, CommandOf<A>>;

/// Drops a session, and tells the application what came of it, or that it panicked. A machine, an outcome and an application
/// may panic even in this.
pub fn finish<A: App, S>(
    app: &A,
    name: &A::Name,
    session: S,
    ended: Result<Ended<<A::Machine as Machine>::Outcome>, Panic>,
) {
    let told = match drop_driven(session, ended) {
        Ok(ended) => catch(|| app.ended(name, ended)),
        Err(panic) => {
            // The first panic is the one to tell.
            let _ = catch(|| app.panicked(name));
            Err(panic)
        }
    };
    app.over(name, told);
}

/// Clients, by the numbers of their streams, and the first panic of any.
pub struct Numbered<'a, C> {
    clients: &'a C,
    panic: Mutex<Option<Panic>>,
}

impl<'a, C> Numbered<'a, C> {
    /// These clients, none of which has panicked yet.
    pub fn new(clients: &'a C) -> Self {
        Self { clients, panic: Mutex::default() }
    }

    /// All of them are over.
    ///
    /// # Panics
    ///
    /// If one of them did, with what it panicked with.
    pub fn finish(self) {
        if let Some(panic) = self.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            panic.resume();
        }
    }
}

impl<C: Clients> App for Numbered<'_, C> {
    type Machine = C::Machine;
    type Name = usize;

    fn open(&self, now: Time, index: &usize, control: &Control<CommandOf<Self>>) -> C::Machine {
        self.clients.open(now, *index, control)
    }

    fn event(&self, index: &usize, event: <C::Machine as Machine>::Event) {
        self.clients.event(*index, event);
    }

    fn ended(&self, index: &usize, ended: Ended<<C::Machine as Machine>::Outcome>) {
        self.clients.ended(*index, ended);
    }

    fn over(&self, _index: &usize, panicked: Result<(), Panic>) {
        if let Err(panic) = panicked {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
    }
}

/// A service behind its door. A session tells the door of its own end, and rings if the policy waits for that.
///
/// `P` points to the service: a reference, or an `Arc` where the server must own it.
pub struct Serving<P: Deref<Target: Service>, T, B = Ring> {
    service: P,
    clock: T,
    bell: Arc<B>,
    door: Mutex<DoorOf<P>>,
}

type DoorOf<P> = Door<<<<P as Deref>::Target as Service>::Machine as Machine>::Command>;

impl<P: Deref<Target: Service>, T: Clock, B: Bell + 'static> Serving<P, T, B> {
    /// This service; what is asked through `handle` from here on rings `bell`.
    pub fn new(service: P, clock: T, bell: Arc<B>, limits: Limits, handle: &ServerHandle) -> Self {
        handle.ring_with(bell.clone());
        Self { service, clock, bell, door: Mutex::new(Door::new(limits, handle)) }
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

    /// The policy.
    pub fn door(&self) -> MutexGuard<'_, DoorOf<P>> {
        // No service and no machine runs under this lock, so the door is whole even if a holder panicked.
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepting failed.
    pub fn accept_failed(&self, now: Time, error: &io::Error) {
        let told = catch(|| self.service.accept_failed(error));
        let mut door = self.door();
        if told.is_err() {
            door.panicked();
        }
        door.accept_failed(now, error);
    }

    /// The policy refused a connection.
    pub fn refused(&self, peer: &Peer) {
        if catch(|| self.service.refused(peer)).is_err() {
            self.door().panicked();
        }
    }

    /// What came of the server so far.
    pub fn served(&self) -> Served {
        self.door().served()
    }
}

impl<P, T: Clock, B: Bell + 'static> App for Serving<P, T, B>
where
    P: Deref<Target: Service> + Sync,
{
    type Machine = <P::Target as Service>::Machine;
    type Name = Caller;

    fn open(&self, now: Time, caller: &Caller, control: &Control<CommandOf<Self>>) -> Self::Machine {
        self.service.open(now, caller, control)
    }

    fn event(&self, caller: &Caller, event: <Self::Machine as Machine>::Event) {
        self.service.event(caller, event);
    }

    fn ended(&self, caller: &Caller, ended: Ended<<Self::Machine as Machine>::Outcome>) {
        self.service.ended(caller, ended);
    }

    fn panicked(&self, caller: &Caller) {
        self.service.panicked(caller);
    }

    fn over(&self, caller: &Caller, panicked: Result<(), Panic>) {
        let mut door = self.door();
        if panicked.is_err() {
            door.panicked();
        }
        if door.ended(self.clock.now(), caller) {
            self.bell.ring();
        }
    }
}

impl<C> fmt::Debug for Numbered<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Numbered").finish_non_exhaustive()
    }
}

impl<P: Deref<Target: Service>, T, B: fmt::Debug> fmt::Debug for Serving<P, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("bell", &self.bell).finish_non_exhaustive()
    }
}
