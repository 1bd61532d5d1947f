//! The loop over datagrams: one machine, one socket, one future.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_io::Async;
use roundtrip_core::Time;
use roundtrip_core::datagram::DatagramMachine;
use roundtrip_net::{
    Call, Clock, Control, DatagramAddress, DatagramSocket, Datagrams, DatagramsEnded, MAILBOX, Mailbox,
};
use roundtrip_task::{LazyTimer, MAX_STEPS, Notifier, with_block};

use crate::SmolTimer;
use crate::socket::poll_anew;

/// Drives one machine over a socket of datagrams: make it, hand its [`Control`] to whoever should stop it, then
/// [`drive`](DatagramDriver::drive).
#[derive(Debug)]
pub struct DatagramDriver<T> {
    notifier: Arc<Notifier>,
    mailbox: Mailbox<Infallible>,
    control: Control<Infallible>,
    clock: T,
}

impl<T: Clock> DatagramDriver<T> {
    /// A driver on this clock.
    ///
    /// # Errors
    ///
    /// None. The drivers that need a descriptor for their wake-up may have none left.
    pub fn new(clock: T) -> io::Result<Self> {
        let notifier = Arc::new(Notifier::default());
        let (mailbox, control) = Mailbox::new(MAILBOX, notifier.clone());
        Ok(Self { notifier, mailbox, control, clock })
    }

    /// The way in, from any thread: to stop it, or abort it.
    pub fn control(&self) -> Control<Infallible> {
        self.control.clone()
    }

    /// Drives one machine over `socket` until it closes. The machine is made when the future is first polled.
    ///
    /// # Errors
    ///
    /// If the socket cannot be waited for.
    pub async fn drive<M: DatagramMachine<Address = DatagramAddress>>(
        self,
        socket: DatagramSocket,
        machine: impl FnOnce(Time) -> M,
        mut events: impl FnMut(M::Event),
    ) -> io::Result<DatagramsEnded<M::Outcome>> {
        let socket = Async::new_nonblocking(socket)?;
        let datagrams = Datagrams::new(socket, self.clock.now(), machine);
        let mut session = Session { driver: self, datagrams, timer: LazyTimer::new(), begun: false };
        Ok(poll_fn(|cx| session.poll(cx, &mut events)).await)
    }
}

struct Session<M, T> {
    driver: DatagramDriver<T>,
    datagrams: Datagrams<M, Async<DatagramSocket>>,
    timer: LazyTimer<SmolTimer>,
    begun: bool,
}

impl<M: DatagramMachine<Address = DatagramAddress>, T: Clock> Session<M, T> {
    /// One wake-up.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut impl FnMut(M::Event),
    ) -> Poll<DatagramsEnded<M::Outcome>> {
        if std::mem::replace(&mut self.begun, true) {
            self.datagrams.wake(self.driver.clock.now());
            // What is there is received before a passed deadline takes effect. It is tried, as over streams: the reactor may
            // say "pending" to the event that woke the task, and woke it again at once if it were believed.
            self.datagrams.expect_more();
            self.receive(cx);
        }
        for _ in 0..MAX_STEPS {
            if let Some(ended) = self.datagrams.advance(&mut *events) {
                return Poll::Ready(ended);
            }
            if self.driver.notifier.take() {
                self.datagrams.expect_mail();
            }
            // Mail comes first: peers that always have more must not keep it from being seen.
            let moved = self.datagrams.deliver(&self.driver.mailbox) || self.receive(cx);
            if !moved && self.sleeps(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Receives if there may be something; whether there is anything new to tell.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        if self.datagrams.session().credit() == 0 {
            return false;
        }
        if !self.datagrams.may_have_more() {
            match poll_anew(|| self.datagrams.socket().poll_readable(cx)) {
                Poll::Ready(Ok(())) => self.datagrams.expect_more(),
                Poll::Ready(Err(error)) => {
                    self.datagrams.fail(Call::Wait, error);
                    return true;
                }
                Poll::Pending => return false,
            }
        }
        // A machine measures when datagrams come, so they are not told with the time of the wake-up.
        self.datagrams.wake(self.driver.clock.now());
        with_block(|block| self.datagrams.receive(block));
        true
    }

    /// Makes sure that the deadline and the bell wake the task, as what comes will; false if it has been rung for
    /// already.
    fn sleeps(&mut self, cx: &mut Context<'_>) -> bool {
        if self.driver.notifier.poll_take(cx) {
            self.datagrams.expect_mail();
            return false;
        }
        if let Some(deadline) = self.datagrams.session().deadline() {
            self.timer.wake_by(cx, self.datagrams.now(), deadline);
        }
        true
    }
}
