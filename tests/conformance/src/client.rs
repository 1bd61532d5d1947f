//! The script's client: a machine like any other, so the very same client runs on every driver.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::{Action, Failure, Input, Machine, Teardown, Time, Wait};
use roundtrip_echo::Payload;

use crate::observed::{ClientSeen, Ending, Found};
use crate::pace::Waiting;
use crate::script::Step;

/// Largest write and largest read credit, bytes.
const CHUNK: usize = 64 << 10;

/// How long a step other than a pause may go without a byte before it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that does what a script says, and sees what comes of it.
///
/// It gives read credit only in steps that read, and sends in the background. It is strict about the contract: what
/// a driver may not do fails the step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scripted {
    steps: Arc<[Step]>,
    /// The present step.
    at: usize,
    begun: Begun,
    payload: Payload,
    /// Pieces that are not handed out in writes yet.
    unwritten: VecDeque<u64>,
    composed: u64,
    /// Bytes of the outstanding write that the transport has not taken.
    outstanding: usize,
    sent: u64,
    out: Out,
    received: u64,
    echoed: u64,
    /// Bytes that the present step still expects.
    due: u64,
    credit: usize,
    commands: usize,
    ended: bool,
    /// When a byte last moved, or a step began.
    moved: Time,
    events: VecDeque<Event>,
    /// What was last told of it.
    waiting: Waiting,
    over: Option<(Teardown, Ending)>,
}

/// The half that goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Out {
    Open,
    /// A half-close follows what is not written yet.
    Ending,
    Shut,
}

/// Where the present step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Begun {
    Not,
    At(Time),
    /// It was given [`Go`].
    Met,
}

/// What a script's client wants of who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Stop the server.
    StopServer,
    /// End the server's drain.
    ForceServer,
    /// Send [`Go`] to every client that is still there, once all of these have come to this: [`Meeting`](crate::Meeting)
    /// counts them.
    Meet,
    /// What the client waits for from now on has changed: for [`Pace`](crate::Pace), and of no interest to a driver
    /// whose time is its own anyway.
    Waiting(Waiting),
}

/// Go on: everybody has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Go;

impl Scripted {
    pub(crate) fn new(steps: Arc<[Step]>, payload: Payload, now: Time) -> Self {
        Self {
            steps,
            at: 0,
            begun: Begun::Not,
            payload,
            unwritten: VecDeque::new(),
            composed: 0,
            outstanding: 0,
            sent: 0,
            out: Out::Open,
            received: 0,
            echoed: 0,
            due: 0,
            credit: 0,
            commands: 0,
            ended: false,
            moved: now,
            events: VecDeque::new(),
            waiting: Waiting::default(),
            over: None,
        }
    }

    /// The present step; the list's end closes.
    fn step(&self) -> Step {
        self.steps.get(self.at).copied().unwrap_or(Step::Close)
    }

    /// Does what the present step is about; whether it passed.
    fn pass(&mut self, now: Time) -> bool {
        let step = self.step();
        let begun = match self.begun {
            Begun::Not => {
                self.begin(now, step);
                now
            }
            Begun::At(begun) => begun,
            Begun::Met => return self.next(),
        };
        let passed = match step {
            Step::Send(_) | Step::HalfClose | Step::StopServer | Step::ForceServer => true,
            Step::Flush => self.is_flushed(),
            Step::Expect(_) => self.due == 0,
            Step::ExpectEnd => self.ended,
            Step::Pause(time) => begun.after(time) <= now,
            Step::ExpectReset { .. } | Step::Meet => false,
            Step::ExpectRefused => {
                self.fail(Found::Accepted);
                return false;
            }
            Step::Close => {
                if self.is_flushed() {
                    self.over = Some((Teardown::Graceful, Ending::Passed));
                }
                return false;
            }
            Step::Reset => {
                self.over = Some((Teardown::Reset, Ending::Passed));
                return false;
            }
        };
        passed && self.next()
    }

    fn begin(&mut self, now: Time, step: Step) {
        self.begun = Begun::At(now);
        self.moved = now;
        match step {
            Step::Send(bytes) => self.unwritten.push_back(bytes),
            Step::HalfClose => self.out = Out::Ending,
            Step::Expect(bytes) => self.due = bytes,
            Step::StopServer => self.events.push_back(Event::StopServer),
            Step::ForceServer => self.events.push_back(Event::ForceServer),
            Step::Meet => self.events.push_back(Event::Meet),
            Step::Flush
            | Step::ExpectEnd
            | Step::ExpectReset { .. }
            | Step::ExpectRefused
            | Step::Pause(_)
            | Step::Close
            | Step::Reset => {}
        }
    }

    /// Goes on to the next step. Time stands still until that one is known to wait for it.
    fn next(&mut self) -> bool {
        self.at += 1;
        self.begun = Begun::Not;
        self.tell(Waiting::ForOthers);
        true
    }

    fn tell(&mut self, waiting: Waiting) {
        if self.waiting != waiting {
            self.waiting = waiting;
            self.events.push_back(Event::Waiting(waiting));
        }
    }

    fn fail(&mut self, found: Found) {
        self.over = Some((Teardown::Reset, Ending::Failed { step: self.at, found }));
    }

    fn is_flushed(&self) -> bool {
        self.unwritten.is_empty() && self.outstanding == 0 && self.out != Out::Ending
    }

