//! The load's session, one rule at a time, and then whole runs against a peer that takes its time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quickcheck::quickcheck;
use roundtrip_core::{Action, Driven, Failure, Input, Machine, Step, Teardown, Time, Wait};
use roundtrip_echo::{
    ClientOutcome, Fault, FaultKind, Payload, PeerEnd, Pinger, PingerConfig, RoundTrip, Schedule, Verdict,
};

const SIZE: usize = 32;
const SEED: u64 = 7;
const TIMEOUT: Duration = Duration::from_micros(1);

const fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

const fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

fn config(in_flight: usize) -> PingerConfig {
    PingerConfig::default().size(SIZE).in_flight(in_flight).timeout(Some(TIMEOUT))
}

/// A pinger and what its driver remembers. It begins at 10, and the time passes only by `at`.
struct Ping {
    machine: Pinger,
    now: Time,
    sent: Vec<u8>,
    echoed: usize,
    shut: bool,
    told: Vec<RoundTrip>,
}

impl Ping {
    fn new(schedule: Schedule, in_flight: usize) -> Self {
        Self::with(schedule, config(in_flight))
    }

    fn with(schedule: Schedule, config: PingerConfig) -> Self {
        let machine = Pinger::new(Arc::new(config), schedule, SEED, at(10));
        Self { machine, now: at(10), sent: Vec::new(), echoed: 0, shut: false, told: Vec::new() }
    }

    fn at(&mut self, nanos: u64) -> &mut Self {
        self.now = at(nanos);
        self
    }

    fn tell(&mut self, input: Input) {
        self.machine.handle(self.now, input);
    }

    /// Polls until it waits or closes; the messages that were sent meanwhile, and the outcome if it closed.
    fn settle(&mut self) -> (usize, Result<Wait, (Teardown, ClientOutcome)>) {
        let mut messages = 0;
        loop {
            match self.machine.poll(self.now) {
                Action::Write(bytes) => {
                    assert!(!self.shut && bytes.len().is_multiple_of(SIZE));
                    messages += bytes.len() / SIZE;
                    self.tell(Input::Wrote(bytes.len()));
                    self.sent.extend_from_slice(&bytes);
                }
                Action::Event(round_trip) => self.told.push(round_trip),
                Action::ShutdownWrite => {
                    assert!(!self.shut);
                    self.shut = true;
                }
                Action::Wait(wait) => return (messages, Ok(wait)),
                Action::Close { how, outcome } => return (messages, Err((how, outcome))),
            }
        }
    }

    /// Settles in a wait: how many messages were sent, and the wait's deadline.
    fn wait(&mut self) -> (usize, Option<u64>) {
        let (messages, rest) = self.settle();
        let wait = rest.expect("a wait");
        assert_eq!((wait.read, wait.commands), (64 << 10, 0));
        (messages, wait.deadline.map(Time::as_nanos))
    }

    /// So many bytes come back.
    fn echo(&mut self, bytes: usize) -> &mut Self {
        let echo = Bytes::copy_from_slice(&self.sent[self.echoed..self.echoed + bytes]);
        self.echoed += bytes;
        self.tell(Input::Data(echo));
        self
    }

    fn verdict(&mut self) -> (Teardown, Verdict) {
        let (messages, rest) = self.settle();
        let (how, outcome) = rest.expect_err("a close");
        assert_eq!(messages, 0);
        assert_eq!(self.settle(), (0, Err((how, outcome))), "I3: the close is stable");
        (how, outcome.verdict)
    }

    fn fault(&mut self) -> Fault {
        let (how, verdict) = self.verdict();
        let Verdict::Faulty(fault) = verdict else { panic!("{verdict:?} is no fault") };
        assert_eq!(how, Teardown::Reset);
        fault
    }

    /// What was told: when each was due, sent and back.
    fn told(&mut self) -> Vec<(u64, u64, u64)> {
        let told = std::mem::take(&mut self.told);
        told.iter().map(|trip| (trip.due.as_nanos(), trip.sent.as_nanos(), trip.back.as_nanos())).collect()
    }
}

