//! The server under every fault there is, in virtual time: every key is linearizable, whatever happens to connections.
//!
//! The public API alone: this is what a test of a protocol of your own looks like.

mod linearizable;

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use linearizable::{Answer, Ask, History};
use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig, SessionEnd};
use roundtrip_resp::client::{Reply, parse_reply};
use roundtrip_resp::{Resp, SharedKeys, config};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{Draw, Moment, Reached, Runner, Scenario, Setup, Trace, Violation, shrink};

/// Bytes of a reply, at the most.
const MAX_REPLY: usize = 1 << 10;
const KEYS: [&str; 2] = ["n", "m"];

/// What a client does: so many commands, one after the other, of which `mix` says which. 0 counts one key up.
#[derive(Clone, Copy)]
struct Plan {
    left: u32,
    mix: u32,
}

impl Plan {
    /// The next command, and the key.
    fn next(&mut self) -> Option<(usize, Ask)> {
        self.left = self.left.checked_sub(1)?;
        let drawn = self.mix.wrapping_mul(self.left + 1);
        let ask = match drawn % 7 {
            0 | 1 => Ask::Increment,
            2 | 3 => Ask::Get,
            4 | 5 => Ask::Set(i64::from(drawn) * 10),
            _ => Ask::Delete,
        };
        Some((drawn as usize / 7 % KEYS.len(), ask))
    }
}

struct Client {
    plan: Plan,
    asked: Option<Ask>,
}

/// What a client tells, in the order in which it happens.
enum Said {
    /// It is about to ask this of a key.
    Asks(usize, Ask),
    /// It has been answered.
    Hears(Answer),
    /// Something that is no answer to this.
    Nonsense(Vec<u8>),
}

impl Client {
    fn ask(&mut self, io: &mut Io<'_, Said>) {
        let Some((key, ask)) = self.plan.next() else { return io.finish() };
        self.asked = Some(ask);
        io.event(Said::Asks(key, ask));
        let (name, value) = match ask {
            Ask::Increment => ("INCR", None),
            Ask::Get => ("GET", None),
            Ask::Set(value) => ("SET", Some(value.to_string())),
            Ask::Delete => ("DEL", None),
        };
        let words: Vec<_> = [name, KEYS[key]].into_iter().chain(value.as_deref()).collect();
        let _ = write!(io.outbox(), "*{}\r\n", words.len());
        for word in words {
            let _ = write!(io.outbox(), "${}\r\n{word}\r\n", word.len());
        }
    }

    /// What a reply says to the last question.
    fn read(&self, reply: &Reply) -> Option<Answer> {
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
        match (self.asked?, reply) {
            (Ask::Increment | Ask::Delete, Reply::Integer(number)) => Some(Answer::Number(*number)),
            (Ask::Get, Reply::Bulk(None)) => Some(Answer::Value(None)),
            (Ask::Get, Reply::Bulk(Some(text))) => Some(Answer::Value(Some(number(text)?))),
            (Ask::Set(_), Reply::Simple(text)) if text == "OK" => Some(Answer::Done),
            _ => None,
        }
    }
}

impl Protocol for Client {
    type Command = Infallible;
    type Event = Said;

    fn begin(&mut self, _now: Time, io: &mut Io<'_, Said>) {
        self.ask(io);
    }

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Said>) -> Need {
        while !io.inbox().is_empty() {
            let inbox = io.inbox().to_vec();
            let said = match parse_reply(io.inbox(), MAX_REPLY) {
                Ok(None) => break,
                Ok(Some(reply)) => self.read(&reply).map_or(Said::Nonsense(inbox), Said::Hears),
                Err(_) => Said::Nonsense(inbox),
            };
            let is_nonsense = matches!(said, Said::Nonsense(_));
            io.event(said);
            if is_nonsense {
                io.finish();
                break;
            }
            self.ask(io);
        }
        Need::Bytes
    }
}

/// What all clients said so far, in one order: that is what linearizability is judged by.
#[derive(Default)]
struct Heard {
    keys: [History; KEYS.len()],
    /// Who waits for an answer to which call of which key.
    open: Vec<(ConnectionId, usize, usize)>,
    answered: usize,
    broken: Option<String>,
}

