//! The simulator: two hubs and the network between them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roundtrip_conformance::{ClientSeen, Event, Go, Meeting, Observed, Script, Scripted, Subject};
use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
use roundtrip_echo::{EchoServer, ServerOutcome};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{
    Draw, Moment, Order, Reached, Runner, Scenario, Setup, Verdict, Violation, client_and_round,
};

use super::Session;

/// Runs scripts in the simulator, with these faults from this seed.
pub(crate) struct Simulated<W> {
    pub(crate) seed: u64,
    pub(crate) faults: Faults,
    pub(crate) session: W,
}

/// The simulator found something wrong by itself.
#[derive(Debug)]
pub(crate) struct Wrong {
    seed: u64,
    verdict: Verdict,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}: {}", self.seed, self.verdict.id(), self.verdict.found())
    }
}

impl std::error::Error for Wrong {}

impl<M: Session, W: Fn(EchoServer) -> M + Clone + Send + Sync> Subject for Simulated<W> {
    type Error = Wrong;

    fn run(&self, script: &Script) -> Result<Observed, Wrong> {
        let play = Play::new(script, self.session.clone());
        let run = Runner::new(&play).run(Seeded::new(self.seed, self.faults));
        play.observed(self.seed, &run.verdict)
    }
}

impl<M: Session, W: Fn(EchoServer) -> M + Clone + Send + Sync> Simulated<W> {
    /// Runs a script once for each of these seeds in the same memory, and hands what was observed to `each`.
    pub(crate) fn campaign(
        &self,
        script: &Script,
        seeds: impl Iterator<Item = u64>,
        mut each: impl FnMut(u64, Result<Observed, Wrong>),
    ) {
        let play = Play::new(script, self.session.clone());
        let mut runner = Runner::new(&play);
        let mut seeded = Seeded::new(0, self.faults);
        for seed in seeds {
            play.log().clear();
            seeded.reseed(seed, self.faults);
            let run = runner.run(&mut seeded);
            each(seed, play.observed(seed, &run.verdict));
        }
    }
}

/// A script as a scenario.
struct Play<'a, W> {
    script: &'a Script,
    session: W,
    log: Arc<Mutex<Log>>,
}

/// What was observed so far.
#[derive(Default)]
struct Log {
    clients: Vec<Option<ClientSeen>>,
    sessions: Vec<Option<ServerOutcome>>,
    admitted: u64,
    refused: u64,
    /// Sessions of the server that are open.
    open: u64,
}

impl Log {
    fn clear(&mut self) {
        self.clients.fill(None);
        self.sessions.fill(None);
        (self.admitted, self.refused, self.open) = (0, 0, 0);
    }
}

impl<'a, W> Play<'a, W> {
    fn new(script: &'a Script, session: W) -> Self {
        let clients = script.clients().len();
        let log = Log { clients: vec![None; clients], sessions: vec![None; clients], ..Log::default() };
        Self { script, session, log: Arc::new(Mutex::new(log)) }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    fn observed(&self, seed: u64, verdict: &Verdict) -> Result<Observed, Wrong> {
        if !verdict.is_pass() {
            return Err(Wrong { seed, verdict: verdict.clone() });
        }
        let log = self.log();
        Ok(Observed {
            // Who was never connected has no session that could have said anything.
            clients: log.clients.iter().map(|seen| seen.unwrap_or(ClientSeen::REFUSED)).collect(),
            sessions: log.sessions.clone(),
            admitted: log.admitted,
            refused: log.refused,
        })
    }

    /// Which client of the script a connection belongs to: together, each is a client of the run; otherwise they are
    /// the rounds of one.
    fn number(&self, id: ConnectionId) -> usize {
        number(self.script, id)
    }
}

fn number(script: &Script, id: ConnectionId) -> usize {
    let (client, round) = client_and_round(id);
    if script.is_together() { client as usize } else { usize::from(round) }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    // A panic of a machine is a verdict, and the log is not looked at then.
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<M: Session, W: Fn(EchoServer) -> M + Clone + Send + Sync> Scenario for Play<'_, W> {
    type Server = Servers<W>;
    type Client = Clients;

    fn name(&self) -> &'static str {
        "conformance"
    }

