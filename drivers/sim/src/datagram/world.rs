//! One run: a server, its clients, and the network between them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use roundtrip_core::Time;
use roundtrip_core::datagram::{
    Datagram, DatagramAction, DatagramDriven, DatagramMachine, SendQueue, Unsent,
};

use super::{DatagramScenario, DatagramSetup, Passed, cost, damaged};
use crate::choose::{Active, Entity, Site};
use crate::context::{Context, Told, nanos};
use crate::line::What;
use crate::queue::{MAX_TIME, Queue, TIES};
use crate::quiet;
use crate::run::{Run, Verdict};
use crate::scenario::{Draw, Reached, Violation};

/// Wake-ups after which a machine can be told to end.
const MOMENTS: u32 = 64;
/// Actions at one time after which a machine is taken to go on for ever.
const MAX_STEPS: u32 = 10_000;

/// Where something happens: the server, or a client by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Server,
    Client(usize),
}

#[derive(Debug)]
enum Happening {
    Arrive(At, Datagram<SocketAddr>),
    Timer(At),
    Heal,
}

/// What happens, in order of time, of its place among those of one time, and of its scheduling.
#[derive(Debug, Default)]
struct Agenda {
    items: BTreeMap<(u64, u32, u64), Happening>,
    scheduled: u64,
}

/// The network, and whoever is reached by it.
struct Network<'a, C> {
    cx: &'a mut Context<C>,
    agenda: &'a mut Agenda,
    setup: &'a DatagramSetup,
    /// By address.
    places: &'a BTreeMap<SocketAddr, At>,
    /// What of the server's datagrams is unread, bytes.
    unread: &'a mut u64,
}

impl<C: Told> Network<'_, C> {
    /// Whether unread datagrams fill the send queue of that address.
    fn is_crowded(&self, from: SocketAddr) -> bool {
        from == self.setup.server && self.setup.send_queue.is_some_and(|size| *self.unread >= size)
    }

    /// A datagram is not unread any more.
    fn free(&mut self, datagram: &Datagram<SocketAddr>) {
        if datagram.peer == self.setup.server {
            *self.unread = self.unread.saturating_sub(cost(datagram));
        }
    }

    fn schedule(&mut self, at: u64, who: &Entity, what: Happening) {
        let tie = self.cx.choose(Site::TIE, who, TIES);
        self.agenda.scheduled += 1;
        self.agenda.items.insert((at.min(MAX_TIME), tie, self.agenda.scheduled), what);
    }

    /// Offers a datagram; an error if it does not leave.
    fn send(
        &mut self,
        who: &Entity,
        from: SocketAddr,
        narrow: u32,
        datagram: &Datagram<SocketAddr>,
        number: usize,
    ) -> Result<(), Unsent> {
        let too_long = narrow > 0 && datagram.payload.len() > self.setup.mtu;
        if too_long && narrow == 1 {
            return Err(Unsent::TooLong);
        }
        if self.cx.choose(Site::WOULD_BLOCK, who, 2) == 1 {
            return Err(Unsent::Full);
        }
        if self.is_crowded(from) {
            return Err(Unsent::Full);
        }
        self.cx.note(who, What::Send, datagram.payload.len() as u64);
        self.cx.hash.bytes(&datagram.payload);
        let fate = self.cx.choose(Site::DATAGRAM, who, 4);
        let Some(&to) = self.places.get(&datagram.peer) else { return Ok(()) };
        if fate == 1 || too_long {
            self.cx.tell(who, What::Lost, datagram.payload.len() as u64);
            return Ok(());
        }
        let payload = if fate == 3 {
            self.cx.tell(who, What::Damaged, datagram.payload.len() as u64);
            damaged(&datagram.payload, number)
        } else {
            datagram.payload.clone()
        };
        for copy in 0..=u8::from(fate == 2) {
            if copy > 0 {
                self.cx.tell(who, What::Twice, payload.len() as u64);
            }
            if from == self.setup.server {
                *self.unread += cost(datagram);
            }
            let at = self.cx.now + self.cx.latency + self.cx.delay(Site::LATENCY, who);
            self.schedule(at, who, Happening::Arrive(to, Datagram { peer: from, payload: payload.clone() }));
        }
        Ok(())
    }
}

