//! The loop over datagrams: one machine, one socket, one thread.

use rustix::fd::AsFd;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use roundtrip_core::Time;
use roundtrip_core::datagram::DatagramMachine;
use roundtrip_net::{
    Block, Call, Clock, Control, DatagramAddress, DatagramSocket, Datagrams, DatagramsEnded, MAILBOX,
    Mailbox, until,
};

use crate::wake::{Interest, Wake, wait};

/// Drives one machine over a socket of datagrams: make it, hand its [`Control`] to whoever should stop it, then
/// [`drive`](DatagramDriver::drive).
#[derive(Debug)]
pub struct DatagramDriver<T> {
    wake: Arc<Wake>,
    mailbox: Mailbox<Infallible>,
    control: Control<Infallible>,
    clock: T,
}

impl<T: Clock> DatagramDriver<T> {
    /// A driver on this clock.
    ///
    /// # Errors
    ///
    /// If the system has no descriptor left for the wake-up.
    pub fn new(clock: T) -> io::Result<Self> {
        let wake = Arc::new(Wake::new()?);
        let (mailbox, control) = Mailbox::new(MAILBOX, wake.clone());
        Ok(Self { wake, mailbox, control, clock })
    }

    /// The way in, from any thread: to stop it, or abort it.
    pub fn control(&self) -> Control<Infallible> {
        self.control.clone()
    }

    /// Drives one machine over `socket` on this thread until it closes.
    ///
    /// # Errors
    ///
    /// None. The drivers that register what they wait for may have no room for it.
    pub fn drive<M: DatagramMachine<Address = DatagramAddress>>(
        self,
        socket: DatagramSocket,
        machine: impl FnOnce(Time) -> M,
        mut events: impl FnMut(M::Event),
    ) -> io::Result<DatagramsEnded<M::Outcome>> {
        let mut block = Block::default();
        let mut datagrams = Datagrams::new(socket, self.clock.now(), machine);
        loop {
            if let Some(ended) = datagrams.advance(&mut events) {
                return Ok(ended);
            }
            self.wait(&mut datagrams, &mut block);
        }
    }

    /// Sleeps until something happens, and tells the machine of it.
    fn wait<M: DatagramMachine<Address = DatagramAddress>>(
        &self,
        datagrams: &mut Datagrams<M, DatagramSocket>,
        block: &mut Block,
    ) {
        let may_read = datagrams.session().credit() > 0;
        let more = may_read && datagrams.may_have_more();
        // Peers that always have more must not keep mail from being seen.
        if more {
            datagrams.expect_mail();
        }
        if datagrams.deliver(&self.mailbox) {
            return;
        }
        if more {
            datagrams.wake(self.clock.now());
            return datagrams.receive(block);
        }
        let interest = Interest { fd: datagrams.socket().as_fd(), readable: may_read, writable: false };
        let deadline = datagrams.session().deadline();
        let slept = wait(interest, &self.wake, until(datagrams.now(), deadline));
        let now = self.clock.now();
        datagrams.wake(now);
        let ready = match slept {
            Ok(ready) => ready,
            Err(error) => return datagrams.fail(Call::Wait, error),
        };
        // What is there is received before a passed deadline takes effect.
        let late = deadline.is_some_and(|deadline| deadline <= now);
        if ready.readable || (may_read && late) {
            datagrams.expect_more();
            datagrams.receive(block);
        }
        if ready.rung {
            self.wake.clear();
            datagrams.expect_mail();
        }
    }
}
