//! The same seed is the same run, whatever ran before it, beside it, or how it is watched.

use std::collections::BTreeSet;

use roundtrip_scenarios::{Datagrams, Echo, Server};
use roundtrip_sim::campaign::{Campaign, MergeError, Progress, Report, run};
use roundtrip_sim::choose::{Faults, Replay, Seeded, Site};
use roundtrip_sim::{OverDatagrams, Runner, Scenario};

fn seeded(seed: u64) -> Seeded {
    Seeded::new(seed, Faults::SWARM)
}

fn campaign(seeds: std::ops::Range<u64>, jobs: usize, shard: (u64, u64)) -> Report {
    run(&Server, &Campaign::new(seeds).jobs(jobs).shard(shard), &Progress::default())
}

#[test]
fn a_run_does_not_know_what_ran_before_it() {
    let alone: Vec<_> = (0..20).map(|seed| Runner::new(&Server).run(seeded(seed))).collect();
    let mut runner = Runner::new(&Server);
    for seed in 1000..2000 {
        runner.run(seeded(seed));
    }
    let after: Vec<_> = (0..20).map(|seed| runner.run(seeded(seed))).collect();
    assert_eq!(alone, after);
    let again: Vec<_> = (0..20).map(|seed| runner.run(seeded(seed))).collect();
    assert_eq!(alone, again);
}

#[test]
fn to_watch_a_run_does_not_change_it() {
    let mut runner = Runner::new(&Server);
    for seed in 0..150 {
        let run = runner.run(seeded(seed));
        let recording = runner.record(seeded(seed));
        assert_eq!(run, recording.run, "seed {seed}");
        assert!(recording.lines.is_sorted_by_key(|line| (line.event, line.time)), "seed {seed}");
    }
}

#[test]
fn the_decisions_are_the_whole_run() {
    let mut runner = Runner::new(&Server);
    for seed in 0..150 {
        let recording = runner.record(seeded(seed));
        assert_eq!(runner.record(Replay::new(&recording.decisions)), recording, "seed {seed}");
    }
}

#[test]
fn totals_do_not_depend_on_how_a_campaign_is_divided() {
    let whole = campaign(3..403, 1, (0, 1));
    assert_eq!(whole.runs, 400);
    assert_eq!(whole, campaign(3..403, 2, (0, 1)));
    for of in [2, 5] {
        let mut shards: Vec<_> = (0..of).map(|shard| campaign(3..403, 1, (shard, of))).collect();
        shards.rotate_left(1);
        assert_eq!(Report::merge(&shards).unwrap().to_string(), whole.to_string());
        assert_eq!(Report::merge(&shards[1..]), Err(MergeError::Missing(1, of)));
        shards.push(shards[0].clone());
        assert_eq!(Report::merge(&shards), Err(MergeError::Overlap(1, of)));
    }
    let other = campaign(3..404, 1, (1, 2));
    let mixed = [campaign(3..403, 1, (0, 2)), other];
    assert_eq!(Report::merge(&mixed), Err(MergeError::Different("the seeds")));
    assert_eq!(Report::merge(&[]), Err(MergeError::Nothing));
    assert_eq!(Report::parse(&whole.to_string()), Ok(whole));
}

#[test]
fn a_campaign_that_was_cut_short_is_no_shard() {
    let progress = Progress::default();
    progress.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    let cut = run(&Server, &Campaign::new(0..100).shard((0, 2)), &progress);
    assert_eq!(Report::merge(&[cut, campaign(0..100, 1, (1, 2))]), Err(MergeError::Cancelled(0, 2)));
}

#[test]
fn every_choice_of_the_model_is_made_somewhere() {
    let mut runner = Runner::new(&Server);
    let mut datagrams = Runner::new(&OverDatagrams(Datagrams));
    let mut seen = BTreeSet::new();
    for seed in 0..600 {
        seen.extend(runner.record(seeded(seed)).decisions.iter().map(|decision| decision.site));
        let of_datagrams = datagrams.record(seeded(seed)).decisions;
        seen.extend(of_datagrams.iter().map(|decision| decision.site));
    }
    let never: Vec<_> = Site::all().filter(|site| !seen.contains(site)).collect();
    let unused = Site::workload(23);
    assert_eq!(never, [unused]);
}

#[test]
fn a_client_more_changes_no_others_schedule() {
    // Every draw for a connection comes from a stream of its own, so what only the first client does is the same in
    // both; the server's own choices are, too.
    let mut runner = Runner::new(&Echo);
    let mut compared = 0;
    for seed in 0..200 {
        let decisions = runner.record(seeded(seed)).decisions;
        let clients = decisions
            .iter()
            .find(|decision| decision.site == Site::workload(16))
            .map_or(0, |decision| decision.v);
        if clients == 0 {
            continue;
        }
        let mut fewer = decisions.clone();
        fewer.retain(|decision| decision.site != Site::workload(16));
        let alone = runner.record(Replay::new(&fewer));
        let of_first = |decision: &&roundtrip_sim::choose::Decision| decision.who.number() == 0;
        let made: Vec<_> = alone.decisions.iter().filter(of_first).collect();
        assert!(made.iter().all(|decision| decisions.contains(decision)), "seed {seed}");
        compared += made.len();
    }
    assert!(compared > 1000, "{compared}");
    assert_eq!(Echo.name(), "echo");
}
