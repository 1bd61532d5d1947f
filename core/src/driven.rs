//! A machine together with what every interpreter of its actions must remember.

use bytes::{Buf, Bytes};

use crate::{Action, Failure, Input, Machine, Misuse, Teardown, Time, Wait};

/// What [`Driven::step`] asks of the driver: an [`Action`] whose bytes to write stay in [`Driven::pending`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "a step that is not carried out is lost"]
pub enum Step<E, O> {
    /// There are bytes in [`Driven::pending`]: write what the transport takes at once, report it with
    /// [`Driven::wrote`], and step again.
    Write,
    /// Half-close the transport and keep reading.
    ShutdownWrite,
    /// Hand it to the application.
    Event(E),
    /// Sleep until the transport takes bytes (if any are pending), has bytes (if `read` is not 0), a command
    /// comes, or the deadline passes.
    Wait(Wait),
    /// Tear the transport down as told. Terminal.
    Close {
        /// How to tear the transport down.
        how: Teardown,
        /// What came of the session.
        outcome: O,
    },
}

/// A machine, the bytes it wants written, and the credit it gave, counted down as it is spent.
///
/// Drivers, layers and simulators go through this and cannot misuse the contract by accident: bytes beyond the
/// credit are handed back, empty reads and second ends are dropped, and the credit of one [`Wait`] is never
/// spent twice.
///
/// A machine that gives 1,000,000 events without a [`Wait`] or a write is taken for one that never waits:
/// [`max_actions`](Self::max_actions).
///
/// What is left is bugs. A driver's (more bytes reported written than were pending) panics in debug builds; in
/// release builds the machine is aborted, its close becomes a reset, and [`Driven::misuse`] says why. A machine's
/// (one of the invariants on [`Machine`] broken) panics in every build: going on would lose bytes or spin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Driven<M> {
    machine: M,
    pending: Option<Bytes>,
    read: usize,
    commands: usize,
    deadline: Option<Time>,
    eof: bool,
    /// `Abort` or `Failed` was told: only events and the close may follow.
    over: bool,
    closed: bool,
    misuse: Option<Misuse>,
    /// The last `now`: a clock that goes back is a driver's bug, looked for in debug builds.
    #[cfg(debug_assertions)]
    latest: Time,
    /// Since the last wait or write.
    actions: u32,
    max_actions: u32,
}

/// Actions without a wait, unless a driver says otherwise.
const MAX_ACTIONS: u32 = 1_000_000;

impl<M: Machine> Driven<M> {
    /// Takes charge of `machine`. It has no credit yet: step first.
    pub const fn new(machine: M) -> Self {
        Self {
            machine,
            pending: None,
            read: 0,
            commands: 0,
            deadline: None,
            eof: false,
            over: false,
            closed: false,
            misuse: None,
            #[cfg(debug_assertions)]
            latest: Time::ZERO,
            actions: 0,
            max_actions: MAX_ACTIONS,
        }
    }

    /// Sets how many events and half-closes the machine may give without a [`Wait`] or a write, 1,000,000 by default: the next
    /// one panics, with the name of the type of the machine (invariant I5).
    #[must_use]
    pub const fn max_actions(mut self, actions: u32) -> Self {
        self.max_actions = actions;
        self
    }

    /// What the machine wants next.
    ///
    /// # Panics
    ///
    /// If the machine breaks an invariant of its contract.
    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver or two")]
    #[inline(always)]
    pub fn step(&mut self, now: Time) -> Step<M::Event, M::Outcome> {
        match self.step_taking(now, 0) {
            Ok(_) => Step::Write,
            Err(step) => step,
        }
    }

