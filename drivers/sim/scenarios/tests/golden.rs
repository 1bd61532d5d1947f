//! The hashes of 64 seeds of each scenario, in every build and release: they change only when the model, a machine or a
//! scenario does, and then on purpose. The package `roundtrip-optimized` runs it in release as well.
//!
//! `ROUNDTRIP_GOLDEN=write cargo test -p roundtrip-sim --test golden` writes them anew.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fmt::Write as _;
use std::path::Path;

use roundtrip_scenarios::{Datagrams, Echo, Load, Server};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{OverDatagrams, Runner, Simulation};

fn hashes(scenario: &impl Simulation, text: &mut String) {
    let mut runner = Runner::new(scenario);
    for seed in 0..64 {
        let hash = runner.run(Seeded::new(seed, Faults::SWARM)).hash;
        writeln!(text, "{} {seed} {hash:016x}", scenario.title()).unwrap();
    }
}

#[test]
fn the_golden_seeds_have_their_hashes() {
    let mut now = String::new();
    hashes(&Echo, &mut now);
    hashes(&Server, &mut now);
    hashes(&Load, &mut now);
    hashes(&OverDatagrams(Datagrams), &mut now);
    if std::env::var_os("ROUNDTRIP_GOLDEN").is_some_and(|what| what == "write") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hashes.txt");
        return std::fs::write(path, now).unwrap();
    }
    let then = include_str!("golden/hashes.txt");
    for (then, now) in then.lines().zip(now.lines()) {
        assert_eq!(then, now, "the first that differs");
    }
    assert_eq!(then.lines().count(), now.lines().count());
}