impl Heard {
    fn hear(&mut self, from: ConnectionId, said: Said) {
        match said {
            Said::Asks(key, ask) => self.open.push((from, key, self.keys[key].ask(ask))),
            Said::Hears(answer) => {
                let Some(open) = self.open.iter().position(|(who, ..)| *who == from) else {
                    self.broken = Some(format!("{answer:?} to nothing that was asked"));
                    return;
                };
                let (_, key, call) = self.open.swap_remove(open);
                self.answered += 1;
                self.keys[key].answer(call, answer);
                if !self.keys[key].is_linearizable() {
                    self.broken =
                        Some(format!("{:?} cannot have happened in any order: {:?}", answer, self.keys[key]));
                }
            }
            Said::Nonsense(bytes) => self.broken = Some(format!("answered: {}", bytes.escape_ascii())),
        }
    }
}

struct Clients {
    plan: Plan,
    opened: u32,
    heard: Heard,
}

impl Hub for Clients {
    type Session = Session<Client>;

    fn open(&mut self, now: Time, _id: ConnectionId) -> Session<Client> {
        self.opened += 1;
        let plan = Plan { mix: self.plan.mix * self.opened, ..self.plan };
        Session::new(Client { plan, asked: None }, Arc::new(SessionConfig::default()), now)
    }

    fn event(&mut self, _now: Time, from: ConnectionId, said: Said, _mail: &mut dyn Mail<Infallible>) {
        self.heard.hear(from, said);
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

struct Shared<P>(fn(SharedKeys) -> P);

impl<P: Protocol<Command = Infallible, Event = Infallible>> Scenario for Shared<P> {
    type Server = Servers<P>;
    type Client = Clients;

    fn name(&self) -> &'static str {
        "shared keys"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Clients, Servers<P>) {
        let setup = Setup::default().clients(1 + draw.below(0, 4)).rounds(2);
        let plan = Plan { left: 1 + draw.below(1, 5), mix: draw.below(2, 1000) };
        let clients = Clients { plan, opened: 0, heard: Heard::default() };
        (setup, clients, Servers { keys: SharedKeys::default(), protocol: self.0 })
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let heard = &moment.clients.heard;
        reached.reach_if(0, heard.open.len() > 1);
        reached.reach_if(1, heard.answered > 10);
        match &heard.broken {
            Some(broken) => Err(Violation::new("linearizable", broken.clone())),
            None => Ok(()),
        }
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let (client, server) = (moment.connection.client().outcome(), moment.connection.server().outcome());
        let ended = |end: SessionEnd| client.is_some_and(|outcome| outcome.end == end);
        reached.reach_if(2, ended(SessionEnd::Finished));
        // Cut off, a server may not know yet what was sent of an answer.
        let is_short = server.is_some_and(|outcome| {
            outcome.unsent > 0 && !matches!(outcome.end, SessionEnd::Aborted | SessionEnd::Failed(_))
        });
        if ended(SessionEnd::Finished) && is_short {
            return Err(Violation::new("answers", format!("{server:?}, and its client was satisfied")));
        }
        Ok(())
    }

    fn goals(&self) -> &'static [&'static str] {
        &["two ask at once", "many answers", "a client that is satisfied"]
    }
}

#[test]
fn every_key_is_linearizable() {
    roundtrip_sim::check(&Shared(Resp::new), 0..1000);
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

    fn receive(&mut self, now: Time, io: &mut Io<'_, Infallible>) -> Need {
        self.put_back();
        Resp::new(Arc::clone(&self.copy)).receive(now, io)
    }

    fn ended(&mut self, _now: Time, _end: SessionEnd, _io: &mut Io<'_, Infallible>) {
        self.put_back();
    }
}

#[test]
fn a_lost_update_is_found_and_shrunk() {
    let scenario = Shared(Absent::new);
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
    let trace = Trace::new("shared keys", Some(seed), shrunk).to_string();
    roundtrip_sim::replay(&Shared(Resp::new), &trace);
}
