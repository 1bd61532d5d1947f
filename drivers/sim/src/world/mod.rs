//! One run: two nodes, the connections between them, and the loop over events.

mod calm;
mod dial;
mod door;
mod plans;
mod traffic;

use std::mem;

use roundtrip_core::admission::AdmissionInput;

use crate::choose::{Entity, Site};
use crate::connection::{Did, Door, End, Side};
use crate::context::{Context, Told, nanos};
use crate::driver::Cause;
use crate::line::What;
use crate::node::{Command, Node, NodeClock, Post};
use crate::pipe::Pipe;
use crate::place::{AtClient, AtServer, Of};
use crate::queue::{Address, Kind, MAX_SLOTS, Queue};
use crate::run::{Verdict, contract};
use crate::scenario::{ConnectionOf, Draw, DriverFlaw, Moment, Order, Reached, Scenario, Setup, Violation};

pub(crate) use calm::LONG;
use door::ServerDoor;
use plans::Planned;
pub(crate) use traffic::After;

/// Places in time at which something planned can be: 1 to 63 quanta.
const MOMENTS: u32 = 64;
/// Lengths of a jump or a silence.
const LENGTHS: u32 = 1024;

/// Memory that one run leaves to the next.
#[expect(missing_debug_implementations, unnameable_types, reason = "only runs of this crate have it")]
pub struct Parts<S: Scenario> {
    connections: Vec<ConnectionOf<S>>,
    queue: Queue,
    clients: Post<Command<S::Client>>,
    server: Post<Command<S::Server>>,
}

impl<S: Scenario> Default for Parts<S> {
    fn default() -> Self {
        Self { connections: Vec::new(), queue: Queue::default(), clients: Post::new(), server: Post::new() }
    }
}

/// Why a run ended before everything was over. In a box, so that the result of an event that ends nothing is one word.
pub(crate) struct Halt(Box<Verdict>);

impl From<Violation> for Halt {
    #[cold]
    fn from(violation: Violation) -> Self {
        Verdict::Violation(violation).into()
    }
}

impl From<Verdict> for Halt {
    #[cold]
    fn from(verdict: Verdict) -> Self {
        Self(Box::new(verdict))
    }
}

impl From<Halt> for Verdict {
    fn from(halt: Halt) -> Self {
        *halt.0
    }
}

pub(crate) struct World<'s, S: Scenario, C> {
    scenario: &'s S,
    setup: Setup,
    pub(crate) cx: Context<C>,
    pub(crate) clients: Node<S::Client>,
    pub(crate) server: Node<S::Server>,
    door: ServerDoor,
    pub(crate) connections: Vec<ConnectionOf<S>>,
    free: Vec<u32>,
    plan: Vec<Planned>,
    heal_at: u64,
    /// The next connection of each client.
    rounds: Vec<u16>,
    /// Connections that are not over.
    remaining: u64,
    /// What happens now.
    present: (Kind, Address),
    pub(crate) reached: Reached,
}

/// The address of what happens to no connection.
const fn number(number: u32) -> Address {
    Address::new(number, 0)
}

impl<'s, S: Scenario, C: Told> World<'s, S, C> {
    pub(crate) fn new(scenario: &'s S, mut chooser: C, parts: &mut Parts<S>) -> Self {
        let mut draw = Draw::new(&mut chooser);
        let (setup, client_hub, server_hub) = scenario.build(&mut draw);
        let mut queue = mem::take(&mut parts.queue);
        queue.clear();
        let mut connections = mem::take(&mut parts.connections);
        let mut client_post = mem::replace(&mut parts.clients, Post::new());
        let mut server_post = mem::replace(&mut parts.server, Post::new());
        client_post.clear(setup.clients);
        server_post.clear(setup.clients);
        // The generations start again as well: a run must not know what ran before it.
        for (slot, connection) in (0..).zip(&mut connections) {
            connection.address = Address::new(slot, 0);
            connection.in_use = false;
            connection.calm = false;
            connection.client.reset(Entity::WORLD);
            connection.server.reset(Entity::WORLD);
        }
        let free = (0..u32::try_from(connections.len()).unwrap_or(MAX_SLOTS)).rev().collect();
        let (clock, frozen_until) = (NodeClock::default(), 0);
        let door = ServerDoor::new(&setup);
        let mut cx = Context::new(chooser, setup.latency, setup.quantum, queue);
        cx.driver_flaw = setup.driver_flaw;
        Self {
            scenario,
            cx,
            clients: Node { hub: client_hub, clock, frozen_until, post: client_post },
            server: Node { hub: server_hub, clock, frozen_until, post: server_post },
            door,
            connections,
            free,
            plan: Vec::new(),
            heal_at: nanos(setup.heal_at),
            rounds: vec![0; setup.clients as usize],
            remaining: u64::from(setup.clients) * u64::from(setup.rounds),
            present: (Kind::Plan, number(0)),
            reached: Reached::default(),
            setup,
        }
    }

