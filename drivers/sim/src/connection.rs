//! A connection of a run, as a scenario sees it.

use std::fmt;

use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Driven, Machine, Time};

use crate::choose::Entity;
use crate::pipe::Pipe;
use crate::queue::Address;

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who dialled.
    Client,
    /// Who listened.
    Server,
}

/// Two ends and what is between them.
pub struct Connection<C: Machine, S: Machine> {
    pub(crate) id: ConnectionId,
    pub(crate) address: Address,
    pub(crate) in_use: bool,
    /// Nothing is under way but whole segments between two machines that wait for them.
    pub(crate) calm: bool,
    pub(crate) client: End<C>,
    pub(crate) server: End<S>,
    /// From the client to the server.
    pub(crate) up: Pipe,
    /// From the server to the client.
    pub(crate) down: Pipe,
    pub(crate) plan: LinePlan,
    pub(crate) injected: Injected,
    pub(crate) door: Door,
}

/// Where a connection stands at the server's door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Door {
    /// The SYN is on its way, or nobody answers it.
    #[default]
    Outside,
    /// In the backlog.
    Waiting,
    /// Admitted.
    Inside,
    /// Closed, refused, or never let in.
    Gone,
}

/// When the line itself makes trouble, counted in segments that arrived; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinePlan {
    /// Whether there is any.
    pub(crate) trouble: bool,
    pub(crate) arrivals: u32,
    pub(crate) reset_after: u32,
    pub(crate) blackhole_after: u32,
    pub(crate) silences: [Silence; 2],
}

impl LinePlan {
    pub(crate) fn has_any(&self) -> bool {
        self.reset_after > 0
            || self.blackhole_after > 0
            || self.silences.iter().any(|silence| silence.after > 0)
    }

    /// Whether there is trouble with the `nth` segment to `side`, which has been counted.
    #[inline]
    pub(crate) const fn comes(&self, nth: u32, side: Side) -> bool {
        self.arrivals == self.reset_after
            || self.arrivals == self.blackhole_after
            || nth == self.silence(side).after
    }