fn closed(messages: u64) -> Schedule {
    Schedule::closed_loop(at(10)).messages(messages)
}

fn open(period: u64, messages: u64) -> Schedule {
    Schedule::open_loop(at(20), nanos(period)).messages(messages)
}

const TIMED_OUT: FaultKind = FaultKind::TimedOut;

#[test]
fn a_closed_loop_sends_the_next_message_when_one_is_back() {
    let mut ping = Ping::new(closed(u64::MAX), 2);
    assert_eq!(ping.wait(), (2, Some(1010)));
    assert_eq!((ping.machine.begun(), ping.machine.in_flight()), (2, 2));
    // Half a message is none.
    assert_eq!(ping.at(12).echo(SIZE - 1).wait(), (0, Some(1012)));
    assert_eq!(ping.at(15).echo(1).wait(), (1, Some(1015)));
    assert_eq!(ping.told(), [(10, 10, 15)]);
    ping.at(17).echo(2 * SIZE);
    // Those that are back are not in flight, whether they are told of or not.
    assert_eq!(ping.machine.in_flight(), 0);
    assert_eq!(ping.wait(), (2, Some(1017)));
    assert_eq!(ping.told(), [(10, 10, 17), (15, 15, 17)]);
    assert_eq!((ping.machine.sent(), ping.machine.received()), (5 * 32, 3 * 32));
}

#[test]
fn an_open_loop_sends_when_a_message_is_due_and_not_before() {
    let mut ping = Ping::new(open(5, u64::MAX), 10);
    assert_eq!(ping.wait(), (0, Some(20)));
    assert_eq!(ping.at(19).wait(), (0, Some(20)));
    assert_eq!(ping.at(20).wait(), (1, Some(25)));
    assert_eq!(ping.at(22).echo(SIZE).wait(), (0, Some(25)));
    assert_eq!(ping.at(25).wait(), (1, Some(30)));
    assert_eq!(ping.at(26).echo(SIZE).wait(), (0, Some(30)));
    assert_eq!(ping.told(), [(20, 20, 22), (25, 25, 26)]);
}

/// The first has been awaited since 20, whatever is sent after it.
#[test]
fn a_write_that_begins_does_not_put_off_the_timeout() {
    let mut ping = Ping::new(open(900, u64::MAX), 10);
    assert_eq!(ping.at(20).wait(), (1, Some(920)));
    assert!(matches!(ping.machine.poll(at(920)), Action::Write(_)));
    let Action::Wait(wait) = ping.machine.poll(at(920)) else { panic!("not written yet") };
    assert_eq!(wait.deadline, Some(at(1020)));
}

/// The peer stalls from 25 to 50: the five messages that were due meanwhile count from when they were due.
#[test]
fn what_was_due_while_the_peer_stalled_counts_from_then() {
    let mut ping = Ping::new(open(5, 7), 1);
    assert_eq!(ping.at(20).wait(), (1, Some(1020)), "nothing can be sent before that one is back");
    assert_eq!(ping.at(21).echo(SIZE).wait(), (0, Some(25)));
    assert_eq!(ping.at(25).wait(), (1, Some(1025)));
    assert_eq!(ping.at(50).echo(SIZE).wait(), (1, Some(1050)));
    for now in [51, 52, 53, 54] {
        ping.at(now).echo(SIZE).wait();
    }
    assert_eq!(
        ping.told(),
        [(20, 20, 21), (25, 25, 50), (30, 50, 51), (35, 51, 52), (40, 52, 53), (45, 53, 54)]
    );
}

#[test]
fn a_closed_loop_does_not_see_the_stall_that_an_open_one_sees() {
    let mut ping = Ping::new(closed(u64::MAX), 1);
    ping.at(20).wait();
    ping.at(21).echo(SIZE).wait();
    ping.at(50).echo(SIZE).wait();
    ping.at(51).echo(SIZE).wait();
    assert_eq!(ping.told(), [(20, 20, 21), (21, 21, 50), (50, 50, 51)]);
}

