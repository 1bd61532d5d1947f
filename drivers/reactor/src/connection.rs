//! The loop over a single connection.

use std::io;
use std::time::Duration;

use roundtrip_core::{Machine, Time};
use roundtrip_net::event_loop::{SessionChannel, Token};
use roundtrip_net::{
    Block, Callback, Clock, ConnectionReport, Control, EventSink, Guarded, Stream, SystemClock, until,
};

use crate::poller::{Poller, token};
use crate::session::{Session, Turn};

/// There is but one.
const ONLY: Token = Token(0);

/// Drives one machine over `stream` on this thread until it closes, on the system's clock, with no way in and
/// events dropped. [`Driver`] has the rest.
///
/// # Errors
///
/// If the system has no descriptor left for the poller and its wake-up.
pub fn drive<M: Machine>(
    stream: Stream,
    machine: impl FnOnce(Time) -> M,
) -> io::Result<ConnectionReport<M::Outcome>> {
    let driver = Driver::new(SystemClock::new())?;
    Ok(driver.drive(stream, machine, |_event| {}))
}

/// Drives one connection: make it, hand its [`Control`] to whoever should reach in, then
/// [`drive`](Driver::drive).
///
/// It has a poller of its own. For more than one connection there is [`Reactor`](crate::Reactor).
#[derive(Debug)]
pub struct Driver<C, T> {
    poller: Poller,
    channel: SessionChannel<C>,
    clock: T,
}

impl<C, T: Clock> Driver<C, T> {
    /// A driver on this clock.
    ///
    /// # Errors
    ///
    /// If the system has no descriptor left for the poller and its wake-up.
    pub fn new(clock: T) -> io::Result<Self> {
        let poller = Poller::new()?;
        let channel = SessionChannel::new(poller.wake());
        Ok(Self { poller, channel, clock })
    }

    /// The way in, from any thread.
    pub fn control(&self) -> Control<C> {
        self.channel.control.clone()
    }

    /// Drives one machine over `stream` on this thread until it closes.
    pub fn drive<M: Machine<Command = C>>(
        self,
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> ConnectionReport<M::Outcome> {
        self.drive_into(stream, machine, Callback(events))
    }

    /// As [`drive`](Self::drive), with events into a channel: while it is full, the session is neither read for nor polled.
    pub fn drive_into<M: Machine<Command = C>>(
        self,
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
        mut events: impl EventSink<M::Event>,
    ) -> ConnectionReport<M::Outcome> {
        let Self { mut poller, channel: SessionChannel { ring, mailbox, .. }, clock } = self;
        events.attach(ring.clone());
        let mut session = Session::new(Guarded::new(stream), mailbox, clock.now(), machine);
        let mut block = Block::default();
        let mut rung = Vec::new();
        if ring.belongs_to(ONLY) {
            session.expect_mail();
        }
        loop {
            let waited = match session.run(clock.now(), &clock, &mut block, &mut events) {
                Turn::Over(ended) => return ended,
                Turn::Wait(deadline) if poller.wake().may_sleep() => {
                    let timeout = deadline.and_then(|_| until(clock.now(), deadline));
                    session.register(poller.registry(), ONLY).and_then(|()| poller.wait(timeout))
                }
                Turn::Wait(_) | Turn::Again => poller.wait(Some(Duration::ZERO)),
            };
            if let Err(error) = waited {
                session.fail(error);
                continue;
            }
            for event in poller.events().filter(|event| token(event) == ONLY) {
                session.note(event);
            }
            poller.wake().hear(&mut rung);
            if !rung.is_empty() {
                rung.clear();
                ring.hear();
                session.expect_mail();
            }
        }
    }
}
