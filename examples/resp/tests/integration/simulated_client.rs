//! The client under every fault there is, in virtual time, against the shipped server: every call ends exactly once, and its
//! answer is its own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionEnd};
use roundtrip_resp::client::{self, CallError, Calls, Redis, RedisError, Reply};
use roundtrip_resp::{Resp, SharedKeys, config};
use roundtrip_sim::{Draw, Moment, Reached, Scenario, Setup, Violation};

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It waits to be taken by the client.
    Posted,
    /// It is the client's to end.
    Taken,
    /// The client told its end.
    Ended,
    /// It was dropped, as is what a mailbox holds when its connection ends.
    Dropped,
}

type Name = (ConnectionId, u32);

/// What became of every call of every connection.
#[derive(Default)]
struct Ledger {
    fates: BTreeMap<Name, Fate>,
    broken: Option<Violation>,
}

impl Ledger {
    fn set(&mut self, name: Name, fate: Fate) {
        let before = self.fates.insert(name, fate);
        let right = matches!(
            (before, fate),
            (None, Fate::Posted)
                | (Some(Fate::Posted), Fate::Taken | Fate::Dropped)
                | (Some(Fate::Taken), Fate::Ended)
        );
        if !right {
            let found = format!("{name:?} was {before:?} and is {fate:?}");
            self.broken.get_or_insert(Violation::new("once", found));
        }
    }
}

/// A call's token: tells what becomes of it, even if it is dropped.
struct Token {
    name: Name,
    ledger: Arc<Mutex<Ledger>>,
    ended: bool,
}

impl Token {
    fn new(name: Name, ledger: &Arc<Mutex<Ledger>>) -> Self {
        ledger.lock().unwrap().set(name, Fate::Posted);
        Self { name, ledger: Arc::clone(ledger), ended: false }
    }

    fn set(&self, fate: Fate) {
        self.ledger.lock().unwrap().set(self.name, fate);
    }

    fn end(mut self) {
        self.ended = true;
        self.set(Fate::Ended);
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if !self.ended {
            self.set(Fate::Dropped);
        }
    }
}

/// The words of a connection's call, and what a server answers to them.
fn exchange((id, call): Name) -> (Vec<Bytes>, Reply) {
    let bulk = |text: &str| Reply::Bulk(Some(text.to_owned().into()));
    let (count, key, text) =
        (call / 5 + 1, format!("key {}", id.number()), format!("{} {call}", id.number()));
    let (words, reply) = match call % 5 {
        0 => (vec!["INCR", &key], Reply::Integer(count.into())),
        1 => (vec!["ECHO", &text], bulk(&text)),
        2 => (vec!["GET", "none"], Reply::Bulk(None)),
        3 => (
            vec!["MGET", &key, "none"],
            Reply::Array(Some(vec![bulk(&count.to_string()), Reply::Bulk(None)])),
        ),
        _ => (vec!["SET", &text], Reply::Error("ERR wrong number of arguments for 'set' command".into())),
    };
    (words.into_iter().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect(), reply)
}

type Call = client::Call<Vec<Bytes>, Token>;
type CallEvent = client::CallEvent<Reply, Infallible, RedisError, Token>;

/// The client, with some calls to begin with, and told of what it takes.
struct Caller {
    client: Calls<Redis, Token>,
    begin: Vec<Call>,
}

impl Protocol for Caller {
    type Command = Call;
    type Event = CallEvent;

    fn begin(&mut self, now: Time, io: &mut Io<'_, CallEvent>) {
        for call in std::mem::take(&mut self.begin) {
            self.command(now, call, io);
        }
    }

    fn receive(&mut self, now: Time, io: &mut Io<'_, CallEvent>) -> Need {
        self.client.receive(now, io)
    }

    fn command_capacity(&self) -> usize {
        self.client.command_capacity()
    }

    fn command(&mut self, now: Time, call: Call, io: &mut Io<'_, CallEvent>) {
        call.token.set(Fate::Taken);
        self.client.command(now, call, io);
    }

    fn on_message_too_large(&mut self, now: Time, io: &mut Io<'_, CallEvent>) {
        self.client.on_message_too_large(now, io);
    }

    fn ended(&mut self, now: Time, end: SessionEnd, io: &mut Io<'_, CallEvent>) {
        self.client.ended(now, end, io);
    }
}

/// What calls: some at once, two more for each answer, so many in all; then the connection is stopped.
struct Callers {
    burst: u32,
    calls: u32,
    ledger: Arc<Mutex<Ledger>>,
    /// By connection: calls made, and ended.
    made: BTreeMap<ConnectionId, (u32, u32)>,
    lost: u32,
    busy: u32,
    broken: Option<Violation>,
}

