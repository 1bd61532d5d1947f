//! One run: two nodes, the connections between them, and the loop over events.

use std::collections::VecDeque;
use std::mem;

use roundtrip_core::Driven;
use roundtrip_core::Teardown;
use roundtrip_core::admission::{Accept, AcceptError, Admission, AdmissionAction, AdmissionInput};
use roundtrip_core::hub::{ConnectionId, Hub};

use crate::calm;
use crate::choose::{Active, Entity, Site};
use crate::connection::{Connection, Did, Door, End, EndPlan, Injected, LinePlan, Side, Silence};
use crate::context::{Context, DELAYS, Told};
use crate::driver::{Cause, Driver, Trouble};
use crate::line::What;
use crate::node::{Command, Mailbox, Node, NodeClock, Post};
use crate::pipe::{Arrived, NEVER, Pipe};
use crate::place::{AtClient, AtServer, Of, Place, Rest};
use crate::planted::planted;
use crate::queue::{Address, Kind, MAX_SLOTS, Queue};
use crate::run::Verdict;
use crate::scenario::{ConnectionOf, Draw, Moment, Order, Reached, Scenario, Setup, Violation};

/// Places in time at which something planned can be: 1 to 63 quanta.
const MOMENTS: u32 = 64;
/// Lengths of a jump or a silence.
const LENGTHS: u32 = 1024;
/// Bytes of a tiny window.
const WINDOWS: u32 = 2048;

