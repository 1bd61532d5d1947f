//! The driver of one end: the loop of every driver, where what a system would decide is a choice.

use std::marker::PhantomData;

use bytes::Bytes;
use roundtrip_core::hub::{ConnectionId, Hub};
use roundtrip_core::{Driven, Failure, Machine, Misuse, Step, Teardown, Time};

use crate::choose::{Chooser, Site};
use crate::connection::{Did, End};
use crate::context::Context;
use crate::line::What;
use crate::node::{Letter, Node};
use crate::pipe::Pipe;
use crate::place::Place;
use crate::planted::planted;
use crate::queue::Address;

/// Steps of one machine in one event: more, and it spins.
const PATIENCE: u32 = 10_000;

/// Why the driver was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Something arrived, a wake-up or a timer was due, or the session begins.
    Ready,
    /// A write completed.
    Complete,
}

/// What a driver cannot go on from.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The machine did not come to rest.
    Spins,
    /// The machine says that its driver broke the contract.
    Misuse(Misuse),
}

/// One end of a connection with all that its driver reaches.
pub(crate) struct Driver<'a, P, C, H: Hub> {
    pub(crate) cx: &'a mut Context<C>,
    pub(crate) node: &'a mut Node<H>,
    pub(crate) end: &'a mut End<H::Session>,
    pub(crate) id: ConnectionId,
    /// What this end writes into.
    pub(crate) tx: &'a mut Pipe,
    /// What it reads from.
    pub(crate) rx: &'a mut Pipe,
    pub(crate) address: Address,
    pub(crate) place: PhantomData<P>,
}

/// Things that can be ready at one time, in the order of a driver that has no whims.
const WRITE: u32 = 1;
const READ: u32 = 1 << 1;
const FAIL: u32 = 1 << 2;
const MAIL: u32 = 1 << 3;

