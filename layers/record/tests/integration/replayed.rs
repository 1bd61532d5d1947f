//! What was recorded is replayed: the same on the same machines, and told where another one goes another way.

use std::sync::Arc;

use crate::common::{File, Session, echo, recorded, replay_echo, two_echoes};
use quickcheck::quickcheck;
use roundtrip_core::bytes::Bytes;
use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Action, Failure, Input, Machine, Tap, Teardown, Time, Wait};
use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, Payload};
use roundtrip_record::{CommandBytes, Divergence, Record, Recorder, ReplayErrorCause, Replayed};

#[test]
fn two_connections_at_once_are_the_same_again() {
    let record = two_echoes();
    let replayed = replay_echo(&record, 64).unwrap();
    assert_eq!((replayed.sessions, replayed.bytes, replayed.torn), (2, 17, None));
    let lines = |what: &str| {
        let text = String::from_utf8(record.clone()).unwrap();
        text.lines().filter(|line| line.contains(what)).count() as u64
    };
    assert_eq!((lines(" in "), lines(" out ")), (replayed.inputs, replayed.actions));
    assert!(replayed.inputs >= 10 && replayed.actions > 10, "{replayed:?}");
}

#[test]
fn the_first_line_says_what_was_recorded() {
    let record = two_echoes();
    let header = Record::open(&record[..]).unwrap().header().clone();
    assert_eq!((&*header.machine, &*header.config), ("test", "with a configuration"));
}

/// The line that the difference is in, and what stands in it.
fn divergence(record: &[u8], replayed: Result<Replayed, roundtrip_record::ReplayError>) -> Divergence {
    let error = replayed.unwrap_err();
    let ReplayErrorCause::Diverged(divergence) = error.cause else { panic!("{error}") };
    let rest = &record[usize::try_from(error.position.offset).unwrap()..];
    let line = std::str::from_utf8(rest).unwrap().lines().next().unwrap();
    let number = record[..record.len() - rest.len()].split(|byte| *byte == b'\n').count();
    assert_eq!(number as u64, error.position.line);
    let (connection, at) = (divergence.connection.number(), divergence.at.as_nanos());
    let expected = format!("{connection} {at} out {} ", divergence.recorded);
    assert!(line.starts_with(&expected), "{line}: {divergence:?}");
    divergence
}

#[test]
fn another_configuration_diverges_at_the_first_action_that_it_changes() {
    let record = two_echoes();
    let Divergence { connection, recorded, replayed, .. } = divergence(&record, replay_echo(&record, 63));
    assert_eq!((connection.number(), &*recorded, &*replayed), (1, "wait 64 0 -", "wait 63 0 -"));
}

/// An echo server that goes wrong in one of its actions.
struct Wrong(EchoServer, fn(Bytes) -> Bytes);

impl Machine for Wrong {
    type Command = <EchoServer as Machine>::Command;
    type Event = <EchoServer as Machine>::Event;
    type Outcome = <EchoServer as Machine>::Outcome;

