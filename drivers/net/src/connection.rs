//! One machine and its stream: the calls that carry out what the machine wants. When to make them, and what to
//! wait for in between, is the driver's.
//!
//! There are two ways to drive it. With a transport that is tried, [`advance`](Connection::advance),
//! [`write`](Connection::write) and [`read`](Connection::read) make the calls on it. With one that completes what it was given,
//! [`advance_to_write`](Connection::advance_to_write) leaves them to the driver, which tells what came of each with
//! [`wrote`](Connection::wrote), [`came`](Connection::came), [`finished`](Connection::finished) and
//! [`fail`](Connection::fail), and calls [`close`](Connection::close) when nothing is on its way any more.

use std::fmt;
use std::io;

use bytes::Bytes;
use roundtrip_core::{Driven, Machine, Step, Teardown, Time};

use crate::classify::{self, Transfer};
use crate::{Block, Call, CallFailed, ConnectionReport, EventSink, Mail, Mailbox, Transport};

/// Actions of a machine that never waits, before a stop or an abort is looked for and the others of its thread have their turn.
pub const MAX_ACTIONS: u32 = 32;

/// A machine and the bookkeeping of its [`Transport`], which each call is given. No call waits.
///
/// A driver [advances](Self::advance) it, waits for what [`session`](Self::session) says, tells it the time of its
/// [waking](Self::wake), and makes the calls that were waited for.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each asked for itself on the message path"
)]
pub struct Connection<M> {
    session: Driven<M>,
    /// Read once a wake-up.
    now: Time,
    /// Nothing need be waited for to read.
    more: bool,
    /// There may be mail that was not delivered yet.
    mail: bool,
    /// The machine was interrupted: it has more to say before anything is waited for.
    unfinished: bool,
    /// An event waits until its sink has room.
    blocked: bool,
    /// It was aborted: events that its sink has no room for are dropped.
    aborted: bool,
    undelivered: u64,
    /// The peer's end was seen.
    finished: bool,
    /// The transport was asked to half-close.
    half_closed: bool,
    /// It could not yet.
    half_closing: bool,
    /// The machine closed, and only that is waited for.
    closing: bool,
    written: u64,
    /// Bytes that the driver has read and not told.
    held: usize,
    /// What was readable when the machine began to discard.
    unread_at_cut: Option<u64>,
    failure: Option<CallFailed>,
}

impl<M: Machine> Connection<M> {
    /// A machine that begins now.
    pub fn new(now: Time, machine: impl FnOnce(Time) -> M) -> Self {
        Self {
            session: Driven::new(machine(now)),
            now,
            more: false,
            mail: false,
            unfinished: false,
            blocked: false,
            aborted: false,
            undelivered: 0,
            finished: false,
            half_closed: false,
            half_closing: false,
            closing: false,
            written: 0,
            held: 0,
            unread_at_cut: None,
            failure: None,
        }
    }

