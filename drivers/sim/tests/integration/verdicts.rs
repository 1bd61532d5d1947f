//! Each way in which a run can go wrong is told apart, with machines that go wrong in just that way.

use std::convert::Infallible;

use roundtrip_core::hub::{ConnectionId, Each};
use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{ConnectionOf, Draw, Moment, Reached, Run, Runner, Scenario, Setup, Violation};

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    NeverEnds,
    Spins,
    TicksForEver,
    Panics,
    WaitsForNothing,
}

/// Reads until the peer's end, then closes; a client half-closes at once and reads to the end.
struct Party {
    fault: Fault,
    is_client: bool,
    shut: bool,
    over: bool,
}

impl Machine for Party {
    type Command = Infallible;
    type Event = u32;
    type Outcome = ();

    fn handle(&mut self, _now: Time, input: Input) {
        match (self.fault, input) {
            (Fault::NeverEnds | Fault::TicksForEver, Input::Eof) => {}
            (Fault::Panics, Input::Eof) => panic!("a machine that panics"),
            (_, Input::Eof | Input::Failed(_) | Input::Abort | Input::Stop) => self.over = true,
            _ => {}
        }
    }

    fn poll(&mut self, now: Time) -> Action<u32, ()> {
        if self.over {
            return Action::Close { how: Teardown::Graceful, outcome: () };
        }
        if self.is_client && !self.shut {
            self.shut = true;
            return Action::ShutdownWrite;
        }
        match self.fault {
            Fault::Spins => Action::Event(1),
            Fault::TicksForEver => {
                let deadline = Some(now.after(std::time::Duration::from_nanos(1)));
                Action::Wait(Wait { read: 1, commands: 0, deadline })
            }
            Fault::NeverEnds => {
                let deadline = Some(now.after(std::time::Duration::from_secs(3600)));
                Action::Wait(Wait { read: 1, commands: 0, deadline })
            }
            Fault::WaitsForNothing => Action::Wait(Wait { read: 0, commands: 0, deadline: None }),
            Fault::Nothing | Fault::Panics => Action::Wait(Wait { read: 1, commands: 0, deadline: None }),
        }
    }
}

struct With {
    fault: Fault,
    violation: bool,
}

type Hub = Each<Box<dyn FnMut(Time, ConnectionId) -> Party>>;

impl Scenario for With {
    type Server = Hub;
    type Client = Hub;

    fn name(&self) -> &'static str {
        "verdicts"
    }

    fn build(&self, _draw: &mut Draw<'_>) -> (Setup, Hub, Hub) {
        let party = |fault, is_client| -> Hub {
            Each(Box::new(move |_now, _id| Party { fault, is_client, shut: false, over: false }))
        };
        let setup = Setup::default().max_events(10_000);
        (setup, party(Fault::Nothing, true), party(self.fault, false))
    }

    fn finished(&self, moment: &Moment<'_, Self>, _reached: &mut Reached) -> Result<(), Violation> {
        let connection: &ConnectionOf<Self> = moment.connection;
        assert!(connection.client().is_closed() && connection.server().is_closed());
        if self.violation { Err(Violation::new("an-invariant", "broken")) } else { Ok(()) }
    }
}

fn run(fault: Fault) -> Run {
    Runner::new(&With { fault, violation: false }).run(Seeded::new(1, Faults::NONE))
}

#[test]
fn nothing_wrong_passes() {
    assert_eq!(run(Fault::Nothing).verdict.id(), "pass");
}

#[test]
fn a_broken_invariant_is_named() {
    let run = Runner::new(&With { fault: Fault::Nothing, violation: true }).run(Seeded::new(1, Faults::NONE));
    assert_eq!((run.verdict.id(), run.verdict.found()), ("an-invariant", "broken"));
}

#[test]
fn a_session_that_never_ends_is_stuck_and_says_on_what() {
    let verdict = run(Fault::NeverEnds).verdict;
    assert_eq!(verdict.id(), "stuck");
    assert!(verdict.found().contains("server.0 waits with 0 bytes to write"), "{}", verdict.found());
}

#[test]
fn a_session_that_spins_is_a_livelock_within_one_event_and_over_many() {
    assert_eq!(run(Fault::Spins).verdict.id(), "livelock");
    assert_eq!(run(Fault::TicksForEver).verdict.id(), "livelock");
}

#[test]
fn a_panic_is_a_verdict_and_the_next_run_is_as_ever() {
    let scenario = With { fault: Fault::Panics, violation: false };
    let mut runner = Runner::new(&scenario);
    let first = runner.run(Seeded::new(1, Faults::NONE));
    assert_eq!(first.verdict.id(), "panic");
    let found = first.verdict.found();
    // What was said, where in the source, and at which end.
    assert!(found.starts_with("a machine that panics, ") && found.ends_with(", at server.0"), "{found}");
    assert!(found.contains("verdicts.rs:"), "{found}");
    assert_eq!(runner.run(Seeded::new(1, Faults::NONE)), first);
}

#[test]
fn a_breach_of_the_contract_has_its_number() {
    let verdict = run(Fault::WaitsForNothing).verdict;
    assert_eq!((verdict.id(), verdict.found()), ("I4", "a wait that nothing can end, at server.0"));
}