#[test]
fn what_is_due_at_once_goes_out_in_one_write_of_at_most_64_kib() {
    for (size, in_flight, expected) in
        [(10_000, 100, 60_000), (100, 3, 300), (70_000, 5, 70_000), (32_768, 9, 65_536)]
    {
        let config = PingerConfig::default().size(size).in_flight(in_flight);
        let mut machine =
            Pinger::new(config.into(), Schedule::open_loop(at(0), nanos(1)), SEED, at(1_000_000));
        let Action::Write(bytes) = machine.poll(at(1_000_000)) else { panic!("no write") };
        assert_eq!(bytes.len(), expected);
    }
}

#[test]
fn it_sends_the_payload_of_its_seed() {
    let mut ping = Ping::new(closed(5), 5);
    ping.wait();
    let mut payload = vec![0; 5 * SIZE];
    Payload::seeded(SEED, 5 * SIZE as u64).fill(0, &mut payload);
    assert_eq!(ping.sent, payload);
}

#[test]
fn after_the_last_message_it_half_closes_and_waits_for_the_end() {
    let mut ping = Ping::new(closed(3), 2);
    ping.wait();
    ping.at(12).echo(SIZE);
    assert_eq!(ping.wait(), (1, Some(1012)));
    assert!(ping.shut);
    assert_eq!(ping.at(14).echo(2 * SIZE).wait(), (0, Some(1014)));
    ping.tell(Input::Eof);
    assert_eq!(ping.verdict(), (Teardown::Graceful, Verdict::Verified));
    assert_eq!(ping.told(), [(10, 10, 12), (10, 10, 14), (12, 12, 14)]);
}

#[test]
fn what_came_with_the_end_is_told_before_the_close() {
    let mut ping = Ping::new(closed(2), 2);
    ping.wait();
    ping.at(13).echo(2 * SIZE);
    ping.tell(Input::Eof);
    assert_eq!(ping.verdict(), (Teardown::Graceful, Verdict::Verified));
    assert_eq!(ping.told().len(), 2);
}

#[test]
fn without_a_half_close_it_closes_when_all_is_back() {
    let config = PingerConfig::default().size(SIZE).in_flight(2).half_close(false);
    let mut ping = Ping::with(closed(2), config);
    assert_eq!(ping.wait().0, 2);
    ping.echo(SIZE).wait();
    ping.echo(SIZE);
    assert_eq!(ping.verdict(), (Teardown::Graceful, Verdict::Verified));
    assert!(!ping.shut);
}

/// A driver may learn late that a write is through: what came back was sent.
#[test]
fn what_is_back_counts_as_sent() {
    let config = PingerConfig::default().size(SIZE).half_close(false);
    let mut machine = Pinger::new(config.into(), closed(1), SEED, at(10));
    let Action::Write(bytes) = machine.poll(at(10)) else { panic!("no write") };
    assert!(matches!(machine.poll(at(10)), Action::Wait(_)));
    machine.handle(at(11), Input::Data(bytes));
    assert!(matches!(machine.poll(at(11)), Action::Event(_)));
    machine.handle(at(11), Input::Eof);
    let Action::Close { how, outcome } = machine.poll(at(11)) else { panic!("no close") };
    let ClientOutcome { verdict, sent, received, .. } = outcome;
    assert_eq!((how, verdict, sent, received), (Teardown::Graceful, Verdict::Verified, 32, 32));
}

#[test]
fn no_message_is_due_from_its_time_on() {
    for (schedule, sent) in [(Schedule::closed_loop(at(10)), 1), (Schedule::open_loop(at(10), nanos(5)), 4)] {
        let until = Some(at(30));
        let mut ping = Ping::new(schedule.until(until), 1);
        assert_eq!(ping.wait().0, 1);
        // What was due before is sent, late as it is.
        ping.at(30).echo(SIZE);
        for _ in 1..sent {
            assert_eq!(ping.wait().0, 1);
            ping.echo(SIZE);
        }
        assert_eq!(ping.wait().0, 0);
        assert!(ping.shut);
        ping.tell(Input::Eof);
        assert_eq!(ping.verdict(), (Teardown::Graceful, Verdict::Verified));
        assert_eq!(ping.machine.begun(), sent);
    }
}

