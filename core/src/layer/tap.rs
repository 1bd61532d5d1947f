//! A machine with an observer on its line.

use crate::{Action, Input, Machine, Time};

/// Sees what passes between a machine and its driver, and changes none of it.
///
/// Every method does nothing unless it is overridden.
pub trait Observe<M: Machine> {
    /// `input` is about to be handled.
    fn input(&mut self, now: Time, input: &Input<M::Command>) {
        let _ = (now, input);
    }

    /// `action` is about to be returned.
    fn action(&mut self, now: Time, action: &Action<M::Event, M::Outcome>) {
        let _ = (now, action);
    }
}

/// Sees nothing.
impl<M: Machine> Observe<M> for () {}

/// A machine with an observer on its line: same inputs, same actions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tap<M, O> {
    machine: M,
    observer: O,
}

impl<M: Machine, O: Observe<M>> Tap<M, O> {
    /// Puts `observer` between `machine` and its driver.
    pub const fn new(machine: M, observer: O) -> Self {
        Self { machine, observer }
    }

    /// The observer.
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// The machine and the observer, apart again.
    pub fn into_parts(self) -> (M, O) {
        (self.machine, self.observer)
    }
}

impl<M: Machine, O: Observe<M>> Machine for Tap<M, O> {
    type Command = M::Command;
    type Event = M::Event;
    type Outcome = M::Outcome;

    fn handle(&mut self, now: Time, input: Input<Self::Command>) {
        self.observer.input(now, &input);
        self.machine.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> Action<Self::Event, Self::Outcome> {
        let action = self.machine.poll(now);
        self.observer.action(now, &action);
        action
    }

    fn discards_input(&self) -> bool {
        self.machine.discards_input()
    }

    // `note_unread` is not passed on: it is no input, so observers do not see it, and a replay of what they saw would come to
    // another outcome.
}