    /// The silence on the way to `side`.
    #[inline]
    pub(crate) const fn silence(&self, side: Side) -> Silence {
        match side {
            Side::Server => self.silences[0],
            Side::Client => self.silences[1],
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Silence {
    pub(crate) after: u32,
    /// Nanoseconds.
    pub(crate) lasts: u64,
}

/// What was done to a connection that it could not help: a scenario's oracle needs to know what is excused.
///
/// An [outcome](End::outcome) that says "I came to my own end" excuses some of it by itself: a session that was refused,
/// crashed or aborted has none, or another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each on its own")]
#[non_exhaustive]
pub struct Injected {
    /// The line reset it, or one end did before it was accepted.
    pub reset: bool,
    /// The server died, and this connection with it.
    pub crash: bool,
    /// The server's policy, or a failed accept, turned it away.
    pub refused: bool,
    /// The client's session was stopped.
    pub client_stop: bool,
    /// The server's session was stopped.
    pub server_stop: bool,
    /// The client's session was aborted.
    pub client_abort: bool,
    /// The server's session was aborted.
    pub server_abort: bool,
    /// Something was delayed for longer than a latency: a silence, a freeze, a jump of a clock.
    pub delay: bool,
}

/// One end of a connection: a machine and its driver.
#[expect(clippy::struct_excessive_bools, reason = "each on its own")]
pub struct End<M: Machine> {
    pub(crate) who: Entity,
    pub(crate) session: Option<Driven<M>>,
    pub(crate) outcome: Option<M::Outcome>,
    pub(crate) closed: bool,
    /// The machine has not been polled since it was told something after which it has to be.
    pub(crate) fresh: bool,
    /// A wake-up is in the queue of events.
    pub(crate) woken: bool,
    /// There may be mail.
    pub(crate) mail: bool,
    /// The node's time of the last event here.
    pub(crate) now: Time,
    pub(crate) moved: Time,
    pub(crate) opened: Time,
    /// When the timer in the queue of events is due, in the run's time; `u64::MAX` if there is none.
    pub(crate) timer: u64,
    /// Bytes of a write that was submitted and has not completed.
    pub(crate) submitted: usize,
    /// Quanta that a write takes to complete; 0 if it is reported at once.
    pub(crate) completion: u32,
    /// The machine was told that the transport failed.
    pub(crate) failed: bool,
    pub(crate) wakes: u32,
    pub(crate) plan: EndPlan,
    /// The wake-up of the next trouble; 0 if there is none.
    pub(crate) next_trouble: u32,
    pub(crate) did: Did,
    /// All that ever happened here.
    pub(crate) ever: Did,
    pub(crate) half_closed_first: bool,
    pub(crate) stops: u32,
    pub(crate) stopped: Option<Time>,
    pub(crate) read: u64,
    pub(crate) written: u64,
}

/// When the application makes trouble, counted in wake-ups; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EndPlan {
    pub(crate) stop_after: u32,
    pub(crate) stop_again_after: u32,
    pub(crate) abort_after: u32,
    /// Counted from the half-close.
    pub(crate) abort_late: u32,
}

impl EndPlan {
    /// The first wake-up after so many at which there is trouble; 0 if there is none.
    pub(crate) fn next(&self, wakes: u32) -> u32 {
        let all = [self.stop_after, self.stop_again_after, self.abort_after];
        all.into_iter().filter(|after| *after > wakes).min().unwrap_or(0)
    }
}

/// What happened at an end during one event: a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Did(u16);

impl Did {
    /// The machine was given bytes.
    pub const READ: Self = Self(1);
    /// The transport took bytes.
    pub const WROTE: Self = Self(1 << 1);
    /// The transport took fewer bytes than there were.
    pub const SHORT: Self = Self(1 << 2);
    /// The transport took none.
    pub const BLOCKED: Self = Self(1 << 3);
    /// The machine was told of the peer's end.
    pub const END: Self = Self(1 << 4);
    /// The machine was told to stop.
    pub const STOP: Self = Self(1 << 5);
    /// The machine was told to abort.
    pub const ABORT: Self = Self(1 << 6);
    /// The machine was told that the transport failed.
    pub const FAILED: Self = Self(1 << 7);
    /// A deadline had passed.
    pub const TIMER: Self = Self(1 << 8);
    /// A deadline had passed, and at the same time there was something to read.
    pub const TIED: Self = Self(1 << 9);
    /// The machine was given a command.
    pub const COMMAND: Self = Self(1 << 10);
    /// The machine half-closed.
    pub const HALF_CLOSED: Self = Self(1 << 11);
    /// The machine closed.
    pub const CLOSED: Self = Self(1 << 12);

    /// Whether all of `other` happened.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` happened.
    #[inline]
    pub const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub(crate) const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl std::ops::BitOr for Did {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl<C: Machine, S: Machine> fmt::Debug for Connection<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("client", &self.client)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl<M: Machine> fmt::Debug for End<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").field("who", &self.who).field("closed", &self.closed).finish_non_exhaustive()
    }
}

impl<C: Machine, S: Machine> Connection<C, S> {
    pub(crate) fn new(address: Address) -> Self {
        Self {
            id: ConnectionId::new(0),
            address,
            in_use: false,
            calm: false,
            client: End::new(),
            server: End::new(),
            up: Pipe::new(),
            down: Pipe::new(),
            plan: LinePlan::default(),
            injected: Injected::default(),
            door: Door::Outside,
        }
    }

    /// Its name.
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// The end that dialled.
    pub const fn client(&self) -> &End<C> {
        &self.client
    }

    /// The end that listened.
    pub const fn server(&self) -> &End<S> {
        &self.server
    }

    /// What was done to it.
    pub const fn injected(&self) -> Injected {
        self.injected
    }
}

impl<M: Machine> End<M> {
    const fn new() -> Self {
        Self {
            who: Entity::WORLD,
            session: None,
            outcome: None,
            closed: true,
            fresh: false,
            woken: false,
            mail: false,
            now: Time::ZERO,
            moved: Time::ZERO,
            opened: Time::ZERO,
            timer: u64::MAX,
            submitted: 0,
            completion: 0,
            failed: false,
            wakes: 0,
            plan: EndPlan { stop_after: 0, stop_again_after: 0, abort_after: 0, abort_late: 0 },
            next_trouble: 0,
            did: Did(0),
            ever: Did(0),
            half_closed_first: false,
            stops: 0,
            stopped: None,
            read: 0,
            written: 0,
        }
    }

    /// Waits to be opened as `who`.
    pub(crate) fn reset(&mut self, who: Entity) {
        *self = Self { who, closed: false, ..Self::new() };
    }

    /// Something happens here at this time of the node.
    #[inline(always)]
    pub(crate) const fn begin_event(&mut self, now: Time) {
        self.now = now;
        self.ever.add(self.did);
        self.did = Did(0);
    }

    /// Its name.
    pub const fn who(&self) -> Entity {
        self.who
    }

    /// The machine, while it runs: for what must hold of it at any time.
    pub fn machine(&self) -> Option<&M> {
        self.session.as_ref().map(Driven::machine)
    }

    /// The machine with what its driver knows of it, such as its credit, while it runs.
    pub const fn session(&self) -> Option<&Driven<M>> {
        self.session.as_ref()
    }

    /// What came of it, once it closed by itself: a crash leaves none.
    pub const fn outcome(&self) -> Option<&M::Outcome> {
        self.outcome.as_ref()
    }

    /// Whether there is nobody here any more.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// What happened here during this event.
    pub const fn did(&self) -> Did {
        self.did
    }

    /// What ever happened here.
    pub const fn ever(&self) -> Did {
        self.ever
    }

    /// Whether the machine half-closed before it was told of the peer's end.
    pub const fn half_closed_first(&self) -> bool {
        self.half_closed_first
    }

    /// When the machine was first told to stop, on this end's node.
    pub const fn stopped(&self) -> Option<Time> {
        self.stopped
    }

    /// How often the machine was told to stop.
    pub const fn stops(&self) -> u32 {
        self.stops
    }

    /// The time on this end's node.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// When the session began, on this end's node.
    pub const fn opened(&self) -> Time {
        self.opened
    }

    /// When a byte was last read or written here, or the peer's end seen; when it began, if none was.
    pub const fn moved(&self) -> Time {
        self.moved
    }

    /// Bytes that the machine was given.
    pub const fn read(&self) -> u64 {
        self.read
    }

    /// Bytes that the transport took.
    pub const fn written(&self) -> u64 {
        self.written
    }
}
