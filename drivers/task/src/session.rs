//! The loop: one machine, one transport, one future.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use roundtrip_core::{Driven, Failure, Machine, Step, Time};
use roundtrip_net::{
    Block, Call, Clock, Connection, ConnectionReport, Control, EventSink, MAILBOX, Mail, Mailbox, Panic,
    catch, drop_driven,
};

use crate::transport::Polled;
use crate::{AsyncTransport, LazyTimer, Notifier};

/// Steps that a connection takes without waiting before it yields to the other tasks of its thread.
pub const MAX_STEPS: u32 = 32;

/// How long a transport that could not half-close at once has for it after the machine's end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

thread_local! {
    /// What the connections of a thread read into. It is taken for one call and put back, so that a connection that
    /// waits holds none.
    static BLOCK: Cell<Block> = Cell::default();
}

/// Lends the read buffer of this thread.
pub fn with_block<T>(call: impl FnOnce(&mut Block) -> T) -> T {
    let mut block = BLOCK.take();
    let result = call(&mut block);
    BLOCK.set(block);
    result
}

/// Drives one connection: make it, take its [`Control`], then [`drive`](Self::drive).
#[derive(Debug)]
pub struct Driver<C, T> {
    notifier: Arc<Notifier>,
    mailbox: Mailbox<C>,
    control: Control<C>,
    clock: T,
}

impl<C, T: Clock> Driver<C, T> {
    /// A driver on this clock.
    pub fn new(clock: T) -> Self {
        let notifier = Arc::new(Notifier::default());
        let (mailbox, control) = Mailbox::new(MAILBOX, notifier.clone());
        Self { notifier, mailbox, control, clock }
    }

    /// Reaches the session from any thread.
    pub fn control(&self) -> Control<C> {
        self.control.clone()
    }

    /// Drives one machine until it closes, over what `register` makes of a socket. Both are made when the future is first
    /// polled.
    ///
    /// Cancel safety: dropped before it is done, the future drops the transport, which resets the connection if it can.
    ///
    /// # Panics
    ///
    /// The future does if the machine or `events` does; the transport is dropped then, too.
    pub fn drive<M, IO>(
        self,
        register: impl FnOnce() -> io::Result<IO>,
        machine: impl FnOnce(Time) -> M,
        events: impl EventSink<M::Event>,
    ) -> impl Future<Output = ConnectionReport<M::Outcome>>
    where
        M: Machine<Command = C>,
        IO: AsyncTransport,
    {
        Resumed(self.try_drive(register, machine, events))
    }

    /// What came of it; the panic of a machine that panicked, of which nothing is left.
    pub(crate) fn try_drive<M, IO>(
        self,
        register: impl FnOnce() -> io::Result<IO>,
        machine: impl FnOnce(Time) -> M,
        mut events: impl EventSink<M::Event>,
    ) -> impl Future<Output = Result<ConnectionReport<M::Outcome>, Panic>>
    where
        M: Machine<Command = C>,
        IO: AsyncTransport,
    {
        events.attach(self.notifier.clone());
        Drive { state: State::New { driver: self, register, machine }, events }
    }
}

/// A session as a future. An `async` block would be twice as large: it holds what it is given beside what it makes of it.
struct Drive<M: Machine, IO: AsyncTransport, T, R, F, E> {
    state: State<M, IO, T, R, F>,
    events: E,
}

enum State<M: Machine, IO: AsyncTransport, T, R, F> {
    New { driver: Driver<M::Command, T>, register: R, machine: F },
    Running(Session<M, IO, T>),
    Done,
}

/// Nothing in it is pinned.
impl<M: Machine, IO: AsyncTransport, T, R, F, E> Unpin for Drive<M, IO, T, R, F, E> {}

impl<M, IO, T, R, F, E> Future for Drive<M, IO, T, R, F, E>
where
    M: Machine,
    IO: AsyncTransport,
    T: Clock,
    R: FnOnce() -> io::Result<IO>,
    F: FnOnce(Time) -> M,
    E: EventSink<M::Event>,
{
    type Output = Result<ConnectionReport<M::Outcome>, Panic>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { state, events } = self.get_mut();
        if matches!(state, State::New { .. })
            && let State::New { driver, register, machine } = std::mem::replace(state, State::Done)
        {
            let session = match register() {
                Ok(transport) => catch(|| Session::new(driver, transport, machine)),
                Err(error) => return Poll::Ready(catch(|| fail(driver.clock.now(), machine, error, events))),
            };
            match session {
                Ok(session) => *state = State::Running(session),
                Err(panic) => return Poll::Ready(Err(panic)),
            }
        }
        let ended = match state {
            State::Running(session) => match catch(|| session.poll(cx, events)) {
                Ok(polled) => Ok(ready!(polled)),
                Err(panic) => Err(panic),
            },
            // As every future: polled again after its end, it never is ready.
            State::New { .. } | State::Done => return Poll::Pending,
        };
        Poll::Ready(drop_driven(std::mem::replace(state, State::Done), ended))
    }
}

/// A session that goes on panicking in the task that polls it.
struct Resumed<F>(F);

