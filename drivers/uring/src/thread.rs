//! The loop: all connections of one thread.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;

use roundtrip_core::Time;
use roundtrip_net::event_loop::{
    HANDOFF, HandoffQueue, LISTENER, PendingConnection, Ring, SessionChannel, Slots, Timers, Token, finish,
};
use roundtrip_net::{
    Application, Block, Callback, Clock, CommandOf, ConnectionReport, Control, OutcomeOf, Panic, catch, until,
};

use crate::ring::{Prepared, Sleep, ThreadRing};
use crate::session::{Session, Turn};

/// One thread's connections, and what they share.
pub(crate) struct Thread<'a, K, A: Application<K>, T> {
    // Dropped before the sessions: it waits until nothing is in flight.
    uring: ThreadRing,
    app: &'a A,
    clock: &'a T,
    /// Read once a turn, after the ring was entered: for what it brought, the best guess there is.
    now: Time,
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
    /// Its machine is called no more.
    panic: Option<Panic>,
}

impl<'a, K: Send + 'a, A: Application<K, Machine: 'a>, T: Clock> Thread<'a, K, A, T> {
    pub(crate) fn new(
        app: &'a A,
        clock: &'a T,
        prepared: Prepared,
        handoff: Arc<HandoffQueue<K, CommandOf<A, K>>>,
    ) -> Self {
        Self {
            uring: prepared.start(),
            app,
            clock,
            now: clock.now(),
            handoff,
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
        prepared: Prepared,
    ) -> io::Result<Arc<HandoffQueue<K, CommandOf<A, K>>>>
    where
        'a: 'scope,
    {
        let handoff = Arc::new(HandoffQueue::new(Arc::clone(prepared.wake())));
        let run = {
            let handoff = Arc::clone(&handoff);
            move || Self::new(app, clock, prepared, handoff).run()
        };
        thread::Builder::new().name("roundtrip".into()).spawn_scoped(scope, run)?;
        Ok(handoff)
    }

    pub(crate) const fn uring(&mut self) -> &mut ThreadRing {
        &mut self.uring
    }

    /// Drives what is handed over until nothing more comes.
    pub(crate) fn run(mut self) -> io::Result<()> {
        while self.open || !self.slots.is_empty() {
            self.turn(None)?;
        }
        Ok(())
    }

    /// Hands over what the connections asked for, and sleeps until some of it is complete if nobody has anything to do,
    /// until `deadline` at the latest; then gives each connection that has something to do its turn. Whether somebody is
    /// at the [`LISTENER`].
    pub(crate) fn turn(&mut self, deadline: Option<Time>) -> io::Result<bool> {
        let idle = self.queue.is_empty() && self.uring.wake().may_sleep();
        let deadline = [deadline, self.timers.next()].into_iter().flatten().min();
        let sleep = match (idle, deadline) {
            (false, _) => Sleep::No,
            (true, None) => Sleep::For(None),
            (true, deadline) => Sleep::For(until(self.clock.now(), deadline)),
        };
        self.uring.enter(sleep)?;
        self.now = self.clock.now();
        let mut gate = false;
        while let Some(done) = self.uring.reap() {
            let token = done.name;
            gate |= token == LISTENER;
            if self.slots.get_mut(token).is_some_and(|held| held.session.has_news()) {
                self.serve(token);
            }
            if let Some(held) = self.slots.get_mut(token) {
                held.session.note(done.what);
                held.enqueue(&mut self.queue, token);
            }
        }
        gate |= self.hear();
        self.expire();
        for _ in 0..self.queue.len() {
            let Some(token) = self.queue.pop_front() else { break };
            if let Some(held) = self.slots.get_mut(token) {
                held.queued = false;
                self.serve(token);
            }
        }
        Ok(gate)
    }

    /// Looks for what was rung; whether it was at the gate.
    fn hear(&mut self) -> bool {
        let mut rung = std::mem::take(&mut self.rung);
        self.uring.wake().hear(&mut rung);
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
        if self.timers.next().is_none() {
            return;
        }
        let now = self.now;
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
        let now = self.now;
        // The stream is lost with a panic, and so reset.
        let opened = catch(|| {
            let stream = stream;
            (self.app.open(now, &key, &control), stream)
        });
        let (machine, stream) = match opened {
            Ok(opened) => opened,
            Err(panic) => return finish(self.app, &key, (), Err(panic)),
        };
        let token = self.slots.insert_with(|token| {
            let session = Session::new(&mut self.uring, token, stream, mailbox, now, |_now| machine);
            Held { key, control, ring, session, queued: false, panic: None }
        });
        if let Some(held) = self.slots.get_mut(token) {
            if held.ring.belongs_to(token) {
                held.session.expect_mail();
            }
            held.enqueue(&mut self.queue, token);
        }
    }

    /// One connection's turn.
    fn serve(&mut self, token: Token) {
        let Some(held) = self.slots.get_mut(token) else { return };
        let Held { key, control, session, panic, .. } = held;
        if panic.is_none() {
            let mut events = Callback(|event| self.app.event(key, control, event));
            let run = || session.run(&mut self.uring, self.now, &mut self.block, &mut events);
            match catch(run) {
                Ok(Turn::Again) => return held.enqueue(&mut self.queue, token),
                Ok(Turn::Wait(None)) => return,
                Ok(Turn::Wait(Some(deadline))) => {
                    return self.timers.arm(Slots::<Held<K, A>>::index(token), deadline);
                }
                Ok(Turn::Over(ended)) => return self.close(token, Ok(ended)),
                Err(payload) => *panic = Some(payload),
            }
        }
        // The session is dropped after a panic, and so its connection reset, when nothing is in flight any more.
        if session.give_up(&mut self.uring)
            && let Some(panic) = panic.take()
        {
            self.close(token, Err(panic));
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
