//! The contract's own pieces: machines behind pointers, the tap, what a misuse says.

use std::sync::Arc;

use bytes::Bytes;
use roundtrip_core::hub::ConnectionId;
use roundtrip_core::layer::{Frames, LayerConfig, Layered};
use roundtrip_core::{Action, Driven, Input, Machine, Misuse, Observe, Step, Tap, Teardown, Time};
use roundtrip_echo::{EchoServer, ServerConfig, ServerOutcome};
use roundtrip_testkit::model::bench::Happened;
use roundtrip_testkit::model::op::{Op, ServerSetup};
use roundtrip_testkit::model::twin::Twin;

type Dyn<'a> = dyn Machine<Command = core::convert::Infallible, Event = core::convert::Infallible, Outcome = ServerOutcome>
    + 'a;

const NOW: Time = Time::from_nanos(3);

fn server() -> EchoServer {
    EchoServer::new(Arc::new(ServerConfig::default()), NOW)
}

/// Echoes one message and ends.
fn converse<M: Machine<Outcome = ServerOutcome>>(machine: M) -> (Vec<u8>, ServerOutcome) {
    let mut driven = Driven::new(machine);
    let mut unread = Bytes::from_static(b"message");
    let mut written = Vec::new();
    for _ in 0..20 {
        match driven.step(NOW) {
            Step::Write => {
                written.extend_from_slice(driven.pending());
                driven.wrote(NOW, driven.pending().len());
            }
            Step::ShutdownWrite | Step::Event(_) => {}
            Step::Wait(_) if unread.is_empty() => driven.eof(NOW),
            Step::Wait(_) => unread = driven.data(NOW, unread),
            Step::Close { outcome, .. } => return (written, outcome),
        }
    }
    panic!("no end");
}

#[test]
fn a_machine_is_driven_alike_as_a_value_by_reference_boxed_and_dynamic() {
    let expected = converse(server());
    assert_eq!(expected.0, b"message");
    assert_eq!(converse(&mut server()), expected);
    assert_eq!(converse(Box::new(server())), expected);
    let boxed: Box<Dyn<'static>> = Box::new(server());
    assert_eq!(converse(boxed), expected);
    let mut lent = server();
    let dynamic: &mut Dyn<'_> = &mut lent;
    assert_eq!(converse(dynamic), expected);
}

/// Discards what comes, or not, and adds up what it is told was unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deaf {
    discards: bool,
    unread: u64,
}

impl Machine for Deaf {
    type Command = core::convert::Infallible;
    type Event = core::convert::Infallible;
    type Outcome = ();

    fn handle(&mut self, _: Time, _: Input) {}

    fn poll(&mut self, _: Time) -> Action<core::convert::Infallible, ()> {
        Action::Close { how: Teardown::Graceful, outcome: () }
    }

    fn discards_input(&self) -> bool {
        self.discards
    }

    fn note_unread(&mut self, bytes: u64) {
        self.unread += bytes;
    }
}

/// Through a type parameter, so that it is the implementation for the pointer that is called.
fn discards(mut machine: impl Machine) -> bool {
    machine.note_unread(3);
    machine.discards_input()
}

#[test]
fn what_wraps_a_machine_answers_as_it_does() {
    for is_deaf in [false, true] {
        let machine = Deaf { discards: is_deaf, unread: 0 };
        let (mut lent, mut boxed) = (machine, Box::new(machine));
        assert_eq!(discards(&mut lent), is_deaf);
        assert_eq!(discards(&mut boxed), is_deaf);
        assert_eq!(discards(Box::new(machine)), is_deaf);
        assert_eq!((lent.unread, boxed.unread), (3, 3));
        assert_eq!(Tap::new(machine, ()).discards_input(), is_deaf);
        let layered = Layered::new(Frames::default(), machine, LayerConfig::default(), NOW);
        assert_eq!(layered.discards_input(), is_deaf);
    }
    assert!(!server().discards_input());
}

#[test]
fn a_connection_has_the_number_that_its_driver_gave_it() {
    assert_eq!(ConnectionId::new(7).number(), 7);
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Input(Time, Input),
    Action(Time, Action<core::convert::Infallible, ServerOutcome>),
}

#[derive(Clone, Debug, Default)]
struct Recorder(Vec<Seen>);

impl Observe<EchoServer> for Recorder {
    fn input(&mut self, now: Time, input: &Input) {
        self.0.push(Seen::Input(now, input.clone()));
    }

    fn action(&mut self, now: Time, action: &Action<core::convert::Infallible, ServerOutcome>) {
        self.0.push(Seen::Action(now, action.clone()));
    }
}

/// Leaves every method as it is.
#[derive(Clone, Copy, Debug, Default)]
struct Blind;

impl Observe<EchoServer> for Blind {}

#[test]
fn a_tap_changes_nothing_and_sees_everything_in_order() {
    let setup = ServerSetup {
        buffer: 8,
        chunk: 4,
        max_chunks: 2,
        idle: Some(9),
        half_close_idle: None,
        max_age: None,
        quiet: 2,
        drain: 5,
        linger: 3,
    };
    let ops = [
        Op::Settle,
        Op::Data(3),
        Op::Settle,
        Op::Data(1),
        Op::Wrote(2),
        Op::Settle,
        Op::Stop,
        Op::Settle,
        Op::WroteAll,
        Op::Settle,
        Op::AdvanceToDeadline,
        Op::Settle,
        Op::WroteAll,
        Op::Settle,
        Op::AdvanceToDeadline,
        Op::Settle,
        Op::Eof,
        Op::Settle,
    ];
    let twin = Twin::run(&setup, &ops);
    assert!(twin.bench.closed);
    let start = Time::from_nanos(1000);
    let mut tapped = Tap::new(EchoServer::new(setup.config(), start), Recorder::default());
    let mut blind = Tap::new(EchoServer::new(setup.config(), start), Blind);
    let mut expected = Vec::new();
    for entry in &twin.bench.record {
        match &entry.happened {
            Happened::Told(input) => {
                tapped.handle(entry.now, input.clone());
                blind.handle(entry.now, input.clone());
                expected.push(Seen::Input(entry.now, input.clone()));
            }
            Happened::Polled(action) => {
                assert_eq!(tapped.poll(entry.now), *action);
                assert_eq!(blind.poll(entry.now), *action);
                expected.push(Seen::Action(entry.now, action.clone()));
            }
        }
    }
    assert_eq!(tapped.observer().0, expected);
    let (machine, recorder) = tapped.into_parts();
    assert_eq!(machine, twin.bench.machine);
    assert_eq!(recorder.0, expected);
}

#[test]
fn a_misuse_says_whose_fault_it_is_and_what_was_done() {
    let misuse = Misuse::OverWrote { wrote: 3, outstanding: 2 };
    assert_eq!(misuse.to_string(), "driver misuse: 3 bytes reported written, 2 outstanding");
}

#[test]
fn times_count_from_the_epoch_and_back() {
    assert_eq!(Time::ZERO.as_nanos(), 0);
    assert_eq!(Time::from_nanos(5).as_nanos(), 5);
    assert_eq!(Time::MAX.as_nanos(), u64::MAX - 1);
    assert!(Time::from_nanos(u64::MAX - 2) < Time::MAX);
}