    /// Leaves its memory to the next run; what is left is the chooser.
    pub(crate) fn dismantle(self, parts: &mut Parts<S>) -> C {
        let Self { connections, cx, clients, server, .. } = self;
        *parts = Parts { connections, queue: cx.queue, clients: clients.post, server: server.post };
        cx.chooser
    }

    /// Runs until everything is over, or something is wrong.
    pub(crate) fn run(&mut self) -> Result<(), Halt> {
        self.make_plans();
        let end = self.heal_at.saturating_add(nanos(self.setup.settle));
        while self.remaining > 0 || (self.door.stopping && !self.door.drained) {
            let Some((now, kind, address)) = self.cx.queue.pop() else {
                return Err(self.stuck("nothing will happen"));
            };
            if now > end {
                return Err(self.stuck("out of time"));
            }
            debug_assert!(now >= self.cx.now, "time goes on");
            self.cx.now = now;
            self.present = (kind, address);
            self.cx.events += 1;
            if self.cx.events > self.setup.max_events {
                return Err(Verdict::Livelock(format!("{} events and no end", self.setup.max_events)).into());
            }
            self.cx.hash.pair(now, u64::from(address.slot()) << 8 | kind as u64);
            self.happen(kind, address)?;
        }
        Ok(())
    }

    #[inline(always)]
    #[expect(clippy::wildcard_enum_match_arm, reason = "arrivals, and what is no arrival")]
    fn happen(&mut self, kind: Kind, address: Address) -> Result<(), Halt> {
        match kind {
            Kind::Up => self.arrive::<AtServer>(address),
            Kind::Down => self.arrive::<AtClient>(address),
            _ => self.happen_else(kind, address),
        }
    }

    /// What is no arrival.
    #[inline(never)]
    fn happen_else(&mut self, kind: Kind, address: Address) -> Result<(), Halt> {
        let slot = address.slot();
        if kind.is_for_connection() && self.connections[slot as usize].address != address {
            let is_completion = matches!(kind, Kind::CompleteClient | Kind::CompleteServer);
            if !(self.cx.driver_flaw == DriverFlaw::AcceptsStaleCompletions && is_completion) {
                return Ok(());
            }
        }
        match kind {
            Kind::Up | Kind::Down => Ok(()),
            Kind::WakeClient => {
                self.connections[slot as usize].client.woken = false;
                self.begin(slot);
                self.notified::<AtClient>(slot, Cause::Ready)
            }
            Kind::WakeServer => {
                self.connections[slot as usize].server.woken = false;
                self.notified::<AtServer>(slot, Cause::Ready)
            }
            Kind::TimerClient => self.timer::<AtClient>(slot),
            Kind::TimerServer => self.timer::<AtServer>(slot),
            Kind::CompleteClient => self.notified::<AtClient>(slot, Cause::Complete),
            Kind::CompleteServer => self.notified::<AtServer>(slot, Cause::Complete),
            Kind::Dial => self.dial(slot),
            Kind::Syn => self.syn(slot),
            Kind::Hung => self.never(slot, What::Hung),
            Kind::Door => {
                self.door.timer = u64::MAX;
                self.look_after_door()
            }
            Kind::Plan => self.carry_out(slot),
        }
    }

    /// Wakes those into whose mailboxes something was put.
    #[inline(always)]
    fn wake_receivers(&mut self) {
        if !self.server.post.woken.is_empty() {
            self.wake_all::<AtServer>();
        }
        if !self.clients.post.woken.is_empty() {
            self.wake_all::<AtClient>();
        }
    }

    #[cold]
    fn wake_all<P: Of<S>>(&mut self) {
        while let Some(slot) = P::node_mut(self).post.woken.pop() {
            let connection = &mut self.connections[slot as usize];
            let address = connection.address;
            connection.calm = false;
            let End { woken, who, mail, .. } = P::end_mut(connection);
            *mail = true;
            let delay = self.cx.delay(Site::MAIL, who);
            self.cx.wake(woken, who, delay, P::WAKE, address);
        }
    }