    /// What it waits for: its credit, what is pending, its deadline.
    pub const fn session(&self) -> &Driven<M> {
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

    /// Reading is worth a try before anything is waited for.
    pub const fn expect_more(&mut self) {
        self.more = true;
    }

    /// Whether the last read filled all it was allowed, or says nothing of what is behind it: there may be more, and
    /// nothing need be waited for.
    pub const fn may_have_more(&self) -> bool {
        self.more
    }

    /// Whether the machine had not come to a wait when it was last advanced. It must be advanced again, after the mailbox
    /// was looked into and without waiting for anything.
    pub const fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// Carries out what the machine wants until it waits, or 32 actions at most: then it [is
    /// unfinished](Self::is_unfinished). What came of it once it closes, and then the connection must be dropped.
    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver")]
    #[inline(always)]
    pub fn advance(
        &mut self,
        transport: &mut impl Transport,
        block: &mut Block,
        events: &mut impl EventSink<M::Event>,
    ) -> Option<ConnectionReport<M::Outcome>> {
        self.unfinished = false;
        for _ in 0..MAX_ACTIONS {
            if self.must_wait_for(events) {
                return None;
            }
            match self.session.step(self.now) {
                Step::Write => {
                    self.write(transport, block);
                    self.session.unshare_pending();
                }
                Step::ShutdownWrite => self.half_close(transport),
                Step::Event(event) => self.send(events, event),
                Step::Wait(_) => {
                    self.note_cut(transport);
                    return None;
                }
                // A machine that closed says so again.
                Step::Close { how: Teardown::Graceful, .. } if self.delays_close(transport) => {
                    self.closing = true;
                    return None;
                }
                Step::Close { how, outcome } => return Some(self.close(transport, how, outcome)),
            }
        }
        self.interrupt();
        None
    }

    /// Whether the machine may not be polled, because an event would find no room.
    fn must_wait_for(&mut self, events: &impl EventSink<M::Event>) -> bool {
        self.blocked = !self.aborted && !events.has_room();
        self.blocked
    }

    fn send(&mut self, events: &mut impl EventSink<M::Event>, event: M::Event) {
        if events.has_room() {
            events.send(event);
        } else {
            self.undelivered += 1;
        }
    }

    /// Whether the sink of its events is full: it is neither read for nor advanced before there is room, of which the driver's
    /// bell tells. What is pending is written meanwhile, and a stop and an abort are delivered.
    pub const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// When it must be advanced at the latest; not while it [is blocked](Self::is_blocked).
    pub const fn deadline(&self) -> Option<Time> {
        if self.blocked { None } else { self.session.deadline() }
    }

    /// Bytes that may be read now; 0 while it [is blocked](Self::is_blocked).
    pub const fn credit(&self) -> usize {
        if self.blocked { 0 } else { self.session.credit() }
    }

    /// The machine had its share; what was asked of it meanwhile comes first.
    #[cold]
    const fn interrupt(&mut self) {
        self.unfinished = true;
        self.mail = true;
    }

    /// Carries out what the machine wants, but for writing, as [`advance`](Self::advance) does. What it wants written is in
    /// its session's [`pending_bytes`](Driven::pending_bytes) from then on.
    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver")]
    #[inline(always)]
    pub fn advance_to_write(
        &mut self,
        transport: &mut impl Transport,
        events: &mut impl EventSink<M::Event>,
    ) -> Option<(Teardown, M::Outcome)> {
        self.unfinished = false;
        for _ in 0..MAX_ACTIONS {
            if self.must_wait_for(events) {
                return None;
            }
            match self.session.step(self.now) {
                Step::Write => {}
                Step::ShutdownWrite => self.half_close(transport),
                Step::Event(event) => self.send(events, event),
                Step::Wait(_) => {
                    self.note_cut(transport);
                    return None;
                }
                Step::Close { how, outcome } => return Some((how, outcome)),
            }
        }
        self.interrupt();
        None
    }

    /// Sets how many bytes the driver has read and not yet delivered to the machine.
    pub const fn holds(&mut self, bytes: usize) {
        self.held = bytes;
    }

    /// If the machine has begun to discard what it reads, notes what is readable now.
    fn note_cut(&mut self, transport: &impl Transport) {
        if self.unread_at_cut.is_none() && self.session.machine().discards_input() {
            let unread = if self.finished { 0 } else { transport.unread() };
            self.unread_at_cut = Some(0);
            self.came_before_cut(unread + self.held as u64);
        }
    }

    /// Whether the machine was seen to have begun to discard what it reads.
    pub const fn is_cut(&self) -> bool {
        self.unread_at_cut.is_some()
    }

    /// So many bytes had come when the machine [began to discard](Self::is_cut), and are told later: for a driver that
    /// learns only then that it had them.
    pub fn came_before_cut(&mut self, bytes: u64) {
        if let Some(at_cut) = &mut self.unread_at_cut {
            *at_cut += bytes;
            self.session.note_unread(bytes);
        }
    }

    /// The transport took so many more of the pending bytes: what it took after the machine's end is counted, too.
    pub fn wrote(&mut self, wrote: usize) {
        self.written += wrote as u64;
        self.session.wrote(self.now, wrote);
    }

    /// Copies what is still pending out of the block it was read into: it may be a while until it is written.
    pub fn unshare_pending(&mut self) {
        self.session.unshare_pending();
    }

    /// These bytes came. What there is no credit for is handed back, to be told later; all of it after the machine's end.
    #[must_use = "bytes without credit are handed back, and dropping them loses them"]
    pub fn came(&mut self, bytes: Bytes) -> Bytes {
        self.session.data(self.now, bytes)
    }

    /// The peer's end came.
    pub fn finished(&mut self) {
        self.finished = true;
        self.session.eof(self.now);
    }

    /// Writes what the transport takes of what is pending. False if it takes nothing now; else the machine must be advanced.
    pub fn write(&mut self, transport: &mut impl Transport, block: &mut Block) -> bool {
        match transport.write(self.session.pending()) {
            Ok(wrote) => self.wrote(wrote),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => self.broke(transport, block, error),
        }
        true
    }

    /// Writing failed. What came before the connection broke is still there, and is read first.
    pub fn broke(&mut self, transport: &mut impl Transport, block: &mut Block, error: io::Error) {
        if !classify::is_again(&error) {
            while self.session.credit() > 0 && self.read_some(transport, block).is_ok_and(|read| read > 0) {}
        }
        self.fail(Call::Write, error);
    }

    /// Reads once, if there is credit. False if there is none, or nothing to read now; else the machine must be advanced.
    pub fn read(&mut self, transport: &mut impl Transport, block: &mut Block) -> bool {
        if self.credit() == 0 {
            return false;
        }
        self.more = false;
        match self.read_some(transport, block) {
            Ok(0) => self.finished(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => self.fail(Call::Read, error),
        }
        true
    }

    /// Hands one piece of mail to the session, which then must be advanced; whether there was any. The mailbox is
    /// looked into if some is [expected](Self::expect_mail), or was left in it: call it before each sleep, also after a step that
    /// gave credit for commands, because no bell rings for what is there already.
    pub fn deliver(&mut self, mailbox: &Mailbox<M::Command>) -> bool {
        if !self.mail {
            return false;
        }
        // The credit for commands is that of the last wait, which an unfinished machine has left behind.
        match mailbox.take(!self.unfinished && !self.blocked && self.session.command_credit() > 0) {
            Some(Mail::Abort) => {
                self.aborted = true;
                self.session.abort(self.now);
            }
            Some(Mail::Stop) => self.session.stop(self.now),
            Some(Mail::Command(command)) => {
                let refused = self.session.command(self.now, command);
                debug_assert!(refused.is_ok(), "no command is taken without credit for it");
            }
            None => {
                self.mail = !mailbox.is_empty();
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
        if let Transfer::Failed(failure) = classify::transfer(&error) {
            self.failure.get_or_insert(CallFailed { call, error });
            self.session.failed(self.now, failure);
        }
    }

    /// Whether the transport was asked to half-close and could not yet: [`half_close`](Self::half_close) must be called again.
    pub const fn is_half_closing(&self) -> bool {
        self.half_closing
    }

    /// Whether the machine closed in order, and nothing is waited for but the transport's half-close.
    pub const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Waits no longer for the transport to half-close.
    pub const fn abandon_half_close(&mut self) {
        self.half_closing = false;
    }

    /// Half-closes the transport, or notes that it cannot yet.
    pub fn half_close(&mut self, transport: &mut impl Transport) {
        // The peer may answer our end at once with bytes that come after the cut.
        self.note_cut(transport);
        self.half_closed = true;
        let result = transport.half_close();
        self.half_closing = result.as_ref().is_err_and(classify::is_again);
        if let Err(error) = result {
            self.fail(Call::HalfClose, error);
        }
    }

    /// Whether the transport must half-close before it is closed in order, and cannot yet.
    fn delays_close(&mut self, transport: &mut impl Transport) -> bool {
        if !self.half_closed && self.failure.is_none() && transport.must_half_close() {
            self.half_close(transport);
        }
        self.half_closing
    }

    /// Reads at most the credit and delivers it; how much there was.
    fn read_some(&mut self, transport: &mut impl Transport, block: &mut Block) -> io::Result<usize> {
        let keep = !self.session.pending().is_empty();
        let bytes = block.fill(self.session.credit(), keep, |buffer| {
            let read = transport.read(buffer);
            self.more = match &read {
                Ok(read) => transport.may_have_more(buffer.len(), *read),
                Err(error) => error.kind() == io::ErrorKind::Interrupted,
            };
            read
        })?;
        let read = bytes.len();
        let rest = self.session.data(self.now, bytes);
        debug_assert!(rest.is_empty(), "no more is read than there is credit for");
        Ok(read)
    }

    /// What came of a machine that closed. Then the transport must be dropped, which tears it down as told.
    pub fn close(
        &mut self,
        transport: &mut impl Transport,
        how: Teardown,
        outcome: M::Outcome,
    ) -> ConnectionReport<M::Outcome> {
        let unread = if self.finished { 0 } else { transport.unread() };
        let tcp = transport.tcp_info();
        let destroyed = transport.close(how);
        ConnectionReport {
            outcome,
            written: self.written,
            unread,
            unread_at_cut: self.unread_at_cut,
            destroyed,
            undelivered: self.undelivered,
            tcp,
            failure: self.failure.take(),
        }
    }
}

impl<M> fmt::Debug for Connection<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { written, failure, .. } = self;
        f.debug_struct("Connection")
            .field("written", written)
            .field("failure", failure)
            .finish_non_exhaustive()
    }
}
