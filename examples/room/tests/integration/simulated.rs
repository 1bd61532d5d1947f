//! The room under every fault there is, in virtual time: all who are there agree on one order, whatever happens.
//!
//! The public API alone: this is what a test of a hub of your own looks like.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub, Mail, SendError};
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig, SessionEnd, SessionOutcome};
use roundtrip_room::{Line, Member, Room, RoomConfig, Slow};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{
    Draw, Injected, Moment, Reached, Rolling, Runner, Scenario, Setup, Trace, Violation, client_and_round,
    shrink,
};

/// A line: the connection that says it, and how many it said before.
type Text = (u64, u32);

/// A client: says so many lines at once, and one more for each that it hears, until it has said and heard all.
struct Talker {
    name: u64,
    burst: u32,
    lines: u32,
    said: u32,
    missed: u64,
}

/// What a client tells, in the order in which it happens.
enum Told {
    Says(Text),
    Hears { number: u64, missed: u64, text: Text },
    Nonsense(Bytes),
}

impl Talker {
    fn say(&mut self, io: &mut Io<'_, Told>) {
        if self.said < self.lines {
            io.event(Told::Says((self.name, self.said)));
            io.outbox().extend_from_slice(format!("{} {}\n", self.name, self.said).as_bytes());
            self.said += 1;
        }
    }

    fn hear(&mut self, line: &[u8]) -> Option<Told> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let number = words.next()?.parse().ok()?;
        let text = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Told::Hears { number, missed: std::mem::take(&mut self.missed), text })
    }
}

impl Protocol for Talker {
    type Command = Infallible;
    type Event = Told;

    fn begin(&mut self, _now: Time, io: &mut Io<'_, Told>) {
        for _ in 0..self.burst {
            self.say(io);
        }
    }

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Told>) -> Need {
        while let Some(end) = io.inbox().iter().position(|byte| *byte == b'\n') {
            let line = io.inbox().split_to(end).freeze();
            io.inbox().advance(1);
            let missed = line.strip_prefix(b"missed ").and_then(|missed| std::str::from_utf8(missed).ok());
            if let Some(missed) = missed.and_then(|missed| missed.parse().ok()) {
                self.missed = missed;
                continue;
            }
            let told = self.hear(&line).unwrap_or(Told::Nonsense(line));
            let last = matches!(told, Told::Hears { text, .. } if text == (self.name, self.lines - 1));
            io.event(told);
            if last {
                io.finish();
                break;
            }
            self.say(io);
        }
        Need::Bytes
    }
}

/// What all clients said and heard so far.
#[derive(Default)]
struct History {
    said: BTreeSet<Text>,
    /// The one order, as far as anybody heard it, both ways.
    order: BTreeMap<u64, Text>,
    places: BTreeMap<Text, u64>,
    /// The last number that each connection heard.
    heard: BTreeMap<ConnectionId, u64>,
    gaps: u64,
    broken: Option<Violation>,
}

impl History {
    fn take_in(&mut self, from: ConnectionId, told: Told) -> Result<(), Violation> {
        let (number, missed, text) = match told {
            Told::Says(text) => {
                self.said.insert(text);
                return Ok(());
            }
            Told::Hears { number, missed, text } => (number, missed, text),
            Told::Nonsense(line) => {
                return Err(Violation::new("invented", format!("heard: {}", line.escape_ascii())));
            }
        };
        if !self.said.contains(&text) {
            return Err(Violation::new("invented", format!("nobody said {text:?}")));
        }
        let (agreed, place) =
            (*self.order.entry(number).or_insert(text), *self.places.entry(text).or_insert(number));
        if (agreed, place) != (text, number) {
            let found = format!("{number} is {text:?} for one, and for another {place} is, and {agreed:?}");
            return Err(Violation::new("one-order", found));
        }
        let before = self.places.range(..text).next_back().filter(|((name, _), _)| *name == text.0);
        let after = self.places.range((text.0, text.1 + 1)..).next().filter(|((name, _), _)| *name == text.0);
        if before.is_some_and(|(_, place)| *place > number) || after.is_some_and(|(_, place)| *place < number)
        {
            return Err(Violation::new("own-order", format!("{before:?}, {text:?}, {after:?}")));
        }
        self.gaps += u64::from(missed > 0);
        let last = self.heard.insert(from, number);
        match last {
            Some(last) if number != last + 1 + missed => {
                let found = format!("{number} was heard after {last}, and {missed} were told to be missing");
                Err(Violation::new("gaps", found))
            }
            None if missed > 0 => Err(Violation::new("gaps", format!("{missed} before the first"))),
            _ => Ok(()),
        }
    }

