//! The short way: what nearly every event of a calm run is, in one straight line.
//!
//! Bytes arrive at a driver that waits for nothing else, are read whole, are answered with a write that leaves whole,
//! and the machine waits again. [`Connection::calm`] says that nothing else is under way at either end: that is found
//! out after every event that took the long way, and whoever disturbs a connection from outside takes it back.
//!
//! The long way does the same in the same order, so it does not matter which is taken. Recorded runs never take this
//! one, and a test holds their hashes against those of runs that do.

use roundtrip_core::{Driven, Machine, Step};

use super::traffic::After;
use crate::choose::{Active, Site};
use crate::connection::{Connection, Did, End};
use crate::context::{Context, Told};
use crate::driver::Driver;
use crate::line::What;
use crate::node::Node;
use crate::pipe::NEVER;
use crate::place::{Of, Place};
use crate::scenario::{ConnectionOf, Scenario};

/// Choices that belong to the long way; the others on this one are asked for here as well.
pub(crate) const LONG: Active = Active::NONE
    .with(Site::WAKE)
    .with(Site::SHORT_READ)
    .with(Site::SHORT_WRITE)
    .with(Site::WOULD_BLOCK)
    .with(Site::SEGMENT);

/// What an arrival on a calm connection leads to; [`After::Another`], and nothing was done, if it is not for this way.
#[inline(never)]
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else it says is for the long way")]
pub(crate) fn arrive<S: Scenario, P: Of<S>, C: Told>(
    cx: &mut Context<C>,
    node: &mut Node<P::Hub>,
    connection: &mut ConnectionOf<S>,
) -> After {
    let now = node.clock.local(cx.now);
    let frozen_until = node.frozen_until;
    let (mut driver, rest) = P::driver(cx, node, connection);
    let Driver { cx, end, tx, rx, address, .. } = &mut driver;
    let Some(session) = &mut end.session else { return After::Another };
    let is_due = cx.now >= rx.next.max(frozen_until);
    if !is_due || session.deadline().is_some_and(|deadline| deadline <= now) {
        return After::Another;
    }
    let Some(bytes) = rx.pass_on(session.credit()) else { return After::Another };
    rx.scheduled = false;
    if rx.next != NEVER {
        cx.expect_arrival(rx, rest.peer, P::ARRIVE, *address);
    }
    let size = bytes.len() as u64;
    end.now = now;
    end.moved = now;
    end.ever.add(end.did);
    end.did = Did::READ;
    end.read += size;
    cx.note(&end.who, What::Read, size);
    let refused = session.data_within_credit(now, bytes);
    debug_assert!(refused.is_ok(), "there is credit for it");
    match session.step_taking(now, tx.clear_room()) {
        Err(Step::Wait(_)) => {}
        Err(step) => return driver.go_on(now, step, rest.calm),
        Ok(bytes) => {
            end.did = Did::READ | Did::WROTE;
            end.written += bytes.len() as u64;
            cx.hash.bytes(&bytes);
            cx.launch(tx, &end.who, <P::Other as Place>::ARRIVE, *address, bytes);
            match session.step(now) {
                Step::Wait(_) => {}
                step => return driver.go_on(now, step, rest.calm),
            }
        }
    }
    driver.arm_timer();
    After::Calm
}

impl<C: Machine, S: Machine> Connection<C, S> {
    /// Whether nothing is under way but whole segments between two machines that wait for them.
    pub(crate) fn is_calm(&self) -> bool {
        !self.plan.trouble
            && self.up.is_calm()
            && self.down.is_calm()
            && self.client.is_calm()
            && self.server.is_calm()
    }
}

impl<M: Machine> End<M> {
    fn is_calm(&self) -> bool {
        self.session.as_ref().and_then(Driven::pending_bytes).is_none()
            && !(self.closed || self.fresh || self.mail || self.failed)
            && self.submitted == 0
            && self.completion == 0
            && self.next_trouble == 0
    }
}