impl Callers {
    fn call(&mut self, id: ConnectionId) -> Option<Call> {
        let (made, _) = self.made.entry(id).or_default();
        (*made < self.calls).then(|| {
            let name = (id, *made);
            *made += 1;
            Call { request: exchange(name).0, token: Token::new(name, &self.ledger) }
        })
    }

    fn breaks(&mut self, id: &'static str, found: String) {
        self.broken.get_or_insert(Violation::new(id, found));
    }
}

impl Hub for Callers {
    type Session = Session<Caller>;

    fn open(&mut self, now: Time, id: ConnectionId) -> Session<Caller> {
        let begin = (0..self.burst).map_while(|_| self.call(id)).collect();
        let config = client::config();
        let session = config.session.idle(Some(Duration::from_secs(5)));
        Session::new(Caller { client: Calls::new(Redis, config.in_flight), begin }, Arc::new(session), now)
    }

    fn event(&mut self, _now: Time, from: ConnectionId, event: CallEvent, mail: &mut dyn Mail<Call>) {
        let CallEvent::Done { token, result } = event;
        let (id, call) = token.name;
        let ended = &mut self.made.entry(from).or_default().1;
        let expected = *ended;
        *ended += 1;
        if (id, call) != (from, expected) {
            self.breaks("order", format!("{from:?} heard of call {call} of {id:?}, and {expected} was next"));
        }
        match result {
            Ok(reply) if reply != exchange((id, call)).1 => {
                self.breaks("answers", format!("{reply:?} was answered to call {call} of {id:?}"));
            }
            Ok(_) => {}
            Err(CallError::Ended(_) | CallError::Closed) => self.lost += 1,
            Err(error) => self.breaks("answers", format!("call {call} of {id:?} came to: {error}")),
        }
        token.end();
        for _ in 0..2 {
            let Some(call) = self.call(from) else { break };
            match mail.send(from, call) {
                Ok(()) => {}
                // A call that could not be posted ends here.
                Err(error) => {
                    self.made.entry(from).or_default().0 -= 1;
                    self.busy += 1;
                    let call = error.into_inner();
                    let name = call.token.name;
                    drop(call);
                    self.ledger.lock().unwrap().fates.remove(&name);
                }
            }
        }
        if self.made[&from].1 == self.calls {
            mail.stop(from);
        }
    }
}

struct Servers {
    keys: SharedKeys,
}

impl Hub for Servers {
    type Session = Session<Resp>;

    fn open(&mut self, now: Time, _id: ConnectionId) -> Session<Resp> {
        Session::new(Resp::new(Arc::clone(&self.keys)), Arc::new(config()), now)
    }
}

struct Calling;

impl Scenario for Calling {
    type Server = Servers;
    type Client = Callers;

    fn name(&self) -> &'static str {
        "calling"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Callers, Servers) {
        let setup = Setup::default().clients(1 + draw.below(0, 3)).rounds(2);
        let burst = draw.one_of(1, &[2, 1, 100]);
        let calls = burst + draw.one_of(2, &[1, 10, 150]);
        let callers = Callers {
            burst,
            calls,
            ledger: Arc::default(),
            made: BTreeMap::new(),
            lost: 0,
            busy: 0,
            broken: None,
        };
        (setup, callers, Servers { keys: SharedKeys::default() })
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let ledger = moment.clients.ledger.lock().unwrap();
        if let Some(broken) = moment.clients.broken.as_ref().or(ledger.broken.as_ref()) {
            return Err(broken.clone());
        }
        let client = moment.connection.client().machine();
        let in_flight = client.map_or(0, |session| session.protocol().client.in_flight());
        let most = client::config().in_flight;
        if in_flight > most {
            return Err(Violation::new("bounded", format!("{in_flight} calls are on their way")));
        }
        reached.reach_if(0, in_flight == most);
        reached.reach_if(1, moment.clients.lost > 0);
        reached.reach_if(2, moment.clients.busy > 0);
        Ok(())
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let id = moment.connection.id();
        let ledger = moment.clients.ledger.lock().unwrap();
        let mut fates = ledger.fates.range((id, 0)..=(id, u32::MAX)).map(|(_, fate)| *fate);
        if let Some(open) = fates.clone().find(|fate| matches!(fate, Fate::Posted | Fate::Taken)) {
            return Err(Violation::new("once", format!("a call of {id:?} is {open:?} after the end")));
        }
        reached.reach_if(3, fates.clone().any(|fate| fate == Fate::Dropped));
        reached.reach_if(4, fates.all(|fate| fate == Fate::Ended));
        Ok(())
    }

    fn goals(&self) -> &'static [&'static str] {
        &[
            "as many calls as may be",
            "calls that are lost",
            "a full mailbox",
            "calls in the mailbox of a connection that ended",
            "a connection of which every call ended",
        ]
    }
}

#[test]
fn every_call_ends_once_and_its_answer_is_its_own() {
    roundtrip_sim::check(&Calling, 0..1000);
}