    /// The next write or half-close, if it is time for it.
    fn write(&mut self) -> Option<Action<Event, ClientSeen>> {
        if self.outstanding > 0 {
            return None;
        }
        let Some(piece) = self.unwritten.front_mut() else {
            if self.out != Out::Ending {
                return None;
            }
            self.out = Out::Shut;
            return Some(Action::ShutdownWrite);
        };
        let size = usize::try_from(*piece).unwrap_or(CHUNK).min(CHUNK);
        *piece -= size as u64;
        if *piece == 0 {
            self.unwritten.pop_front();
        }
        let mut bytes = vec![0; size];
        self.payload.fill(self.composed, &mut bytes);
        self.composed += size as u64;
        self.outstanding = size;
        Some(Action::Write(bytes.into()))
    }

    fn read(&mut self, bytes: &Bytes) {
        // What was not sent cannot come back, even if it is what would have been sent.
        let under_way = usize::try_from(self.composed - self.received).unwrap_or(usize::MAX);
        let right = self.payload.matching(self.received, &bytes[..bytes.len().min(under_way)]);
        let step = self.step();
        self.received += right as u64;
        if matches!(step, Step::Expect(_)) {
            self.due -= right as u64;
            self.echoed += right as u64;
        }
        if step == Step::ExpectEnd {
            self.fail(Found::More);
        } else if right < bytes.len() {
            self.fail(Found::Wrong { at: self.received });
        }
    }

    fn failed(&mut self, failure: Failure) {
        // A driver may tell this when it comes, or when it next reads or writes: after the pause.
        while matches!(self.step(), Step::Pause(_)) {
            self.at += 1;
        }
        if failure == Failure::Reset && matches!(self.step(), Step::ExpectReset { .. }) {
            self.over = Some((Teardown::Reset, Ending::Passed));
        } else {
            self.fail(Found::Failed(failure));
        }
    }

    /// What the present step waits for, and until when at the latest.
    fn patience(&self) -> (Waiting, Time) {
        let give_up = self.moved.after(PATIENCE);
        match (self.step(), self.begun) {
            (Step::Pause(time), Begun::At(begun)) => {
                let until = begun.after(time);
                (Waiting::ForTime(Some(until)), until)
            }
            (Step::ExpectEnd | Step::ExpectReset { .. } | Step::Meet, _) => (Waiting::ForTime(None), give_up),
            _ => (Waiting::ForOthers, give_up),
        }
    }

    /// The read credit of the present step. A read that is under way stays within it: it falls by what was read.
    fn reads(&self) -> usize {
        match self.step() {
            Step::Expect(_) => usize::try_from(self.due).unwrap_or(CHUNK).min(CHUNK),
            Step::ExpectEnd => 1,
            Step::ExpectReset { unread: false } => CHUNK,
            Step::Send(_)
            | Step::HalfClose
            | Step::Flush
            | Step::ExpectReset { unread: true }
            | Step::ExpectRefused
            | Step::Pause(_)
            | Step::Meet
            | Step::StopServer
            | Step::ForceServer
            | Step::Close
            | Step::Reset => 0,
        }
    }
}

impl Machine for Scripted {
    type Command = Go;
    type Event = Event;
    type Outcome = ClientSeen;

    fn handle(&mut self, now: Time, input: Input<Go>) {
        if self.over.is_some() {
            return;
        }
        match input {
            Input::Data(bytes) if bytes.is_empty() || bytes.len() > self.credit => self.fail(Found::Misuse),
            Input::Data(bytes) => {
                self.credit -= bytes.len();
                self.moved = now;
                self.read(&bytes);
            }
            Input::Eof if self.ended => self.fail(Found::Misuse),
            Input::Eof => {
                self.ended = true;
                self.moved = now;
                if std::mem::take(&mut self.credit) == 0 {
                    self.fail(Found::EndUnasked);
                } else if self.step() != Step::ExpectEnd {
                    self.fail(Found::End);
                }
            }
            Input::Wrote(wrote) if wrote == 0 || wrote > self.outstanding => self.fail(Found::Misuse),
            Input::Wrote(wrote) => {
                self.outstanding -= wrote;
                self.sent += wrote as u64;
                self.moved = now;
            }
            Input::Command(Go) if self.commands == 0 => self.fail(Found::Misuse),
            Input::Command(Go) => {
                self.commands = 0;
                self.begun = Begun::Met;
            }
            Input::Stop => self.fail(Found::Stopped),
            Input::Abort => self.fail(Found::Aborted),
            Input::Failed(failure) => self.failed(failure),
        }
    }

    fn poll(&mut self, now: Time) -> Action<Event, ClientSeen> {
        loop {
            if let Some((how, ending)) = self.over {
                let outcome = ClientSeen { sent: self.sent, echoed: self.echoed, ending };
                return Action::Close { how, outcome };
            }
            if let Some(event) = self.events.pop_front() {
                return Action::Event(event);
            }
            if let Some(action) = self.write() {
                return action;
            }
            if self.pass(now) || self.over.is_some() {
                continue;
            }
            let (waiting, deadline) = self.patience();
            if deadline <= now {
                self.fail(Found::TimedOut);
                continue;
            }
            self.tell(waiting);
            if self.events.is_empty() {
                self.credit = self.reads();
                self.commands = usize::from(self.step() == Step::Meet);
                return Action::Wait(Wait {
                    read: self.credit,
                    commands: self.commands,
                    deadline: Some(deadline),
                });
            }
        }
    }
}
