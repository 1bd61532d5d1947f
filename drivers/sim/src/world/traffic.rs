//! What happens on a connection: segments arrive, timers are due, drivers are woken.

use roundtrip_core::hub::{ConnectionId, Hub};
use roundtrip_core::{Driven, Teardown};

use crate::choose::{Active, Entity, Site};
use crate::connection::{Connection, Did, End, Injected, Side};
use crate::context::{Context, Told};
use crate::driver::{Cause, Driver, Trouble};
use crate::line::What;
use crate::node::Node;
use crate::pipe::{Arrived, NEVER, Pipe};
use crate::place::{AtClient, AtServer, Of, Place, Rest};
use crate::queue::Address;
use crate::run::Verdict;
use crate::scenario::{ConnectionOf, Scenario, Violation};

use super::{Halt, World, calm};

impl<S: Scenario, C: Told> World<'_, S, C> {
    /// A segment arrives.
    #[inline(always)]
    pub(super) fn arrive<P: Of<S>>(&mut self, address: Address) -> Result<(), Halt> {
        let (heal_at, slot) = (self.heal_at, address.slot());
        let (cx, node, connection) = P::parts(self, slot);
        if connection.address != address {
            return Ok(());
        }
        if connection.calm {
            let after = calm::arrive::<S, P, C>(cx, node, connection);
            if !matches!(after, After::Another) {
                return self.go_on_after::<P>(slot, after);
            }
        }
        let after = arrive::<S, P, C>(cx, node, connection, heal_at);
        connection.calm = cx.calm && connection.is_calm();
        self.go_on_after::<P>(slot, after)
    }

    /// What was decided about the line when it was opened may come true with a segment.
    #[cold]
    pub(super) fn trouble_on_the_line(&mut self, slot: u32) -> Result<(), Halt> {
        let Connection { client, server, up, down, plan, injected, .. } =
            &mut self.connections[slot as usize];
        let cx = &mut self.cx;
        if plan.arrivals == plan.blackhole_after {
            fall_silent(cx, up, &server.who, u64::MAX / 2, self.heal_at, injected);
            fall_silent(cx, down, &client.who, u64::MAX / 2, self.heal_at, injected);
        }
        if plan.arrivals == plan.reset_after {
            cx.note(&client.who, What::LineReset, 0);
            injected.reset = true;
            let discard = cx.choose(Site::RESET_DISCARDS, &client.who, 2) == 1;
            down.break_off(discard);
            let discard = cx.choose(Site::RESET_DISCARDS, &server.who, 2) == 1;
            up.break_off(discard);
            self.look::<AtClient>(slot)?;
            self.look::<AtServer>(slot)?;
        }
        Ok(())
    }

    /// Something is new for a driver: it looks at once, or later.
    pub(super) fn look<P: Of<S>>(&mut self, slot: u32) -> Result<(), Halt> {
        let (cx, node, connection) = P::parts(self, slot);
        let after = if P::driver(cx, node, connection).0.looks_at_once() {
            drive::<S, P, C>(cx, node, connection, Cause::Ready)
        } else {
            After::Nothing
        };
        connection.calm = cx.calm && connection.is_calm();
        self.go_on_after::<P>(slot, after)
    }

    /// A driver runs, unless its node is suspended.
    pub(super) fn notified<P: Of<S>>(&mut self, slot: u32, cause: Cause) -> Result<(), Halt> {
        let (cx, node, connection) = P::parts(self, slot);
        let mut driver = P::driver(cx, node, connection).0;
        let after = if driver.is_awake(cause) && driver.end.session.is_some() {
            drive::<S, P, C>(cx, node, connection, cause)
        } else {
            After::Nothing
        };
        connection.calm = cx.calm && connection.is_calm();
        self.go_on_after::<P>(slot, after)
    }

    #[inline(always)]
    pub(super) fn go_on_after<P: Of<S>>(&mut self, slot: u32, after: After) -> Result<(), Halt> {
        match after {
            After::Calm => self.settle_calmly::<P>(slot),
            After::Did(did) => self.settle::<P>(slot, did),
            After::Nothing => Ok(()),
            After::Another => {
                self.trouble_on_the_line(slot)?;
                self.look::<P>(slot)
            }
            After::Trouble(trouble) => Err(match *trouble {
                Trouble::Spins => {
                    let who = P::end_mut(&mut self.connections[slot as usize]).who;
                    Verdict::Livelock(format!("{who} does not come to rest")).into()
                }
                Trouble::Misuse(misuse) => Violation::new("misuse", misuse.to_string()).into(),
            }),
        }
    }

    /// The client has its answer: its session begins, unless it has.
    pub(super) fn begin(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let is_frozen = self.cx.now < self.clients.frozen_until;
        if connection.client.session.is_none() && !connection.client.closed && !is_frozen {
            let now = self.clients.clock.local(self.cx.now);
            self.clients.post.of(slot).open(connection.id);
            open(&mut connection.client, &mut self.clients.hub, connection.id, now);
        }
    }

    pub(super) fn timer<P: Of<S>>(&mut self, slot: u32) -> Result<(), Halt> {
        let now = self.cx.now;
        let local = P::node(self).clock.local(now);
        let is_frozen = now < P::node(self).frozen_until;
        let end = P::end_mut(&mut self.connections[slot as usize]);
        // A timer that was armed anew leaves the old one in the queue.
        if end.timer != now {
            return Ok(());
        }
        end.timer = u64::MAX;
        match end.session.as_ref().and_then(Driven::deadline) {
            None => Ok(()),
            Some(deadline) if deadline > local && !is_frozen => {
                self.arm_timer::<P>(slot);
                Ok(())
            }
            Some(_) => self.notified::<P>(slot, Cause::Ready),
        }
    }

    pub(super) fn arm_timer<P: Of<S>>(&mut self, slot: u32) {
        let (cx, node, connection) = P::parts(self, slot);
        P::driver(cx, node, connection).0.arm_timer();
    }

    pub(super) fn tear_down<P: Of<S>>(&mut self, slot: u32, how: Teardown) {
        let (cx, node, connection) = P::parts(self, slot);
        P::driver(cx, node, connection).0.tear_down(how);
    }
}