impl<P: Place, C: Chooser, H: Hub> Driver<'_, P, C, H> {
    /// Does all there is to do, until the machine waits or closes.
    #[inline(always)]
    pub(crate) fn drive(&mut self, cause: Cause) -> Result<(), Trouble> {
        let now = self.node.clock.local(self.cx.now);
        self.end.now = now;
        self.end.ever.add(self.end.did);
        self.end.did = Did::default();
        self.end.wakes += 1;
        if self.end.wakes == self.end.next_trouble {
            self.trouble();
        }
        if cause == Cause::Complete {
            self.complete(now);
        }
        let mut may_write = self.end.submitted == 0;
        let mut late = self.end.session.as_ref().and_then(Driven::deadline).is_some_and(|at| at <= now);
        let mut step = std::mem::take(&mut self.end.fresh) || (late && self.timer());
        for _ in 0..PATIENCE {
            if !step {
                // A deadline that has passed takes effect in the next poll; what is there is read before it.
                if self.one_ready_thing(now, &mut may_write) || std::mem::take(&mut late) {
                    step = true;
                } else {
                    self.arm_timer();
                    return Ok(());
                }
                continue;
            }
            let Some(session) = &mut self.end.session else { return Ok(()) };
            match session.step(now) {
                Step::Write => {
                    self.cx.tell(self.end.who, What::Write, session.pending().len() as u64);
                    may_write = false;
                    // What was not taken whole is for later; a machine that was told of it may have more to say.
                    self.write(now);
                }
                Step::ShutdownWrite => self.half_close(),
                Step::Event(event) => {
                    self.cx.note(self.end.who, What::Event, 0);
                    let Node { hub, post, .. } = &mut *self.node;
                    hub.event(now, self.id, event, post);
                }
                Step::Wait(_) => {
                    late = false;
                    step = false;
                }
                Step::Close { how, outcome } => {
                    let misuse = session.misuse();
                    self.close(now, how, outcome);
                    return misuse.map_or(Ok(()), |misuse| Err(Trouble::Misuse(misuse)));
                }
            }
        }
        Err(Trouble::Spins)
    }

    /// What the application does to its session out of the blue.
    #[cold]
    fn trouble(&mut self) {
        let (wakes, plan) = (self.end.wakes, self.end.plan);
        let mailbox = self.node.post.of(self.address.slot());
        if wakes == plan.stop_after || wakes == plan.stop_again_after {
            mailbox.stop();
        }
        if wakes == plan.abort_after {
            mailbox.abort();
        }
        self.end.mail = true;
        self.end.next_trouble = plan.next(wakes);
    }

    /// A deadline has passed. Whether the driver looks at its timer before what there is to read.
    #[cold]
    fn timer(&mut self) -> bool {
        self.end.did.add(Did::TIMER);
        self.cx.note(self.end.who, What::Timer, 0);
        if !self.can_read() {
            return false;
        }
        self.end.did.add(Did::TIED);
        self.cx.choose(Site::ORDER, self.end.who, 2) == 1
    }

    #[inline(always)]
    fn can_read(&self) -> bool {
        let credit = self.end.session.as_ref().map_or(0, Driven::credit);
        credit > 0 && (self.rx.readable() > 0 || (self.rx.at_end() && !self.rx.broken))
    }

    #[inline(always)]
    fn ready(&mut self, may_write: bool) -> u32 {
        let Some(session) = &self.end.session else { return 0 };
        let mut ready = 0;
        if may_write && !session.pending().is_empty() {
            ready |= WRITE;
        }
        if self.can_read() {
            ready |= READ;
        }
        if self.rx.broken && !self.end.failed {
            ready |= FAIL;
        }
        if self.end.mail && self.node.post.of(self.address.slot()).has_mail(session.command_credit() > 0) {
            ready |= MAIL;
        }
        ready
    }

    /// Tells the machine one thing that it can be told now; false if there is none.
    #[inline(always)]
    fn one_ready_thing(&mut self, now: Time, may_write: &mut bool) -> bool {
        let ready = self.ready(*may_write);
        match self.first_of(ready) {
            0 => false,
            WRITE => {
                *may_write = false;
                // Where nothing was taken, the machine was told nothing.
                self.write(now) || self.one_ready_thing(now, may_write)
            }
            READ => {
                self.read(now);
                true
            }
            FAIL => {
                self.fail(now);
                true
            }
            _ => self.deliver(now),
        }
    }

    #[inline(always)]
    fn first_of(&mut self, mut ready: u32) -> u32 {
        let count = ready.count_ones();
        if count > 1 {
            for _ in 0..self.cx.choose(Site::ORDER, self.end.who, count) {
                ready &= ready - 1;
            }
        }
        ready & ready.wrapping_neg()
    }

    /// Writes what the transport takes at once; whether the machine was told anything.
    #[inline(always)]
    fn write(&mut self, now: Time) -> bool {
        let who = self.end.who;
        if self.tx.broken {
            return self.fail_first(now);
        }
        let delay = self.cx.delay(Site::WOULD_BLOCK, who);
        if delay > 0 {
            self.cx.wake(&mut self.end.woken, who, delay, P::WAKE, self.address);
            return false;
        }
        let Some(session) = &mut self.end.session else { return false };
        let (whole, room) = (session.pending().len(), self.tx.room());
        let mut size = whole.min(room);
        self.tx.blocked = size < whole;
        if size == 0 {
            self.end.did.add(Did::BLOCKED);
            self.cx.note(who, What::Blocked, 0);
            return false;
        }
        let cut = self.cx.cut(Site::SHORT_WRITE, who);
        if cut < size {
            size = cut;
            self.cx.wake(&mut self.end.woken, who, self.cx.quantum, P::WAKE, self.address);
        }
        if size < whole {
            self.end.did.add(Did::SHORT);
        }
        self.end.written += size as u64;
        if self.end.completion > 0 {
            return self.submit(size);
        }
        self.end.moved = now;
        self.end.did.add(Did::WROTE);
        self.cx.tell(who, What::Wrote, size as u64);
        let mut bytes = session.take(now, if planted(2) { whole } else { size });
        if planted(2) {
            bytes.truncate(size);
        }
        self.cx.transmit(self.tx, who, <P::Other as Place>::ARRIVE, self.address, bytes);
        true
    }

    /// The transport has the bytes, and reports them later, as a completion ring does.
    #[cold]
    fn submit(&mut self, size: usize) -> bool {
        let who = self.end.who;
        let Some(pending) = self.end.session.as_ref().and_then(Driven::pending_bytes) else { return false };
        let bytes = pending.slice(..size);
        self.end.submitted = size;
        self.cx.transmit(self.tx, who, <P::Other as Place>::ARRIVE, self.address, bytes);
        let at = self.cx.now + u64::from(self.end.completion) * self.cx.quantum;
        self.cx.schedule(at, who, P::COMPLETE, self.address);
        false
    }

    /// A write that was submitted is reported.
    #[cold]
    fn complete(&mut self, now: Time) {
        let submitted = std::mem::take(&mut self.end.submitted);
        if let Some(session) = self.end.session.as_mut().filter(|_| submitted > 0) {
            self.end.did.add(Did::WROTE);
            self.end.moved = now;
            self.end.fresh = true;
            session.wrote(now, submitted);
            self.cx.note(self.end.who, What::Wrote, submitted as u64);
        }
    }

    /// Writing found the connection broken: what came before that is still there to be read, or is overlooked.
    #[cold]
    fn fail_first(&mut self, now: Time) -> bool {
        if self.end.submitted > 0 || self.end.failed {
            return false;
        }
        if self.cx.choose(Site::FAIL_FIRST, self.end.who, 2) == 0 {
            while self.can_read() {
                self.read(now);
            }
        }
        self.fail(now);
        true
    }

    #[cold]
    fn fail(&mut self, now: Time) {
        self.end.failed = true;
        self.end.did.add(Did::FAILED);
        self.cx.note(self.end.who, What::Failed, 0);
        if let Some(session) = &mut self.end.session {
            session.failed(now, Failure::Reset);
        }
    }

    /// Reads once.
    #[inline(always)]
    fn read(&mut self, now: Time) {
        let who = self.end.who;
        let Some(session) = &mut self.end.session else { return };
        self.end.moved = now;
        if self.rx.readable() == 0 {
            self.end.did.add(Did::END);
            self.cx.note(who, What::End, 0);
            return session.eof(now);
        }
        let limit = session.credit().min(self.cx.cut(Site::SHORT_READ, who));
        let bytes = if self.rx.is_scattered() && self.cx.choose(Site::COALESCE, who, 2) == 1 {
            self.rx.read_across(limit)
        } else {
            self.rx.read(limit)
        };
        self.end.did.add(Did::READ);
        self.end.read += bytes.len() as u64;
        // What the bytes are was taken into the hash when they were written.
        self.cx.note(who, What::Read, bytes.len() as u64);
        // The bug is a driver's that sees the end and forgets what came before it.
        let bytes = if planted(10) && self.rx.at_end() { Bytes::new() } else { bytes };
        let rest = session.data(now, bytes);
        debug_assert!(rest.is_empty(), "no more is read than there is credit for");
    }

    /// Hands over one piece of mail; false if there was none.
    #[cold]
    fn deliver(&mut self, now: Time) -> bool {
        let Some(session) = &mut self.end.session else { return false };
        let mailbox = self.node.post.of(self.address.slot());
        let letter = mailbox.take(session.command_credit() > 0);
        self.end.mail = !mailbox.is_empty();
        let (did, what) = match letter {
            None => return false,
            Some(Letter::Abort) => {
                session.abort(now);
                (Did::ABORT, What::Abort)
            }
            Some(Letter::Stop) => {
                self.end.stops += 1;
                self.end.stopped.get_or_insert(now);
                session.stop(now);
                (Did::STOP, What::Stop)
            }
            Some(Letter::Command(command)) => {
                let refused = session.command(now, command);
                debug_assert!(refused.is_ok(), "no command is taken without credit for it");
                (Did::COMMAND, What::Command)
            }
        };
        self.end.did.add(did);
        self.cx.note(self.end.who, what, 0);
        true
    }

    /// Makes sure of a timer for the machine's deadline. One that is in the queue already and comes earlier looks
    /// again when it is due, so that a deadline that moves with every message costs nothing.
    #[inline(always)]
    pub(crate) fn arm_timer(&mut self) {
        let Some(deadline) = self.end.session.as_ref().and_then(Driven::deadline) else { return };
        let at = self.node.clock.due(deadline, self.cx.now);
        if at < self.end.timer {
            let at = at + self.cx.delay(Site::TIMER, self.end.who);
            if at < self.end.timer {
                self.end.timer = at;
                self.cx.schedule(at, self.end.who, P::TIMER, self.address);
            }
        }
    }

    #[cold]
    fn half_close(&mut self) {
        self.end.did.add(Did::HALF_CLOSED);
        let mut seen = self.end.ever;
        seen.add(self.end.did);
        self.end.half_closed_first = !seen.has(Did::END);
        self.cx.note(self.end.who, What::HalfClose, 0);
        let (wakes, plan) = (self.end.wakes, &mut self.end.plan);
        if plan.abort_late > 0 {
            plan.abort_after = wakes + plan.abort_late;
            self.end.next_trouble = plan.next(wakes);
        }
        self.tx.half_close();
        self.cx.pump(self.tx, self.end.who, <P::Other as Place>::ARRIVE, self.address);
    }

    #[cold]
    fn close(&mut self, now: Time, how: Teardown, outcome: <H::Session as Machine>::Outcome) {
        let what = if how == Teardown::Reset { What::CloseReset } else { What::Close };
        self.end.did.add(Did::CLOSED);
        self.cx.note(self.end.who, what, 0);
        self.end.outcome = Some(outcome.clone());
        self.tear_down(how);
        let Node { hub, post, .. } = &mut *self.node;
        hub.closed(now, self.id, outcome, post);
    }

    /// Closes the socket, as the system does it: what was received and not read makes it a reset.
    #[cold]
    pub(crate) fn tear_down(&mut self, how: Teardown) {
        if !planted(14) {
            self.end.submitted = 0;
        }
        self.end.session = None;
        self.end.closed = true;
        self.node.post.of(self.address.slot()).close();
        let (who, to, address) = (self.end.who, <P::Other as Place>::ARRIVE, self.address);
        if how == Teardown::Reset || self.rx.readable() > 0 {
            self.cx.reset(self.tx, who, to, address);
        } else if !self.tx.is_half_closed() && !self.tx.broken {
            self.tx.half_close();
            self.cx.pump(self.tx, who, to, address);
        }
        self.rx.closed = true;
        self.rx.discard();
    }
}
