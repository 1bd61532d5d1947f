//! The server under every fault there is, in virtual time: what it answers follows from the requests, whatever happens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig, SessionEnd};
use roundtrip_http::{Http, config};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{Draw, Injected, Moment, Reached, Runner, Scenario, Setup, Trace, Violation, shrink};

use crate::exchanges::{Exchange, Numbers, Progress, draw, judge};

/// A client: sends its requests, all at once or each after the response to the one before, and judges what comes.
struct Client {
    exchanges: Vec<Exchange>,
    is_pipelined: bool,
    /// Requests that were begun, and bytes that were sent of the last one of them.
    begun: usize,
    sent: usize,
    /// What came of the response that is not whole, and how many are.
    came: Vec<u8>,
    whole: usize,
    /// The server said that there is no further response.
    drained: bool,
}

/// What a client tells.
enum Said {
    /// All was answered, and that many requests there were.
    Answered(usize),
    TimedOut,
    Wrong(String),
}

impl Client {
    /// Sends while there is room; whether something is left that may be sent.
    fn send(&mut self, io: &mut Io<'_, Said>) -> bool {
        let allowed = if self.is_pipelined { self.exchanges.len() } else { self.whole + 1 };
        while let Some(exchange) = self.exchanges[..allowed.min(self.exchanges.len())].get(self.begun) {
            let rest = &exchange.request[self.sent..];
            let now = rest.len().min(io.room());
            io.outbox().extend_from_slice(&rest[..now]);
            self.sent += now;
            if now < rest.len() {
                return true;
            }
            (self.begun, self.sent) = (self.begun + 1, 0);
        }
        false
    }
}

impl Protocol for Client {
    type Command = Infallible;
    type Event = Said;

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Said>) -> Need {
        let came = io.inbox().split();
        self.came.extend_from_slice(&came);
        let count = self.exchanges.len();
        match judge(&self.came, &self.exchanges[self.whole..]) {
            Ok(_) if self.drained && !self.came.is_empty() => {
                io.event(Said::Wrong("more came from a server that drains".to_owned()));
                io.finish();
            }
            Ok(Progress { whole, len, timed_out, drains }) => {
                self.drained |= drains;
                self.came.drain(..len);
                self.whole += whole;
                if whole > 0 && self.whole == count {
                    io.event(Said::Answered(count));
                    // Otherwise the server ends it.
                    if self.exchanges.last().is_none_or(|last| !last.closes) {
                        io.finish();
                    }
                }
                if timed_out {
                    io.event(Said::TimedOut);
                }
            }
            Err(wrong) => {
                io.event(Said::Wrong(wrong));
                io.finish();
            }
        }
        if self.send(io) { Need::Any } else { Need::Bytes }
    }
}

struct Clients {
    seed: u64,
    count: usize,
    most: usize,
    is_pipelined: bool,
    outbox: usize,
    answered: usize,
    timed_out: usize,
    wrong: Option<String>,
}

impl Hub for Clients {
    type Session = Session<Client>;

    fn open(&mut self, now: Time, id: ConnectionId) -> Session<Client> {
        let exchanges = draw(&mut Numbers::new(self.seed + id.number()), self.count, self.most);
        let is_pipelined = self.is_pipelined;
        let client =
            Client { exchanges, is_pipelined, begun: 0, sent: 0, came: Vec::new(), whole: 0, drained: false };
        // Longer than any limit of the server.
        let config = SessionConfig::default().outbox(self.outbox).idle(Some(Duration::from_secs(40)));
        Session::new(client, Arc::new(config), now)
    }

    fn event(&mut self, _now: Time, _from: ConnectionId, said: Said, _mail: &mut dyn Mail<Infallible>) {
        match said {
            Said::Answered(count) => self.answered = self.answered.max(count),
            Said::TimedOut => self.timed_out += 1,
            Said::Wrong(wrong) => self.wrong = Some(wrong),
        }
    }
}

/// The server's connections: the shipped protocol, or one with a bug.
struct Servers<P> {
    config: Arc<SessionConfig>,
    protocol: fn() -> P,
}

impl<P: Protocol<Command = Infallible, Event = Infallible>> Hub for Servers<P> {
    type Session = Session<P>;

    fn open(&mut self, now: Time, _id: ConnectionId) -> Session<P> {
        Session::new((self.protocol)(), Arc::clone(&self.config), now)
    }
}

struct Answering<P>(fn() -> P);

impl<P: Protocol<Command = Infallible, Event = Infallible>> Scenario for Answering<P> {
    type Server = Servers<P>;
    type Client = Clients;

