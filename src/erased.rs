//! Services and clients behind a pointer, so that each driver is compiled once for each kind of outcome, and not once for each
//! observer, closure and verb: those copies dominated the time to build the program.
//!
//! A machine costs one allocation a connection more, and an indirect call for each input and action.

use std::convert::Infallible;
use std::io;

use roundtrip_core::{Machine, Time};
use roundtrip_std::{Caller, Clients, Control, Ended, Peer, Service};

/// A machine that takes no commands, with these events and outcomes.
pub(crate) type AnyMachine<'a, E, O> =
    Box<dyn Machine<Command = Infallible, Event = E, Outcome = O> + Send + 'a>;

/// A service whose machines are boxed.
struct Boxed<'a, T>(&'a T);

impl<'a, S> Service for Boxed<'a, S>
where
    S: Service<Machine: Machine<Command = Infallible> + Send + 'a>,
{
    type Machine = AnyMachine<'a, EventOf<S::Machine>, OutcomeOf<S::Machine>>;

    fn open(&self, now: Time, caller: &Caller, control: &Control<Infallible>) -> Self::Machine {
        Box::new(self.0.open(now, caller, control))
    }

    fn event(&self, caller: &Caller, event: EventOf<S::Machine>) {
        self.0.event(caller, event);
    }

    fn ended(&self, caller: &Caller, ended: Ended<OutcomeOf<S::Machine>>) {
        self.0.ended(caller, ended);
    }

    fn panicked(&self, caller: &Caller) {
        self.0.panicked(caller);
    }

    fn accept_failed(&self, error: &io::Error) {
        self.0.accept_failed(error);
    }

    fn refused(&self, peer: &Peer) {
        self.0.refused(peer);
    }
}

impl<'a, C> Clients for Boxed<'a, C>
where
    C: Clients<Machine: Machine<Command = Infallible> + Send + 'a>,
{
    type Machine = AnyMachine<'a, EventOf<C::Machine>, OutcomeOf<C::Machine>>;

    fn open(&self, now: Time, index: usize, control: &Control<Infallible>) -> Self::Machine {
        Box::new(self.0.open(now, index, control))
    }

    fn event(&self, index: usize, event: EventOf<C::Machine>) {
        self.0.event(index, event);
    }

    fn ended(&self, index: usize, ended: Ended<OutcomeOf<C::Machine>>) {
        self.0.ended(index, ended);
    }
}

pub(crate) type EventOf<M> = <M as Machine>::Event;
pub(crate) type OutcomeOf<M> = <M as Machine>::Outcome;

/// Any service of machines like these.
pub(crate) struct AnyService<'s, 'a, E, O: Clone>(&'s (dyn Service<Machine = AnyMachine<'a, E, O>> + 's));

impl<'a, E, O: Clone> Service for AnyService<'_, 'a, E, O> {
    type Machine = AnyMachine<'a, E, O>;

    fn open(&self, now: Time, caller: &Caller, control: &Control<Infallible>) -> Self::Machine {
        self.0.open(now, caller, control)
    }

    fn event(&self, caller: &Caller, event: E) {
        self.0.event(caller, event);
    }

    fn ended(&self, caller: &Caller, ended: Ended<O>) {
        self.0.ended(caller, ended);
    }

    fn panicked(&self, caller: &Caller) {
        self.0.panicked(caller);
    }

    fn accept_failed(&self, error: &io::Error) {
        self.0.accept_failed(error);
    }

    fn refused(&self, peer: &Peer) {
        self.0.refused(peer);
    }
}

/// Any clients with machines like these.
pub(crate) struct AnyClients<'s, 'a, E, O: Clone>(&'s (dyn Clients<Machine = AnyMachine<'a, E, O>> + 's));

impl<'a, E, O: Clone> Clients for AnyClients<'_, 'a, E, O> {
    type Machine = AnyMachine<'a, E, O>;

    fn open(&self, now: Time, index: usize, control: &Control<Infallible>) -> Self::Machine {
        self.0.open(now, index, control)
    }

    fn event(&self, index: usize, event: E) {
        self.0.event(index, event);
    }

    fn ended(&self, index: usize, ended: Ended<O>) {
        self.0.ended(index, ended);
    }
}

/// Calls `with` with this service behind a pointer.
pub(crate) fn with_service<'a, S, R>(
    service: &'a S,
    with: impl FnOnce(&AnyService<'_, 'a, EventOf<S::Machine>, OutcomeOf<S::Machine>>) -> R,
) -> R
where
    S: Service<Machine: Machine<Command = Infallible> + Send + 'a>,
{
    with(&AnyService(&Boxed(service)))
}

/// Calls `with` with these clients behind a pointer.
pub(crate) fn with_clients<'a, C, R>(
    clients: &'a C,
    with: impl FnOnce(&AnyClients<'_, 'a, EventOf<C::Machine>, OutcomeOf<C::Machine>>) -> R,
) -> R
where
    C: Clients<Machine: Machine<Command = Infallible> + Send + 'a>,
{
    with(&AnyClients(&Boxed(clients)))
}