    fn hash(&self) -> u64 {
        let mut hash = Rolling::default();
        for (number, (name, line)) in &self.order {
            hash.pair(*number, *name);
            hash.number((*line).into());
        }
        hash.value()
    }
}

struct Talkers {
    burst: u32,
    lines: u32,
    history: History,
}

impl Hub for Talkers {
    type Session = Session<Talker>;

    fn open(&mut self, now: Time, id: ConnectionId) -> Session<Talker> {
        let talker = Talker { name: id.number(), burst: self.burst, lines: self.lines, said: 0, missed: 0 };
        // What it says last may be what it misses. Longer than any fault.
        let config = SessionConfig::default().idle(Some(Duration::from_secs(30)));
        Session::new(talker, Arc::new(config), now)
    }

    fn event(&mut self, _now: Time, from: ConnectionId, told: Told, _mail: &mut dyn Mail<Infallible>) {
        if let Err(violation) = self.history.take_in(from, told) {
            self.history.broken.get_or_insert(violation);
        }
    }
}

/// What may be wrong with the mail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// The first client gets every line after the one that follows it.
    Late,
    /// Nobody is told what they missed.
    Untold,
    /// The first client gets every line twice.
    Twice,
}

/// The shipped room, behind mail that may have a bug.
struct Rooms {
    room: Room,
    bug: Bug,
    late: Option<Line>,
}

impl Hub for Rooms {
    type Session = Session<Member>;

    fn open(&mut self, now: Time, id: ConnectionId) -> Session<Member> {
        self.room.open(now, id)
    }

    fn event(&mut self, now: Time, from: ConnectionId, text: Bytes, mail: &mut dyn Mail<Line>) {
        self.room.event(now, from, text, &mut Planted { mail, bug: self.bug, late: &mut self.late });
    }

    fn closed(&mut self, now: Time, id: ConnectionId, outcome: SessionOutcome, mail: &mut dyn Mail<Line>) {
        self.room.closed(now, id, outcome, mail);
    }
}

struct Planted<'a> {
    mail: &'a mut dyn Mail<Line>,
    bug: Bug,
    late: &'a mut Option<Line>,
}

impl Mail<Line> for Planted<'_> {
    fn send(&mut self, to: ConnectionId, mut line: Line) -> Result<(), SendError<Line>> {
        match self.bug {
            Bug::Late if client_and_round(to) == (0, 0) => match self.late.take() {
                None => *self.late = Some(line),
                Some(late) => {
                    self.mail.send(to, line)?;
                    self.mail.send(to, late)?;
                }
            },
            Bug::Untold => {
                line.missed = 0;
                self.mail.send(to, line)?;
            }
            Bug::Twice if client_and_round(to) == (0, 0) => {
                self.mail.send(to, line.clone())?;
                self.mail.send(to, line)?;
            }
            Bug::None | Bug::Late | Bug::Twice => self.mail.send(to, line)?,
        }
        Ok(())
    }

    fn stop(&mut self, to: ConnectionId) {
        self.mail.stop(to);
    }

    fn abort(&mut self, to: ConnectionId) {
        self.mail.abort(to);
    }
}

const LINE: usize = 100;

struct Talking {
    bug: Bug,
    /// The hash of the order that was agreed on in the last run.
    agreed: AtomicU64,
}

impl Talking {
    const fn new(bug: Bug) -> Self {
        Self { bug, agreed: AtomicU64::new(0) }
    }
}

impl Scenario for Talking {
    type Server = Rooms;
    type Client = Talkers;

