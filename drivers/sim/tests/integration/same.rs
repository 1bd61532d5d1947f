//! A run is the same, however it is run: recorded or not, in fresh memory or in that of others.
//!
//! A recorded run takes the long way everywhere, one that is not takes the short way where it can: so this also holds
//! the one against the other.

use crate::ping::PingPong;
use roundtrip_scenarios::Echo;
use roundtrip_sim::choose::{Family, Faults, Seeded};
use roundtrip_sim::{Runner, Scenario};

fn same_when_recorded(scenario: &impl Scenario, faults: Faults, seeds: u64) {
    let mut runner = Runner::new(scenario);
    for seed in 0..seeds {
        let run = runner.run(Seeded::new(seed, faults));
        let recording = runner.record(Seeded::new(seed, faults));
        assert_eq!(run, recording.run, "{} {seed} {faults:?}", scenario.name());
        assert!(!recording.lines.is_empty());
    }
}

/// Of the faults those that leave the short way open.
fn short() -> Faults {
    let long = [
        Family::Slow,
        Family::ShortIo,
        Family::Split,
        Family::Stall,
        Family::Reset,
        Family::Stop,
        Family::Abort,
    ];
    long.into_iter().fold(Faults::SWARM, Faults::without)
}

#[test]
fn a_recorded_run_is_the_same() {
    same_when_recorded(&Echo, short(), 500);
    same_when_recorded(&Echo, Faults::SWARM, 200);
    same_when_recorded(&Echo, Faults::ALL, 50);
    same_when_recorded(&Echo, Faults::NONE, 100);
    same_when_recorded(&PingPong { clients: 3, messages: 10 }, Faults::SWARM, 200);
    same_when_recorded(&PingPong { clients: 10, messages: 50 }, Faults::NONE, 1);
}

fn same_after_others(scenario: &impl Scenario) {
    let mut used = Runner::new(scenario);
    for seed in 0..1000 {
        used.run(Seeded::new(seed, Faults::SWARM));
    }
    let mut seeded = Seeded::new(0, Faults::SWARM);
    for seed in 990..1100 {
        seeded.reseed(seed, Faults::SWARM);
        let fresh = Runner::new(scenario).run(Seeded::new(seed, Faults::SWARM));
        assert_eq!(used.run(&mut seeded), fresh, "{} {seed}", scenario.name());
    }
}

#[test]
fn a_run_after_a_thousand_others_is_the_same() {
    same_after_others(&Echo);
    same_after_others(&PingPong { clients: 3, messages: 10 });
}
