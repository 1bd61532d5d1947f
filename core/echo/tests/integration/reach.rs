//! The random histories of `properties.rs` come to the states that the invariants are about. One seed, so that it
//! says the same each time.

use std::collections::{BTreeMap, BTreeSet};

use quickcheck::{Arbitrary, Gen};
use roundtrip_core::{Action, Input};
use roundtrip_echo::{EchoServer, End, Phase};
use roundtrip_testkit::model::bench::{Bench, Happened};
use roundtrip_testkit::model::op::{Served, ServerSetup};
use roundtrip_testkit::model::twin::Twin;

/// What can be said of a history, and in how many of 2000 it has to hold.
const STATES: [&str; 15] = [
    "full",
    "coalescing",
    "stop while full",
    "stop while something is held",
    "data discarded",
    "flushing after the cut",
    "flushing after the end",
    "draining",
    "lingering",
    "clean",
    "stopped, bytes dropped",
    "stopped, nothing dropped",
    "aborted",
    "timed out",
    "failed",
];
const AT_LEAST: u32 = 40;

fn states(setup: &ServerSetup, bench: &Bench<EchoServer>) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    for (entry, server) in bench.record.iter().zip(&bench.before) {
        let told = match &entry.happened {
            Happened::Told(input) => Some(input),
            Happened::Polled(_) => None,
        };
        let stop = told == Some(&Input::Stop) && server.phase() == Phase::Open;
        let cut = !entry.ended && matches!(server.phase(), Phase::Flushing | Phase::Lingering);
        let full = server.held() == setup.buffer;
        let flushing = server.phase() == Phase::Flushing;
        let data = matches!(told, Some(Input::Data(_)));
        for (holds, name) in [
            (full, "full"),
            (server.chunks() > setup.max_chunks, "coalescing"),
            (stop && full, "stop while full"),
            (stop && server.held() > 0, "stop while something is held"),
            (data && cut, "data discarded"),
            (flushing && cut, "flushing after the cut"),
            (flushing && entry.ended, "flushing after the end"),
            (server.phase() == Phase::Draining, "draining"),
            (server.phase() == Phase::Lingering, "lingering"),
        ] {
            seen.extend(holds.then_some(name));
        }
        if let Happened::Polled(Action::Close { outcome, .. }) = &entry.happened {
            seen.insert(match outcome.end {
                End::Clean => "clean",
                End::Stopped if outcome.dropped > 0 => "stopped, bytes dropped",
                End::Stopped => "stopped, nothing dropped",
                End::Aborted => "aborted",
                End::TimedOut(_) => "timed out",
                End::Failed(_) => "failed",
            });
        }
    }
    seen
}

#[test]
fn random_histories_reach_the_states_that_matter() {
    let mut g = Gen::from_size_and_seed(100, 24301);
    let mut reached = BTreeMap::<&str, u32>::new();
    for _ in 0..2000 {
        let case = Served::arbitrary(&mut g);
        for name in states(&case.setup, &Twin::run(&case.setup, &case.ops).bench) {
            *reached.entry(name).or_default() += 1;
        }
    }
    println!("of 2000 histories: {reached:?}");
    for name in STATES {
        let times = reached.get(name).copied().unwrap_or(0);
        assert!(times >= AT_LEAST, "only {times} of 2000 histories reach: {name}");
    }
}
