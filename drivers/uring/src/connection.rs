//! The loop over a single connection.

use std::io;

use roundtrip_core::{Machine, Time};
use roundtrip_net::event_loop::{SessionChannel, Token};
use roundtrip_net::{
    Block, Callback, Clock, ConnectionReport, Control, EventSink, Guarded, Stream, SystemClock, until,
};

use crate::options::Uring;
use crate::ring::{Prepared, Sleep};
use crate::session::{Session, Turn};

/// There is but one.
const ONLY: Token = Token(0);

/// Drives one machine over `stream` on this thread until it closes, on the system's clock, with no way in and
/// events dropped. [`Driver`] has the rest.
///
/// # Errors
///
/// If a ring cannot be made: the kernel has none, or forbids it.
pub fn drive<M: Machine>(
    stream: Stream,
    machine: impl FnOnce(Time) -> M,
) -> io::Result<ConnectionReport<M::Outcome>> {
    let driver = Driver::new(SystemClock::new())?;
    Ok(driver.drive(stream, machine, |_event| {}))
}

/// Whether a ring can be made here.
///
/// # Errors
///
/// What a driver would say: the kernel has none, or one without what is needed, or forbids it.
pub fn available() -> io::Result<()> {
    Prepared::new(Uring::default()).map(drop)
}

/// Drives one connection: make it, hand its [`Control`] to whoever should reach in, then
/// [`drive`](Driver::drive).
///
/// It has a ring of its own. For more than one connection there is [`Uring`](crate::Uring).
#[derive(Debug)]
pub struct Driver<C, T> {
    prepared: Prepared,
    channel: SessionChannel<C>,
    clock: T,
}

impl<C, T: Clock> Driver<C, T> {
    /// A driver on this clock.
    ///
    /// # Errors
    ///
    /// If a ring cannot be made: the kernel has none, or forbids it.
    pub fn new(clock: T) -> io::Result<Self> {
        let prepared = Prepared::new(Uring::default())?;
        let channel = SessionChannel::new(prepared.wake());
        Ok(Self { prepared, channel, clock })
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
        let Self { prepared, channel: SessionChannel { ring, mailbox, .. }, clock } = self;
        events.attach(ring.clone());
        let mut uring = prepared.start();
        let stream = Guarded::new(stream);
        let mut now = clock.now();
        let mut session = Session::new(&mut uring, ONLY, stream, mailbox, now, machine);
        let mut block = Block::default();
        let mut rung = Vec::new();
        if ring.belongs_to(ONLY) {
            session.expect_mail();
        }
        loop {
            let sleep = match session.run(&mut uring, now, &mut block, &mut events) {
                Turn::Over(ended) => return ended,
                Turn::Wait(deadline) if uring.wake().may_sleep() => {
                    Sleep::For(deadline.and_then(|_| until(clock.now(), deadline)))
                }
                Turn::Wait(_) | Turn::Again => Sleep::No,
            };
            if let Err(error) = uring.enter(sleep) {
                session.fail(error);
            }
            now = clock.now();
            while let Some(done) = uring.reap() {
                if done.name != ONLY {
                    continue;
                }
                if session.has_news()
                    && let Turn::Over(ended) = session.run(&mut uring, now, &mut block, &mut events)
                {
                    return ended;
                }
                session.note(done.what);
            }
            uring.wake().hear(&mut rung);
            if !rung.is_empty() {
                rung.clear();
                ring.hear();
                session.expect_mail();
            }
        }
    }
}
