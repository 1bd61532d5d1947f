//! What a run is about: two hubs, how they are connected, and what must hold.

use std::fmt;
use std::time::Duration;

use roundtrip_core::admission::Limits;
use roundtrip_core::hub::{ConnectionId, Hub};

use crate::choose::{Chooser, Entity, Site};
use crate::connection::{Connection, Side};
use crate::hash::Rolling;

/// Something to simulate: a server, its clients, and what must hold, whatever happens between them.
///
/// Both sides are hubs of machines and plug in by their traits alone. A run has two phases: faults until
/// [`Setup::heal_at`], then all heals, and every connection must end within [`Setup::settle`].
pub trait Scenario: Sync {
    /// The side that listens.
    type Server: Hub;
    /// The side that dials.
    type Client: Hub;

    /// What traces and reports call it.
    fn name(&self) -> &'static str;

    /// Sets a run up: how it goes, the clients, the server. 0 from `draw` should be the smallest and simplest, because
    /// a failure is shrunk towards it.
    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Self::Client, Self::Server);

    /// The server died and comes back: it forgets what was not on its disk. Left out, it forgets nothing.
    fn restart(&self, server: &mut Self::Server) {
        let _ = server;
    }

    /// What the application wants of its server now, asked after every event; once for each order. Left out, nothing:
    /// a server is then stopped by a [choice](crate::choose::Site::SERVER_STOP) only.
    fn order(&self, clients: &mut Self::Client, server: &mut Self::Server) -> Option<Order> {
        let _ = (clients, server);
        None
    }

    /// Looks at a connection after every event on it: what must never be, and which goals are reached.
    ///
    /// # Errors
    ///
    /// The invariant that is broken.
    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let _ = (moment, reached);
        Ok(())
    }

    /// Looks at a connection once, when both its ends are closed.
    ///
    /// # Errors
    ///
    /// The invariant that is broken.
    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let _ = (moment, reached);
        Ok(())
    }

    /// Adds what a session holds to the hash of the run, where the machine can be hashed. What it does is in the
    /// hash anyway.
    fn state(&self, moment: &Moment<'_, Self>, hash: &mut Rolling) {
        let _ = (moment, hash);
    }

    /// States that a campaign must reach somewhere, or it fails: at most 64. What was never tried was not tested.
    fn goals(&self) -> &'static [&'static str] {
        &[]
    }
}

/// What an application can ask of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Drain: close the listener once the backlog is empty, and stop every session.
    Stop,
    /// End the drain now.
    Force,
}

/// The connections of a scenario.
pub type ConnectionOf<S> =
    Connection<<<S as Scenario>::Client as Hub>::Session, <<S as Scenario>::Server as Hub>::Session>;

/// A connection, right after something happened to one of its ends.
#[non_exhaustive]
pub struct Moment<'a, S: Scenario + ?Sized> {
    /// Whose end it was.
    pub side: Side,
    /// The connection.
    pub connection: &'a ConnectionOf<S>,
    /// What the clients share.
    pub clients: &'a S::Client,
    /// What the server's connections share.
    pub server: &'a S::Server,
    /// How the run is set up.
    pub setup: &'a Setup,
}

impl<S: Scenario + ?Sized> fmt::Debug for Moment<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment").field("side", &self.side).field("id", &self.connection.id()).finish()
    }
}

/// How a run is set up.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// Clients.
    pub clients: u32,
    /// Connections that each makes, one after the other.
    pub rounds: u16,
    /// How long after the end of one a client dials the next.
    pub pause: Duration,
    /// Whom the server lets in; clients are counted as so many sources in turn.
    pub limits: Limits,
    /// Addresses that the clients come from: at least 1.
    pub sources: u32,
    /// How long a segment takes, one way.
    pub latency: Duration,
    /// What delays are counted in.
    pub quantum: Duration,
    /// Bytes on their way to a reader and waiting for it, at the most.
    pub window: usize,
    /// Bytes that a writer may be ahead of that.
    pub send_buffer: usize,
    /// How long a client waits for an answer to its SYN.
    pub connect_timeout: Duration,
    /// When the faults end.
    pub heal_at: Duration,
    /// How long after that everything has to be over.
    pub settle: Duration,
    /// Events after which the run is taken to go on for ever.
    pub max_events: u64,
    /// A bug that the drivers have, to see whether the scenario's checks find it.
    pub driver_flaw: DriverFlaw,
}

