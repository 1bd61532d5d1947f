//! The loop: one machine, one socket, one future.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_io::Async;
use roundtrip_core::{Driven, Failure, Machine, Step, Time};
use roundtrip_net::{
    Block, Call, Clock, Connection, Control, Ended, Guarded, MAILBOX, Mailbox, Panic, Stream, SystemClock,
    catch, drop_driven,
};

use crate::alarm::Alarm;
use crate::ring::Ring;

/// How often a connection goes on without waiting before the other tasks of its thread have their turn.
pub(crate) const TURNS: u32 = 32;

thread_local! {
    /// What the connections of a thread read into. It is taken for one call and put back, so that a connection that
    /// waits holds none.
    static BLOCK: Cell<Block> = Cell::default();
}

pub(crate) fn with_block<T>(call: impl FnOnce(&mut Block) -> T) -> T {
    let mut block = BLOCK.take();
    let result = call(&mut block);
    BLOCK.set(block);
    result
}

/// Drives one machine over `stream` until it closes, on the system's clock, with no way in and events dropped.
/// [`Driver`] has the rest.
///
/// Dropped before that, the connection is reset.
///
/// # Errors
///
/// None. The drivers that need a descriptor for their wake-up may have none left.
pub fn drive<M: Machine>(
    stream: Stream,
    machine: impl FnOnce(Time) -> M,
) -> impl Future<Output = io::Result<Ended<M::Outcome>>> {
    let driven = Driver::on(SystemClock::new()).drive(stream, machine, |_event| {});
    async { Ok(driven.await) }
}

/// Drives one connection: make it, hand its [`Control`] to whoever should reach in, then
/// [`drive`](Driver::drive).
#[derive(Debug)]
pub struct Driver<C, T> {
    ring: Arc<Ring>,
    mailbox: Mailbox<C>,
    control: Control<C>,
    clock: T,
}

impl<C, T: Clock> Driver<C, T> {
    /// A driver on this clock.
    ///
    /// # Errors
    ///
    /// None. The drivers that need a descriptor for their wake-up may have none left.
    pub fn new(clock: T) -> io::Result<Self> {
        Ok(Self::on(clock))
    }

    pub(crate) fn on(clock: T) -> Self {
        let ring = Arc::new(Ring::default());
        let (mailbox, control) = Mailbox::new(MAILBOX, ring.clone());
        Self { ring, mailbox, control, clock }
    }

    /// The way in, from any thread.
    pub fn control(&self) -> Control<C> {
        self.control.clone()
    }

    /// Drives one machine over `stream` until it closes. The machine is made when the future is first polled; dropped
    /// before it is done, the future resets the connection.
    pub fn drive<M: Machine<Command = C>>(
        self,
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> impl Future<Output = Ended<M::Outcome>> {
        let stream = Guarded::new(stream);
        // Not through the next function: what is handed over in an `async` block is held twice.
        async {
            match Async::new_nonblocking(stream) {
                Ok(stream) => {
                    self.drive_on(stream, machine, events).await.unwrap_or_else(|panic| panic.resume())
                }
                Err(error) => fail(self.clock.now(), machine, error, events),
            }
        }
    }

    /// What came of it; the panic of a machine that panicked, of which nothing is left.
    pub(crate) async fn try_drive<M: Machine<Command = C>>(
        self,
        stream: Guarded,
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> Result<Ended<M::Outcome>, Panic> {
        match Async::new_nonblocking(stream) {
            Ok(stream) => self.drive_on(stream, machine, events).await,
            Err(error) => catch(|| fail(self.clock.now(), machine, error, events)),
        }
    }

    /// As [`try_drive`](Self::try_drive).
    pub(crate) async fn drive_on<M: Machine<Command = C>>(
        self,
        stream: Async<Guarded>,
        machine: impl FnOnce(Time) -> M,
        mut events: impl FnMut(M::Event),
    ) -> Result<Ended<M::Outcome>, Panic> {
        let mut session = catch(|| Session::new(self, stream, machine))?;
        let ended = poll_fn(|cx| match catch(|| session.poll(cx, &mut events)) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        })
        .await;
        drop_driven(session, ended)
    }
}

/// When something is done in a wake-up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// At its beginning: its time is now.
    Waking,
    /// After something else was done.
    Later,
}

/// One connection between two wake-ups: what of it is left while it waits.
struct Session<M: Machine, T> {
    driver: Driver<M::Command, T>,
    connection: Connection<M, Async<Guarded>>,
    alarm: Alarm,
    begun: bool,
}