#[test]
fn the_time_out_counts_only_while_something_is_awaited() {
    let mut ping = Ping::new(open(5000, u64::MAX), 1);
    assert_eq!(ping.wait(), (0, Some(20)));
    assert_eq!(ping.at(20).wait(), (1, Some(1020)));
    assert_eq!(ping.at(30).echo(SIZE).wait(), (0, Some(5020)));
    // From when it was sent, not from the last byte.
    assert_eq!(ping.at(5020).wait(), (1, Some(6020)));
    assert_eq!(ping.at(6020).fault(), Fault { at: 32, kind: TIMED_OUT });
}

#[test]
fn the_time_out_counts_for_the_peers_end() {
    let mut ping = Ping::new(open(5000, u64::MAX), 1);
    ping.at(20).wait();
    assert_eq!(ping.at(21).echo(SIZE).wait(), (0, Some(5020)));
    ping.at(4000).tell(Input::Stop);
    assert_eq!(ping.wait(), (0, Some(5000)));
    assert_eq!(ping.at(5000).fault(), Fault { at: 32, kind: TIMED_OUT });
}

#[test]
fn a_wrong_byte_is_found_at_its_offset() {
    let mut ping = Ping::new(closed(100), 10);
    ping.wait();
    ping.sent[2 * SIZE + 3] ^= 1;
    ping.at(12).echo(5 * SIZE);
    assert_eq!(ping.fault(), Fault { at: 67, kind: FaultKind::Corrupted });
    // Those before it are back, and right.
    assert_eq!(ping.told(), [(10, 10, 12), (10, 10, 12)]);
}

#[test]
fn an_end_too_early_is_told_with_its_offset() {
    let endings: [(Input, PeerEnd); 2] =
        [(Input::Eof, PeerEnd::Fin), (Input::Failed(Failure::Reset), PeerEnd::Reset)];
    for (input, by) in endings {
        let mut ping = Ping::new(open(5, u64::MAX), 3);
        ping.at(20).wait();
        // Even if nothing is under way: the schedule is not over.
        ping.at(21).echo(SIZE);
        ping.tell(input);
        assert_eq!(ping.fault(), Fault { at: 32, kind: FaultKind::Truncated { by, after: None } });
        assert_eq!(ping.told(), [(20, 20, 21)]);
    }
}

#[test]
fn stopped_it_gets_back_what_is_under_way() {
    let mut ping = Ping::new(closed(100), 3);
    ping.wait();
    ping.tell(Input::Stop);
    ping.wait();
    assert!(ping.shut);
    ping.at(11).echo(3 * SIZE);
    ping.tell(Input::Eof);
    assert_eq!(ping.verdict(), (Teardown::Graceful, Verdict::Stopped));
    assert_eq!(ping.told().len(), 3);
}

#[test]
fn aborted_it_closes_at_once() {
    let mut ping = Ping::new(closed(100), 3);
    ping.wait();
    ping.tell(Input::Abort);
    assert_eq!(ping.verdict(), (Teardown::Reset, Verdict::Aborted));
}