    /// Steps, and [takes](Self::take) what the machine wants written if that is no more than `room`: for a transport
    /// that keeps the bytes, such as one in memory. Then it is written.
    ///
    /// # Errors
    ///
    /// Any other step. [`Step::Write`], as ever, if there is less room than that.
    ///
    /// # Panics
    ///
    /// If the machine breaks an invariant of its contract.
    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver or two")]
    #[inline(always)]
    pub fn step_taking(&mut self, now: Time, room: usize) -> Result<Bytes, Step<M::Event, M::Outcome>> {
        self.at(now);
        Err(match self.machine.poll(now) {
            Action::Write(bytes) => {
                assert!(!self.over, "I3: a write after the end");
                assert!(self.pending.is_none(), "I7: a second write while one is outstanding");
                assert!(!bytes.is_empty(), "I5: a write of no bytes");
                // The transport must take it before there is another: of writes there are as many as of inputs.
                self.actions = 0;
                if bytes.len() <= room {
                    self.tell(now, Input::Wrote(bytes.len()));
                    return Ok(bytes);
                }
                self.pending = Some(bytes);
                Step::Write
            }
            Action::ShutdownWrite => {
                assert!(!self.over, "I3: a half-close after the end");
                assert!(self.pending.is_none(), "I7: half-close while a write is outstanding");
                self.count_action();
                Step::ShutdownWrite
            }
            Action::Event(event) => {
                self.count_action();
                Step::Event(event)
            }
            Action::Wait(Wait { read, commands, deadline }) => {
                // Nothing comes after the end: what would be read is not the machine's.
                let read = if self.eof { 0 } else { read };
                assert!(!self.over, "I3: a wait after the end");
                assert!(deadline.is_none_or(|at| at > now), "I5: deadline {deadline:?} at {now:?}");
                assert!(
                    read > 0 || self.pending.is_some() || deadline.is_some() || commands > 0,
                    "I4: a wait that nothing can end"
                );
                self.read = read;
                self.commands = commands;
                self.deadline = deadline;
                self.actions = 0;
                Step::Wait(Wait { read, commands, deadline })
            }
            Action::Close { how, outcome } => {
                self.closed = true;
                self.spend_all();
                self.pending = None;
                Step::Close { how: if self.misuse.is_some() { Teardown::Reset } else { how }, outcome }
            }
        })
    }

    /// The part of the outstanding write that the transport has not taken yet; empty if there is none.
    pub fn pending(&self) -> &[u8] {
        self.pending.as_deref().unwrap_or_default()
    }

    /// What is [pending](Self::pending), as the machine handed it out: for a driver that keeps the bytes themselves
    /// while they are on their way, such as a completion ring, instead of copying them.
    pub const fn pending_bytes(&self) -> Option<&Bytes> {
        self.pending.as_ref()
    }

    /// Copies what is pending out of the block it was read into, so that a few bytes that the transport did
    /// not take do not keep a whole read block alive. Does nothing if nobody else holds that memory.
    pub fn unshare_pending(&mut self) {
        if let Some(pending) = self.pending.as_mut().filter(|pending| !pending.is_unique()) {
            *pending = Bytes::copy_from_slice(pending);
        }
    }

    /// Bytes that may be read now; 0 means do not read.
    pub const fn credit(&self) -> usize {
        self.read
    }

    /// Commands that are welcome now.
    pub const fn command_credit(&self) -> usize {
        self.commands
    }

    /// When to step again at the latest, from the last [`Wait`].
    pub const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// The contract's breach, if there was one: the connection was reset for it.
    pub const fn misuse(&self) -> Option<Misuse> {
        self.misuse
    }

    /// The machine itself, to look at.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// Gives the machine back.
    pub fn into_machine(self) -> M {
        self.machine
    }

    /// The transport took `n` more of the pending bytes. 0 is ignored.
    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver or two")]
    #[inline(always)]
    pub fn wrote(&mut self, now: Time, n: usize) {
        self.at(now);
        match &mut self.pending {
            // Dropped as soon as it is written: advanced to empty, it would still pin its block.
            Some(pending) if n == pending.len() => self.pending = None,
            _ if n == 0 || self.closed => return,
            Some(pending) if n < pending.len() => pending.advance(n),
            pending => {
                let outstanding = pending.as_ref().map_or(0, Bytes::len);
                return self.breach(now, Misuse::OverWrote { wrote: n, outstanding });
            }
        }
        self.tell(now, Input::Wrote(n));
    }

    /// Takes the first `n` of the pending bytes, at most all of them, for a transport that keeps them: the same as
    /// copying them and reporting [`wrote`](Self::wrote), without the copy. Empty if nothing is pending.
    #[must_use = "bytes that are taken count as written, and dropping them loses them"]
    #[expect(clippy::inline_always, reason = "on the message path of a transport in memory")]
    #[inline(always)]
    pub fn take(&mut self, now: Time, n: usize) -> Bytes {
        self.at(now);
        let taken = match &mut self.pending {
            Some(pending) if n < pending.len() => pending.split_to(n),
            pending => pending.take().unwrap_or_default(),
        };
        if !taken.is_empty() && !self.closed {
            self.tell(now, Input::Wrote(taken.len()));
        }
        taken
    }

