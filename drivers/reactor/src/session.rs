//! One machine and its socket between two wake-ups, and what is done in one.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use roundtrip_core::{Machine, Time};
use roundtrip_net::event_loop::Token;
use roundtrip_net::{Block, Call, Clock, Connection, ConnectionReport, EventSink, Guarded, Mailbox};

use crate::poller::mio;

/// How often a connection goes on without waiting before the others of its thread have their turn.
const TURNS: u32 = 32;

/// When something is done in a wake-up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// At its beginning: its time is now.
    Waking,
    /// After something else was done.
    Later,
}

/// What came of a wake-up.
#[derive(Debug)]
pub(crate) enum Turn<O> {
    /// The machine closed. The session must be dropped.
    Over(ConnectionReport<O>),
    /// It could go on at once, and had its share.
    Again,
    /// It waits for the socket, for mail, or until then.
    Wait(Option<Time>),
}

/// What the poller tells of a stream: on Linux, also that urgent bytes came.
#[cfg(any(target_os = "linux", target_os = "android"))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// A machine on its stream.
#[derive(Debug)]
pub(crate) struct Session<M: Machine> {
    connection: Connection<M>,
    mailbox: Mailbox<M::Command>,
    stream: Guarded,
    readiness: Readiness,
    begun: bool,
    registered: bool,
}

/// What the poller said of a stream. It tells each change once (epoll(7), `EPOLLET`), so what cannot be used at once is
/// remembered.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
struct Readiness {
    /// There may be something to read.
    readable: bool,
    /// Behind what there is to read is the end, or an error, and nobody will say so again.
    hung_up: bool,
    /// Urgent bytes came, which a read stops short of.
    urgent: bool,
    /// The stream takes bytes again.
    writable: bool,
}

impl<M: Machine> Session<M> {
    /// A machine that begins now.
    pub(crate) fn new(
        stream: Guarded,
        mailbox: Mailbox<M::Command>,
        now: Time,
        machine: impl FnOnce(Time) -> M,
    ) -> Self {
        Self {
            connection: Connection::new(now, machine),
            mailbox,
            stream,
            // A client that has just connected has most often sent something, too.
            readiness: Readiness { readable: true, hung_up: false, urgent: false, writable: false },
            begun: false,
            registered: false,
        }
    }

    /// The poller said this of the stream. Whether there is anything to do.
    pub(crate) fn note(&mut self, event: &Event) -> bool {
        let (connection, ready) = (&self.connection, &mut self.readiness);
        ready.hung_up |= event.is_read_closed() || event.is_error();
        ready.urgent |= event.is_priority();
        ready.readable |= event.is_readable() || ready.hung_up;
        ready.writable |=
            !connection.session().pending().is_empty() && (event.is_writable() || event.is_error());
        ready.writable || (ready.readable && connection.credit() > 0)
    }

    /// The bell rang.
    pub(crate) const fn expect_mail(&mut self) {
        self.connection.expect_mail();
    }

    /// When it must be woken at the latest.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.connection.deadline()
    }

    /// Has the poller tell of the stream, once for all: only what a session that waits for the first time needs.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        if self.registered {
            return Ok(());
        }
        let fd = self.stream.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&fd), mio(token), INTEREST)?;
        self.registered = true;
        Ok(())
    }

    /// The stream cannot be waited for.
    pub(crate) fn fail(&mut self, error: io::Error) {
        self.connection.fail(Call::Wait, error);
    }

    /// One wake-up, which began at `woken`.
    pub(crate) fn run(
        &mut self,
        woken: Time,
        clock: &impl Clock,
        block: &mut Block,
        events: &mut impl EventSink<M::Event>,
    ) -> Turn<M::Outcome> {
        if std::mem::replace(&mut self.begun, true) {
            // It may have begun, or read, since the thread woke.
            self.connection.wake(woken.max(self.connection.now()));
            // What is there is read before a passed deadline takes effect: it may have come while we were suspended.
            if self.connection.is_unfinished() {
                self.connection.deliver(&self.mailbox);
            } else {
                self.write(block);
                self.read(clock, block, Moment::Waking);
            }
        }
        for _ in 0..TURNS {
            if let Some(ended) = self.connection.advance(&mut &self.stream, block, events) {
                return Turn::Over(ended);
            }
            if self.connection.is_unfinished() {
                return Turn::Again;
            }
            // Mail comes first: a peer that always has more to read must not keep it from being seen.
            let moved = self.connection.deliver(&self.mailbox)
                || self.write(block)
                || self.read(clock, block, Moment::Later);
            if !moved {
                return Turn::Wait(self.deadline());
            }
        }
        Turn::Again
    }

    /// Writes if the stream takes bytes again; whether there is anything new to tell.
    fn write(&mut self, block: &mut Block) -> bool {
        // A write was tried when there was something new to write. Of what the stream did not take, the poller tells
        // when it does.
        let writes =
            std::mem::take(&mut self.readiness.writable) && !self.connection.session().pending().is_empty();
        if writes {
            self.connection.write(&mut &self.stream, block);
        }
        writes
    }

    /// Reads if there may be something to read; whether there is anything new to tell.
    fn read(&mut self, clock: &impl Clock, block: &mut Block, moment: Moment) -> bool {
        let credit = self.connection.credit();
        let late = self.deadline().is_some_and(|deadline| deadline <= self.connection.now());
        if credit == 0 || !(self.readiness.readable || late) {
            return false;
        }
        if moment == Moment::Later {
            // A machine may measure when bytes come, so they are not told with the time of the wake-up.
            self.connection.wake(clock.now());
        }
        self.connection.read(&mut &self.stream, block);
        // A read that left room has emptied the stream, and what comes later is told; but not an end, and not what is behind
        // urgent bytes, that were told with what has just been read.
        let came = self.connection.credit() != credit;
        let ready = &mut self.readiness;
        ready.readable =
            self.connection.may_have_more() || (came && (ready.hung_up || std::mem::take(&mut ready.urgent)));
        true
    }
}
