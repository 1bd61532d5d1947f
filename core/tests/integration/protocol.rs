//! Message protocols: what a session does for them, one rule at a time, and that the cuts of the stream do not matter.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use quickcheck::quickcheck;
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig, SessionEnd, SessionOutcome};
use roundtrip_core::{Action, Driven, Failure, Input, Machine, Step, Teardown, Time, Wait};

/// Lines, given back in capitals. `quit` ends the session after its answer, `tell` tells the application, and what is too
/// long is answered with `long`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Lines {
    told: u32,
    welcome: usize,
}

impl Protocol for Lines {
    type Command = &'static str;
    type Event = String;

    fn receive(&mut self, _now: Time, io: &mut Io<'_, String>) -> Need {
        while let Some(end) = io.inbox().iter().position(|byte| *byte == b'\n') {
            if io.room() == 0 {
                return Need::Room;
            }
            let line = io.inbox().split_to(end);
            io.inbox().advance(1);
            if line == "tell" {
                self.told += 1;
                io.event(format!("told {}", self.told));
            }
            io.outbox().extend_from_slice(&line.to_ascii_uppercase());
            io.outbox().extend_from_slice(b"\n");
            if line == "quit" {
                io.finish();
                break;
            }
        }
        Need::Bytes
    }

    fn command_capacity(&self) -> usize {
        self.welcome
    }

    fn command(&mut self, _now: Time, command: &'static str, io: &mut Io<'_, String>) {
        io.outbox().extend_from_slice(command.as_bytes());
        if command == "last" {
            io.finish();
        }
    }

    fn on_message_too_large(&mut self, _now: Time, io: &mut Io<'_, String>) {
        io.outbox().extend_from_slice(b"long\n");
    }

    fn ended(&mut self, _now: Time, end: SessionEnd, io: &mut Io<'_, String>) {
        io.event(format!("{end:?}"));
    }
}

const NOW: Time = Time::from_nanos(5);

fn session(inbox: usize, outbox: usize) -> Session<Lines> {
    let config = SessionConfig::default()
        .inbox(inbox)
        .outbox(outbox)
        .idle(Some(Duration::from_nanos(100)))
        .linger(Duration::from_nanos(10));
    Session::new(Lines { told: 0, welcome: 2 }, Arc::new(config), NOW)
}

/// A session and what its driver knows, at 5 ns.
struct Bench(Session<Lines>);

impl Bench {
    fn new(inbox: usize, outbox: usize) -> Self {
        let mut bench = Self(session(inbox, outbox));
        bench.wait();
        bench
    }

    fn tell(&mut self, input: Input<&'static str>) -> &mut Self {
        self.0.handle(NOW, input);
        self
    }

    fn data(&mut self, text: &'static str) -> &mut Self {
        self.tell(Input::Data(Bytes::from_static(text.as_bytes())))
    }

    /// Bytes in the inbox.
    fn unread(&self) -> usize {
        let mut copy = self.0.clone();
        copy.handle(NOW, Input::Abort);
        loop {
            if let Action::Close { outcome, .. } = copy.poll(NOW) {
                return outcome.unread;
            }
        }
    }

    fn wait(&mut self) -> Wait {
        let action = self.0.poll(NOW);
        let Action::Wait(wait) = action else { panic!("{action:?} is no wait") };
        wait
    }

    fn write(&mut self) -> Bytes {
        let action = self.0.poll(NOW);
        let Action::Write(bytes) = action else { panic!("{action:?} is no write") };
        bytes
    }

    fn event(&mut self) -> String {
        let action = self.0.poll(NOW);
        let Action::Event(event) = action else { panic!("{action:?} is no event") };
        event
    }

    fn half_closes(&mut self) -> &mut Self {
        assert_eq!(self.0.poll(NOW), Action::ShutdownWrite);
        self
    }