/// A machine, its driver, and what passes between it and the network.
struct Node<M: DatagramMachine> {
    machine: DatagramDriven<M>,
    at: At,
    who: Entity,
    address: SocketAddr,
    /// What came and was not read.
    inbox: VecDeque<Datagram<SocketAddr>>,
    /// The latest timer that was set, and will be.
    timer: Option<u64>,
    /// Wake-ups until it is told to stop, and to abort.
    stop: Option<u32>,
    abort: Option<u32>,
    /// What its path does with long datagrams: takes them, says so, or drops them.
    narrow: u32,
    /// It never reads.
    deaf: bool,
    passed: Passed,
    outcome: Option<M::Outcome>,
}

impl<M: DatagramMachine<Address = SocketAddr>> Node<M> {
    fn new<C: Told>(cx: &mut Context<C>, machine: M, at: At, who: Entity, address: SocketAddr) -> Self {
        let mut after = |site| Some(cx.choose(site, &who, MOMENTS)).filter(|wakes| *wakes > 0);
        let (stop, abort) = (after(Site::STOP), after(Site::ABORT));
        Self {
            machine: DatagramDriven::new(machine),
            at,
            who,
            address,
            inbox: VecDeque::new(),
            timer: None,
            stop,
            abort,
            narrow: cx.choose(Site::MTU, &who, 3),
            deaf: false,
            passed: Passed { address: Some(address), ..Passed::default() },
            outcome: None,
        }
    }

    fn arrive<C: Told>(&mut self, network: &mut Network<'_, C>, datagram: Datagram<SocketAddr>) {
        network.cx.note(&self.who, What::Arrive, datagram.payload.len() as u64);
        if self.outcome.is_some() {
            network.free(&datagram);
            return;
        }
        if self.inbox.len() >= network.setup.queue {
            self.passed.overflowed += 1;
            network.free(&datagram);
        } else {
            self.inbox.push_back(datagram);
        }
    }

    /// The driver looks around; true if the machine has closed.
    fn look<C: Told>(&mut self, network: &mut Network<'_, C>) -> Result<bool, Verdict> {
        if self.outcome.is_some() {
            return Ok(false);
        }
        let now = Time::from_nanos(network.cx.now);
        // What is there is read before a deadline takes effect.
        self.read(network, now);
        self.tell_queue(network, now);
        if due(&mut self.stop) {
            self.passed.interrupted = true;
            self.stop(network, now);
        }
        if due(&mut self.abort) {
            network.cx.note(&self.who, What::Abort, 0);
            self.passed.interrupted = true;
            self.machine.abort(now);
        }
        for _ in 0..MAX_STEPS {
            match self.machine.step(now) {
                DatagramAction::Send(datagram) => {
                    let number = self.passed.sent.len();
                    match network.send(&self.who, self.address, self.narrow, &datagram, number) {
                        Ok(()) => {
                            self.passed.sent.push(datagram);
                            self.tell_queue(network, now);
                        }
                        Err(why) => {
                            self.passed.crowded += u64::from(network.is_crowded(self.address));
                            network.cx.note(&self.who, What::Unsent, datagram.payload.len() as u64);
                            self.passed.unsent.push((datagram, why));
                            self.machine.unsent(now, why);
                        }
                    }
                }
                DatagramAction::Event(_) => network.cx.note(&self.who, What::Event, 0),
                DatagramAction::Wait(_) if self.read(network, now) => {}
                DatagramAction::Wait(wait) => {
                    if let Some(deadline) = wait.deadline {
                        self.set_timer(network, deadline);
                    }
                    return Ok(false);
                }
                DatagramAction::Close(outcome) => {
                    network.cx.note(&self.who, What::Close, 0);
                    self.passed.unread = self.inbox.len() as u64;
                    self.inbox.drain(..).for_each(|datagram| network.free(&datagram));
                    self.outcome = Some(outcome);
                    return Ok(true);
                }
            }
        }
        Err(Verdict::Livelock(format!("{} does {MAX_STEPS} things at one time", self.who)))
    }