    fn slots(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.connections.len()).unwrap_or(MAX_SLOTS)
    }

    /// What follows from what a driver did.
    #[inline(always)]
    fn settle<P: Of<S>>(&mut self, slot: u32, did: Did) -> Result<(), Halt> {
        let order = self.observe::<P>(slot)?;
        self.wake_receivers();
        if did.has(Did::CLOSED) {
            if P::SIDE == Side::Server {
                self.connections[slot as usize].door = Door::Gone;
                self.tell_door(AdmissionInput::Ended(self.source(slot)))?;
                self.finish_if_over(slot)?;
                self.look_after_door()?;
            } else {
                self.finish_if_over(slot)?;
            }
        }
        self.follow(order)
    }

    /// The same after the short way: nobody closed, and nobody got mail.
    #[inline(always)]
    fn settle_calmly<P: Of<S>>(&mut self, slot: u32) -> Result<(), Halt> {
        let order = self.observe::<P>(slot)?;
        self.follow(order)
    }

    /// Lets the scenario look at what happened; what its application wants now.
    #[inline(always)]
    fn observe<P: Of<S>>(&mut self, slot: u32) -> Result<Option<Order>, Halt> {
        let moment = Moment {
            side: P::SIDE,
            connection: &self.connections[slot as usize],
            clients: &self.clients.hub,
            server: &self.server.hub,
            setup: &self.setup,
        };
        self.scenario.check(&moment, &mut self.reached)?;
        self.scenario.state(&moment, &mut self.cx.hash);
        Ok(self.scenario.order(&mut self.clients.hub, &mut self.server.hub))
    }

    #[inline(always)]
    fn follow(&mut self, order: Option<Order>) -> Result<(), Halt> {
        match order {
            None => Ok(()),
            Some(Order::Stop) => self.command_server(What::ServerStop, AdmissionInput::Stop),
            Some(Order::Force) => self.command_server(What::ServerForce, AdmissionInput::Force),
        }
    }

    /// Lets go of a connection whose ends are both closed; its client dials again if it has to.
    fn finish_if_over(&mut self, slot: u32) -> Result<(), Halt> {
        let connection = &mut self.connections[slot as usize];
        // A client may have given up while the connection was still in the backlog.
        if !connection.in_use || !connection.client.closed || !connection.server.closed {
            return Ok(());
        }
        let side = if connection.client.did.has(Did::CLOSED) { Side::Client } else { Side::Server };
        let moment = Moment {
            side,
            connection,
            clients: &self.clients.hub,
            server: &self.server.hub,
            setup: &self.setup,
        };
        self.scenario.finished(&moment, &mut self.reached)?;
        let connection = &mut self.connections[slot as usize];
        connection.in_use = false;
        connection.address = connection.address.next();
        let client = connection.client.who.number();
        self.free.push(slot);
        self.remaining -= 1;
        if self.rounds[client as usize] < self.setup.rounds {
            let at = self.cx.now + nanos(self.setup.pause);
            self.cx.schedule(at, &Entity::WORLD, Kind::Dial, number(client));
        }
        Ok(())
    }

    /// A panic, with where it was; the contract's own are told by what they say.
    pub(crate) fn explain(&self, message: &str, place: Option<String>) -> String {
        let is_of_the_contract = contract(message).is_some();
        let place = place.filter(|_| !is_of_the_contract);
        let place = place.map_or_else(String::new, |place| format!(", {place}"));
        format!("{message}{place}, at {}", self.who())
    }

    /// To whom something happens now.
    fn who(&self) -> Entity {
        let (kind, address) = self.present;
        let connection = self.connections.get(address.slot() as usize).filter(|_| kind.is_for_connection());
        match (kind, connection) {
            (
                Kind::Up | Kind::WakeServer | Kind::TimerServer | Kind::CompleteServer | Kind::Syn,
                Some(connection),
            ) => connection.server.who,
            (_, Some(connection)) => connection.client.who,
            (Kind::Dial, None) => Entity::CLIENTS,
            (Kind::Door, None) => Entity::SERVER,
            (_, None) => Entity::WORLD,
        }
    }

    /// Who waits for what.
    fn stuck(&self, why: &str) -> Halt {
        use std::fmt::Write as _;
        let mut text = why.to_owned();
        for connection in self.connections.iter().filter(|connection| connection.in_use) {
            let _ = write!(text, "; {}", waits(&connection.client, &connection.up, &connection.down));
            let _ = write!(text, "; {}", waits(&connection.server, &connection.down, &connection.up));
        }
        if self.door.stopping && !self.door.drained {
            text.push_str("; the server is not drained");
        }
        if self.remaining > 0 && !self.connections.iter().any(|connection| connection.in_use) {
            text.push_str("; somebody has not dialled");
        }
        Verdict::Stuck(text).into()
    }
}

fn waits<M: roundtrip_core::Machine>(end: &End<M>, tx: &Pipe, rx: &Pipe) -> String {
    match &end.session {
        None if end.closed => format!("{} is closed", end.who),
        None => format!("{} has not begun", end.who),
        Some(session) => format!(
            "{} waits with {} bytes to write (room {}), read credit {} ({} readable), command credit {}, {}",
            end.who,
            session.pending().len(),
            tx.room(),
            session.credit(),
            rx.readable(),
            session.command_credit(),
            session.deadline().map_or_else(|| "no deadline".to_owned(), |at| format!("deadline {at:?}")),
        ),
    }
}