    fn build(&self, _draw: &mut Draw<'_>) -> (Setup, Clients, Servers<W>) {
        let count = self.script.clients().len();
        let setup = Setup::default()
            .clients(if self.script.is_together() { u32::try_from(count).unwrap_or(1) } else { 1 })
            .rounds(if self.script.is_together() { 1 } else { u16::try_from(count).unwrap_or(1) })
            .limits(self.script.limits())
            // All that the network does, its faults included, is short against what a script calls a time.
            .latency(Duration::from_micros(20))
            .quantum(Duration::from_micros(1))
            .heal_at(if self.script.bytes() > 10_000 {
                Duration::from_millis(3)
            } else {
                Duration::from_millis(200)
            })
            .settle(Duration::from_secs(3600))
            .max_events(10_000_000)
            .window(2 << 10);
        let clients = Clients {
            script: self.script.clone(),
            meeting: Meeting::of(0..count),
            ids: vec![None; count],
            orders: VecDeque::new(),
            left: count,
            stopped: false,
        };
        let servers = Servers {
            script: self.script.clone(),
            log: Arc::clone(&self.log),
            session: self.session.clone(),
        };
        (setup, clients, servers)
    }

    fn order(&self, clients: &mut Clients, _server: &mut Servers<W>) -> Option<Order> {
        if let Some(order) = clients.orders.pop_front() {
            return Some(order);
        }
        let over = clients.left == 0 && self.log().open == 0;
        (over && !std::mem::replace(&mut clients.stopped, true)).then_some(Order::Stop)
    }

    fn finished(&self, moment: &Moment<'_, Self>, _reached: &mut Reached) -> Result<(), Violation> {
        let connection = moment.connection;
        let number = self.number(connection.id());
        let mut log = self.log();
        log.clients[number] = connection.client().outcome().copied();
        log.sessions[number] = connection.server().outcome().copied();
        // Only a limit for each source makes the policy turn somebody away; others are left in the backlog.
        let no_session = connection.client().outcome().is_some() && connection.server().outcome().is_none();
        log.refused += u64::from(no_session && self.script.limits().per_source.is_some());
        Ok(())
    }
}

/// The clients of a script.
struct Clients {
    script: Script,
    meeting: Meeting,
    ids: Vec<Option<ConnectionId>>,
    orders: VecDeque<Order>,
    /// Clients that are not over.
    left: usize,
    /// The server was told to stop, by the script or at its end.
    stopped: bool,
}

impl Clients {
    fn go(&self, whom: impl IntoIterator<Item = usize>, mail: &mut dyn Mail<Go>) {
        for id in whom.into_iter().filter_map(|number| self.ids[number]) {
            // One that is gone needs no word, and no mailbox is full of these.
            let _ = mail.send(id, Go);
        }
    }
}

impl Hub for Clients {
    type Session = Scripted;

    fn open(&mut self, now: Time, id: ConnectionId) -> Scripted {
        let number = number(&self.script, id);
        self.ids[number] = Some(id);
        self.script.open(number, now)
    }

    fn event(&mut self, _now: Time, from: ConnectionId, event: Event, mail: &mut dyn Mail<Go>) {
        match event {
            Event::StopServer => {
                self.stopped = true;
                self.orders.push_back(Order::Stop);
            }
            Event::ForceServer => {
                self.stopped = true;
                self.orders.push_back(Order::Force);
            }
            Event::Meet => {
                let met = self.meeting.came(number(&self.script, from));
                self.go(met, mail);
            }
            Event::Waiting(_) => {}
        }
    }

    fn closed(&mut self, _now: Time, id: ConnectionId, _seen: ClientSeen, mail: &mut dyn Mail<Go>) {
        self.left -= 1;
        let met = self.meeting.left(number(&self.script, id));
        self.go(met, mail);
    }
}

/// The server of a script.
struct Servers<W> {
    script: Script,
    log: Arc<Mutex<Log>>,
    session: W,
}

impl<M: Session, W: Fn(EchoServer) -> M> Hub for Servers<W> {
    type Session = M;

    fn open(&mut self, now: Time, _id: ConnectionId) -> M {
        let mut log = lock(&self.log);
        log.admitted += 1;
        log.open += 1;
        (self.session)(EchoServer::new(self.script.config(), now))
    }

    fn closed(
        &mut self,
        _now: Time,
        _id: ConnectionId,
        _outcome: ServerOutcome,
        _mail: &mut dyn Mail<std::convert::Infallible>,
    ) {
        lock(&self.log).open -= 1;
    }
}