    fn close(&mut self, now: Time) -> (Teardown, SessionOutcome) {
        let told = self.0.poll(now);
        let Action::Event(end) = told else { panic!("{told:?} is no event") };
        let action = self.0.poll(now);
        let Action::Close { how, outcome } = action else { panic!("{action:?} is no close") };
        assert_eq!(end, format!("{:?}", outcome.end), "the protocol hears of its end");
        (how, outcome)
    }
}

/// An outcome's end, and the bytes received, sent, unread and unsent.
fn counted(outcome: SessionOutcome) -> (SessionEnd, u64, u64, usize, usize) {
    let SessionOutcome { end, received, sent, unread, unsent, .. } = outcome;
    (end, received, sent, unread, unsent)
}

#[test]
fn whole_messages_are_answered_and_the_rest_waits() {
    let mut bench = Bench::new(100, 100);
    assert_eq!(bench.data("one\ntwo\nthr").write(), "ONE\nTWO\n");
    assert_eq!(bench.tell(Input::Wrote(8)).wait().read, 97);
    assert_eq!(bench.data("ee\n").write(), "THREE\n");
    assert_eq!(bench.0.held(), 6);
}

#[test]
fn without_room_for_replies_none_is_made_and_reading_goes_on_until_the_inbox_is_full() {
    let mut bench = Bench::new(20, 4);
    assert_eq!(bench.data("one\ntwo\nthree\n").write(), "ONE\n");
    let wait = bench.wait();
    assert_eq!((wait.read, wait.commands), (10, 0));
    assert_eq!(bench.data("four\nfive\n").wait().read, 0);
    // A part of it written is room for the next one.
    assert_eq!(bench.tell(Input::Wrote(1)).wait().read, 4);
    assert_eq!(bench.tell(Input::Wrote(3)).write(), "TWO\n");
    for line in ["THREE\n", "FOUR\n", "FIVE\n"] {
        assert_eq!(bench.tell(Input::Wrote(bench.0.held() - bench.unread())).write(), line);
    }
    let wait = bench.tell(Input::Wrote(5)).wait();
    assert_eq!((wait.read, wait.commands), (20, 2));
}

#[test]
fn after_the_peers_end_what_is_whole_is_answered_first() {
    let mut bench = Bench::new(100, 4);
    assert_eq!(bench.data("one\ntwo\nrest").tell(Input::Eof).write(), "ONE\n");
    assert_eq!(bench.wait().read, 0);
    assert_eq!(bench.tell(Input::Wrote(4)).write(), "TWO\n");
    let (how, outcome) = bench.tell(Input::Wrote(4)).half_closes().close(NOW);
    assert_eq!((how, counted(outcome)), (Teardown::Graceful, (SessionEnd::Clean, 12, 8, 4, 0)));
}

#[test]
fn its_own_end_is_a_half_close_and_a_wait_for_the_peers() {
    let mut bench = Bench::new(100, 100);
    assert_eq!(bench.data("quit\nmore\n").write(), "QUIT\n");
    bench.tell(Input::Wrote(5)).half_closes();
    let wait = bench.wait();
    assert_eq!((wait.read, wait.deadline), (100, Some(Time::from_nanos(15))));
    bench.data("and more\n").wait();
    let (how, outcome) = bench.tell(Input::Eof).close(NOW);
    assert_eq!((how, counted(outcome)), (Teardown::Graceful, (SessionEnd::Finished, 19, 5, 5, 0)));
    // Or for so long.
    let mut bench = Bench::new(100, 100);
    bench.data("quit\n").write();
    bench.tell(Input::Wrote(5)).half_closes().wait();
    assert_eq!(bench.close(Time::from_nanos(15)).1.end, SessionEnd::Finished);
}

#[test]
fn a_message_that_is_too_large_is_answered_and_ends_it() {
    let mut bench = Bench::new(4, 100);
    assert_eq!(bench.data("abc").wait().read, 1);
    assert_eq!(bench.data("d").write(), "long\n");
    let (_, outcome) = bench.tell(Input::Wrote(5)).half_closes().tell(Input::Eof).close(NOW);
    assert_eq!((outcome.end, outcome.unread), (SessionEnd::Finished, 4));
    // One that fills the inbox to the last byte is not.
    let mut bench = Bench::new(4, 100);
    assert_eq!(bench.data("abc\n").write(), "ABC\n");
}