impl<M: Machine, T: Clock> Session<M, T> {
    fn new(driver: Driver<M::Command, T>, stream: Async<Guarded>, machine: impl FnOnce(Time) -> M) -> Self {
        let now = driver.clock.now();
        let mut connection = Connection::new(stream, now, machine);
        // Whoever has just connected has most often sent something, too.
        connection.expect_more();
        Self { driver, connection, alarm: Alarm::new(), begun: false }
    }

    /// One wake-up.
    fn poll(&mut self, cx: &mut Context<'_>, events: &mut impl FnMut(M::Event)) -> Poll<Ended<M::Outcome>> {
        if std::mem::replace(&mut self.begun, true) {
            self.connection.wake(self.driver.clock.now());
            // What is there is read before a passed deadline takes effect: it may have come while we were suspended.
            if !self.connection.is_unfinished() {
                self.write(cx);
                self.read(cx, Moment::Waking);
            }
        }
        for _ in 0..TURNS {
            if let Some(ended) = with_block(|block| self.connection.advance(block, &mut *events)) {
                return Poll::Ready(ended);
            }
            if self.driver.ring.hear() {
                self.connection.expect_mail();
            }
            if self.connection.is_unfinished() {
                self.connection.deliver(&self.driver.mailbox);
                break;
            }
            // Mail comes first: a peer that always has more to read must not keep it from being seen.
            let moved = self.connection.deliver(&self.driver.mailbox)
                || self.write(cx)
                || self.read(cx, Moment::Later);
            if !moved && self.sleeps(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes if the stream takes bytes again; whether there is anything new to tell.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        if self.connection.session().pending().is_empty() {
            return false;
        }
        // A write was tried when there was something new to write, and the stream took less.
        match self.connection.transport().poll_writable(cx) {
            Poll::Ready(Ok(())) => with_block(|block| self.connection.write(block)),
            Poll::Ready(Err(error)) => self.connection.fail(Call::Wait, error),
            Poll::Pending => return false,
        }
        true
    }

    /// Reads if there may be something to read; whether there is anything new to tell.
    fn read(&mut self, cx: &mut Context<'_>, moment: Moment) -> bool {
        if self.connection.session().credit() == 0 {
            return false;
        }
        let deadline = self.connection.session().deadline();
        let late = deadline.is_some_and(|deadline| deadline <= self.connection.now());
        if !self.connection.may_have_more() {
            match self.connection.transport().poll_readable(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.connection.fail(Call::Wait, error);
                    return true;
                }
                Poll::Pending if late => {}
                Poll::Pending => return false,
            }
        }
        if moment == Moment::Later {
            // A machine may measure when bytes come, so they are not told with the time of the wake-up.
            self.connection.wake(self.driver.clock.now());
        }
        with_block(|block| self.connection.read(block));
        true
    }

    /// Makes sure that the deadline and the bell wake the task, as what it reads and writes will; false if it has been
    /// rung for already.
    fn sleeps(&mut self, cx: &mut Context<'_>) -> bool {
        if self.driver.ring.poll(cx) {
            self.connection.expect_mail();
            return false;
        }
        if let Some(deadline) = self.connection.session().deadline() {
            self.alarm.wake_by(cx, self.connection.now(), deadline);
        }
        true
    }
}

/// What comes of a machine whose stream cannot be waited for.
fn fail<M: Machine>(
    now: Time,
    machine: impl FnOnce(Time) -> M,
    error: io::Error,
    mut events: impl FnMut(M::Event),
) -> Ended<M::Outcome> {
    let mut session = Driven::new(machine(now));
    session.failed(now, Failure::Io);
    loop {
        match session.step(now) {
            Step::Event(event) => events(event),
            Step::Close { outcome, .. } => {
                let failure = Some(Call::Wait.failed()(error));
                return Ended { outcome, written: 0, unread: 0, unread_at_cut: None, destroyed: 0, failure };
            }
            // After a failure come events only, and then the close; `Driven` holds machines to it.
            Step::Write | Step::ShutdownWrite | Step::Wait(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundtrip_echo::{EchoServer, End, ServerConfig};

    #[test]
    fn a_stream_that_cannot_be_waited_for_is_a_failed_transport() {
        let machine = |now| EchoServer::new(ServerConfig::default().into(), now);
        let ended = fail(Time::ZERO, machine, io::ErrorKind::StorageFull.into(), |never| match never {});
        assert_eq!(ended.outcome.end, End::Failed(Failure::Io));
        assert_eq!(ended.failure.unwrap().call, Call::Wait);
    }
}