impl Setup {
    roundtrip_core::setters! {
        clients: u32,
        rounds: u16,
        pause: Duration,
        limits: Limits,
        sources: u32,
        latency: Duration,
        quantum: Duration,
        window: usize,
        send_buffer: usize,
        connect_timeout: Duration,
        heal_at: Duration,
        settle: Duration,
        max_events: u64,
        driver_flaw: DriverFlaw,
    }
}

/// A bug of a driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverFlaw {
    /// No bug.
    #[default]
    None,
    /// Takes a partial write for a whole one: the rest is never sent.
    TakesPartialWritesForWhole,
    /// Sees the end of the stream and forgets what it read before it.
    ForgetsDataBeforeEnd,
    /// Applies a completion to the next connection in the slot of the one that it was for.
    AcceptsStaleCompletions,
}

impl Default for Setup {
    /// One client, one connection, 1 ms each way, windows of 64 KiB; healed after 10 s, settled within 120 s.
    fn default() -> Self {
        Self {
            clients: 1,
            rounds: 1,
            pause: Duration::from_millis(1),
            limits: Limits::default(),
            sources: 1,
            latency: Duration::from_millis(1),
            quantum: Duration::from_millis(1),
            window: 64 << 10,
            send_buffer: 64 << 10,
            connect_timeout: Duration::from_secs(1),
            heal_at: Duration::from_secs(10),
            settle: Duration::from_secs(120),
            max_events: 1_000_000,
            driver_flaw: DriverFlaw::None,
        }
    }
}

/// Draws what a scenario leaves open.
pub struct Draw<'a> {
    chooser: &'a mut dyn Chooser,
}

impl fmt::Debug for Draw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draw")
    }
}

impl<'a> Draw<'a> {
    pub(crate) fn new(chooser: &'a mut dyn Chooser) -> Self {
        Self { chooser }
    }

    /// A number below `n`, the same for the same seed and `site`, which is below 24. 0 should be the simplest.
    pub fn below(&mut self, site: u8, n: u32) -> u32 {
        if n < 2 { 0 } else { self.chooser.choose(Site::workload(site), Entity::WORLD, n) }
    }

    /// One of `options`; the first should be the simplest.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn one_of<T: Copy>(&mut self, site: u8, options: &[T]) -> T {
        let n = u32::try_from(options.len()).unwrap_or(u32::MAX);
        options[self.below(site, n) as usize]
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name, which stays the same: shrinking keeps to it.
    pub id: &'static str,
    /// What was found instead.
    pub found: String,
}

impl Violation {
    /// The invariant `id` does not hold.
    pub fn new(id: &'static str, found: impl Into<String>) -> Self {
        Self { id, found: found.into() }
    }
}

/// Goals that a run has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached(u64);

impl Reached {
    /// The goal with this number, in the order of [`Scenario::goals`], was reached.
    #[inline]
    pub const fn reach(&mut self, goal: u32) {
        self.0 |= 1 << goal;
    }

    /// Reaches it if `reached`.
    #[inline]
    pub const fn reach_if(&mut self, goal: u32, reached: bool) {
        self.0 |= (reached as u64) << goal;
    }

    /// One bit a goal.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// The client that dialled this connection, and which of its connections it is, from 0.
pub const fn client_and_round(id: ConnectionId) -> (u32, u16) {
    #[expect(clippy::cast_possible_truncation, reason = "that is how they are put together")]
    (id.number() as u32, (id.number() >> 32) as u16)
}
