//! The loop: one machine, one pipe, one thread.

use std::io;
use std::sync::Arc;

use roundtrip_core::{Machine, Time};
use roundtrip_net::{
    Clock, ConnectionReport, Control, MAILBOX, Mailbox, Panic, SystemClock, catch, drop_driven,
};

use crate::session::Session;
use crate::stream::Stream;
use crate::system::Event;

/// Drives one machine over `stream` on this thread until it closes, on the system's clock, with no way in and
/// events dropped. [`Driver`] has the rest.
///
/// # Errors
///
/// If the system has no event left for the wake-up.
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
    bell: Arc<Event>,
    mailbox: Mailbox<C>,
    control: Control<C>,
    clock: T,
}

impl<C, T: Clock> Driver<C, T> {
    /// A driver on this clock.
    ///
    /// # Errors
    ///
    /// If the system has no event left for the wake-up.
    pub fn new(clock: T) -> io::Result<Self> {
        let bell = Arc::new(Event::new()?);
        let (mailbox, control) = Mailbox::new(MAILBOX, bell.clone());
        Ok(Self { bell, mailbox, control, clock })
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
        self.try_drive(stream, machine, events).unwrap_or_else(|panic| panic.resume())
    }

    /// What came of it; the panic of a machine that panicked, of which nothing is left.
    pub(crate) fn try_drive<M: Machine<Command = C>>(
        self,
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
        mut events: impl FnMut(M::Event),
    ) -> Result<ConnectionReport<M::Outcome>, Panic> {
        let mut session = Session::new(stream, self.clock.now(), machine);
        let ended = catch(|| {
            loop {
                if let Some((how, outcome)) = session.advance(&mut events) {
                    return session.close(how, outcome, &self.bell, &self.mailbox);
                }
                session.wait(&self.bell, &self.mailbox, &self.clock);
            }
        });
        drop_driven(session, ended)
    }
}