    /// Tells the server how much of what it sent is unread, where that counts.
    fn tell_queue<C: Told>(&mut self, network: &Network<'_, C>, now: Time) {
        if let (At::Server, Some(size)) = (self.at, network.setup.send_queue) {
            self.passed.most_unread = self.passed.most_unread.max(*network.unread);
            self.machine.send_queue(now, SendQueue { unread: *network.unread, size });
        }
    }

    fn stop<C: Told>(&mut self, network: &mut Network<'_, C>, now: Time) {
        if self.outcome.is_none() {
            network.cx.note(&self.who, What::Stop, 0);
            self.machine.stop(now);
        }
    }

    /// Gives the machine what it has credit for; whether there was any.
    fn read<C: Told>(&mut self, network: &mut Network<'_, C>, now: Time) -> bool {
        let mut any = false;
        while !self.deaf
            && self.machine.credit() > 0
            && let Some(datagram) = self.inbox.pop_front()
        {
            network.cx.note(&self.who, What::Read, datagram.payload.len() as u64);
            network.free(&datagram);
            self.passed.came.push(datagram.clone());
            let refused = self.machine.received(now, datagram);
            debug_assert!(refused.is_ok(), "there was credit for it");
            any = true;
        }
        any
    }

    fn set_timer<C: Told>(&mut self, network: &mut Network<'_, C>, deadline: Time) {
        let at = deadline.as_nanos().max(network.cx.now);
        if self.timer.is_none_or(|set| set > at) {
            self.timer = Some(at);
            let late = network.cx.delay(Site::TIMER, &self.who);
            network.schedule(at.saturating_add(late), &self.who, Happening::Timer(self.at));
        }
    }
}

/// Counts down; true once.
fn due(wakes: &mut Option<u32>) -> bool {
    *wakes = match *wakes {
        Some(1) => {
            *wakes = None;
            return true;
        }
        left => left.map(|left| left - 1),
    };
    false
}

struct World<'s, S: DatagramScenario, C> {
    scenario: &'s S,
    setup: DatagramSetup,
    cx: Context<C>,
    agenda: Agenda,
    places: BTreeMap<SocketAddr, At>,
    unread: u64,
    server: Node<S::Server>,
    clients: Vec<Node<S::Client>>,
    reached: Reached,
}

/// Runs a scenario once.
pub(super) fn run<S: DatagramScenario, C: Told>(scenario: &S, chooser: C) -> (Run, C) {
    let mut world = World::new(scenario, chooser);
    let halted = quiet::during(|| catch_unwind(AssertUnwindSafe(|| world.run())));
    let verdict = match halted {
        Ok(Ok(())) => Verdict::Pass,
        Ok(Err(verdict)) => verdict,
        Err(payload) => Verdict::Panic(quiet::message(&*payload)),
    };
    let run = world.cx.finish(verdict, world.reached);
    (run, world.cx.chooser)
}

impl<'s, S: DatagramScenario, C: Told> World<'s, S, C> {
    fn new(scenario: &'s S, mut chooser: C) -> Self {
        let (setup, server, clients) = scenario.build(&mut Draw::new(&mut chooser));
        let mut cx = Context::new(chooser, setup.latency, setup.quantum, Queue::default());
        let mut places = BTreeMap::from([(setup.server, At::Server)]);
        let server = Node::new(&mut cx, server, At::Server, Entity::SERVER, setup.server);
        let mut nodes = Vec::new();
        for (number, (address, client)) in (0..).zip(clients) {
            let who = Entity::client(number, 0, number);
            cx.chooser.begin(who);
            let at = At::Client(nodes.len());
            places.insert(address, at);
            let mut node = Node::new(&mut cx, client, at, who, address);
            node.deaf = nodes.len() < setup.deaf;
            nodes.push(node);
        }
        let (agenda, reached) = (Agenda::default(), Reached::default());
        Self { scenario, setup, cx, agenda, places, unread: 0, server, clients: nodes, reached }
    }

