//! A load's session on the bench, and when each of its messages must have been due, sent and back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::{Action, Input, Machine, Time};
use roundtrip_echo::{ClientOutcome, Payload, Pinger, PingerConfig, RoundTrip, Schedule, Verdict};

use super::bench::{Bench, Happened};
use super::peer::{PeerOp, START, Session};

/// A load's configuration and schedule in plain numbers; times in nanoseconds, from when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingSetup {
    pub size: usize,
    pub in_flight: usize,
    pub chunk: usize,
    pub timeout: Option<u64>,
    pub half_close: bool,
    pub first: u64,
    pub period: Option<u64>,
    pub until: Option<u64>,
    pub messages: u64,
    pub seed: u64,
}

impl PingSetup {
    fn config(&self) -> Arc<PingerConfig> {
        PingerConfig::default()
            .size(self.size)
            .in_flight(self.in_flight)
            .chunk(self.chunk)
            .timeout(self.timeout.map(Duration::from_nanos))
            .half_close(self.half_close)
            .into()
    }

    fn schedule(&self) -> Schedule {
        let at = |nanos| START.after(Duration::from_nanos(nanos));
        let first = at(self.first);
        let schedule = match self.period.map(Duration::from_nanos) {
            Some(period) => Schedule::open_loop(first, period),
            None => Schedule::closed_loop(first),
        };
        schedule.until(self.until.map(at)).messages(self.messages)
    }

    /// When a message is due that is sent, or could be, at `sent`; none if it is not to be sent any more.
    fn due(&self, number: u64, sent: Time) -> Option<Time> {
        let first = START.as_nanos() + self.first;
        let due = self.period.map_or(sent.as_nanos().max(first), |period| first + number * period);
        let is_due = number < self.messages && self.until.is_none_or(|until| due < START.as_nanos() + until);
        is_due.then_some(Time::from_nanos(due))
    }
}

/// A load's setup and its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinged {
    pub setup: PingSetup,
    pub ops: Vec<PeerOp>,
}

/// A pinger, and what it told when: a machine without events, so that it fits the bench.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pinger: Pinger,
    told: Vec<(Time, RoundTrip)>,
}

impl Machine for Heard {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ClientOutcome;

    fn handle(&mut self, now: Time, input: Input) {
        self.pinger.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> Action<Infallible, ClientOutcome> {
        loop {
            match self.pinger.poll(now) {
                Action::Event(trip) => self.told.push((now, trip)),
                Action::Write(bytes) => return Action::Write(bytes),
                Action::ShutdownWrite => return Action::ShutdownWrite,
                Action::Wait(wait) => return Action::Wait(wait),
                Action::Close { how, outcome } => return Action::Close { how, outcome },
            }
            assert!(self.told.len() as u64 <= self.pinger.begun(), "told of a message that was never begun");
        }
    }
}

impl Pinged {
    /// Carries all of it out, and polls once more to rest.
    pub fn run(&self) -> Bench<Heard> {
        let PingSetup { seed, .. } = self.setup;
        let pinger = Pinger::new(self.setup.config(), self.setup.schedule(), seed, START);
        let mut session = Session::with(Heard { pinger, told: Vec::new() }, &self.ops);
        session.bench.settle();
        session.bench
    }
}

/// Every message is told of once, in order, when it was due, sent and back; none is early, none is forgotten, and no
/// more are in flight than may be.
pub fn assert_timed(setup: &PingSetup, bench: &Bench<Heard>) {
    let (mut written, mut back) = (Vec::new(), Vec::new());
    let payload = Payload::seeded(setup.seed, setup.messages * setup.size as u64);
    let mut sent = vec![0; bench.written.len()];
    payload.fill(0, &mut sent);
    assert!(bench.written == sent, "it sends its payload");
    let (mut sending, mut hearing, mut right, mut came) = (true, true, true, 0);
    let mut outstanding = 0;
    for (index, entry) in bench.record.iter().enumerate() {
        let machine = bench.after(index);
        let in_flight = machine.pinger.in_flight();
        assert!(in_flight <= setup.in_flight, "{in_flight} in flight");
        match &entry.happened {
            Happened::Told(Input::Data(bytes)) if hearing => {
                // A peer has nothing to send back but what was sent.
                let expected = &sent[came.min(sent.len())..];
                let good = expected.iter().zip(bytes).take_while(|(sent, came)| sent == came).count();
                came += good;
                right = good == bytes.len();
                hearing = right;
                back.resize(came / setup.size, entry.now);
            }
            Happened::Told(Input::Wrote(n)) => outstanding = usize::saturating_sub(outstanding, *n),
            Happened::Told(Input::Eof | Input::Abort | Input::Failed(_)) => {
                (sending, hearing) = (false, false);
            }
            Happened::Polled(Action::Write(bytes)) => {
                assert!(bytes.len().is_multiple_of(setup.size), "a part of a message");
                outstanding = bytes.len();
                written.resize(written.len() + bytes.len() / setup.size, entry.now);
            }
            Happened::Told(Input::Stop) | Happened::Polled(Action::ShutdownWrite) => sending = false,
            Happened::Polled(Action::Close { outcome, .. }) => {
                (sending, hearing) = (false, false);
                let counts = (machine.pinger.sent(), machine.pinger.received());
                assert_eq!((outcome.sent, outcome.received), counts);
                if matches!(outcome.verdict, Verdict::Verified | Verdict::Stopped) {
                    assert_eq!(
                        outcome.sent,
                        (machine.told.len() * setup.size) as u64,
                        "a message was omitted"
                    );
                }
            }
            Happened::Polled(Action::Wait(wait)) if sending && right && outstanding == 0 => {
                let begun = machine.pinger.begun();
                if let Some(due) = setup.due(begun, entry.now)
                    && machine.pinger.in_flight() < setup.in_flight
                {
                    assert!(due > entry.now, "message {begun} is due, and it waits");
                    assert!(wait.deadline.is_some_and(|at| at <= due), "it sleeps past message {begun}");
                }
            }
            Happened::Told(..) | Happened::Polled(_) => {}
        }
        assert_eq!(machine.pinger.begun(), written.len() as u64);
    }
    let told = &bench.machine.told;
    assert_eq!(told.len(), back.len(), "messages told of, and messages back");
    for (number, (now, trip)) in told.iter().enumerate() {
        assert_eq!((trip.sent, trip.back), (written[number], back[number]), "message {number}");
        assert_eq!(Some(trip.due), setup.due(number as u64, trip.sent), "message {number}");
        assert!(trip.due <= trip.sent && trip.sent <= trip.back && trip.back <= *now, "{trip:?} at {now:?}");
        assert_eq!(trip.took(), trip.back.since(trip.due));
        assert_eq!(trip.late(), trip.sent.since(trip.due));
    }
}