/// Memory that one run leaves to the next.
pub(crate) struct Parts<S: Scenario> {
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

/// What was decided at the start of the run.
#[derive(Clone, Copy, Debug)]
enum Planned {
    Heal,
    ServerStop,
    ServerForce,
    Crash,
    Restart,
    Jump(Side, u64),
    Freeze(Side, u64),
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
    pub(crate) reached: Reached,
}

/// The server's listener and the policy behind it.
#[expect(clippy::struct_excessive_bools, reason = "each on its own")]
#[derive(Debug)]
struct ServerDoor {
    admission: Admission<u32>,
    backlog: VecDeque<u32>,
    listening: bool,
    /// The process lives.
    alive: bool,
    /// `StopAll` was said: it holds for sessions to come as well.
    stopping: bool,
    drained: bool,
    /// The connection that is being decided.
    deciding: u32,
    timer: u64,
}

impl ServerDoor {
    fn new(setup: &Setup) -> Self {
        Self {
            admission: Admission::new(setup.limits.clone()),
            backlog: VecDeque::new(),
            listening: true,
            alive: true,
            stopping: false,
            drained: false,
            deciding: 0,
            timer: u64::MAX,
        }
    }
}

/// The address of what happens to no connection.
const fn number(number: u32) -> Address {
    Address::new(number, 0)
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
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
        let active = chooser.active();
        let mut cx = Context {
            active: Active::NONE,
            calm: false,
            chooser,
            now: 0,
            events: 0,
            latency: nanos(setup.latency),
            quantum: nanos(setup.quantum).max(1),
            queue,
            hash: crate::hash::Rolling::default(),
        };
        cx.activate(active);
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
            if !(planted(14) && is_completion) {
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

    fn make_plans(&mut self) {
        let quantum = self.cx.quantum;
        self.plan_at(self.heal_at, Planned::Heal);
        let stop = self.moment(Site::SERVER_STOP, Entity::SERVER);
        if stop > 0 {
            self.plan_at(stop, Planned::ServerStop);
            let force = self.moment(Site::SERVER_FORCE, Entity::SERVER);
            if force > 0 {
                self.plan_at(stop + force, Planned::ServerForce);
            }
        }
        let crash = self.moment(Site::CRASH, Entity::SERVER);
        if crash > 0 {
            let back = (1 + self.moment(Site::RESTART, Entity::SERVER)).max(quantum);
            self.plan_at(crash, Planned::Crash);
            self.plan_at(crash + back, Planned::Restart);
        }
        for (side, who) in [(Side::Client, Entity::CLIENTS), (Side::Server, Entity::SERVER)] {
            let jump = self.moment(Site::JUMP, who);
            if jump > 0 {
                let by = quantum * u64::from(1 + self.cx.choose(Site::JUMP_BY, &who, LENGTHS));
                self.plan_at(jump, Planned::Jump(side, by));
            }
            let freeze = self.moment(Site::FREEZE, who);
            if freeze > 0 {
                let lasts = quantum * u64::from(1 + self.cx.choose(Site::FREEZE_FOR, &who, LENGTHS));
                self.plan_at(freeze, Planned::Freeze(side, lasts));
            }
            let drift = [0, 10, -10][self.cx.choose(Site::DRIFT, &who, 3) as usize];
            match side {
                Side::Client => self.clients.clock.drift = drift,
                Side::Server => self.server.clock.drift = drift,
            }
        }
        for client in 0..self.setup.clients {
            self.cx.schedule(0, &Entity::WORLD, Kind::Dial, number(client));
        }
    }

    fn moment(&mut self, site: Site, who: Entity) -> u64 {
        u64::from(self.cx.choose(site, &who, MOMENTS)) * self.cx.quantum
    }

    fn plan_at(&mut self, at: u64, planned: Planned) {
        let index = u32::try_from(self.plan.len()).unwrap_or_default();
        self.plan.push(planned);
        self.cx.queue.push(at, 0, Kind::Plan, number(index));
    }

    fn carry_out(&mut self, index: u32) -> Result<(), Halt> {
        let now = self.cx.now;
        match self.plan[index as usize] {
            Planned::Heal => {
                self.cx.tell(&Entity::WORLD, What::Heal, 0);
                self.cx.activate(Active::NONE);
                for slot in self.slots() {
                    let connection = &mut self.connections[slot as usize];
                    if connection.in_use {
                        connection.up.heal(self.setup.send_buffer, self.setup.window);
                        connection.down.heal(self.setup.send_buffer, self.setup.window);
                        self.make_room::<AtClient>(slot);
                        self.make_room::<AtServer>(slot);
                    }
                }
                Ok(())
            }
            Planned::ServerStop => self.command_server(What::ServerStop, AdmissionInput::Stop),
            Planned::ServerForce => self.command_server(What::ServerForce, AdmissionInput::Force),
            Planned::Crash => self.crash(),
            Planned::Restart => {
                if !self.door.drained {
                    self.cx.note(&Entity::SERVER, What::Restart, 0);
                    self.scenario.restart(&mut self.server.hub);
                    let stopping = self.door.stopping;
                    self.door = ServerDoor::new(&self.setup);
                    if stopping {
                        return self.command_server(What::ServerStop, AdmissionInput::Stop);
                    }
                }
                Ok(())
            }
            Planned::Jump(side, by) => {
                self.delayed();
                let (who, clock) = match side {
                    Side::Client => (Entity::CLIENTS, &mut self.clients.clock),
                    Side::Server => (Entity::SERVER, &mut self.server.clock),
                };
                clock.ahead += by;
                self.cx.note(&who, What::Jump, by);
                for slot in self.slots() {
                    match side {
                        Side::Client => self.arm_timer::<AtClient>(slot),
                        Side::Server => self.arm_timer::<AtServer>(slot),
                    }
                }
                if side == Side::Server { self.look_after_door() } else { Ok(()) }
            }
            Planned::Freeze(side, lasts) => {
                self.delayed();
                let lasts = lasts.min(self.heal_at.saturating_sub(now));
                let (who, frozen_until) = match side {
                    Side::Client => (Entity::CLIENTS, &mut self.clients.frozen_until),
                    Side::Server => (Entity::SERVER, &mut self.server.frozen_until),
                };
                *frozen_until = now + lasts;
                self.cx.note(&who, What::Freeze, lasts);
                Ok(())
            }
        }
    }

    /// Every connection has an excuse for a time-out.
    fn delayed(&mut self) {
        self.connections.iter_mut().for_each(|connection| connection.injected.delay = true);
    }

    fn command_server(&mut self, what: What, input: AdmissionInput<u32>) -> Result<(), Halt> {
        // A stop is for whoever runs the server: it is remembered while the process is down.
        self.door.stopping = true;
        if !self.door.alive {
            return Ok(());
        }
        self.cx.note(&Entity::SERVER, what, 0);
        self.tell_door(input)?;
        self.look_after_door()
    }

    fn tell_door(&mut self, input: AdmissionInput<u32>) -> Result<(), Halt> {
        let now = self.server.clock.local(self.cx.now);
        self.door
            .admission
            .handle(now, input)
            .map_err(|misuse| Violation::new("admission-misuse", misuse.to_string()).into())
    }

    /// Obeys the server's policy until it waits.
    fn look_after_door(&mut self) -> Result<(), Halt> {
        if !self.door.alive || self.door.drained {
            return Ok(());
        }
        if self.cx.now < self.server.frozen_until {
            self.arm_door(self.server.frozen_until);
            return Ok(());
        }
        for _ in 0..10_000 {
            let now = self.server.clock.local(self.cx.now);
            match self.door.admission.poll(now) {
                AdmissionAction::Admit(_) => self.admit(self.door.deciding)?,
                AdmissionAction::Refuse(_) => self.turn_away(self.door.deciding, What::TurnedAway)?,
                AdmissionAction::StopAll => {
                    self.door.stopping = true;
                    self.every_session(Mailbox::stop);
                }
                AdmissionAction::AbortAll => self.every_session(Mailbox::abort),
                AdmissionAction::Wait { accept, deadline } => {
                    if accept == Accept::Closed && self.door.listening {
                        self.close_listener()?;
                    }
                    if matches!(accept, Accept::Open | Accept::Sweep) {
                        if let Some(slot) = self.door.backlog.pop_front() {
                            self.accept(slot)?;
                            continue;
                        }
                        if accept == Accept::Sweep {
                            self.tell_door(AdmissionInput::Swept)?;
                            continue;
                        }
                    }
                    if let Some(deadline) = deadline {
                        self.arm_door(self.server.clock.due(deadline, self.cx.now));
                    }
                    return Ok(());
                }
                AdmissionAction::Drained => {
                    self.door.drained = true;
                    self.cx.note(&Entity::SERVER, What::Drained, 0);
                    return self.close_listener();
                }
            }
        }
        Err(Verdict::Livelock("the server's admission policy".to_owned()).into())
    }

    fn arm_door(&mut self, at: u64) {
        if at < self.door.timer {
            self.door.timer = at;
            self.cx.schedule(at, &Entity::SERVER, Kind::Door, number(0));
        }
    }

    /// Puts something into the mailbox of every session of the server, and wakes it.
    fn every_session(&mut self, put: impl Fn(&mut Mailbox<Command<S::Server>>)) {
        for (slot, connection) in (0..).zip(&mut self.connections) {
            if connection.in_use && connection.server.session.is_some() {
                connection.injected.server_stop = true;
                put(self.server.post.of(slot));
                self.server.post.woken.push(slot);
            }
        }
        self.wake_receivers();
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

    fn close_listener(&mut self) -> Result<(), Halt> {
        self.door.listening = false;
        while let Some(slot) = self.door.backlog.pop_front() {
            self.turn_away(slot, What::TurnedAway)?;
        }
        Ok(())
    }

    /// The process dies; the system closes its sockets.
    fn crash(&mut self) -> Result<(), Halt> {
        if self.door.drained {
            return Ok(());
        }
        self.cx.note(&Entity::SERVER, What::Crash, 0);
        self.door.alive = false;
        self.door.listening = false;
        for slot in self.slots() {
            let connection = &mut self.connections[slot as usize];
            if connection.in_use && connection.door == Door::Inside && !connection.server.closed {
                connection.injected.crash = true;
                connection.door = Door::Gone;
                connection.calm = false;
                self.tear_down::<AtServer>(slot, Teardown::Graceful);
                self.finish_if_over(slot)?;
            }
        }
        self.close_listener()
    }

    fn dial(&mut self, client: u32) -> Result<(), Halt> {
        let round = self.rounds[client as usize];
        self.rounds[client as usize] += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = u32::try_from(self.connections.len()).unwrap_or(MAX_SLOTS);
            self.connections.push(Connection::new(Address::new(slot, 0)));
            slot
        });
        self.clients.post.grow(slot);
        self.server.post.grow(slot);
        self.clients.post.slots[client as usize] = slot;
        self.server.post.slots[client as usize] = slot;
        let (here, there) = (Entity::client(client, round, slot), Entity::server(client, round, slot));
        self.cx.chooser.begin(here);
        self.cx.chooser.begin(there);
        let connection = &mut self.connections[slot as usize];
        connection.id = ConnectionId::new(u64::from(round) << 32 | u64::from(client));
        connection.in_use = true;
        connection.calm = false;
        connection.injected = Injected::default();
        connection.plan = LinePlan::default();
        connection.door = Door::Outside;
        let earlier = (connection.client.submitted, connection.server.submitted);
        connection.client.reset(here);
        connection.server.reset(there);
        if planted(14) {
            (connection.client.submitted, connection.server.submitted) = earlier;
        }
        let address = connection.address;
        let (latency, timeout) = (self.cx.latency, nanos(self.setup.connect_timeout));
        match self.cx.choose(Site::DIAL, &here, 4) {
            0 => {
                self.cx.note(&here, What::Dial, 0);
                let at = self.cx.now + latency + self.cx.delay(Site::LATENCY, &here);
                self.cx.schedule(at, &here, Kind::Syn, address);
            }
            1 => {
                self.cx.note(&here, What::Dial, 0);
                return self.never(slot, What::Refused);
            }
            2 => {
                self.cx.note(&here, What::Dial, 0);
                let at = self.cx.now + timeout;
                self.cx.schedule(at, &here, Kind::Hung, address);
            }
            _ => return self.never(slot, What::NotDialled),
        }
        Ok(())
    }

    /// There will be no connection.
    fn never(&mut self, slot: u32, why: What) -> Result<(), Halt> {
        let connection = &mut self.connections[slot as usize];
        self.cx.note(&connection.client.who, why, 0);
        connection.injected.refused = true;
        connection.client.closed = true;
        connection.server.closed = true;
        self.finish_if_over(slot)
    }

    /// A SYN reaches the server's system, which answers it by itself.
    fn syn(&mut self, slot: u32) -> Result<(), Halt> {
        if !self.door.listening {
            return self.never(slot, What::Refused);
        }
        let connection = &mut self.connections[slot as usize];
        let (here, there) = (&{ connection.client.who }, &{ connection.server.who });
        let cx = &mut self.cx;
        let (send_buffer, window) = (self.setup.send_buffer, self.setup.window);
        let mut bytes = |site, who, calm: usize| match cx.choose(site, who, WINDOWS) {
            0 => calm,
            tiny => calm.min(tiny as usize),
        };
        connection.up.open(bytes(Site::SEND_BUFFER, here, send_buffer), bytes(Site::WINDOW, there, window));
        connection.down.open(bytes(Site::SEND_BUFFER, there, send_buffer), bytes(Site::WINDOW, here, window));
        for (index, (who, pipe)) in
            [(here, &mut connection.up), (there, &mut connection.down)].into_iter().enumerate()
        {
            pipe.per_byte = u64::from(cx.choose(Site::BANDWIDTH, who, DELAYS)) * cx.quantum / 1024;
            let after = cx.choose(Site::STALL, who, MOMENTS);
            if after > 0 {
                let lasts = match cx.choose(Site::STALL_FOR, who, LENGTHS) {
                    last if last == LENGTHS - 1 => u64::MAX / 2,
                    quanta => u64::from(1 + quanta) * cx.quantum,
                };
                connection.plan.silences[index] = Silence { after, lasts };
            }
        }
        connection.plan.reset_after = cx.choose(Site::RESET, here, MOMENTS);
        connection.plan.blackhole_after = cx.choose(Site::BLACKHOLE, here, MOMENTS);
        connection.plan.trouble = connection.plan.has_any();
        let end_plan = |cx: &mut Context<C>, who| {
            let completion = cx.choose(Site::COMPLETION, who, DELAYS);
            let plan = EndPlan {
                stop_after: cx.choose(Site::STOP, who, MOMENTS),
                stop_again_after: cx.choose(Site::STOP_AGAIN, who, MOMENTS),
                abort_after: cx.choose(Site::ABORT, who, MOMENTS),
                abort_late: cx.choose(Site::ABORT_LATE, who, MOMENTS),
            };
            (completion, plan)
        };
        (connection.client.completion, connection.client.plan) = end_plan(cx, here);
        (connection.server.completion, connection.server.plan) = end_plan(cx, there);
        connection.client.next_trouble = connection.client.plan.next(0);
        connection.server.next_trouble = connection.server.plan.next(0);
        connection.door = Door::Waiting;
        cx.note(here, What::Connected, 0);
        let address = connection.address;
        if cx.choose(Site::ABORT_BEFORE_ACCEPT, here, 2) == 1 {
            connection.injected.reset = true;
            connection.client.closed = true;
            connection.down.closed = true;
            cx.reset(&mut connection.up, here, AtServer::ARRIVE, address);
        } else {
            let latency = cx.latency;
            cx.wake(&mut connection.client.woken, here, latency, AtClient::WAKE, address);
        }
        self.door.backlog.push_back(slot);
        self.look_after_door()
    }

    /// Takes a connection out of the backlog.
    fn accept(&mut self, slot: u32) -> Result<(), Halt> {
        let there = self.connections[slot as usize].server.who;
        match self.cx.choose(Site::ACCEPT, &there, 3) {
            0 => {
                self.door.deciding = slot;
                self.tell_door(AdmissionInput::Accepted(self.source(slot)))
            }
            1 => {
                self.turn_away(slot, What::AcceptFailed)?;
                self.tell_door(AdmissionInput::AcceptFailed(AcceptError::Connection))
            }
            _ => {
                self.cx.note(&there, What::AcceptFailed, 1);
                self.door.backlog.push_front(slot);
                self.tell_door(AdmissionInput::AcceptFailed(AcceptError::Exhausted))
            }
        }
    }

    fn source(&self, slot: u32) -> u32 {
        self.connections[slot as usize].client.who.number() % self.setup.sources.max(1)
    }

    fn admit(&mut self, slot: u32) -> Result<(), Halt> {
        let now = self.server.clock.local(self.cx.now);
        let connection = &mut self.connections[slot as usize];
        connection.door = Door::Inside;
        self.cx.note(&connection.server.who, What::Admitted, 0);
        self.server.post.of(slot).open(connection.id);
        if self.door.stopping {
            connection.injected.server_stop = true;
            self.server.post.of(slot).stop();
            connection.server.mail = true;
        }
        open(&mut connection.server, &mut self.server.hub, connection.id, now);
        self.notified::<AtServer>(slot, Cause::Ready)
    }

    /// Closes a connection that the server does not want, or lost.
    fn turn_away(&mut self, slot: u32, what: What) -> Result<(), Halt> {
        let connection = &mut self.connections[slot as usize];
        connection.injected.refused = true;
        connection.door = Door::Gone;
        connection.calm = false;
        self.cx.note(&connection.server.who, what, 0);
        // Refused, it was accepted and is closed; lost, or left in the backlog of a closed listener, it is reset.
        let is_refused = what == What::TurnedAway && self.door.listening;
        let how = if is_refused { Teardown::Graceful } else { Teardown::Reset };
        self.tear_down::<AtServer>(slot, how);
        self.finish_if_over(slot)
    }

    /// A segment arrives.
    #[inline(always)]
    fn arrive<P: Of<S>>(&mut self, address: Address) -> Result<(), Halt> {
        let (heal_at, slot) = (self.heal_at, address.slot());
        let (cx, node, connection) = P::parts(self, slot);
        if connection.address != address {
            return Ok(());
        }
        if connection.calm {
            let after = calm::arrive::<S, P, C>(cx, node, connection);
            if !matches!(after, After::Another) {
                return self.go_on_after::<P>(slot, after);
            }
        }
        let after = arrive::<S, P, C>(cx, node, connection, heal_at);
        connection.calm = cx.calm && connection.is_calm();
        self.go_on_after::<P>(slot, after)
    }

    /// What was decided about the line when it was opened may come true with a segment.
    #[cold]
    fn trouble_on_the_line(&mut self, slot: u32) -> Result<(), Halt> {
        let Connection { client, server, up, down, plan, injected, .. } =
            &mut self.connections[slot as usize];
        let cx = &mut self.cx;
        if plan.arrivals == plan.blackhole_after {
            fall_silent(cx, up, &server.who, u64::MAX / 2, self.heal_at, injected);
            fall_silent(cx, down, &client.who, u64::MAX / 2, self.heal_at, injected);
        }
        if plan.arrivals == plan.reset_after {
            cx.note(&client.who, What::LineReset, 0);
            injected.reset = true;
            let discard = cx.choose(Site::RESET_DISCARDS, &client.who, 2) == 1;
            down.break_off(discard);
            let discard = cx.choose(Site::RESET_DISCARDS, &server.who, 2) == 1;
            up.break_off(discard);
            self.look::<AtClient>(slot)?;
            self.look::<AtServer>(slot)?;
        }
        Ok(())
    }

    /// Something is new for a driver: it looks at once, or later.
    fn look<P: Of<S>>(&mut self, slot: u32) -> Result<(), Halt> {
        let (cx, node, connection) = P::parts(self, slot);
        let after = if P::driver(cx, node, connection).0.looks_at_once() {
            drive::<S, P, C>(cx, node, connection, Cause::Ready)
        } else {
            After::Nothing
        };
        connection.calm = cx.calm && connection.is_calm();
        self.go_on_after::<P>(slot, after)
    }

    /// A driver runs, unless its node is suspended.
    fn notified<P: Of<S>>(&mut self, slot: u32, cause: Cause) -> Result<(), Halt> {
        let (cx, node, connection) = P::parts(self, slot);
        let mut driver = P::driver(cx, node, connection).0;
        let after = if driver.is_awake(cause) && driver.end.session.is_some() {
            drive::<S, P, C>(cx, node, connection, cause)
        } else {
            After::Nothing
        };
        connection.calm = cx.calm && connection.is_calm();
        self.go_on_after::<P>(slot, after)
    }

    #[inline(always)]
    fn go_on_after<P: Of<S>>(&mut self, slot: u32, after: After) -> Result<(), Halt> {
        match after {
            After::Calm => self.settle_calmly::<P>(slot),
            After::Did(did) => self.settle::<P>(slot, did),
            After::Nothing => Ok(()),
            After::Another => {
                self.trouble_on_the_line(slot)?;
                self.look::<P>(slot)
            }
            After::Trouble(Trouble::Spins) => {
                let who = P::end_mut(&mut self.connections[slot as usize]).who;
                Err(Verdict::Livelock(format!("{who} does not come to rest")).into())
            }
            After::Trouble(Trouble::Misuse(misuse)) => {
                Err(Violation::new("misuse", misuse.to_string()).into())
            }
        }
    }

    /// The client has its answer: its session begins, unless it has.
    fn begin(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let is_frozen = self.cx.now < self.clients.frozen_until;
        if connection.client.session.is_none() && !connection.client.closed && !is_frozen {
            let now = self.clients.clock.local(self.cx.now);
            self.clients.post.of(slot).open(connection.id);
            open(&mut connection.client, &mut self.clients.hub, connection.id, now);
        }
    }

    fn timer<P: Of<S>>(&mut self, slot: u32) -> Result<(), Halt> {
        let now = self.cx.now;
        let local = P::node(self).clock.local(now);
        let is_frozen = now < P::node(self).frozen_until;
        let end = P::end_mut(&mut self.connections[slot as usize]);
        // A timer that was armed anew leaves the old one in the queue.
        if end.timer != now {
            return Ok(());
        }
        end.timer = u64::MAX;
        match end.session.as_ref().and_then(Driven::deadline) {
            None => Ok(()),
            Some(deadline) if deadline > local && !is_frozen => {
                self.arm_timer::<P>(slot);
                Ok(())
            }
            Some(_) => self.notified::<P>(slot, Cause::Ready),
        }
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

    fn arm_timer<P: Of<S>>(&mut self, slot: u32) {
        let (cx, node, connection) = P::parts(self, slot);
        P::driver(cx, node, connection).0.arm_timer();
    }

    fn tear_down<P: Of<S>>(&mut self, slot: u32, how: Teardown) {
        let (cx, node, connection) = P::parts(self, slot);
        P::driver(cx, node, connection).0.tear_down(how);
    }

    /// A pipe into this side was widened.
    fn make_room<P: Of<S>>(&mut self, slot: u32) {
        let (cx, node, connection) = P::parts(self, slot);
        let (driver, rest) = P::driver(cx, node, connection);
        refill::<P::Other, C>(driver.cx, driver.rx, rest.peer, rest.peer_woken, driver.address);
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

fn open<H: Hub>(end: &mut End<H::Session>, hub: &mut H, id: ConnectionId, now: roundtrip_core::Time) {
    end.session = Some(Driven::new(hub.open(now, id)));
    end.fresh = true;
    end.opened = now;
    end.moved = now;
    end.now = now;
}

/// What came of an event at one end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After {
    /// Its driver went the short way to its end.
    Calm,
    /// Its driver did something.
    Did(Did),
    /// Its driver was not run.
    Nothing,
    /// There is more to the event than was done.
    Another,
    /// Its driver cannot go on.
    Trouble(Trouble),
}

/// A segment arrives.
///
/// This, like [`drive`], stands alone and is not a method of the world, because the compiler makes more of references
/// that it knows to be apart.
#[inline(never)]
fn arrive<S: Scenario, P: Of<S>, C: Told>(
    cx: &mut Context<C>,
    node: &mut Node<P::Hub>,
    connection: &mut ConnectionOf<S>,
    heal_at: u64,
) -> After {
    let (mut driver, rest) = P::driver(cx, node, connection);
    let Driver { cx, rx: to, tx: back, end, address, .. } = &mut driver;
    let (from, at, address) = (rest.peer, &end.who, *address);
    to.scheduled = false;
    if cx.now < to.silent_until.max(to.next) {
        if to.next != NEVER {
            cx.expect_arrival(to, from, P::ARRIVE, address);
        }
        return After::Nothing;
    }
    let what = to.arrive();
    rest.plan.arrivals += 1;
    let trouble = rest.plan.trouble && rest.plan.comes(to.arrivals, P::SIDE) && cx.active != Active::NONE;
    if trouble && to.arrivals == rest.plan.silence(P::SIDE).after {
        fall_silent(cx, to, at, rest.plan.silence(P::SIDE).lasts, heal_at, rest.injected);
    }
    if to.next != NEVER {
        cx.expect_arrival(to, from, P::ARRIVE, address);
    }
    match what {
        Arrived::Data(bytes) => {
            cx.tell(at, What::Arrive, bytes as u64);
            if to.closed {
                to.discard();
                // RFC 9293, section 3.10.7.1: what comes for a connection that is not there is reset.
                cx.reset(back, at, P::Other::ARRIVE, address);
            }
        }
        Arrived::Fin => cx.tell(at, What::ArriveEnd, 0),
        Arrived::Reset => {
            cx.note(at, What::ArriveReset, 0);
            let discard = cx.choose(Site::RESET_DISCARDS, at, 2) == 1;
            to.break_off(discard);
            back.break_off(false);
        }
    }
    if trouble {
        return After::Another;
    }
    if !driver.looks_at_once() {
        return After::Nothing;
    }
    drive_inline(driver, rest, Cause::Ready)
}

/// Runs a driver that has a session.
#[inline(never)]
fn drive<S: Scenario, P: Of<S>, C: Told>(
    cx: &mut Context<C>,
    node: &mut Node<P::Hub>,
    connection: &mut ConnectionOf<S>,
    cause: Cause,
) -> After {
    let (driver, rest) = P::driver(cx, node, connection);
    drive_inline(driver, rest, cause)
}

#[inline(always)]
#[expect(clippy::needless_pass_by_value, reason = "it comes apart here")]
fn drive_inline<P: Place, C: Told, H: Hub>(
    mut driver: Driver<'_, P, C, H>,
    rest: Rest<'_>,
    cause: Cause,
) -> After {
    if let Err(trouble) = driver.drive(cause) {
        return After::Trouble(trouble);
    }
    let did = driver.end.did;
    // What was read left room for what the other side has to send.
    if did.has(Did::READ) {
        refill::<P::Other, C>(driver.cx, driver.rx, rest.peer, rest.peer_woken, driver.address);
    }
    if did.has_any(Did::STOP | Did::ABORT) {
        let (stop, abort) = match P::SIDE {
            Side::Client => (&mut rest.injected.client_stop, &mut rest.injected.client_abort),
            Side::Server => (&mut rest.injected.server_stop, &mut rest.injected.server_abort),
        };
        *stop |= did.has(Did::STOP);
        *abort |= did.has(Did::ABORT);
    }
    After::Did(did)
}

/// Sends what the reader left room for, and wakes a writer that waits for it. `P` is the writer's side.
#[inline(always)]
fn refill<P: Place, C: Told>(
    cx: &mut Context<C>,
    pipe: &mut Pipe,
    who: &Entity,
    woken: &mut bool,
    address: Address,
) {
    if pipe.broken || !(pipe.blocked || pipe.has_something_to_send()) {
        return;
    }
    cx.pump(pipe, who, P::Other::ARRIVE, address);
    if pipe.blocked && pipe.room() > 0 {
        pipe.blocked = false;
        cx.wake(woken, who, 0, P::WAKE, address);
    }
}

fn fall_silent<C: Told>(
    cx: &mut Context<C>,
    pipe: &mut Pipe,
    at: &Entity,
    lasts: u64,
    heal_at: u64,
    injected: &mut Injected,
) {
    injected.delay = true;
    pipe.silent_until = (cx.now.saturating_add(lasts)).min(heal_at).max(pipe.silent_until);
    cx.note(at, What::Silence, pipe.silent_until - cx.now);
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
