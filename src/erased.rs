//! Applications behind a pointer, so that each driver is compiled once for each kind of outcome, and not once for each
//! observer, closure and verb: those copies dominated the time to build the program.
//!
//! A machine costs one allocation a connection more, and an indirect call for each input and action.

use std::convert::Infallible;
use std::io;

use roundtrip_core::{Machine, Time};
use roundtrip_std::{Application, ConnectionReport, Control, EventOf, OutcomeOf, Panic, Peer};

/// A machine that takes no commands, with these events and outcomes.
pub(crate) type AnyMachine<'a, E, O> =
    Box<dyn Machine<Command = Infallible, Event = E, Outcome = O> + Send + 'a>;

/// An application whose machines are boxed.
struct Boxed<'a, A>(&'a A);

impl<'a, K, A> Application<K> for Boxed<'a, A>
where
    A: Application<K, Machine: Machine<Command = Infallible> + Send + 'a>,
{
    type Machine = AnyMachine<'a, EventOf<A, K>, OutcomeOf<A, K>>;

    fn open(&self, now: Time, key: &K, control: &Control<Infallible>) -> Self::Machine {
        Box::new(self.0.open(now, key, control))
    }

    fn event(&self, key: &K, control: &Control<Infallible>, event: EventOf<A, K>) {
        self.0.event(key, control, event);
    }

    fn ended(&self, key: &K, report: ConnectionReport<OutcomeOf<A, K>>) {
        self.0.ended(key, report);
    }

    fn panicked(&self, key: &K, panic: Panic) {
        self.0.panicked(key, panic);
    }

    fn accept_failed(&self, error: &io::Error) {
        self.0.accept_failed(error);
    }

    fn refused(&self, peer: &Peer) {
        self.0.refused(peer);
    }
}

/// Any application with machines like these.
pub(crate) struct AnyApplication<'s, 'a, K, E, O: Clone>(
    &'s (dyn Application<K, Machine = AnyMachine<'a, E, O>> + 's),
);

impl<'a, K, E, O: Clone> Application<K> for AnyApplication<'_, 'a, K, E, O> {
    type Machine = AnyMachine<'a, E, O>;

    fn open(&self, now: Time, key: &K, control: &Control<Infallible>) -> Self::Machine {
        self.0.open(now, key, control)
    }

    fn event(&self, key: &K, control: &Control<Infallible>, event: E) {
        self.0.event(key, control, event);
    }

    fn ended(&self, key: &K, report: ConnectionReport<O>) {
        self.0.ended(key, report);
    }

    fn panicked(&self, key: &K, panic: Panic) {
        self.0.panicked(key, panic);
    }

    fn accept_failed(&self, error: &io::Error) {
        self.0.accept_failed(error);
    }

    fn refused(&self, peer: &Peer) {
        self.0.refused(peer);
    }
}

/// Calls `with` with this application behind a pointer.
pub(crate) fn erase<'a, K, A, R>(
    app: &'a A,
    with: impl FnOnce(&AnyApplication<'_, 'a, K, EventOf<A, K>, OutcomeOf<A, K>>) -> R,
) -> R
where
    A: Application<K, Machine: Machine<Command = Infallible> + Send + 'a>,
{
    with(&AnyApplication(&Boxed(app)))
}