    fn name(&self) -> &'static str {
        "answering"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Clients, Servers<P>) {
        let setup = Setup::default().clients(1 + draw.below(0, 3)).rounds(2);
        let clients = Clients {
            count: 1 + draw.below(1, 6) as usize,
            seed: u64::from(draw.below(2, 1 << 20)) << 32,
            most: draw.one_of(3, &[10, 300, 1000]),
            is_pipelined: draw.below(4, 2) == 1,
            outbox: draw.one_of(5, &[64 << 10, 50]),
            answered: 0,
            timed_out: 0,
            wrong: None,
        };
        // What it needs at once is a head.
        let config =
            config().inbox(draw.one_of(6, &[64 << 10, 300])).outbox(draw.one_of(7, &[64 << 10, 100, 10]));
        (setup, clients, Servers { config: Arc::new(config), protocol: self.0 })
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let clients = moment.clients;
        reached.reach_if(0, clients.answered > 4);
        reached.reach_if(1, clients.timed_out > 0);
        if let Some(wrong) = &clients.wrong {
            return Err(Violation::new("answers", wrong.clone()));
        }
        // An interim response, a head and a frame go beyond the bound of the outbox.
        let config = &moment.server.config;
        let held = moment.connection.server().machine().map_or(0, Session::held);
        if held > config.inbox + config.outbox + 256 {
            return Err(Violation::new("memory", format!("{held} bytes are held")));
        }
        Ok(())
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let connection = moment.connection;
        let (client, server) = (connection.client(), connection.server());
        let ended = |end| server.outcome().is_some_and(|outcome| outcome.end == end);
        reached.reach_if(2, ended(SessionEnd::Reset));
        reached.reach_if(3, server.stops() > 0 && ended(SessionEnd::Stopped));
        let client_end = client.outcome().map(|outcome| outcome.end);
        reached.reach_if(4, client_end == Some(SessionEnd::Clean));
        // Whatever the server does, it ends: this client waits longer than it.
        let is_disturbed =
            connection.injected() != Injected::default() || client.stops() + server.stops() > 0;
        if !is_disturbed && client_end == Some(SessionEnd::Idle) {
            return Err(Violation::new("silence", "a client was neither answered nor closed"));
        }
        Ok(())
    }

    fn goals(&self) -> &'static [&'static str] {
        &[
            "many requests of a connection are answered",
            "a head that comes too slowly",
            "an echo that breaks off",
            "a connection that is stopped",
            "a connection that the server closes",
        ]
    }
}

#[test]
fn what_is_answered_follows_from_the_requests() {
    roundtrip_sim::check(&Answering(Http::new), 0..500);
}

/// Answers the second of two requests first.
struct OutOfOrder(Http);

impl OutOfOrder {
    fn new() -> Self {
        Self(Http::new())
    }
}

impl Protocol for OutOfOrder {
    type Command = Infallible;
    type Event = Infallible;

    fn begin(&mut self, now: Time, io: &mut Io<'_, Infallible>) {
        self.0.begin(now, io);
    }

    fn receive(&mut self, now: Time, io: &mut Io<'_, Infallible>) -> Need {
        let inbox = io.inbox().clone();
        let first = inbox.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        if let Some(first) = first
            && inbox.starts_with(b"GET / ")
            && inbox[first..].starts_with(b"GET /none ")
        {
            io.inbox().clear();
            io.inbox().extend_from_slice(&inbox[first..]);
            io.inbox().extend_from_slice(&inbox[..first]);
        }
        self.0.receive(now, io)
    }
}

#[test]
fn pipelined_requests_out_of_order_are_found_and_shrunk() {
    let scenario = Answering(OutOfOrder::new);
    let found = (0..10_000).find_map(|seed| {
        let recording = Runner::new(&scenario).record(Seeded::new(seed, Faults::SWARM));
        (recording.run.verdict.id() == "answers").then_some((seed, recording))
    });
    let (seed, recording) = found.unwrap();
    let shrunk = shrink(&scenario, recording).recording;
    assert_eq!(shrunk.run.verdict.id(), "answers");
    println!("seed {seed}, {} events:\n{}", shrunk.run.events, roundtrip_sim::diagram(&shrunk));
    assert!(shrunk.run.events <= 30, "{} events", shrunk.run.events);
    // It is the same in another process, and passes without the bug.
    let trace = Trace::new("answering", Some(seed), shrunk).to_string();
    roundtrip_sim::replay(&Answering(Http::new), &trace);
}
