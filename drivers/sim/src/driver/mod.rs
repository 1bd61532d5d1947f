//! The driver of one end: the loop of every driver, where what a system would decide is a choice.

mod calls;

use std::marker::PhantomData;

use roundtrip_core::hub::{ConnectionId, Hub};
use roundtrip_core::{Driven, Machine, Misuse, Step, Time};

use crate::choose::Site;
use crate::connection::{Did, End};
use crate::context::{Context, Told};
use crate::line::What;
use crate::node::Node;
use crate::pipe::Pipe;
use crate::place::Place;
use crate::queue::Address;
use crate::world::After;

/// Steps of one machine in one event among which a byte has to be read or written, or it spins.
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
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// The machine did not come to rest.
    Spins,
    /// The machine says that its driver broke the contract.
    Misuse(Misuse),
}

type StepOf<H> = Step<<<H as Hub>::Session as Machine>::Event, <<H as Hub>::Session as Machine>::Outcome>;

/// What follows from a step.
enum Next {
    /// The machine may have more to say.
    Poll { may_write: bool },
    /// It waits.
    Rest,
    /// It closed; whether its driver had broken the contract.
    Over(Option<Misuse>),
}

/// What a closed machine leaves behind.
fn over(misuse: Option<Misuse>) -> Result<(), Trouble> {
    misuse.map_or(Ok(()), |misuse| Err(Trouble::Misuse(misuse)))
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

impl<P: Place, C: Told, H: Hub> Driver<'_, P, C, H> {
    /// Itself, for what is rarely called: a driver that is lent by reference has to live in memory, and this one is
    /// in registers.
    #[inline(always)]
    pub(crate) fn lend(&mut self) -> Driver<'_, P, C, H> {
        let Self { cx, node, end, id, tx, rx, address, place } = self;
        Driver { cx, node, end, id: *id, tx, rx, address: *address, place: *place }
    }

    /// Something is new for it: whether it looks at once; if not, it is woken later, or has no session.
    #[inline(always)]
    pub(crate) fn looks_at_once(&mut self) -> bool {
        if self.end.session.is_none() {
            return false;
        }
        let delay = self.cx.delay(Site::WAKE, &self.end.who);
        if delay > 0 {
            self.cx.wake(&mut self.end.woken, &self.end.who, delay, P::WAKE, self.address);
            return false;
        }
        self.is_awake(Cause::Ready)
    }

    /// Whether its node is not suspended; if it is, the driver is woken later.
    #[inline(always)]
    pub(crate) fn is_awake(&mut self, cause: Cause) -> bool {
        let until = self.node.frozen_until;
        if self.cx.now < until {
            self.lend().put_off(cause, until);
            return false;
        }
        true
    }

    #[cold]
    fn put_off(self, cause: Cause, until: u64) {
        let End { who, woken, .. } = self.end;
        match cause {
            Cause::Ready => self.cx.wake(woken, who, until - self.cx.now, P::WAKE, self.address),
            Cause::Complete => self.cx.schedule(until, who, P::COMPLETE, self.address),
        }
    }

    /// Does all there is to do, until the machine waits or closes.
    #[inline(always)]
    pub(crate) fn drive(&mut self, cause: Cause) -> Result<(), Trouble> {
        let now = self.node.clock.local(self.cx.now);
        self.end.begin_event(now);
        self.end.wakes += 1;
        if self.end.wakes == self.end.next_trouble {
            self.lend().trouble();
        }
        if cause == Cause::Complete {
            self.lend().complete(now);
        }
        let late = self.end.session.as_ref().and_then(Driven::deadline).is_some_and(|at| at <= now);
        let told = std::mem::take(&mut self.end.fresh) || (late && self.lend().timer());
        self.work(now, told, late, self.end.submitted == 0)
    }

    /// Goes the long way from a step on that the short one does not take.
    #[inline(never)]
    pub(crate) fn go_on(mut self, now: Time, step: StepOf<H>, calm: &mut bool) -> After {
        *calm = false;
        let worked = match self.obey(now, step, true) {
            Next::Poll { may_write } => self.work(now, true, false, may_write),
            Next::Rest => self.work(now, false, false, true),
            Next::Over(misuse) => over(misuse),
        };
        worked.map_or_else(|trouble| After::Trouble(Box::new(trouble)), |()| After::Did(self.end.did))
    }

    /// Tells the machine what there is to tell and does what it says, until there is no more. `told`: it was told
    /// something already. `late`: a deadline has passed.
    #[inline(always)]
    fn work(
        &mut self,
        now: Time,
        mut told: bool,
        mut late: bool,
        mut may_write: bool,
    ) -> Result<(), Trouble> {
        let (mut patience, mut progress) = (PATIENCE, self.end.read + self.end.written);
        loop {
            // A deadline that has passed takes effect in the next poll; what is there is read before it.
            if !told && !self.one_ready_thing(now, &mut may_write) && !std::mem::take(&mut late) {
                self.arm_timer();
                return Ok(());
            }
            told = false;
            loop {
                if patience == 0 {
                    // What was there to be read is bounded: whoever reads it gets on.
                    let earlier = std::mem::replace(&mut progress, self.end.read + self.end.written);
                    if earlier == progress {
                        return Err(Trouble::Spins);
                    }
                    patience = PATIENCE;
                }
                patience -= 1;
                let Some(session) = &mut self.end.session else { return Ok(()) };
                let step = session.step(now);
                match self.obey(now, step, may_write) {
                    Next::Poll { may_write: now_may } => may_write = now_may,
                    Next::Rest => break,
                    Next::Over(misuse) => return over(misuse),
                }
            }
            late = false;
        }
    }

    /// Does what the machine says.
    #[inline(always)]
    fn obey(&mut self, now: Time, step: StepOf<H>, mut may_write: bool) -> Next {
        match step {
            Step::Wait(_) => return Next::Rest,
            Step::Write => {
                let size = self.end.session.as_ref().map_or(0, |session| session.pending().len());
                self.cx.tell(&self.end.who, What::Write, size as u64);
                may_write = false;
                // What was not taken whole is for later; a machine that was told of it may have more to say.
                self.write(now);
            }
            Step::ShutdownWrite => self.lend().half_close(),
            Step::Event(event) => {
                self.cx.note(&self.end.who, What::Event, 0);
                let Node { hub, post, .. } = &mut *self.node;
                hub.event(now, self.id, event, post);
            }
            Step::Close { how, outcome } => {
                let misuse = self.end.session.as_ref().and_then(Driven::misuse);
                self.lend().close(now, how, outcome);
                return Next::Over(misuse);
            }
        }
        Next::Poll { may_write }
    }

    /// What the application does to its session out of the blue.
    #[cold]
    fn trouble(self) {
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
    fn timer(self) -> bool {
        self.end.did.add(Did::TIMER);
        self.cx.note(&self.end.who, What::Timer, 0);
        if !self.can_read() {
            return false;
        }
        self.end.did.add(Did::TIED);
        self.cx.choose(Site::ORDER, &self.end.who, 2) == 1
    }

    #[inline(always)]
    fn can_read(&self) -> bool {
        let credit = self.end.session.as_ref().map_or(0, Driven::credit);
        credit > 0 && (self.rx.readable() > 0 || self.rx.at_end())
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
        let can_write = *may_write && self.end.session.as_ref().and_then(Driven::pending_bytes).is_some();
        if can_write || self.rx.broken || self.end.mail {
            return self.lend().one_of_several(now, may_write);
        }
        let can_read = self.can_read();
        if can_read {
            self.read(now);
        }
        can_read
    }

    /// The same where more than one thing may be ready.
    #[inline(never)]
    fn one_of_several(mut self, now: Time, may_write: &mut bool) -> bool {
        loop {
            let mut ready = self.ready(*may_write);
            if ready & (READ | FAIL) == READ | FAIL {
                ready &= if self.cx.choose(Site::FAIL_FIRST, &self.end.who, 2) == 0 { !FAIL } else { !READ };
            }
            match self.first_of(ready) {
                0 => return false,
                WRITE => {
                    *may_write = false;
                    // Where nothing was taken, the machine was told nothing.
                    if self.write(now) {
                        return true;
                    }
                }
                READ => {
                    self.read(now);
                    return true;
                }
                FAIL => {
                    self.lend().fail(now);
                    return true;
                }
                _ => return self.lend().deliver(now),
            }
        }
    }

    #[inline(always)]
    fn first_of(&mut self, mut ready: u32) -> u32 {
        if ready & ready.wrapping_sub(1) != 0 {
            for _ in 0..self.cx.choose(Site::ORDER, &self.end.who, ready.count_ones()) {
                ready &= ready - 1;
            }
        }
        ready & ready.wrapping_neg()
    }
}