    fn run(&mut self) -> Result<(), Verdict> {
        let heal_at = nanos(self.setup.heal_at);
        self.network().0.schedule(heal_at, &Entity::WORLD, Happening::Heal);
        self.look(At::Server)?;
        for client in 0..self.clients.len() {
            self.look(At::Client(client))?;
        }
        let end = heal_at.saturating_add(nanos(self.setup.settle));
        let mut stopped = false;
        loop {
            let clients_are_over = self.clients.iter().all(|client| client.outcome.is_some());
            if clients_are_over && self.server.outcome.is_some() {
                return Ok(());
            }
            if clients_are_over && !stopped {
                stopped = true;
                let now = Time::from_nanos(self.cx.now);
                let (mut network, server, _) = self.network();
                server.stop(&mut network, now);
                self.look(At::Server)?;
                continue;
            }
            let Some(((now, _, order), happening)) = self.agenda.items.pop_first() else {
                return Err(Verdict::Stuck(format!("nothing will happen: {}", self.waiting())));
            };
            if now > end {
                return Err(Verdict::Stuck(format!("out of time: {}", self.waiting())));
            }
            self.cx.now = now;
            self.cx.events += 1;
            if self.cx.events > self.setup.max_events {
                return Err(Verdict::Livelock(format!("{} events and no end", self.setup.max_events)));
            }
            self.cx.hash.pair(now, order);
            self.happen(happening)?;
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Verdict> {
        let at = match happening {
            Happening::Heal => {
                self.cx.tell(&Entity::WORLD, What::Heal, 0);
                self.cx.activate(Active::NONE);
                return Ok(());
            }
            Happening::Arrive(at, datagram) => {
                let (mut network, server, clients) = self.network();
                match at {
                    At::Server => server.arrive(&mut network, datagram),
                    At::Client(client) => clients[client].arrive(&mut network, datagram),
                }
                at
            }
            Happening::Timer(at) => {
                match at {
                    At::Server => self.server.timer = None,
                    At::Client(client) => self.clients[client].timer = None,
                }
                at
            }
        };
        self.look(at)
    }

    fn look(&mut self, at: At) -> Result<(), Verdict> {
        let (mut network, server, clients) = self.network();
        let closed = match at {
            At::Server => server.look(&mut network)?,
            At::Client(client) => clients[client].look(&mut network)?,
        };
        if !closed {
            return Ok(());
        }
        let checked = match at {
            At::Server => {
                let outcome = self.server.outcome.as_ref();
                outcome.map(|outcome| {
                    self.scenario.server_closed(outcome, &self.server.passed, &mut self.reached)
                })
            }
            At::Client(client) => {
                let client = &self.clients[client];
                let outcome = client.outcome.as_ref();
                outcome.map(|outcome| self.scenario.client_closed(outcome, &client.passed, &mut self.reached))
            }
        };
        checked.unwrap_or(Ok(())).map_err(|violation: Violation| Verdict::Violation(violation))
    }

    #[expect(clippy::type_complexity, reason = "the parts of the world, once")]
    fn network(&mut self) -> (Network<'_, C>, &mut Node<S::Server>, &mut Vec<Node<S::Client>>) {
        let Self { cx, agenda, setup, places, unread, server, clients, .. } = self;
        (Network { cx, agenda, setup, places, unread }, server, clients)
    }

    /// Who is not over.
    fn waiting(&self) -> String {
        let clients = self.clients.iter().filter(|client| client.outcome.is_none()).map(|client| client.who);
        let server = self.server.outcome.is_none().then_some(self.server.who);
        let all: Vec<_> = clients.chain(server).map(|who| who.to_string()).collect();
        format!("{} are not over", all.join(", "))
    }
}