    fn handle(&mut self, now: Time, input: Input) {
        self.0.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> Action<Self::Event, Self::Outcome> {
        match self.0.poll(now) {
            Action::Write(bytes) => Action::Write((self.1)(bytes)),
            other @ (Action::ShutdownWrite | Action::Event(_) | Action::Wait(_) | Action::Close { .. }) => {
                other
            }
        }
    }
}

#[test]
fn a_bug_in_one_byte_of_one_write_diverges_there() {
    let record = two_echoes();
    let flips = |bytes: Bytes| {
        let mut bytes = bytes.to_vec();
        if bytes.starts_with(b" a") {
            bytes[3] ^= 1;
        }
        Bytes::from(bytes)
    };
    let wrong = |opened: &roundtrip_record::Opened| Wrong(echo(64, opened.at), flips);
    let found = divergence(&record, Record::open(&record[..]).unwrap().replay(wrong));
    assert_eq!(found.connection.number(), 1);
    assert!(found.recorded.starts_with("write 7 ") && found.replayed.starts_with("write 7 "), "{found:?}");
}

#[test]
fn a_client_and_its_verdict_are_the_same_again() {
    let make = |seed, now| {
        let payload = Payload::seeded(seed, 50);
        EchoClient::new(Arc::new(ClientConfig::default()), payload, now)
    };
    let record = recorded(|recorder| {
        let mut session = Session::open(recorder, 1, 0, |now| make(7, now));
        session.settle(20);
        let sent = {
            let mut bytes = vec![0; 50];
            Payload::seeded(7, 50).fill(0, &mut bytes);
            bytes
        };
        session.read(&sent);
        session.read(b"");
        session.settle(1);
    });
    let replay = |seed| Record::open(&record[..]).unwrap().replay(|opened| make(seed, opened.at));
    assert_eq!(replay(7).unwrap().bytes, 50);
    assert!(divergence(&record, replay(8)).recorded.starts_with("write 50 "));
}

/// Adds up what it is told to, tells every sum, and ends above a hundred.
#[derive(Default)]
struct Adder {
    sum: u64,
    untold: bool,
    /// What goes wrong with it.
    planted: bool,
}

#[derive(Debug)]
struct Add(u8);

impl CommandBytes for Add {
    fn to_bytes(&self) -> Vec<u8> {
        vec![self.0]
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 1]>::try_from(bytes).ok().map(|[number]| Self(number))
    }
}

impl Machine for Adder {
    type Command = Add;
    type Event = String;
    type Outcome = u64;

    fn handle(&mut self, _now: Time, input: Input<Add>) {
        match input {
            Input::Command(Add(number)) => {
                self.sum += u64::from(number);
                self.untold = true;
            }
            Input::Failed(Failure::Reset) if !self.planted => self.sum = 1000,
            Input::Data(_) | Input::Eof | Input::Wrote(_) | Input::Stop | Input::Abort | Input::Failed(_) => {
            }
        }
    }

    fn poll(&mut self, _now: Time) -> Action<String, u64> {
        if std::mem::take(&mut self.untold) {
            return Action::Event(format!("the sum\nis {}", self.sum));
        }
        if self.sum > 100 {
            return Action::Close { how: Teardown::Reset, outcome: self.sum };
        }
        Action::Wait(Wait { read: 0, commands: 3, deadline: Some(Time::MAX) })
    }
}

/// What the adder is recorded with when it is given these.
fn added(inputs: impl IntoIterator<Item = Input<Add>>) -> Vec<u8> {
    recorded(|recorder| {
        let observer = recorder.open(ConnectionId::new(3), Time::ZERO);
        let mut tap = Tap::new(Adder::default(), observer);
        let _ = tap.poll(Time::ZERO);
        for (at, input) in (1..).zip(inputs) {
            let now = Time::from_nanos(at);
            tap.handle(now, input);
            while let Action::Event(_) = tap.poll(now) {}
        }
    })
}

fn replay_adder(record: &[u8], planted: bool) -> Result<Replayed, roundtrip_record::ReplayError> {
    Record::open(record)?.replay(|_| Adder { planted, ..Adder::default() })
}

#[test]
fn commands_events_and_outcomes_are_the_same_again() {
    let record = added([5, 7, 255].map(|number| Input::Command(Add(number))));
    assert_eq!(replay_adder(&record, false).unwrap().inputs, 3);
    let text = String::from_utf8(record).unwrap();
    assert!(text.contains("the sum\\\\nis 12\\\""), "{text}");
    assert!(text.contains("out close reset "), "{text}");
}

#[test]
fn every_kind_of_failure_is_told_apart() {
    let record = added([Failure::Truncated, Failure::Io, Failure::Reset].map(Input::Failed));
    assert!(replay_adder(&record, false).is_ok());
    let found = divergence(&record, replay_adder(&record, true));
    assert!(found.recorded.starts_with("close reset ") && found.replayed.starts_with("wait "), "{found:?}");
}

