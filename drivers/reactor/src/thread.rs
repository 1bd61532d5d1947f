//! The event loop: all connections of one thread.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_net::event_loop::{
    HANDOFF, HandoffQueue, LISTENER, PendingConnection, Ring, SessionChannel, Slots, Timers, Token, finish,
};
use roundtrip_net::{
    Application, Block, Callback, Clock, CommandOf, ConnectionReport, Control, OutcomeOf, Panic, catch, until,
};

use crate::options::Reactor;
use crate::poller::{Poller, token};
use crate::session::{Session, Turn};
use crate::spin::Spin;

/// When a connection is told that it was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// When its thread was: what came was there by then.
    Turn,
    /// When its turn came: a client that times its peer must not count for how long others of its own thread were served.
    Connection,
}

/// One thread's connections, and what they share.
pub(crate) struct Thread<'a, K, A: Application<K>, T> {
    app: &'a A,
    clock: &'a T,
    poller: Poller,
    spin: Spin,
    timing: Timing,
    /// When it woke.
    woken: Time,
    handoff: Arc<HandoffQueue<K, CommandOf<A, K>>>,
    slots: Slots<Held<K, A>>,
    timers: Timers,
    /// Who has something to do, in turn.
    queue: VecDeque<Token>,
    block: Block,
    /// Used again and again.
    rung: Vec<Token>,
    pending: Vec<PendingConnection<K, CommandOf<A, K>>>,
    /// The queue was not closed.
    open: bool,
}

/// One connection.
struct Held<K, A: Application<K>> {
    key: K,
    control: Control<CommandOf<A, K>>,
    ring: Arc<Ring>,
    session: Session<A::Machine>,
    queued: bool,
}

impl<'a, K: Send + 'a, A: Application<K, Machine: 'a>, T: Clock> Thread<'a, K, A, T> {
    pub(crate) fn new(
        app: &'a A,
        clock: &'a T,
        options: Reactor,
        timing: Timing,
        poller: Poller,
        handoff: Arc<HandoffQueue<K, CommandOf<A, K>>>,
    ) -> Self {
        Self {
            app,
            clock,
            handoff,
            poller,
            spin: Spin::new(options.busy_poll),
            timing,
            woken: clock.now(),
            slots: Slots::new(),
            timers: Timers::default(),
            queue: VecDeque::new(),
            block: Block::default(),
            rung: Vec::new(),
            pending: Vec::new(),
            open: true,
        }
    }

