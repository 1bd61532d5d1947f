//! The loop: one machine, one socket, one thread.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use roundtrip_core::{Driven, Machine, Step, Teardown, Time};
use roundtrip_net::classify::{self, Transfer};
use roundtrip_net::{Call, CallFailed, Control, Ended, Mail, Mailbox, Stream};

use crate::block::Block;
use crate::clock::{Clock, SystemClock, until};
use crate::wake::{Interest, Wake, wait};

/// Commands that a mailbox holds.
const MAILBOX: usize = 64;

/// Drives one machine over `stream` on this thread until it closes, on the system's clock, with no way in and
/// events dropped. [`Driver`] has the rest.
///
/// # Errors
///
/// If the system has no descriptor left for the wake-up.
pub fn drive<M: Machine>(stream: Stream, machine: impl FnOnce(Time) -> M) -> io::Result<Ended<M::Outcome>> {
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
    ) -> Ended<M::Outcome> {
        self.drive_with(&mut Block::default(), stream, machine, events)
    }

    pub(crate) fn drive_with<M: Machine<Command = C>>(
        self,
        block: &mut Block,
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
        mut events: impl FnMut(M::Event),
    ) -> Ended<M::Outcome> {
        let stream = Guarded(stream);
        let now = self.clock.now();
        let mut connection = Connection {
            stream: &stream.0,
            session: Driven::new(machine(now)),
            block,
            now,
            more: false,
            mail: false,
            finished: false,
            written: 0,
            failure: None,
        };
        let (how, outcome) = loop {
            match connection.session.step(connection.now) {
                Step::Write => {
                    connection.write();
                    connection.session.unshare_pending();
                }
                Step::ShutdownWrite => connection.half_close(),
                Step::Event(event) => events(event),
                Step::Wait(_) => connection.wait(&self),
                Step::Close { how, outcome } => break (how, outcome),
            }
        };
        let Connection { finished, written, failure, .. } = connection;
        let unread = if finished { 0 } else { stream.0.unread() };
        let destroyed = if how == Teardown::Reset {
            stream.0.reset_on_close();
            stream.0.unacknowledged()
        } else {
            0
        };
        Ended { outcome, written, unread, destroyed, failure }
    }
}

/// A stream that a panic resets: unwinding must not look like an orderly end.
struct Guarded(Stream);

impl Drop for Guarded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.reset_on_close();
        }
    }
}

struct Connection<'a, M> {
    stream: &'a Stream,
    session: Driven<M>,
    block: &'a mut Block,
    /// Read once a wake-up.
    now: Time,
    /// The last read filled all it was allowed: there may be more, and nothing need be waited for.
    more: bool,
    /// There may be mail that was not delivered yet.
    mail: bool,
    /// The peer's end was seen.
    finished: bool,
    written: u64,
    failure: Option<CallFailed>,
}

impl<M: Machine> Connection<'_, M> {
    /// Writes what the kernel takes at once.
    fn write(&mut self) {
        match self.stream.write(self.session.pending()) {
            Ok(wrote) => {
                self.written += wrote as u64;
                self.session.wrote(self.now, wrote);
            }
            Err(error) => {
                // What came before the connection broke is still there to be read.
                if !classify::is_again(&error) {
                    while self.session.credit() > 0 && self.read_some().is_ok_and(|read| read > 0) {}
                }
                self.fail(Call::Write, error);
            }
        }
    }

    fn half_close(&mut self) {
        if let Err(error) = self.stream.half_close() {
            self.fail(Call::HalfClose, error);
        }
    }

    /// Sleeps until something happens, and tells the session of it.
    fn wait<T: Clock>(&mut self, driver: &Driver<M::Command, T>) {
        // A peer that always has more to read must not keep mail from being seen.
        if self.mail || self.more {
            if self.deliver(&driver.mailbox) {
                return;
            }
            self.mail = !driver.mailbox.is_empty();
        }
        let may_read = self.session.credit() > 0;
        if may_read && std::mem::take(&mut self.more) {
            self.now = driver.clock.now();
            return self.read();
        }
        let interest = Interest {
            fd: self.stream.as_fd(),
            readable: may_read,
            writable: !self.session.pending().is_empty(),
        };
        let deadline = self.session.deadline();
        let slept = wait(interest, &driver.wake, until(self.now, deadline));
        self.now = driver.clock.now();
        let ready = match slept {
            Ok(ready) => ready,
            Err(error) => return self.fail(Call::Wait, error),
        };
        if ready.writable {
            self.write();
        }
        // What is there is read before a passed deadline takes effect: it may have come while we were
        // suspended, after poll(2) had looked.
        let late = deadline.is_some_and(|deadline| deadline <= self.now);
        if ready.readable || (may_read && late) {
            self.read();
        }
        if ready.rung {
            driver.wake.clear();
            self.mail = true;
        }
    }

    /// Reads once, if there is credit.
    fn read(&mut self) {
        if self.session.credit() == 0 {
            return;
        }
        match self.read_some() {
            Ok(0) => {
                self.finished = true;
                self.session.eof(self.now);
            }
            Ok(_) => {}
            Err(error) => self.fail(Call::Read, error),
        }
    }

    /// Reads at most the credit, without blocking, and delivers it; how much there was.
    fn read_some(&mut self) -> io::Result<usize> {
        let keep = !self.session.pending().is_empty();
        let bytes = self.block.fill(self.session.credit(), keep, |buffer| {
            let read = self.stream.read(buffer)?;
            self.more = read == buffer.len();
            Ok::<_, io::Error>(read)
        })?;
        let read = bytes.len();
        let rest = self.session.data(self.now, bytes);
        debug_assert!(rest.is_empty(), "no more is read than there is credit for");
        Ok(read)
    }

    /// Hands one piece of mail to the session, which then must be stepped; whether there was any.
    fn deliver(&mut self, mailbox: &Mailbox<M::Command>) -> bool {
        match mailbox.take(self.session.command_credit() > 0) {
            Some(Mail::Abort) => self.session.abort(self.now),
            Some(Mail::Stop) => self.session.stop(self.now),
            Some(Mail::Command(command)) => {
                let refused = self.session.command(self.now, command);
                debug_assert!(refused.is_ok(), "no command is taken without credit for it");
            }
            None => return false,
        }
        true
    }

    fn fail(&mut self, call: Call, error: io::Error) {
        if let Transfer::Failed(failure) = classify::transfer(&error) {
            self.failure.get_or_insert(CallFailed { call, error });
            self.session.failed(self.now, failure);
        }
    }
}
