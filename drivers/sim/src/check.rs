//! Simulation inside a `#[test]`.

use std::fmt::Write as _;
use std::ops::Range;

use crate::campaign::{self, Campaign, Progress};
use crate::choose::{Faults, Seeded};
use crate::diagram::diagram;
use crate::run::{Runner, Simulation};
use crate::shrink::shrink;
use crate::trace::Trace;

/// Runs a scenario with every one of `seeds`, under swarms of faults, on as many threads as the system advises.
///
/// The environment variable `ROUNDTRIP_SCHEDULES`, a number, replaces the length of `seeds`: a quick test by default and a
/// long campaign at night. A range of one seed, which reproduces a failure, stays as it is.
///
/// # Panics
///
/// If `ROUNDTRIP_SCHEDULES` is set and is not a number of at least 2.
/// If a run fails: with the lowest seed that did, the run shrunk to its smallest as a diagram, and its trace, which
/// [`replay`] runs again. If a goal of the scenario was reached by no run: with its name; a single seed, which is how a
/// failure is looked at again, need not reach them.
#[expect(clippy::panic, reason = "a test that fails")]
pub fn check<S: Simulation>(scenario: &S, seeds: Range<u64>) {
    let campaign = Campaign::new(scaled(seeds)).jobs(0);
    let report = campaign::run(scenario, &campaign, &Progress::default());
    if let Some(failure) = report.failures.first() {
        panic!("{}", explain(scenario, failure.seed));
    }
    let missed: Vec<_> = report.missed().filter(|_| report.runs > 1).collect();
    assert!(missed.is_empty(), "no run of {} reached: {}", scenario.title(), missed.join(", "));
}

/// Runs a recorded trace again: the regression test for what a campaign once found.
///
/// # Panics
///
/// If the trace cannot be read, if it is of another scenario, or of other [choices](Trace::stale) of this one, or if the
/// run still fails. A run that goes another way than it was recorded and passes is what mending a bug looks like.
#[expect(clippy::panic, reason = "a test that fails")]
pub fn replay<S: Simulation>(scenario: &S, trace: &str) {
    let trace = match Trace::parse(trace) {
        Ok(trace) => trace,
        Err(error) => panic!("{error}"),
    };
    let recording = match trace.replay(scenario) {
        Ok(recording) => recording,
        Err(divergence) => divergence.recording,
    };
    assert!(
        trace.scenario == scenario.title(),
        "a trace of scenario {}, and this is {}",
        trace.scenario.escape_debug(),
        scenario.title()
    );
    if let Some(stale) = trace.stale(&recording) {
        panic!(
            "the trace is stale: {} chose {} of {} for {}, and {} asks for something else now: find the failure again{}",
            stale.who,
            stale.v,
            stale.n,
            stale.site,
            scenario.title(),
            trace.seed.map_or_else(String::new, |seed| format!(", it was seed {seed}"))
        );
    }
    let verdict = &recording.run.verdict;
    assert!(
        verdict.is_pass(),
        "{} fails again: {}: {}\n\n{}",
        scenario.title(),
        verdict.id(),
        verdict.found(),
        diagram(&recording)
    );
}

/// The environment's number of seeds in place of that of a test.
#[expect(clippy::panic, reason = "a test that fails")]
fn scaled(seeds: Range<u64>) -> Range<u64> {
    let Some(value) = std::env::var_os("ROUNDTRIP_SCHEDULES") else { return seeds };
    let text = value.to_string_lossy();
    let count = text.parse().ok().filter(|count| *count >= 2);
    let Some(count) = count else { panic!("ROUNDTRIP_SCHEDULES={text:?}: expected a number of at least 2") };
    let is_reproduction = seeds.end.saturating_sub(seeds.start) == 1;
    if is_reproduction { seeds } else { seeds.start..seeds.start.saturating_add(count) }
}

/// What a person needs to know of a seed that fails.
fn explain<S: Simulation>(scenario: &S, seed: u64) -> String {
    let recording = Runner::new(scenario).record(Seeded::new(seed, Faults::SWARM));
    let events = recording.run.events;
    let shrunk = shrink(scenario, recording).recording;
    let verdict = &shrunk.run.verdict;
    let mut text = format!(
        "{} fails with seed {seed}: {}: {} (shrunk from {events} events to {})\n\n{}",
        scenario.title(),
        verdict.id(),
        verdict.found(),
        shrunk.run.events,
        diagram(&shrunk)
    );
    let _ = write!(
        text,
        "\nagain: roundtrip_sim::check(…, {seed}..{})\nas a trace, for roundtrip_sim::replay:\n{}",
        seed.saturating_add(1),
        Trace::new(scenario.title(), Some(seed), shrunk)
    );
    text
}