    fn name(&self) -> &'static str {
        "talking"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Talkers, Rooms) {
        let setup = Setup::default().clients(1 + draw.below(0, 4)).rounds(2);
        // More than a mailbox holds, where speakers may be ahead.
        let burst = draw.one_of(1, &[2, 1, 80]);
        let talkers = Talkers { burst, lines: burst + draw.below(2, 10), history: History::default() };
        let config = RoomConfig {
            slow: draw.one_of(3, &[Slow::Drop, Slow::Disconnect]),
            line: LINE,
            ahead: draw.one_of(4, &[8, 1000]),
            outbox: draw.one_of(5, &[64 << 10, 40]),
        };
        (setup, talkers, Rooms { room: Room::new(config), bug: self.bug, late: None })
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let (history, counts) = (&moment.clients.history, moment.server.room.counts());
        reached.reach_if(0, history.gaps > 0);
        reached.reach_if(1, counts.disconnected > 0);
        reached.reach_if(2, moment.server.room.present() == 4);
        if let Some(broken) = &history.broken {
            return Err(broken.clone());
        }
        // A line that is not whole, and one with all that is said before it, beyond the bound.
        let held = moment.connection.server().machine().map_or(0, Session::held);
        if held > (LINE + 2) + (64 << 10) + (LINE + 50) {
            return Err(Violation::new("memory", format!("{held} bytes are held")));
        }
        Ok(())
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        self.agreed.store(moment.clients.history.hash(), Ordering::Relaxed);
        let counts = moment.server.room.counts();
        let client = moment.connection.client().outcome().map(|outcome| outcome.end);
        reached.reach_if(3, client == Some(SessionEnd::Finished));
        let undisturbed = moment.connection.injected() == Injected::default();
        if undisturbed && counts.dropped + counts.disconnected == 0 && client == Some(SessionEnd::Idle) {
            return Err(Violation::new("heard", "somebody was never told what they said"));
        }
        Ok(())
    }

    fn goals(&self) -> &'static [&'static str] {
        &["a gap that is told", "somebody slow is disconnected", "four are there", "all is heard"]
    }
}

#[test]
fn all_agree_on_one_order() {
    roundtrip_sim::check(&Talking::new(Bug::None), 0..1000);
}

/// It is the same whenever it is run, in every build. When the room, the scenario or the simulator changes on purpose, what
/// the test says it is now is put here.
const AGREED: u64 = 0x12ec_6c7e_d7e4_4b5c;

#[test]
fn the_orders_agreed_on_are_the_same_every_time() {
    let run = || {
        let scenario = Talking::new(Bug::None);
        let mut runner = Runner::new(&scenario);
        let mut orders = Vec::new();
        for seed in 0..1000 {
            runner.run(Seeded::new(seed, Faults::SWARM));
            orders.push(scenario.agreed.swap(0, Ordering::Relaxed));
        }
        orders
    };
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(run);
        (run(), second.join().unwrap())
    });
    assert_eq!(first, second);
    let mut all = Rolling::default();
    for order in first {
        all.number(order);
    }
    assert_eq!(all.value(), AGREED, "it is now {:#018x}", all.value());
}

/// The first seed that finds it, shrunk, and run without the bug.
fn is_found(bug: Bug, id: &str) {
    let scenario = Talking::new(bug);
    let found = (0..1000).find_map(|seed| {
        let recording = Runner::new(&scenario).record(Seeded::new(seed, Faults::SWARM));
        (recording.run.verdict.id() == id).then_some((seed, recording))
    });
    let (seed, recording) = found.unwrap();
    let shrunk = shrink(&scenario, recording).recording;
    println!("seed {seed}, {} events:\n{}", shrunk.run.events, roundtrip_sim::diagram(&shrunk));
    assert_eq!(shrunk.run.verdict.id(), id);
    assert!(shrunk.run.events <= 20, "{} events", shrunk.run.events);
    let trace = Trace::new("talking", Some(seed), shrunk).to_string();
    roundtrip_sim::replay(&Talking::new(Bug::None), &trace);
}

#[test]
fn mail_in_the_wrong_order_is_found_and_shrunk() {
    is_found(Bug::Late, "gaps");
}

#[test]
fn a_line_that_is_missed_and_not_told_is_found_and_shrunk() {
    is_found(Bug::Untold, "gaps");
}

#[test]
fn a_line_that_is_heard_twice_is_found_and_shrunk() {
    is_found(Bug::Twice, "gaps");
}
