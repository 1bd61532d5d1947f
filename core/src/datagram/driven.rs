//! A datagram machine together with what every interpreter of its actions must remember.

use core::error::Error;
use core::fmt;

use super::{Datagram, DatagramAction, DatagramInput, DatagramMachine, DatagramWait, SendQueue, Unsent};
use crate::{Failure, Time};

/// A datagram came without credit for it: it is handed back, to be told later or dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uncredited<A>(pub Datagram<A>);

impl<A> fmt::Display for Uncredited<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no credit for a datagram of {} bytes", self.0.payload.len())
    }
}

impl<A: fmt::Debug> Error for Uncredited<A> {}

/// A datagram machine, and the credit it gave, counted down as it is spent.
///
/// It checks what the machine owes as it goes: a machine that breaks it is a bug, and panics.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatagramDriven<M> {
    machine: M,
    read: usize,
    deadline: Option<Time>,
    /// `Abort` or `Failed` was told: only events and the close may follow.
    over: bool,
    latest: Time,
}

impl<M: DatagramMachine> DatagramDriven<M> {
    /// Takes charge of `machine`. It has no credit yet: step first.
    pub const fn new(machine: M) -> Self {
        Self { machine, read: 0, deadline: None, over: false, latest: Time::ZERO }
    }

    /// What the machine wants next.
    ///
    /// # Panics
    ///
    /// If the machine breaks an invariant of its contract.
    pub fn step(&mut self, now: Time) -> DatagramAction<M::Address, M::Event, M::Outcome> {
        self.at(now);
        let action = self.machine.poll(now);
        match &action {
            DatagramAction::Send(_) => assert!(!self.over, "I3: a datagram after the end"),
            DatagramAction::Event(_) => {}
            DatagramAction::Wait(DatagramWait { read, deadline }) => {
                assert!(!self.over, "I3: a wait after the end");
                assert!(*read > 0 || deadline.is_some(), "I4: waits for nothing");
                assert!(deadline.is_none_or(|deadline| deadline > now), "I5: a deadline that has passed");
                (self.read, self.deadline) = (*read, *deadline);
            }
            DatagramAction::Close(_) => self.over(),
        }
        action
    }

    /// Datagrams that may be read now; 0 means do not read.
    pub const fn credit(&self) -> usize {
        self.read
    }

    /// When to step again at the latest, from the last [`DatagramWait`].
    pub const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// The machine itself, to look at.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// One came.
    ///
    /// # Errors
    ///
    /// The datagram, if there is no credit for it.
    pub fn received(
        &mut self,
        now: Time,
        datagram: Datagram<M::Address>,
    ) -> Result<(), Uncredited<M::Address>> {
        self.at(now);
        if self.read == 0 {
            return Err(Uncredited(datagram));
        }
        self.read -= 1;
        self.machine.handle(now, DatagramInput::Received(datagram));
        Ok(())
    }

    /// One came that was longer than there was room for. It spends credit; without any it is not told.
    pub fn too_long(&mut self, now: Time, from: M::Address) {
        self.at(now);
        if self.read > 0 {
            self.read -= 1;
            self.machine.handle(now, DatagramInput::TooLong { from });
        }
    }

    /// What was to be sent did not leave. Step before anything else.
    pub fn unsent(&mut self, now: Time, why: Unsent) {
        self.at(now);
        self.machine.handle(now, DatagramInput::Unsent(why));
    }

    /// The transport says how much of what was sent is unread. Step before anything else.
    pub fn send_queue(&mut self, now: Time, queue: SendQueue) {
        self.at(now);
        self.machine.handle(now, DatagramInput::SendQueue(queue));
    }

    /// Asks for a graceful end. Step before anything else.
    pub fn stop(&mut self, now: Time) {
        self.at(now);
        self.machine.handle(now, DatagramInput::Stop);
    }

    /// Asks for the end, now. Step before anything else.
    pub fn abort(&mut self, now: Time) {
        self.at(now);
        self.over();
        self.machine.handle(now, DatagramInput::Abort);
    }

    /// The transport failed.
    pub fn failed(&mut self, now: Time, failure: Failure) {
        self.at(now);
        self.over();
        self.machine.handle(now, DatagramInput::Failed(failure));
    }

    const fn over(&mut self) {
        self.over = true;
        self.read = 0;
        self.deadline = None;
    }

    fn at(&mut self, now: Time) {
        debug_assert!(now >= self.latest, "the clock went back from {:?} to {now:?}", self.latest);
        self.latest = now;
    }
}