/// Runs a pinger against a peer that holds what it gets for as long as `delays` say in turn, and gives it back in pieces
/// of the sizes that `pieces` say in turn; the round trips, what was sent, and what came of it.
fn run(
    schedule: Schedule,
    in_flight: usize,
    delays: &[u8],
    pieces: &[u8],
) -> (Vec<RoundTrip>, Vec<u8>, Verdict) {
    let take = |list: &[u8], turn: &mut usize, default: u64| {
        *turn += 1;
        if list.is_empty() { default } else { u64::from(list[*turn % list.len()]) }
    };
    let (mut delay_turn, mut piece_turn) = (0, 0);
    let config = PingerConfig::default().size(SIZE).in_flight(in_flight).timeout(None);
    let mut now = at(10);
    let mut session = Driven::new(Pinger::new(config.into(), schedule, SEED, now));
    let (mut told, mut sent) = (Vec::new(), Vec::new());
    // What is on its way back, and when it is there.
    let mut way: VecDeque<(Time, Bytes)> = VecDeque::new();
    let mut end = None;
    for _ in 0..100_000 {
        match session.step(now) {
            Step::Write => {
                let n = usize::try_from(take(pieces, &mut piece_turn, 64)).unwrap() + 1;
                let bytes = session.take(now, n);
                sent.extend_from_slice(&bytes);
                let after = now.after(nanos(take(delays, &mut delay_turn, 3)));
                let after = way.back().map_or(after, |(last, _)| after.max(*last));
                way.push_back((after, bytes));
            }
            Step::ShutdownWrite => end = Some(way.back().map_or(now, |(last, _)| *last)),
            Step::Event(round_trip) => told.push(round_trip),
            Step::Wait(wait) => {
                assert!(session.machine().in_flight() <= in_flight);
                let arrival = way.front().map(|(at, _)| *at).or(end);
                now = [arrival, wait.deadline].into_iter().flatten().min().unwrap().max(now);
                if way.front().is_some_and(|(at, _)| *at <= now) {
                    let (_, bytes) = way.pop_front().unwrap();
                    assert!(session.data(now, bytes).is_empty());
                } else if way.is_empty() && end.is_some_and(|end| end <= now) {
                    session.eof(now);
                }
                if !session.pending().is_empty() {
                    let bytes = session.take(now, usize::MAX);
                    sent.extend_from_slice(&bytes);
                    way.push_back((way.back().map_or(now, |(last, _)| now.max(*last)), bytes));
                }
            }
            Step::Close { outcome, .. } => return (told, sent, outcome.verdict),
        }
    }
    panic!("no end");
}

quickcheck! {
    /// Whatever the peer does: every message is told of once, in order, from when it was due; none is sent early.
    fn every_message_is_timed_from_when_it_was_due(
        period: Option<u8>, messages: u8, in_flight: u8, delays: Vec<u8>, pieces: Vec<u8>
    ) -> bool {
        let schedule = Schedule::closed_loop(at(20))
            .period(period.map(|period| nanos(u64::from(period) + 1)))
            .messages(u64::from(messages));
        let in_flight = usize::from(in_flight) + 1;
        let (told, sent, verdict) = run(schedule, in_flight, &delays, &pieces);
        let mut payload = vec![0; usize::from(messages) * SIZE];
        Payload::seeded(SEED, payload.len() as u64).fill(0, &mut payload);
        let dues = told.iter().enumerate().all(|(number, trip)| match schedule.period {
            Some(period) => trip.due == at(20).after(period * u32::try_from(number).unwrap()),
            None => trip.due == trip.sent,
        });
        verdict == Verdict::Verified
            && sent == payload
            && told.len() == usize::from(messages)
            && dues
            && told.iter().all(|trip| trip.due <= trip.sent && trip.sent <= trip.back)
            && told.windows(2).all(|pair| pair[0].sent <= pair[1].sent && pair[0].back <= pair[1].back)
    }

    /// Whatever was due while the peer stalled was not back before the stall was over, and says so.
    fn a_stall_is_never_hidden(at_message: u8, in_flight: u8) -> bool {
        let mut delays = vec![0; 50];
        delays[usize::from(at_message % 50)] = 255;
        let schedule = Schedule::open_loop(at(20), nanos(3)).messages(50);
        let (told, ..) = run(schedule, usize::from(in_flight) + 1, &delays, &[]);
        // A run of few writes need not come to the one that stalls.
        let stall = told.iter().find(|trip| trip.back.since(trip.sent) >= nanos(255));
        stall.is_none_or(|stall| {
            let due = told.iter().filter(|trip| (stall.sent..stall.back).contains(&trip.due));
            told.len() == 50 && due.clone().count() > 0 && due.clone().all(|trip| trip.back >= stall.back)
        })
    }
}
