//! A hub whose connections talk to each other: what one says, all others hear, in one order.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;

use roundtrip_core::bytes::Bytes;
use roundtrip_core::hub::{ConnectionId, Each, Hub, Mail, SendError};
use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{Draw, Moment, Reached, Runner, Scenario, Setup, Violation, check};

/// A connection of the room: what comes in is an event, what is commanded goes out.
struct Member {
    heard: VecDeque<u8>,
    said: VecDeque<u8>,
    last: Option<u32>,
    writing: usize,
    ended: bool,
    over: bool,
}

/// The nth thing that was said, and what.
type Said = (u32, u8);

impl Machine for Member {
    type Command = Said;
    type Event = u8;
    /// The last thing that was heard.
    type Outcome = Option<u32>;

    fn handle(&mut self, _now: Time, input: Input<Said>) {
        match input {
            Input::Data(bytes) => self.heard.extend(bytes),
            Input::Wrote(n) => self.writing -= n,
            Input::Command((nth, what)) => {
                assert!(self.last.is_none_or(|last| last < nth), "{nth} after {:?}", self.last);
                self.last = Some(nth);
                self.said.push_back(what);
            }
            Input::Eof | Input::Stop => self.ended = true,
            Input::Abort | Input::Failed(_) => self.over = true,
        }
    }

    fn poll(&mut self, _now: Time) -> Action<u8, Option<u32>> {
        if self.over {
            return Action::Close { how: Teardown::Reset, outcome: self.last };
        }
        if let Some(heard) = self.heard.pop_front() {
            return Action::Event(heard);
        }
        if self.writing == 0 && !self.said.is_empty() {
            let said: Bytes = self.said.drain(..).collect();
            self.writing = said.len();
            return Action::Write(said);
        }
        if self.writing == 0 && self.ended {
            return Action::Close { how: Teardown::Graceful, outcome: self.last };
        }
        let commands = 16 - self.said.len().min(16);
        Action::Wait(Wait { read: if self.ended { 0 } else { 8 }, commands, deadline: None })
    }
}

#[derive(Default)]
struct Room {
    members: BTreeSet<ConnectionId>,
    said: u32,
    delivered: u32,
    full: u32,
    gone: u32,
}

impl Hub for Room {
    type Session = Member;

    fn open(&mut self, _now: Time, id: ConnectionId) -> Member {
        self.members.insert(id);
        let (heard, said) = (VecDeque::new(), VecDeque::new());
        Member { heard, said, last: None, writing: 0, ended: false, over: false }
    }

    fn event(&mut self, _now: Time, from: ConnectionId, what: u8, mail: &mut dyn Mail<Said>) {
        self.said += 1;
        for id in self.members.iter().filter(|id| **id != from) {
            match mail.send(*id, (self.said, what)) {
                Ok(()) => self.delivered += 1,
                Err(SendError::Full(_)) => self.full += 1,
                Err(SendError::Gone(_)) => self.gone += 1,
            }
        }
        // Somebody says the word: he is shown out, and so is a stranger.
        if what == b'q' {
            mail.stop(from);
            mail.abort(ConnectionId::new(u64::MAX));
        }
    }

    fn closed(&mut self, _now: Time, id: ConnectionId, _last: Option<u32>, mail: &mut dyn Mail<Said>) {
        self.members.remove(&id);
        assert_eq!(mail.send(id, (0, 0)), Err(SendError::Gone((0, 0))));
    }
}

/// Says so many things, half-closes, and listens to the end.
struct Guest {
    left: u32,
    writing: usize,
    shut: bool,
    over: bool,
}

impl Machine for Guest {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ();

    fn handle(&mut self, _now: Time, input: Input) {
        match input {
            Input::Wrote(n) => self.writing -= n,
            Input::Eof | Input::Abort | Input::Failed(_) => self.over = true,
            Input::Stop => self.left = 0,
            Input::Data(_) => {}
            Input::Command(never) => match never {},
        }
    }

    fn poll(&mut self, _now: Time) -> Action<Infallible, ()> {
        if self.over {
            return Action::Close { how: Teardown::Graceful, outcome: () };
        }
        if self.writing == 0 && self.left > 0 {
            self.left -= 1;
            self.writing = 3;
            return Action::Write(Bytes::from_static(if self.left == 5 { b"abq" } else { b"abc" }));
        }
        if self.writing == 0 && !self.shut {
            self.shut = true;
            return Action::ShutdownWrite;
        }
        Action::Wait(Wait { read: 64, commands: 0, deadline: None })
    }
}

struct Talk;

type Guests = Each<Box<dyn FnMut(Time, ConnectionId) -> Guest>>;

impl Scenario for Talk {
    type Server = Room;
    type Client = Guests;

    fn name(&self) -> &'static str {
        "talk"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Guests, Room) {
        let left = draw.one_of(1, &[1, 3, 40]);
        let guests: Guests =
            Each(Box::new(move |_now, _id| Guest { left, writing: 0, shut: false, over: false }));
        let setup = Setup::default().clients(2 + draw.below(0, 4)).rounds(2);
        (setup, guests, Room::default())
    }

    fn restart(&self, room: &mut Room) {
        room.members.clear();
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let room = moment.server;
        reached.reach_if(0, room.delivered > 0);
        reached.reach_if(1, room.full > 0);
        if room.gone > 0 {
            return Err(Violation::new("members", "mail to somebody who has left"));
        }
        Ok(())
    }

    fn goals(&self) -> &'static [&'static str] {
        &["something was heard", "a mailbox was full"]
    }
}

#[test]
fn all_hear_the_same_order_under_every_schedule() {
    check(&Talk, 0..2000);
}

#[test]
fn mail_is_late_by_choice() {
    let late = |seed| {
        let recording = Runner::new(&Talk).record(Seeded::new(seed, Faults::SWARM));
        recording.decisions.iter().any(|decision| decision.site == roundtrip_sim::choose::Site::MAIL)
    };
    assert!((0..50).any(late));
}
