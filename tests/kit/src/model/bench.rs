//! A driver without a transport: carries operations out on a machine, and records all of it.

use std::convert::Infallible;

use bytes::Bytes;
use roundtrip_core::{Action, Input, Machine, Time};

use super::op::Op;

/// Actions in a row after which a machine that has not come to rest is taken to spin.
pub const BURST: usize = 8;

/// What passed between a driver and its machine at one time.
#[derive(Clone, Debug)]
pub enum Happened<O> {
    Told(Input),
    Polled(Action<Infallible, O>),
}

/// One entry of a [`Bench`]'s record, with what the driver knew by then.
#[derive(Clone, Debug)]
pub struct Entry<O> {
    pub now: Time,
    pub happened: Happened<O>,
    /// Read credit left, from the last `Wait`.
    pub credit: usize,
    /// Bytes of the outstanding write left.
    pub outstanding: usize,
    /// Whether the peer's end was reported.
    pub ended: bool,
}

/// A machine, what its driver remembers, and the record.
#[derive(Clone, Debug)]
pub struct Bench<M: Machine> {
    pub machine: M,
    pub now: Time,
    pub credit: usize,
    pub outstanding: usize,
    pub ended: bool,
    pub deadline: Option<Time>,
    pub closed: bool,
    /// All that the machine asked to be written.
    pub written: Vec<u8>,
    pub record: Vec<Entry<M::Outcome>>,
    /// The machine before every entry of the record.
    pub before: Vec<M>,
}

impl<M> Bench<M>
where
    M: Machine<Command = Infallible, Event = Infallible> + Clone,
{
    pub fn new(machine: M, now: Time) -> Self {
        Self {
            machine,
            now,
            credit: 0,
            outstanding: 0,
            ended: false,
            deadline: None,
            closed: false,
            written: Vec::new(),
            record: Vec::new(),
            before: Vec::new(),
        }
    }

    /// The machine after entry `index` of the record.
    pub fn after(&self, index: usize) -> &M {
        self.before.get(index + 1).unwrap_or(&self.machine)
    }

    pub fn tell(&mut self, input: Input) {
        self.before.push(self.machine.clone());
        self.machine.handle(self.now, input.clone());
        match &input {
            Input::Data(bytes) => self.credit -= bytes.len(),
            Input::Wrote(wrote) => self.outstanding -= wrote,
            Input::Eof => {
                self.ended = true;
                self.credit = 0;
            }
            Input::Abort | Input::Failed(_) => self.credit = 0,
            Input::Stop => {}
            Input::Command(never) => match *never {},
        }
        self.note(Happened::Told(input));
    }

    pub fn poll(&mut self) -> Action<Infallible, M::Outcome> {
        self.before.push(self.machine.clone());
        let action = self.machine.poll(self.now);
        match &action {
            Action::Write(bytes) => {
                self.outstanding = bytes.len();
                self.written.extend_from_slice(bytes);
            }
            Action::Wait(wait) => {
                self.credit = wait.read;
                self.deadline = wait.deadline;
            }
            Action::Close { .. } => {
                self.closed = true;
                self.credit = 0;
            }
            Action::ShutdownWrite => {}
            Action::Event(never) => match *never {},
        }
        self.note(Happened::Polled(action.clone()));
        action
    }

    /// Polls until `Wait` or `Close`; panics if that does not come.
    pub fn settle(&mut self) {
        for _ in 0..BURST {
            if matches!(self.poll(), Action::Wait(_) | Action::Close { .. }) {
                return;
            }
        }
        panic!("I5: no rest after {BURST} actions");
    }

    /// What `op` tells the machine now, if anything. `data` gives the bytes, when some are to be delivered.
    pub fn input(&self, op: Op, data: impl FnOnce(usize) -> Bytes) -> Option<Input> {
        match op {
            Op::Poll | Op::Settle | Op::Advance(_) | Op::AdvanceToDeadline => None,
            Op::Data(most) => {
                let len = most.min(self.credit);
                (len > 0).then(|| Input::Data(data(len))).filter(|input| *input != Input::Data(Bytes::new()))
            }
            Op::Eof => (!self.ended).then_some(Input::Eof),
            Op::Wrote(most) => {
                let len = most.min(self.outstanding);
                (len > 0).then_some(Input::Wrote(len))
            }
            Op::WroteAll => (self.outstanding > 0).then_some(Input::Wrote(self.outstanding)),
            Op::Stop => Some(Input::Stop),
            Op::Abort => Some(Input::Abort),
            Op::Failed(failure) => Some(Input::Failed(failure)),
        }
    }

    /// Lets the time pass that `op` says.
    pub fn pass(&mut self, op: Op) {
        if let Op::Advance(nanos) = op {
            self.now = Time::from_nanos(self.now.as_nanos() + nanos);
        } else if op == Op::AdvanceToDeadline {
            self.now = self.now.max(self.deadline.unwrap_or(self.now));
        }
    }

    fn note(&mut self, happened: Happened<M::Outcome>) {
        let (now, credit, outstanding, ended) = (self.now, self.credit, self.outstanding, self.ended);
        self.record.push(Entry { now, happened, credit, outstanding, ended });
    }
}
