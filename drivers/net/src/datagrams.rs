//! One machine and its socket of datagrams: the calls that carry out what the machine wants. When to make them, and what
//! to wait for in between, is the driver's.

use std::convert::Infallible;
use std::fmt;
use std::io;

use roundtrip_core::datagram::{Datagram, DatagramAction, DatagramDriven, DatagramMachine, Unsent};
use roundtrip_core::{Failure, Time};

use crate::classify::{self, Transfer};
use crate::{Block, Call, CallFailed, DatagramAddress, DatagramSocket, Mail, Mailbox};

/// A machine on its socket. No call of it waits.
///
/// A driver [advances](Self::advance) it, waits for what [`session`](Self::session) says, tells it the time of its
/// [waking](Self::wake), and [receives](Self::receive).
pub struct Datagrams<M, S> {
    socket: S,
    session: DatagramDriven<M>,
    /// Read once a wake-up.
    now: Time,
    /// Nothing need be waited for to receive.
    more: bool,
    /// There may be mail that was not delivered yet.
    mail: bool,
    failure: Option<CallFailed>,
    /// Some of what was sent was unread when it was last looked.
    unread: bool,
}

/// What came of driving a machine of datagrams.
#[derive(Debug)]
#[non_exhaustive]
pub struct DatagramsEnded<O> {
    /// The machine's own outcome.
    pub outcome: O,
    /// Datagrams that came and that the kernel dropped, because they were not read in time; 0 where it does not tell.
    pub overflowed: u64,
    /// What the operating system said last of a datagram that it did not send, or of a socket that failed; a queue that
    /// was full for a moment is none.
    pub failure: Option<CallFailed>,
}

impl<O> DatagramsEnded<O> {
    /// An end with this outcome, of a socket that neither dropped a datagram nor failed.
    pub const fn new(outcome: O) -> Self {
        Self { outcome, overflowed: 0, failure: None }
    }
}

impl<M: DatagramMachine<Address = DatagramAddress>, S: AsRef<DatagramSocket>> Datagrams<M, S> {
    /// A machine that begins now.
    pub fn new(socket: S, now: Time, machine: impl FnOnce(Time) -> M) -> Self {
        let session = DatagramDriven::new(machine(now));
        Self { socket, session, now, more: true, mail: false, failure: None, unread: false }
    }

    /// What it is driven on.
    pub const fn socket(&self) -> &S {
        &self.socket
    }

    /// What it waits for: its credit, its deadline.
    pub const fn session(&self) -> &DatagramDriven<M> {
        &self.session
    }

    /// The time of the last wake-up.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The driver woke at `now`: what is told from here on is told with that time.
    pub const fn wake(&mut self, now: Time) {
        self.now = now;
    }

    /// Receiving is worth a try before anything is waited for.
    pub const fn expect_more(&mut self) {
        self.more = true;
    }

    /// Whether there may be more, and nothing need be waited for.
    pub const fn may_have_more(&self) -> bool {
        self.more
    }

    /// Carries out what the machine wants until it waits; what came of it once it closes.
    pub fn advance(&mut self, mut events: impl FnMut(M::Event)) -> Option<DatagramsEnded<M::Outcome>> {
        if self.unread {
            self.look_at_queue();
        }
        loop {
            match self.session.step(self.now) {
                DatagramAction::Send(Datagram { peer, payload }) => {
                    match self.socket.as_ref().send(&peer, &payload) {
                        Ok(()) => self.look_at_queue(),
                        Err(error) => self.unsent(error),
                    }
                }
                DatagramAction::Event(event) => events(event),
                DatagramAction::Wait(_) => return None,
                DatagramAction::Close(outcome) => {
                    let overflowed = self.socket.as_ref().overflowed();
                    return Some(DatagramsEnded { outcome, overflowed, failure: self.failure.take() });
                }
            }
        }
    }

    /// Receives one datagram, if there is credit for it. Then advance, so that its memory is free for the next.
    pub fn receive(&mut self, block: &mut Block) {
        if self.session.credit() == 0 {
            return;
        }
        let mut came = None;
        let read = block.fill(usize::MAX, false, |buffer| {
            let received = self.socket.as_ref().receive(buffer)?;
            came = Some((received.from, received.cut));
            Ok(received.len)
        });
        match (read, came) {
            (Ok(payload), Some((peer, false))) => {
                let refused = self.session.received(self.now, Datagram { peer, payload });
                debug_assert!(refused.is_ok(), "no more is received than there is credit for");
            }
            (Ok(_), Some((from, true))) => self.session.too_long(self.now, from),
            (Ok(_), None) => {}
            (Err(error), _) => self.fail(Call::Read, error),
        }
    }

    /// Hands one piece of mail to the session, which then must be advanced; whether there was any. The mailbox is
    /// looked into if some is [expected](Self::expect_mail).
    pub fn deliver(&mut self, mailbox: &Mailbox<Infallible>) -> bool {
        if !self.mail {
            return false;
        }
        match mailbox.take(false) {
            Some(Mail::Abort) => self.session.abort(self.now),
            Some(Mail::Stop) => self.session.stop(self.now),
            Some(Mail::Command(never)) => match never {},
            None => {
                self.mail = false;
                return false;
            }
        }
        true
    }

    /// The bell rang: there is mail to be delivered, unless somebody was faster.
    pub const fn expect_mail(&mut self) {
        self.mail = true;
    }

    /// A call failed. An error that says "look again" is none.
    pub fn fail(&mut self, call: Call, error: io::Error) {
        self.more = false;
        let failure = match classify::transfer(&error) {
            Transfer::Again => return,
            Transfer::Failed(failure) => failure,
        };
        // Nobody is there: an earlier datagram was answered with that.
        let is_refused = classify::datagram(&error) == Unsent::Refused;
        self.failure.get_or_insert(CallFailed { call, error });
        self.session.failed(self.now, if is_refused { Failure::Reset } else { failure });
    }

    /// Tells how much of what was sent is unread.
    fn look_at_queue(&mut self) {
        if let Some(queue) = self.socket.as_ref().send_queue() {
            self.unread = queue.unread > 0;
            self.session.send_queue(self.now, queue);
        }
    }

    fn unsent(&mut self, error: io::Error) {
        let why = classify::datagram(&error);
        if why != Unsent::Full {
            self.failure = Some(CallFailed { call: Call::Write, error });
        }
        self.session.unsent(self.now, why);
    }
}

impl<M, S: fmt::Debug> fmt::Debug for Datagrams<M, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { socket, failure, .. } = self;
        f.debug_struct("Datagrams").field("socket", socket).field("failure", failure).finish_non_exhaustive()
    }
}
