//! The contract between a machine and whatever drives it.

use alloc::boxed::Box;
use core::convert::Infallible;
use core::error::Error;
use core::fmt;

use bytes::Bytes;

use crate::Time;

/// What the outside tells a stream machine.
///
/// Exhaustive on purpose: a new variant must break the build of every driver that does not know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<C = Infallible> {
    /// Bytes that were read: at least one, and no more than the read credit of the last [`Wait`].
    Data(Bytes),
    /// The peer finished sending: a FIN, or an authenticated end such as TLS `close_notify`. Follows all data.
    Eof,
    /// That many more bytes, at least one, of the outstanding [`Action::Write`] reached the transport.
    Wrote(usize),
    /// The application reaches in, within the command credit of the last [`Wait`].
    Command(C),
    /// Finish gracefully: lose nothing that was promised, take on nothing new.
    Stop,
    /// Give up now; what is unsent is dropped. Only events and the close may follow.
    Abort,
    /// The transport is gone or cannot be trusted. Needs no credit and may overtake data. Only events and the
    /// close may follow.
    Failed(Failure),
}

/// Why a transport failed, as far as a machine may know: no `io::Error` enters the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// The peer reset the connection (RST, RFC 9293 section 3.5.2), or writing found it gone.
    Reset,
    /// The stream ended without the end its protocol requires, such as TLS without `close_notify`.
    Truncated,
    /// Any other error of the operating system.
    Io,
}

/// What the driver does next. Obey it, then poll again, until [`Wait`](Action::Wait) or [`Close`](Action::Close).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "an action that is not carried out is lost"]
pub enum Action<E, O> {
    /// Write all of it. No second `Write` and no `ShutdownWrite` comes until [`Input::Wrote`] covered it.
    Write(Bytes),
    /// Half-close the transport (`shutdown(2)` with `SHUT_WR`) and keep reading. At most once.
    ShutdownWrite,
    /// Something the application should know.
    Event(E),
    /// Nothing to do until something in [`Wait`] happens.
    Wait(Wait),
    /// The machine is done. Terminal: every later poll gives the same.
    Close {
        /// How to tear the transport down.
        how: Teardown,
        /// What came of the session.
        outcome: O,
    },
}

/// The only source of permission to read, to deliver commands and to sleep.
///
/// A driver that forgets to drain a machine's actions has neither credit nor deadline, and stalls in its
/// first test instead of losing bytes in its first year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wait {
    /// Bytes that may be read before the next poll; 0 means do not read.
    pub read: usize,
    /// Commands that are welcome before the next poll; 0 means leave them where they are.
    pub commands: usize,
    /// Poll again no later than this. Always after the `now` of the poll that returned it.
    pub deadline: Option<Time>,
}

/// How a transport is torn down after [`Action::Close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Teardown {
    /// Close it; what the kernel still holds is sent, and the peer sees an orderly end.
    Graceful,
    /// Reset it (`SO_LINGER` of zero): the peer must not take what it got for the whole.
    Reset,
}

/// The driver broke the contract: a bug in the driver, never the fault of a peer (what a peer can do is an outcome).
///
/// [`Driven`](crate::Driven) alone judges it, and the machine never hears of it (I8). Its methods make every other misuse
/// impossible: data beyond the credit is handed back, and an empty read, a second end and a command without credit are
/// not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Misuse {
    /// More bytes reported written than were outstanding.
    OverWrote {
        /// Bytes reported.
        wrote: usize,
        /// Bytes of the outstanding write that were left.
        outstanding: usize,
    },
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OverWrote { wrote, outstanding } => {
                write!(f, "driver misuse: {wrote} bytes reported written, {outstanding} outstanding")
            }
        }
    }
}

impl Error for Misuse {}