/// What `Driven` would not have passed on: the record is a forger's, or of a driver without it.
#[test]
fn an_input_that_the_machine_did_not_ask_for_is_refused() {
    let command = |number| Input::Command(Add(number));
    for inputs in [
        vec![Input::Data(Bytes::new())],
        vec![Input::Data(Bytes::from_static(b"beyond the credit of 0"))],
        vec![Input::Wrote(0)],
        vec![Input::Wrote(1)],
        vec![Input::Eof, Input::Eof],
        vec![Input::Abort, command(1)],
        vec![command(1), command(1), command(1), command(1)],
    ] {
        let last = inputs.len() - 1;
        let record = recorded(|recorder| {
            let observer = recorder.open(ConnectionId::new(3), Time::ZERO);
            let mut tap = Tap::new(Adder::default(), observer);
            while let Action::Event(_) = tap.poll(Time::ZERO) {}
            for input in inputs {
                tap.handle(Time::ZERO, input);
            }
        });
        let error = replay_adder(&record, false).unwrap_err();
        assert!(matches!(error.cause, ReplayErrorCause::Misuse), "{error}");
        assert_eq!(error.position.line, 4 + last as u64, "{error}");
    }
}

quickcheck! {
    fn whatever_two_echo_servers_are_given_they_replay(ops: Vec<(bool, u8, u8)>) -> bool {
        let record = recorded(|recorder| {
            let mut sessions = [1, 2].map(|id| Some(Session::open(recorder, id, id, |now| echo(300, now))));
            for (first, what, n) in ops {
                let slot = &mut sessions[usize::from(first)];
                let Some(session) = slot else { continue };
                match what % 16 {
                    0 => session.driven.eof(session.now),
                    1 => session.driven.stop(session.now),
                    2 if n % 8 == 0 => session.driven.abort(session.now),
                    3 if n % 8 == 0 => session.driven.failed(session.now, Failure::Reset),
                    4 if n % 8 == 0 => *slot = None,
                    5..8 => session.settle(usize::from(n.max(1))),
                    8 => session.now = session.driven.deadline().unwrap_or(session.now).max(session.now),
                    _ => {
                        let _ = session.driven.step(session.now);
                        let _ = session.driven.data(session.now, Bytes::from(vec![what; usize::from(n)]));
                    }
                }
            }
        });
        replay_echo(&record, 300).is_ok_and(|replayed| replayed.torn.is_none())
    }
}

/// A panic leaves a record that ends with what led to it.
#[test]
fn a_record_that_nobody_finished_is_replayed_as_far_as_it_goes() {
    let file = File::default();
    let recorder = Recorder::new(file.clone(), "test", "").unwrap();
    let mut session = Session::open(&recorder, 1, 0, |now| echo(64, now));
    session.read(b"abc");
    drop((session, recorder));
    let record = file.bytes();
    let replayed = replay_echo(&record, 64).unwrap();
    let torn = replayed.torn.unwrap();
    let lines = record.split(|byte| *byte == b'\n').count();
    assert_eq!((torn.offset, torn.line), (record.len() as u64, lines as u64));
    assert_eq!((replayed.inputs, replayed.bytes), (1, 3));
}

/// Whoever is still connected when the record ends is not in it any more.
#[test]
fn a_connection_may_outlive_the_record() {
    let file = File::default();
    let recorder = Recorder::new(file.clone(), "test", "").unwrap();
    let mut session = Session::open(&recorder, 1, 0, |now| echo(64, now));
    recorder.finish().unwrap();
    let length = file.bytes().len();
    session.read(b"abc");
    drop(session);
    assert_eq!(file.bytes().len(), length);
    assert_eq!(replay_echo(&file.bytes(), 64).unwrap().inputs, 0);
}

#[test]
fn a_header_that_is_no_line_is_refused() {
    let long = "x".repeat(70_000);
    for (machine, config) in [("", ""), ("two words", ""), ("a\n", ""), ("a", "b\nc"), ("a", &long)] {
        let refused = Recorder::new(std::io::sink(), machine, config).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput, "{machine} {config}");
    }
}