    /// A thread that drives what is handed over to it, until its queue is closed.
    pub(crate) fn start<'scope>(
        scope: &'scope thread::Scope<'scope, '_>,
        app: &'a A,
        clock: &'a T,
        options: Reactor,
        timing: Timing,
        poller: Poller,
    ) -> io::Result<Arc<HandoffQueue<K, CommandOf<A, K>>>>
    where
        'a: 'scope,
    {
        let handoff = Arc::new(HandoffQueue::new(Arc::clone(poller.wake())));
        let run = {
            let handoff = Arc::clone(&handoff);
            move || Self::new(app, clock, options, timing, poller, handoff).run()
        };
        thread::Builder::new().name("roundtrip".into()).spawn_scoped(scope, run)?;
        Ok(handoff)
    }

    pub(crate) const fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Drives what is handed over until nothing more comes.
    pub(crate) fn run(mut self) -> io::Result<()> {
        while self.open || !self.slots.is_empty() {
            self.turn(None)?;
        }
        Ok(())
    }

    /// Looks for what is new, and sleeps for that if nobody has anything to do, until `deadline` at the latest; then gives
    /// each connection that has something to do its turn. Whether a client waits at the [`LISTENER`].
    pub(crate) fn turn(&mut self, deadline: Option<Time>) -> io::Result<bool> {
        if self.queue.is_empty() {
            let deadline = [deadline, self.timers.next()].into_iter().flatten().min();
            self.sleep(deadline)?;
        } else {
            self.poller.wait(Some(Duration::ZERO))?;
        }
        self.woken = self.clock.now();
        let mut gate = false;
        let events = self.poller.take_events();
        for event in &events {
            let token = token(event);
            gate |= token == LISTENER;
            self.serve(token, |session| session.note(event));
        }
        self.poller.give_back(events);
        self.expire();
        gate |= self.attend();
        Ok(gate)
    }

    /// Hears what was rung, and gives each connection that has something to do its turn; whether it was rung at the gate.
    pub(crate) fn attend(&mut self) -> bool {
        let gate = self.hear();
        for _ in 0..self.queue.len() {
            self.serve_next();
        }
        gate
    }

    /// Waits until there is something to do, or `deadline` has passed.
    fn sleep(&mut self, deadline: Option<Time>) -> io::Result<()> {
        if !self.spin.learns() {
            return self.sleep_at_once(deadline);
        }
        if self.spin_until(deadline)? {
            return Ok(());
        }
        let slept = self.clock.now();
        self.sleep_at_once(deadline)?;
        // Where only the time was up, there was nothing that a spin could have found.
        if self.poller.found() {
            self.spin.slept(self.clock.now().since(slept));
        }
        Ok(())
    }

    fn sleep_at_once(&mut self, deadline: Option<Time>) -> io::Result<()> {
        let timeout = match deadline {
            _ if !self.poller.wake().may_sleep() => Some(Duration::ZERO),
            None => None,
            deadline => until(self.clock.now(), deadline),
        };
        self.poller.wait(timeout)
    }

    /// Looks for something to do, again and again, if that is worth it; whether there is, or `deadline` has passed.
    fn spin_until(&mut self, deadline: Option<Time>) -> io::Result<bool> {
        let Some((looks, limit)) = self.spin.worth() else { return Ok(false) };
        let begun = self.clock.now();
        for _ in 0..looks {
            self.poller.wait(Some(Duration::ZERO))?;
            if self.poller.found() || self.poller.wake().is_rung() {
                self.spin.paid();
                return Ok(true);
            }
            let now = self.clock.now();
            if deadline.is_some_and(|at| at <= now) {
                return Ok(true);
            }
            if now.since(begun) >= limit {
                break;
            }
        }
        self.spin.failed();
        Ok(false)
    }

    /// Looks for what was rung; whether it was at the gate.
    fn hear(&mut self) -> bool {
        let mut rung = std::mem::take(&mut self.rung);
        self.poller.wake().hear(&mut rung);
        let mut gate = false;
        for token in rung.drain(..) {
            if let Some(held) = self.slots.get_mut(token) {
                held.ring.hear();
                held.session.expect_mail();
                held.enqueue(&mut self.queue, token);
            } else if token == HANDOFF {
                self.take_over();
            }
            gate |= token == LISTENER;
        }
        self.rung = rung;
        gate
    }

    /// Gives those whose deadline has passed their turn.
    fn expire(&mut self) {
        let now = self.woken;
        while let Some(slot) = self.timers.expire(now) {
            let Some(token) = self.slots.token(slot) else { continue };
            let Some(held) = self.slots.get_mut(token) else { continue };
            match held.session.deadline() {
                Some(deadline) if deadline > now => self.timers.arm(slot, deadline),
                Some(_) => held.enqueue(&mut self.queue, token),
                None => {}
            }
        }
    }

    /// Takes the connections that were handed over.
    fn take_over(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        self.open = self.handoff.take(&mut pending);
        for connection in pending.drain(..) {
            self.install(connection);
        }
        self.pending = pending;
    }

    fn install(&mut self, pending: PendingConnection<K, CommandOf<A, K>>) {
        let PendingConnection { key, stream, channel: SessionChannel { ring, mailbox, control } } = pending;
        let machine = |now| self.app.open(now, &key, &control);
        let now = self.clock.now();
        // The stream is lost with a panic, and so reset.
        match catch(|| Session::new(stream, mailbox, now, machine)) {
            Ok(session) => {
                let token = self.slots.insert(Held { key, control, ring, session, queued: false });
                if let Some(held) = self.slots.get_mut(token) {
                    if held.ring.belongs_to(token) {
                        held.session.expect_mail();
                    }
                    held.enqueue(&mut self.queue, token);
                }
            }
            Err(panic) => finish(self.app, &key, (), Err(panic)),
        }
    }

    /// The turn of whoever has waited longest for it.
    fn serve_next(&mut self) {
        let Some(token) = self.queue.pop_front() else { return };
        if let Some(held) = self.slots.get_mut(token) {
            held.queued = false;
        }
        self.serve(token, |_session| true);
    }

    /// One connection's turn, if it has something to do.
    fn serve(&mut self, token: Token, has_to: impl FnOnce(&mut Session<A::Machine>) -> bool) {
        let Some(held) = self.slots.get_mut(token) else { return };
        if !has_to(&mut held.session) {
            return;
        }
        let woken = match self.timing {
            Timing::Turn => self.woken,
            Timing::Connection => self.clock.now(),
        };
        let Held { key, control, session, .. } = held;
        let mut events = Callback(|event| self.app.event(key, control, event));
        // The session is dropped after a panic, and so its connection reset.
        match catch(|| session.run(woken, self.clock, &mut self.block, &mut events)) {
            Ok(Turn::Again) => held.enqueue(&mut self.queue, token),
            Ok(Turn::Wait(deadline)) => {
                if let Err(error) = session.register(self.poller.registry(), token) {
                    session.fail(error);
                    held.enqueue(&mut self.queue, token);
                } else if let Some(deadline) = deadline {
                    self.timers.arm(Slots::<Held<K, A>>::index(token), deadline);
                }
            }
            Ok(Turn::Over(ended)) => self.close(token, Ok(ended)),
            Err(panic) => self.close(token, Err(panic)),
        }
    }

    /// Tears a connection down, and tells.
    fn close(&mut self, token: Token, ended: Result<ConnectionReport<OutcomeOf<A, K>>, Panic>) {
        let Some(held) = self.slots.remove(token) else { return };
        let Held { key, session, .. } = *held;
        finish(self.app, &key, session, ended);
    }
}

impl<K, A: Application<K>> Held<K, A> {
    /// Has its turn come.
    fn enqueue(&mut self, queue: &mut VecDeque<Token>, token: Token) {
        if !std::mem::replace(&mut self.queued, true) {
            queue.push_back(token);
        }
    }
}