/// Says something first, and no more if it is told so.
struct Greeter(bool);

impl Protocol for Greeter {
    type Command = ();
    type Event = String;

    fn begin(&mut self, now: Time, io: &mut Io<'_, String>) {
        io.event(format!("began at {now:?}"));
        io.outbox().extend_from_slice(b"220 ready\n");
        if self.0 {
            io.finish();
        }
    }

    fn receive(&mut self, _now: Time, io: &mut Io<'_, String>) -> Need {
        io.inbox().clear();
        Need::Bytes
    }
}

#[test]
fn whoever_greets_does_so_before_anything_came() {
    for finishes in [false, true] {
        let mut session = Driven::new(Session::new(Greeter(finishes), Arc::default(), NOW));
        assert_eq!(session.step(NOW), Step::Event("began at 0.000000005s".to_owned()));
        assert_eq!(session.step(NOW), Step::Write);
        assert_eq!(session.pending(), b"220 ready\n");
        session.wrote(NOW, 10);
        assert_eq!(matches!(session.step(NOW), Step::ShutdownWrite), finishes);
    }
}

#[test]
fn events_and_commands_pass() {
    let mut bench = Bench::new(100, 100);
    assert_eq!(bench.data("tell\ntell\n").event(), "told 1");
    assert_eq!((bench.event(), bench.write()), ("told 2".to_owned(), "TELL\nTELL\n".into()));
    bench.tell(Input::Wrote(10)).wait();
    assert_eq!(bench.tell(Input::Command("hi\n")).tell(Input::Command("ho\n")).write(), "hi\nho\n");
    bench.tell(Input::Wrote(6)).wait();
    assert_eq!(bench.tell(Input::Command("last")).write(), "last");
    bench.tell(Input::Wrote(4)).half_closes();
    assert_eq!(bench.wait().commands, 0);
}

#[test]
fn a_stop_answers_what_came_and_takes_nothing_new() {
    let mut bench = Bench::new(100, 100);
    assert_eq!(bench.data("one\n").tell(Input::Stop).write(), "ONE\n");
    bench.wait();
    bench.data("two\n").tell(Input::Wrote(4)).half_closes();
    let (how, outcome) = bench.tell(Input::Eof).close(NOW);
    assert_eq!((how, outcome.end, outcome.unsent), (Teardown::Graceful, SessionEnd::Stopped, 0));
}

#[test]
fn once_stopped_it_ends_though_its_peer_takes_nothing() {
    let config = SessionConfig::default().idle(None).linger(Duration::from_nanos(10));
    let mut bench = Bench(Session::new(Lines::default(), Arc::new(config), NOW));
    bench.wait();
    assert_eq!(bench.data("one\n").write(), "ONE\n");
    assert_eq!(bench.wait().deadline, None);
    let at = |nanos| Time::from_nanos(nanos);
    bench.0.handle(at(7), Input::Stop);
    // What it sends does not count, what it takes does.
    let Action::Wait(wait) = bench.0.poll(at(7)) else { panic!("there is a write outstanding") };
    assert_eq!(wait.deadline, Some(at(17)));
    bench.0.handle(at(8), Input::Wrote(1));
    bench.0.handle(at(9), Input::Data(Bytes::from_static(b"two\n")));
    let Action::Wait(wait) = bench.0.poll(at(9)) else { panic!("there is a write outstanding") };
    assert_eq!(wait.deadline, Some(at(18)));
    let (how, outcome) = bench.close(at(18));
    assert_eq!((how, outcome.end, outcome.unsent), (Teardown::Reset, SessionEnd::Idle, 3));
}