impl<F: Future<Output = Result<O, Panic>> + Unpin, O> Future for Resumed<F> {
    type Output = O;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O> {
        Pin::new(&mut self.0).poll(cx).map(|ended| ended.unwrap_or_else(|panic| panic.resume()))
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
struct Session<M: Machine, IO: AsyncTransport, T> {
    driver: Driver<M::Command, T>,
    connection: Connection<M>,
    transport: IO,
    unflushed: usize,
    timer: LazyTimer<IO::Timer>,
    begun: bool,
    /// The machine closed, and the transport has not half-closed yet: until when that is waited for.
    close_by: Option<Time>,
}

impl<M: Machine, IO: AsyncTransport, T: Clock> Session<M, IO, T> {
    fn new(driver: Driver<M::Command, T>, transport: IO, machine: impl FnOnce(Time) -> M) -> Self {
        let connection = Connection::new(driver.clock.now(), machine);
        let timer = LazyTimer::new();
        Self { driver, connection, transport, unflushed: 0, timer, begun: false, close_by: None }
    }

    /// One wake-up.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut impl EventSink<M::Event>,
    ) -> Poll<ConnectionReport<M::Outcome>> {
        if self.begun {
            let now = self.driver.clock.now();
            self.connection.wake(now);
            self.transport
                .woken(self.connection.session().deadline().is_some_and(|deadline| deadline <= now));
        }
        // What is there is read before a passed deadline takes effect: it may have come while we were suspended.
        if std::mem::replace(&mut self.begun, true) && !self.connection.is_unfinished() {
            self.write(cx);
            self.read(cx, Moment::Waking);
        }
        for _ in 0..MAX_STEPS {
            // Before the sink of its events is asked for room: of room that comes later, there is another notification.
            if self.driver.notifier.take() {
                self.connection.expect_mail();
            }
            if let Some(ended) = self.advance(cx, events) {
                return Poll::Ready(ended);
            }
            if self.connection.is_closing() {
                if self.closes(cx) {
                    continue;
                }
                return Poll::Pending;
            }
            if self.connection.is_unfinished() {
                self.connection.deliver(&self.driver.mailbox);
                break;
            }
            // Mail comes first: a peer that always has more to read must not keep it from being seen.
            let moved = self.connection.deliver(&self.driver.mailbox)
                || self.half_close(cx)
                || self.write(cx)
                || self.read(cx, Moment::Later);
            if !moved && self.sleeps(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut impl EventSink<M::Event>,
    ) -> Option<ConnectionReport<M::Outcome>> {
        let Self { connection, transport, unflushed, .. } = self;
        with_block(|block| connection.advance(&mut Polled { transport, unflushed, cx }, block, events))
    }

    /// Tries again to half-close, if the transport could not; whether there is anything new to tell.
    fn half_close(&mut self, cx: &mut Context<'_>) -> bool {
        let Self { connection, transport, unflushed, .. } = self;
        if !connection.is_half_closing() {
            return false;
        }
        connection.half_close(&mut Polled { transport, unflushed, cx });
        !connection.is_half_closing()
    }

    /// Writes if the transport takes bytes again; whether there is anything new to tell.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let Self { connection, transport, unflushed, .. } = self;
        if connection.session().pending().is_empty() {
            return false;
        }
        with_block(|block| connection.write(&mut Polled { transport, unflushed, cx }, block))
    }

    /// Reads if there is something to read; whether there is anything new to tell.
    fn read(&mut self, cx: &mut Context<'_>, moment: Moment) -> bool {
        let Self { driver, connection, transport, unflushed, .. } = self;
        if connection.credit() == 0 {
            return false;
        }
        if moment == Moment::Later {
            // A machine may measure when bytes come, so they are not told with the time of the wake-up.
            connection.wake(driver.clock.now());
        }
        with_block(|block| connection.read(&mut Polled { transport, unflushed, cx }, block))
    }

    /// Makes sure that the deadline and the notifier wake the task, as the transport will; false if there is a notification
    /// already.
    fn sleeps(&mut self, cx: &mut Context<'_>) -> bool {
        if self.driver.notifier.poll_take(cx) {
            self.connection.expect_mail();
            return false;
        }
        if let Some(deadline) = self.connection.deadline() {
            self.timer.wake_by(cx, self.connection.now(), deadline);
        }
        true
    }

    /// After the machine's end: whether the transport has half-closed, its time is over, or the session is aborted. If not,
    /// makes sure that the task is woken for any of these.
    fn closes(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.connection.now();
        let until = *self.close_by.get_or_insert(now.after(CLOSE_TIMEOUT));
        // Whether or not there was a notification: its abort may be in the mailbox since before the end.
        self.driver.notifier.poll_take(cx);
        let is_aborted = matches!(self.driver.mailbox.take(false), Some(Mail::Abort));
        if self.half_close(cx) || until <= now || is_aborted {
            self.connection.abandon_half_close();
            return true;
        }
        self.timer.wake_by(cx, now, until);
        false
    }
}

/// What comes of a machine that has no transport.
fn fail<M: Machine>(
    now: Time,
    machine: impl FnOnce(Time) -> M,
    error: io::Error,
    events: &mut impl EventSink<M::Event>,
) -> ConnectionReport<M::Outcome> {
    let mut session = Driven::new(machine(now));
    let mut undelivered = 0;
    session.failed(now, Failure::Io);
    loop {
        match session.step(now) {
            Step::Event(event) if events.has_room() => events.send(event),
            Step::Event(_) => undelivered += 1,
            Step::Close { outcome, .. } => {
                let mut ended = ConnectionReport::new(outcome);
                ended.undelivered = undelivered;
                ended.failure = Some(Call::Wait.failed()(error));
                return ended;
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
    use roundtrip_net::Callback;

    #[test]
    fn a_stream_that_cannot_be_waited_for_is_a_failed_transport() {
        let machine = |now| EchoServer::new(ServerConfig::default().into(), now);
        let ended = fail(
            Time::ZERO,
            machine,
            io::ErrorKind::StorageFull.into(),
            &mut Callback(|never| match never {}),
        );
        assert_eq!(ended.outcome.end, End::Failed(Failure::Io));
        assert_eq!(ended.failure.unwrap().call, Call::Wait);
    }
}