pub(super) fn open<H: Hub>(
    end: &mut End<H::Session>,
    hub: &mut H,
    id: ConnectionId,
    now: roundtrip_core::Time,
) {
    end.session = Some(Driven::new(hub.open(now, id)));
    end.fresh = true;
    end.opened = now;
    end.moved = now;
    end.now = now;
}

/// What came of an event at one end of a connection. Small enough to be returned in registers.
#[derive(Debug)]
pub(crate) enum After {
    /// Its driver went the short way to its end.
    Calm,
    /// Its driver did something.
    Did(Did),
    /// Its driver was not run.
    Nothing,
    /// There is more to the event than was done.
    Another,
    /// Its driver cannot go on.
    Trouble(Box<Trouble>),
}

/// A segment arrives.
///
/// This, like [`drive`], stands alone and is not a method of the world, because the compiler makes more of references
/// that it knows to be apart.
#[inline(never)]
fn arrive<S: Scenario, P: Of<S>, C: Told>(
    cx: &mut Context<C>,
    node: &mut Node<P::Hub>,
    connection: &mut ConnectionOf<S>,
    heal_at: u64,
) -> After {
    let (mut driver, rest) = P::driver(cx, node, connection);
    let Driver { cx, rx: to, tx: back, end, address, .. } = &mut driver;
    let (from, at, address) = (rest.peer, &end.who, *address);
    to.scheduled = false;
    if cx.now < to.silent_until.max(to.next) {
        if to.next != NEVER {
            cx.expect_arrival(to, from, P::ARRIVE, address);
        }
        return After::Nothing;
    }
    let what = to.arrive();
    rest.plan.arrivals += 1;
    let trouble = rest.plan.trouble && rest.plan.comes(to.arrivals, P::SIDE) && cx.active != Active::NONE;
    if trouble && to.arrivals == rest.plan.silence(P::SIDE).after {
        fall_silent(cx, to, at, rest.plan.silence(P::SIDE).lasts, heal_at, rest.injected);
    }
    if to.next != NEVER {
        cx.expect_arrival(to, from, P::ARRIVE, address);
    }
    match what {
        Arrived::Data(bytes) => {
            cx.tell(at, What::Arrive, bytes as u64);
            if to.closed {
                to.discard();
                // RFC 9293, section 3.10.7.1: what comes for a connection that is not there is reset.
                cx.reset(back, at, P::Other::ARRIVE, address);
            }
        }
        Arrived::Fin => cx.tell(at, What::ArriveEnd, 0),
        Arrived::Reset => {
            cx.note(at, What::ArriveReset, 0);
            let discard = cx.choose(Site::RESET_DISCARDS, at, 2) == 1;
            to.break_off(discard);
            back.break_off(false);
        }
    }
    if trouble {
        return After::Another;
    }
    if !driver.looks_at_once() {
        return After::Nothing;
    }
    drive_inline(driver, rest, Cause::Ready)
}

