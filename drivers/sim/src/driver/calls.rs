//! The calls of a driver: write, read, half-close, close, and what the application's mail makes it do.

use roundtrip_core::hub::Hub;
use roundtrip_core::{Driven, Failure, Machine, Teardown, Time};

use crate::choose::Site;
use crate::connection::Did;
use crate::context::Told;
use crate::line::What;
use crate::node::{Letter, Node};
use crate::place::Place;
use crate::scenario::DriverFlaw;

use super::Driver;

impl<P: Place, C: Told, H: Hub> Driver<'_, P, C, H> {
    /// Writes what the transport takes at once; whether the machine was told anything.
    #[inline(always)]
    pub(super) fn write(&mut self, now: Time) -> bool {
        if self.tx.broken {
            return self.lend().fail_first(now);
        }
        let delay = self.cx.delay(Site::WOULD_BLOCK, &self.end.who);
        if delay > 0 {
            self.cx.wake(&mut self.end.woken, &self.end.who, delay, P::WAKE, self.address);
            return false;
        }
        let Some(session) = &mut self.end.session else { return false };
        let (whole, room) = (session.pending().len(), self.tx.room());
        let mut size = whole.min(room);
        self.tx.blocked = size < whole;
        if size == 0 {
            self.end.did.add(Did::BLOCKED);
            self.cx.note(&self.end.who, What::Blocked, 0);
            return false;
        }
        let cut = self.cx.cut(Site::SHORT_WRITE, &self.end.who);
        if cut < size {
            size = cut;
            self.cx.wake(&mut self.end.woken, &self.end.who, self.cx.quantum, P::WAKE, self.address);
        }
        if size < whole {
            self.end.did.add(Did::SHORT);
        }
        self.end.written += size as u64;
        if self.end.completion > 0 {
            return self.lend().submit(size);
        }
        self.end.moved = now;
        self.end.did.add(Did::WROTE);
        self.cx.tell(&self.end.who, What::Wrote, size as u64);
        let is_flawed = self.cx.driver_flaw == DriverFlaw::TakesPartialWritesForWhole;
        let mut bytes = session.take(now, if is_flawed { whole } else { size });
        if is_flawed {
            bytes.truncate(size);
        }
        self.cx.transmit(self.tx, &self.end.who, <P::Other as Place>::ARRIVE, self.address, bytes);
        true
    }

    /// The transport has the bytes, and reports them later, as a completion ring does.
    #[cold]
    pub(super) fn submit(self, size: usize) -> bool {
        let Some(pending) = self.end.session.as_ref().and_then(Driven::pending_bytes) else { return false };
        let bytes = pending.slice(..size);
        self.end.submitted = size;
        self.cx.transmit(self.tx, &self.end.who, <P::Other as Place>::ARRIVE, self.address, bytes);
        let at = self.cx.now + u64::from(self.end.completion) * self.cx.quantum;
        self.cx.schedule(at, &self.end.who, P::COMPLETE, self.address);
        false
    }

    /// A write that was submitted is reported.
    #[cold]
    pub(super) fn complete(self, now: Time) {
        let submitted = std::mem::take(&mut self.end.submitted);
        if let Some(session) = self.end.session.as_mut().filter(|_| submitted > 0) {
            self.end.did.add(Did::WROTE);
            self.end.moved = now;
            self.end.fresh = true;
            session.wrote(now, submitted);
            self.cx.note(&self.end.who, What::Wrote, submitted as u64);
        }
    }

    /// Writing found the connection broken: what came before that is still there to be read, or is overlooked.
    #[cold]
    pub(super) fn fail_first(mut self, now: Time) -> bool {
        if self.end.submitted > 0 || self.end.failed {
            return false;
        }
        if self.cx.choose(Site::FAIL_FIRST, &self.end.who, 2) == 0 {
            while self.can_read() {
                self.read(now);
            }
        }
        self.fail(now);
        true
    }

    #[cold]
    pub(super) fn fail(self, now: Time) {
        self.end.failed = true;
        self.end.did.add(Did::FAILED);
        self.cx.note(&self.end.who, What::Failed, 0);
        if let Some(session) = &mut self.end.session {
            session.failed(now, Failure::Reset);
        }
    }

    /// Reads once.
    #[inline(always)]
    pub(super) fn read(&mut self, now: Time) {
        let Some(session) = &mut self.end.session else { return };
        self.end.moved = now;
        if self.rx.readable() == 0 {
            self.end.did.add(Did::END);
            self.cx.note(&self.end.who, What::End, 0);
            return session.eof(now);
        }
        let limit = session.credit().min(self.cx.cut(Site::SHORT_READ, &self.end.who));
        let bytes = if self.rx.is_scattered() && self.cx.choose(Site::ONE_SEGMENT, &self.end.who, 2) == 0 {
            self.rx.read_across(limit)
        } else {
            self.rx.read(limit)
        };
        self.end.did.add(Did::READ);
        self.end.read += bytes.len() as u64;
        // What the bytes are was taken into the hash when they were written.
        self.cx.note(&self.end.who, What::Read, bytes.len() as u64);
        if self.cx.driver_flaw == DriverFlaw::ForgetsDataBeforeEnd && self.rx.at_end() {
            return;
        }
        let refused = session.data_within_credit(now, bytes);
        debug_assert!(refused.is_ok(), "no more is read than there is credit for");
    }

    /// Hands over one piece of mail; false if there was none.
    #[cold]
    pub(super) fn deliver(self, now: Time) -> bool {
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
        self.cx.note(&self.end.who, what, 0);
        true
    }

    /// Makes sure of a timer for the machine's deadline. One that is in the queue already and comes earlier looks
    /// again when it is due, so that a deadline that moves with every message costs nothing.
    #[inline(always)]
    pub(crate) fn arm_timer(&mut self) {
        let Some(deadline) = self.end.session.as_ref().and_then(Driven::deadline) else { return };
        let at = self.node.clock.due(deadline, self.cx.now);
        if at < self.end.timer {
            let at = at + self.cx.delay(Site::TIMER, &self.end.who);
            if at < self.end.timer {
                self.end.timer = at;
                self.cx.schedule(at, &self.end.who, P::TIMER, self.address);
            }
        }
    }

    #[cold]
    pub(super) fn half_close(self) {
        self.end.did.add(Did::HALF_CLOSED);
        let mut seen = self.end.ever;
        seen.add(self.end.did);
        self.end.half_closed_first = !seen.has(Did::END);
        self.cx.note(&self.end.who, What::HalfClose, 0);
        let (wakes, plan) = (self.end.wakes, &mut self.end.plan);
        if plan.abort_late > 0 {
            plan.abort_after = wakes + plan.abort_late;
            self.end.next_trouble = plan.next(wakes);
        }
        self.tx.half_close();
        self.cx.pump(self.tx, &self.end.who, <P::Other as Place>::ARRIVE, self.address);
    }

    #[cold]
    pub(super) fn close(mut self, now: Time, how: Teardown, outcome: <H::Session as Machine>::Outcome) {
        let what = if how == Teardown::Reset { What::CloseReset } else { What::Close };
        self.end.did.add(Did::CLOSED);
        self.cx.note(&self.end.who, what, 0);
        self.end.outcome = Some(outcome.clone());
        self.lend().tear_down(how);
        let Node { hub, post, .. } = &mut *self.node;
        hub.closed(now, self.id, outcome, post);
    }

    /// Closes the socket, as the system does it: what was received and not read makes it a reset.
    #[cold]
    pub(crate) fn tear_down(self, how: Teardown) {
        if self.cx.driver_flaw != DriverFlaw::AcceptsStaleCompletions {
            self.end.submitted = 0;
        }
        self.end.session = None;
        self.end.closed = true;
        self.node.post.of(self.address.slot()).close();
        let (to, address) = (<P::Other as Place>::ARRIVE, self.address);
        if how == Teardown::Reset || self.rx.readable() > 0 {
            self.cx.reset(self.tx, &self.end.who, to, address);
        } else if !self.tx.is_half_closed() && !self.tx.broken {
            self.tx.half_close();
            self.cx.pump(self.tx, &self.end.who, to, address);
        }
        self.rx.closed = true;
        self.rx.discard();
    }
}