/// What it was about to end with by itself is written in bounded time as well.
#[test]
fn stopped_after_its_own_end_it_ends_though_its_peer_takes_nothing() {
    let config = SessionConfig::default().idle(None).linger(Duration::from_nanos(10));
    let mut bench = Bench(Session::new(Lines::default(), Arc::new(config), NOW));
    bench.wait();
    assert_eq!(bench.data("quit\n").write(), "QUIT\n");
    assert_eq!(bench.wait().deadline, None);
    let at = |nanos| Time::from_nanos(nanos);
    bench.0.handle(at(7), Input::Stop);
    let Action::Wait(wait) = bench.0.poll(at(7)) else { panic!("there is a write outstanding") };
    assert_eq!(wait.deadline, Some(at(17)));
    let mut reads = Bench(bench.0.clone());
    let (how, outcome) = bench.close(at(17));
    assert_eq!((how, outcome.end, outcome.unsent), (Teardown::Reset, SessionEnd::Idle, 5));
    // With one that does, the end is its own.
    reads.tell(Input::Wrote(5)).half_closes();
    assert_eq!(reads.tell(Input::Eof).close(NOW).1.end, SessionEnd::Finished);
}

/// Asks the application, whose answers come as commands; one question at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Asker {
    open: bool,
}

impl Protocol for Asker {
    type Command = &'static str;
    type Event = Bytes;

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Bytes>) -> Need {
        if !self.open && !io.inbox().is_empty() {
            let question = io.inbox().split_to(1).freeze();
            io.event(question);
            self.open = true;
        }
        if self.open && (io.peer_ended() || !io.inbox().is_empty()) { Need::Command } else { Need::Bytes }
    }

    fn command_capacity(&self) -> usize {
        usize::from(self.open)
    }

    fn command(&mut self, _now: Time, answer: &'static str, io: &mut Io<'_, Bytes>) {
        self.open = false;
        io.outbox().extend_from_slice(answer.as_bytes());
    }
}

#[test]
fn a_protocol_that_needs_a_command_is_not_ended_by_its_peer_before_its_answers() {
    let config = SessionConfig::default().inbox(2);
    let mut session = Session::new(Asker::default(), Arc::new(config), NOW);
    let mut step = |input: Option<Input<&'static str>>| {
        if let Some(input) = input {
            session.handle(NOW, input);
        }
        session.poll(NOW)
    };
    let wait = |read, commands| Action::Wait(Wait { read, commands, deadline: None });
    assert_eq!(step(None), wait(2, 0));
    assert_eq!(step(Some(Input::Data(Bytes::from_static(b"ab")))), Action::Event(Bytes::from_static(b"a")));
    assert_eq!(step(None), wait(1, 1));
    // As many bytes as it holds are no message that is too large, and the peer's end is not its own.
    assert_eq!(step(Some(Input::Data(Bytes::from_static(b"c")))), wait(0, 1));
    assert_eq!(step(Some(Input::Eof)), wait(0, 1));
    assert_eq!(step(Some(Input::Command("A"))), Action::Event(Bytes::from_static(b"b")));
    assert_eq!(step(None), Action::Write(Bytes::from_static(b"A")));
    assert_eq!(step(Some(Input::Wrote(1))), wait(0, 1));
    assert_eq!(step(Some(Input::Command("B"))), Action::Event(Bytes::from_static(b"c")));
    assert_eq!(step(None), Action::Write(Bytes::from_static(b"B")));
    assert_eq!(step(Some(Input::Wrote(1))), wait(0, 1));
    assert_eq!(step(Some(Input::Command("C"))), Action::Write(Bytes::from_static(b"C")));
    assert_eq!(step(Some(Input::Wrote(1))), Action::ShutdownWrite);
    let Action::Close { how: Teardown::Graceful, outcome } = step(None) else { panic!("it has ended") };
    assert_eq!((outcome.end, outcome.unread), (SessionEnd::Clean, 0));
}