/// A protocol as a value: inputs go in, actions come out, and nothing else happens.
///
/// A machine has no socket, no clock, no thread and no source of randomness, so the same inputs at the same
/// times give the same actions, wherever it runs.
///
/// # What a machine owes
///
/// The invariants are named in tests and in panics by these numbers. [`Driven`](crate::Driven) upholds the
/// driver's side of I6 and I8 and checks I3, I4, I5 and I7 as it goes: a machine has no code for a driver's mistakes.
///
/// - **I1 conservation**: nothing is lost or made up; for the echo, what is written is a prefix of what was
///   received, and all of it when the end is clean.
/// - **I2 memory**: what is held, an outstanding write included, is bounded.
/// - **I3** [`Action::Close`] is stable, and nothing follows it. After [`Input::Abort`] or [`Input::Failed`]
///   come only events, and then the close.
/// - **I4 liveness**: a [`Wait`] implies an outstanding write, read credit, command credit or a deadline. While a
///   write is outstanding, `Wait` is what is left to say.
/// - **I5 no spin**: a deadline lies after `now`; an input leads to boundedly many actions; polling a machine that
///   waits changes nothing; a write has bytes.
/// - **I6** each `Wait` replaces the credit of the one before. Credit falls by data only, by no more than its
///   bytes, or to 0 on the end, abort, failure and close: a read that is under way stays within it.
/// - **I7** at most one write is outstanding; half-close comes at most once, and no write after it.
/// - **I8** a [`Misuse`] never reaches the machine: [`Driven`](crate::Driven) passes on legal inputs only.
/// - **I9 chunking**: how the streams are sliced changes neither bytes nor outcome.
/// - **I10 bounded work**: a poll takes constant time, and a message in the steady state allocates nothing.
///
/// After [`Input::Stop`] a machine ends in bounded time, whatever its peer does.
///
/// I1, I2 and I9 are for an oracle that knows the protocol: no driver can check them. What is said of allocations is what
/// the shipped machines hold themselves to.
pub trait Machine {
    /// What the application can say to a running session; [`Infallible`] when nothing reaches in.
    type Command;
    /// What a running session tells the application; [`Infallible`] when nothing leaves.
    type Event;
    /// What came of the session.
    type Outcome: Clone;

    /// Takes one input. Legal at any moment; after the machine *returned* [`Action::Close`], inputs are
    /// accepted and ignored, because a completion driver may still have operations in flight.
    ///
    /// The caller keeps the contract of [`Input`]; [`Driven`](crate::Driven) does so for it.
    fn handle(&mut self, now: Time, input: Input<Self::Command>);

    /// What to do next. Deadlines that have passed by `now` take effect here.
    fn poll(&mut self, now: Time) -> Action<Self::Event, Self::Outcome>;

    /// Whether everything that is read from now on is dropped: the conversation was cut, and reading goes on only so that a
    /// reset does not destroy what was written (RFC 2525 section 2.17). Once true, it stays so.
    ///
    /// Drivers note what was readable at that moment: the peer sent it before the cut, and it is lost. What arrives later is
    /// refused.
    fn discards_input(&self) -> bool {
        false
    }

    /// The transport holds `bytes` bytes that the peer sent before the machine [began to discard](Self::discards_input).
    /// Drivers that can know it say so at that moment, before they read more; what several calls say adds up.
    ///
    /// It is not an input. What the outcome counts may depend on it, and nothing that the machine does. A machine whose bytes
    /// are those of the transport need not know it: the driver tells the same in what came of the connection.
    fn note_unread(&mut self, bytes: u64) {
        let _ = bytes;
    }
}

impl<M: Machine + ?Sized> Machine for &mut M {
    type Command = M::Command;
    type Event = M::Event;
    type Outcome = M::Outcome;

    fn handle(&mut self, now: Time, input: Input<Self::Command>) {
        (**self).handle(now, input);
    }

    fn poll(&mut self, now: Time) -> Action<Self::Event, Self::Outcome> {
        (**self).poll(now)
    }

    fn discards_input(&self) -> bool {
        (**self).discards_input()
    }

    fn note_unread(&mut self, bytes: u64) {
        (**self).note_unread(bytes);
    }
}

impl<M: Machine + ?Sized> Machine for Box<M> {
    type Command = M::Command;
    type Event = M::Event;
    type Outcome = M::Outcome;

    fn handle(&mut self, now: Time, input: Input<Self::Command>) {
        (**self).handle(now, input);
    }

    fn poll(&mut self, now: Time) -> Action<Self::Event, Self::Outcome> {
        (**self).poll(now)
    }

    fn discards_input(&self) -> bool {
        (**self).discards_input()
    }

    fn note_unread(&mut self, bytes: u64) {
        (**self).note_unread(bytes);
    }
}
