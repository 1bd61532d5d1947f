//! The loop: one machine, one socket, one thread.

use std::io;
use std::sync::Arc;

use roundtrip_core::{Machine, Time};
use roundtrip_net::{
    Block, Call, Callback, Clock, Connection, ConnectionReport, Control, EventSink, Guarded, MAILBOX,
    Mailbox, Panic, Stream, SystemClock, catch, drop_driven, until,
};
use rustix::fd::AsFd;

use crate::wake::{Interest, Wake, wait};

/// Drives one machine over `stream` on this thread until it closes, on the system's clock, with no way in and
/// events dropped. [`Driver`] has the rest.
///
/// # Errors
///
/// If the system has no descriptor left for the wake-up.
pub fn drive<M: Machine>(
    stream: Stream,
    machine: impl FnOnce(Time) -> M,
) -> io::Result<ConnectionReport<M::Outcome>> {
    let driver = Driver::new(SystemClock::new())?;
    Ok(driver.drive(stream, machine, |_event| {}))
}

/// Drives one connection: make it, hand its [`Control`] to whoever should reach in, then
/// [`drive`](Driver::drive).
#[derive(Debug)]
pub struct Driver<C, T> {
    wake: Arc<Wake>,
    mailbox: Mailbox<C>,
    control: Control<C>,
    clock: T,
}

impl<C, T: Clock> Driver<C, T> {
    /// A driver on this clock.
    ///
    /// # Errors
    ///
    /// If the system has no descriptor left for the wake-up.
    pub fn new(clock: T) -> io::Result<Self> {
        Ok(Self::with_wake(Arc::new(Wake::new()?), clock))
    }

    pub(crate) fn with_wake(wake: Arc<Wake>, clock: T) -> Self {
        let (mailbox, control) = Mailbox::new(MAILBOX, wake.clone());
        Self { wake, mailbox, control, clock }
    }

    /// The way in, from any thread.
    pub fn control(&self) -> Control<C> {
        self.control.clone()
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
        events: impl EventSink<M::Event>,
    ) -> ConnectionReport<M::Outcome> {
        self.drive_with(&mut Block::default(), stream, machine, events).unwrap_or_else(|panic| panic.resume())
    }

    /// What came of it; the panic of a machine that panicked, of which nothing is left.
    pub(crate) fn drive_with<M: Machine<Command = C>>(
        self,
        block: &mut Block,
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
        mut events: impl EventSink<M::Event>,
    ) -> Result<ConnectionReport<M::Outcome>, Panic> {
        let stream = Guarded::new(stream);
        events.attach(self.wake.clone());
        let now = self.clock.now();
        let mut connection = Connection::new(now, machine);
        let ended = catch(|| {
            loop {
                if let Some(ended) = connection.advance(&mut &stream, block, &mut events) {
                    return ended;
                }
                self.wait(&mut connection, &stream, block);
            }
        });
        drop_driven((connection, stream), ended)
    }

    /// Sleeps until something happens, and tells the session of it.
    fn wait<M: Machine<Command = C>>(
        &self,
        connection: &mut Connection<M>,
        stream: &Guarded,
        block: &mut Block,
    ) {
        let mut transport = stream;
        let more = connection.may_have_more();
        if connection.is_unfinished() {
            connection.wake(self.clock.now());
            connection.deliver(&self.mailbox);
            return;
        }
        // A peer that always has more to read must not keep mail from being seen.
        if more {
            connection.expect_mail();
        }
        if connection.deliver(&self.mailbox) {
            return;
        }
        let may_read = connection.credit() > 0;
        if may_read && more {
            connection.wake(self.clock.now());
            connection.read(&mut transport, block);
            return;
        }
        let interest = Interest {
            fd: stream.as_fd(),
            readable: may_read,
            writable: !connection.session().pending().is_empty(),
        };
        if !may_read {
            // A full buffer is all that it may hold.
            *block = Block::default();
        }
        let deadline = connection.deadline();
        let slept = wait(interest, &self.wake, until(connection.now(), deadline));
        let now = self.clock.now();
        connection.wake(now);
        let ready = match slept {
            Ok(ready) => ready,
            Err(error) => return connection.fail(Call::Wait, error),
        };
        if ready.writable {
            connection.write(&mut transport, block);
        }
        // What is there is read before a passed deadline takes effect: it may have come while we were
        // suspended, after poll(2) had looked.
        let late = deadline.is_some_and(|deadline| deadline <= now);
        if ready.readable || (may_read && late) {
            connection.read(&mut transport, block);
        }
        if ready.rung {
            self.wake.clear();
            connection.expect_mail();
        }
    }
}