#[test]
fn idle_abort_and_failure_end_it_at_once() {
    let mut bench = Bench::new(100, 100);
    bench.data("one\n").write();
    assert_eq!(bench.wait().deadline, Some(Time::from_nanos(105)));
    let (how, outcome) = bench.close(Time::from_nanos(105));
    assert_eq!((how, outcome.end, outcome.unsent), (Teardown::Reset, SessionEnd::Idle, 4));
    for (input, end) in [
        (Input::Abort, SessionEnd::Aborted),
        (Input::Failed(Failure::Reset), SessionEnd::Failed(Failure::Reset)),
    ] {
        let mut bench = Bench::new(100, 100);
        assert_eq!(bench.data("one\n").tell(input).close(NOW).1.end, end);
        bench.data("two\n");
        assert!(matches!(bench.0.poll(NOW), Action::Close { .. }), "I3");
    }
}

/// Bounds of nothing are bounds of the least.
#[test]
fn limits_of_zero_neither_spin_nor_stall() {
    let config =
        SessionConfig::default().inbox(0).outbox(0).idle(Some(Duration::ZERO)).linger(Duration::ZERO);
    let mut session = Driven::new(Session::new(Lines::default(), Arc::new(config), NOW));
    assert!(matches!(session.step(NOW), Step::Wait(Wait { read: 1, .. })));
    assert!(session.data(NOW, Bytes::from_static(b"\n")).is_empty());
    let Step::Write = session.step(NOW) else { panic!("no write") };
    session.wrote(NOW, 1);
    assert!(matches!(session.step(NOW), Step::Wait(Wait { read: 1, .. })));
}

/// Feeds `text` in pieces of the sizes that `cuts` say in turn, takes writes in pieces likewise; what was written, what
/// was told, and the outcome.
fn run(text: &[u8], outbox: usize, cuts: &[u8]) -> (Vec<u8>, Vec<String>, SessionOutcome) {
    let mut turn = 0;
    let mut next = || {
        turn += 1;
        cuts.get(turn % cuts.len().max(1)).map_or(usize::MAX, |cut| usize::from(*cut) + 1)
    };
    let mut session = Driven::new(session(16, outbox));
    let (mut unread, mut written, mut told) = (Bytes::copy_from_slice(text), Vec::new(), Vec::new());
    for _ in 0..100_000 {
        assert!(session.machine().held() <= 16 + outbox + 17, "bounded memory");
        match session.step(NOW) {
            Step::Write | Step::ShutdownWrite => {}
            Step::Event(event) => told.push(event),
            Step::Close { outcome, .. } => return (written, told, outcome),
            Step::Wait(wait) => {
                if !session.pending().is_empty() {
                    written.extend_from_slice(&session.take(NOW, next()));
                } else if wait.read > 0 && !unread.is_empty() {
                    let piece = unread.split_to(next().min(wait.read).min(unread.len()));
                    assert!(session.data(NOW, piece).is_empty());
                } else {
                    session.eof(NOW);
                }
            }
        }
    }
    panic!("no end");
}

quickcheck! {
    /// I9, and what is answered is what a simple reading of the text gives.
    fn how_the_stream_is_cut_changes_nothing(lines: Vec<(u8, bool)>, outbox: u8, cuts: Vec<u8>) -> bool {
        let mut text = Vec::new();
        for (length, tell) in lines {
            let line = if tell { b"tell".to_vec() } else { vec![b'a' + length % 26; usize::from(length % 17)] };
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
        let outbox = usize::from(outbox) + 1;
        let mut expected = Vec::new();
        let mut whole = true;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            // It must fit into the inbox with its end.
            whole &= line.len() <= 16;
            if whole {
                expected.extend_from_slice(&line.to_ascii_uppercase());
            }
        }
        if !whole {
            expected.extend_from_slice(b"long\n");
        }
        let (written, told, outcome) = run(&text, outbox, &cuts);
        let end = if whole { SessionEnd::Clean } else { SessionEnd::Finished };
        let (again, told_again, _) = run(&text, outbox, &[]);
        written == expected && outcome.end == end && outcome.unsent == 0 && again == written && told == told_again
    }
}