    /// Bytes were read. What has no credit is handed back and must be delivered later, in order.
    #[must_use = "bytes without credit are handed back, and dropping them loses them"]
    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver or two")]
    #[inline(always)]
    pub fn data(&mut self, now: Time, bytes: Bytes) -> Bytes {
        match self.data_within_credit(now, bytes) {
            Ok(()) => Bytes::new(),
            Err(bytes) => self.data_beyond_credit(now, bytes),
        }
    }

    #[inline(never)]
    fn data_beyond_credit(&mut self, now: Time, mut bytes: Bytes) -> Bytes {
        if bytes.is_empty() || self.read == 0 {
            return bytes;
        }
        let rest = bytes.split_off(self.read);
        self.read = 0;
        self.tell(now, Input::Data(bytes));
        rest
    }

    /// Bytes were read, no more than there is [credit](Self::credit) for: [`data`](Self::data) for a driver that
    /// looked at the credit before it read.
    ///
    /// # Errors
    ///
    /// The bytes, all of them, if there is less credit than that.
    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver or two")]
    #[inline(always)]
    pub fn data_within_credit(&mut self, now: Time, bytes: Bytes) -> Result<(), Bytes> {
        self.at(now);
        // Once it is closed there is no credit.
        if bytes.is_empty() || bytes.len() > self.read {
            return Err(bytes);
        }
        self.read -= bytes.len();
        self.tell(now, Input::Data(bytes));
        Ok(())
    }

    /// The peer finished sending. A second end is ignored.
    pub fn eof(&mut self, now: Time) {
        self.at(now);
        if !self.eof {
            self.eof = true;
            self.read = 0;
            self.tell(now, Input::Eof);
        }
    }

    /// The application reaches in. Step before anything else.
    ///
    /// # Errors
    ///
    /// The command itself, if there is no credit for it now.
    pub fn command(&mut self, now: Time, command: M::Command) -> Result<(), M::Command> {
        self.at(now);
        if self.commands == 0 || self.closed {
            return Err(command);
        }
        self.commands -= 1;
        self.tell(now, Input::Command(command));
        Ok(())
    }

    /// Asks for a graceful end. Step before anything else.
    pub fn stop(&mut self, now: Time) {
        self.at(now);
        self.tell(now, Input::Stop);
    }

    /// Asks for the end, now. Step before anything else.
    pub fn abort(&mut self, now: Time) {
        self.at(now);
        self.over = true;
        self.spend_all();
        self.tell(now, Input::Abort);
    }

    /// [`Machine::note_unread`].
    pub fn note_unread(&mut self, bytes: u64) {
        self.machine.note_unread(bytes);
    }

    /// The transport failed.
    pub fn failed(&mut self, now: Time, failure: Failure) {
        self.at(now);
        self.over = true;
        self.spend_all();
        self.tell(now, Input::Failed(failure));
    }

    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver or two")]
    #[inline(always)]
    fn tell(&mut self, now: Time, input: Input<M::Command>) {
        self.machine.handle(now, input);
    }

    #[cold]
    fn breach(&mut self, now: Time, misuse: Misuse) {
        debug_assert!(false, "{misuse}");
        self.misuse.get_or_insert(misuse);
        self.over = true;
        self.spend_all();
        self.machine.handle(now, Input::Abort);
    }

    /// Of actions that no input must follow, a machine can give any number.
    #[inline]
    fn count_action(&mut self) {
        self.actions += 1;
        if self.actions > self.max_actions {
            never_waits::<M>(self.max_actions);
        }
    }

    const fn spend_all(&mut self) {
        self.read = 0;
        self.commands = 0;
    }

    #[inline]
    #[cfg_attr(
        not(debug_assertions),
        expect(clippy::needless_pass_by_ref_mut, clippy::unused_self, reason = "a check of debug builds")
    )]
    fn at(&mut self, now: Time) {
        #[cfg(debug_assertions)]
        {
            assert!(now >= self.latest, "the clock went back from {:?} to {now:?}", self.latest);
            self.latest = now;
        }
        let _ = now;
    }
}

/// Going on would starve the thread's other connections for ever.
#[cold]
#[expect(clippy::panic, reason = "a machine broke its contract")]
fn never_waits<M>(actions: u32) -> ! {
    panic!("I5: {} gave {actions} actions without a wait or a write", core::any::type_name::<M>())
}
