//! The server under every fault there is, in virtual time: counting up is linearizable, whatever happens to connections.
//!
//! The public API alone: this is what a test of a protocol of your own looks like.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Buf;
use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
use roundtrip_core::protocol::{Io, Protocol, Session, SessionConfig, SessionEnd};
use roundtrip_resp::{Resp, SharedKeys, config};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{Draw, Moment, Reached, Runner, Scenario, Setup, Trace, Violation, shrink};

/// A client that counts a key up so many times, one after the other.
struct Counter {
    left: u32,
}

/// What a client tells, in the order in which it happens.
enum Said {
    /// It is about to ask.
    Asks,
    /// It has been answered.
    Counted(i64),
    /// Something that is no number.
    Nonsense(Vec<u8>),
}

impl Counter {
    fn ask(&mut self, io: &mut Io<'_, Said>) {
        if self.left == 0 {
            return io.finish();
        }
        self.left -= 1;
        io.event(Said::Asks);
        io.outbox().extend_from_slice(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
    }
}

impl Protocol for Counter {
    type Command = Infallible;
    type Event = Said;

    fn begin(&mut self, _now: Time, io: &mut Io<'_, Said>) {
        self.ask(io);
    }

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Said>) {
        while let Some(end) = io.inbox().iter().position(|byte| *byte == b'\n') {
            let line = io.inbox().split_to(end - 1);
            io.inbox().advance(2);
            let number = line.strip_prefix(b":").and_then(|digits| std::str::from_utf8(digits).ok());
            io.event(match number.and_then(|digits| digits.parse().ok()) {
                Some(count) => Said::Counted(count),
                None => Said::Nonsense(line.to_vec()),
            });
            self.ask(io);
        }
    }
}

/// What all clients said so far, in one order: that is what linearizability is judged by.
#[derive(Default)]
struct History {
    asked: i64,
    /// The largest count that was answered, by the time at which each open question was asked.
    before: Vec<(ConnectionId, i64)>,
    answered: Vec<i64>,
    broken: Option<String>,
}

impl History {
    fn hear(&mut self, from: ConnectionId, said: Said) {
        let largest = self.answered.iter().copied().max().unwrap_or(0);
        match said {
            Said::Asks => {
                self.asked += 1;
                self.before.push((from, largest));
            }
            Said::Counted(count) => {
                let open = self.before.iter().position(|(who, _)| *who == from);
                let before = open.map_or(i64::MAX, |open| self.before.swap_remove(open).1);
                // Counts of which nobody heard the answer are counts all the same.
                if count <= before || count > self.asked || self.answered.contains(&count) {
                    let asked = self.asked;
                    self.broken = Some(format!(
                        "{count} was answered to a question asked after {before}; {asked} were asked, answered so far: {:?}",
                        self.answered
                    ));
                }
                self.answered.push(count);
            }
            Said::Nonsense(line) => self.broken = Some(format!("answered: {}", line.escape_ascii())),
        }
    }
}

struct Clients {
    counts: u32,
    history: History,
}

impl Hub for Clients {
    type Session = Session<Counter>;

    fn open(&mut self, now: Time, _id: ConnectionId) -> Session<Counter> {
        Session::new(Counter { left: self.counts }, Arc::new(SessionConfig::default()), now)
    }

    fn event(&mut self, _now: Time, from: ConnectionId, said: Said, _mail: &mut dyn Mail<Infallible>) {
        self.history.hear(from, said);
    }
}

/// The server's connections: the shipped protocol, or one with a bug.
struct Servers<P> {
    keys: SharedKeys,
    protocol: fn(SharedKeys) -> P,
}

impl<P: Protocol<Command = Infallible, Event = Infallible>> Hub for Servers<P> {
    type Session = Session<P>;

    fn open(&mut self, now: Time, _id: ConnectionId) -> Session<P> {
        Session::new((self.protocol)(Arc::clone(&self.keys)), Arc::new(config()), now)
    }
}

struct Counting<P>(fn(SharedKeys) -> P);

impl<P: Protocol<Command = Infallible, Event = Infallible>> Scenario for Counting<P> {
    type Server = Servers<P>;
    type Client = Clients;

    fn name(&self) -> &'static str {
        "counting"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Clients, Servers<P>) {
        let setup = Setup { clients: 1 + draw.below(0, 4), rounds: 2, ..Setup::default() };
        let clients = Clients { counts: 1 + draw.below(1, 5), history: History::default() };
        (setup, clients, Servers { keys: SharedKeys::default(), protocol: self.0 })
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let history = &moment.clients.history;
        reached.reach_if(0, history.before.len() > 1);
        reached.reach_if(1, history.answered.len() > 10);
        match &history.broken {
            Some(broken) => Err(Violation::new("linearizable", broken.clone())),
            None => Ok(()),
        }
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let (client, server) = (moment.connection.client().outcome(), moment.connection.server().outcome());
        let ended = |end: SessionEnd| client.is_some_and(|outcome| outcome.end == end);
        reached.reach_if(2, ended(SessionEnd::Finished));
        if ended(SessionEnd::Finished) && server.is_some_and(|outcome| outcome.unsent > 0) {
            return Err(Violation::new("answers", format!("{server:?}, and its client was satisfied")));
        }
        Ok(())
    }

    fn goals(&self) -> &'static [&'static str] {
        &["two ask at once", "many counts", "a client that is satisfied"]
    }
}

#[test]
fn counting_up_is_linearizable() {
    roundtrip_sim::check(&Counting(Resp::new), 0..4000);
}

/// Works on a copy of the keys, and puts it back when the next command comes: an update of somebody else's is lost.
struct Absent {
    shared: SharedKeys,
    copy: SharedKeys,
}

impl Absent {
    fn new(shared: SharedKeys) -> Self {
        let copy = SharedKeys::default();
        *copy.lock().unwrap() = shared.lock().unwrap().clone();
        Self { shared, copy }
    }

    fn put_back(&self) {
        *self.shared.lock().unwrap() = self.copy.lock().unwrap().clone();
    }
}

impl Protocol for Absent {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, now: Time, io: &mut Io<'_, Infallible>) {
        self.put_back();
        Resp::new(Arc::clone(&self.copy)).receive(now, io);
    }

    fn ended(&mut self, _now: Time, _end: SessionEnd, _io: &mut Io<'_, Infallible>) {
        self.put_back();
    }
}

#[test]
fn a_lost_update_is_found_and_shrunk() {
    let scenario = Counting(Absent::new);
    let found = (0..1000).find_map(|seed| {
        let recording = Runner::new(&scenario).record(Seeded::new(seed, Faults::SWARM));
        (recording.run.verdict.id() == "linearizable").then_some((seed, recording))
    });
    let (seed, recording) = found.unwrap();
    let shrunk = shrink(&scenario, recording).recording;
    assert_eq!(shrunk.run.verdict.id(), "linearizable");
    println!("seed {seed}, {} events:\n{}", shrunk.run.events, roundtrip_sim::diagram(&shrunk));
    assert!(shrunk.run.events <= 20, "{} events", shrunk.run.events);
    // It is the same in another process, and passes without the bug.
    let trace = Trace::new("counting", Some(seed), shrunk).to_string();
    roundtrip_sim::replay(&Counting(Resp::new), &trace);
}