/// Runs a driver that has a session.
#[inline]
fn drive<S: Scenario, P: Of<S>, C: Told>(
    cx: &mut Context<C>,
    node: &mut Node<P::Hub>,
    connection: &mut ConnectionOf<S>,
    cause: Cause,
) -> After {
    let (driver, rest) = P::driver(cx, node, connection);
    drive_inline(driver, rest, cause)
}

#[inline(always)]
#[expect(clippy::needless_pass_by_value, reason = "it comes apart here")]
fn drive_inline<P: Place, C: Told, H: Hub>(
    mut driver: Driver<'_, P, C, H>,
    rest: Rest<'_>,
    cause: Cause,
) -> After {
    if let Err(trouble) = driver.drive(cause) {
        return After::Trouble(Box::new(trouble));
    }
    let did = driver.end.did;
    // What was read left room for what the other side has to send.
    if did.has(Did::READ) {
        refill::<P::Other, C>(driver.cx, driver.rx, rest.peer, rest.peer_woken, driver.address);
    }
    if did.has_any(Did::STOP | Did::ABORT) {
        let (stop, abort) = match P::SIDE {
            Side::Client => (&mut rest.injected.client_stop, &mut rest.injected.client_abort),
            Side::Server => (&mut rest.injected.server_stop, &mut rest.injected.server_abort),
        };
        *stop |= did.has(Did::STOP);
        *abort |= did.has(Did::ABORT);
    }
    After::Did(did)
}

/// Sends what the reader left room for, and wakes a writer that waits for it. `P` is the writer's side.
#[inline(always)]
pub(super) fn refill<P: Place, C: Told>(
    cx: &mut Context<C>,
    pipe: &mut Pipe,
    who: &Entity,
    woken: &mut bool,
    address: Address,
) {
    if pipe.broken || !(pipe.blocked || pipe.has_something_to_send()) {
        return;
    }
    cx.pump(pipe, who, P::Other::ARRIVE, address);
    if pipe.blocked && pipe.room() > 0 {
        pipe.blocked = false;
        cx.wake(woken, who, 0, P::WAKE, address);
    }
}

fn fall_silent<C: Told>(
    cx: &mut Context<C>,
    pipe: &mut Pipe,
    at: &Entity,
    lasts: u64,
    heal_at: u64,
    injected: &mut Injected,
) {
    injected.delay = true;
    pipe.silent_until = (cx.now.saturating_add(lasts)).min(heal_at).max(pipe.silent_until);
    cx.note(at, What::Silence, pipe.silent_until - cx.now);
}
