//! `sim exhaust` and `sim determinism`: every schedule of a kind, and the same schedule in every way.

use roundtrip_sim::campaign::{self, Campaign, Progress};
use roundtrip_sim::choose::{Chooser, Exhaustive, Faults, Seeded};
use roundtrip_sim::{Divergence, Runner, Simulation, diagram, shrink};

use super::Task;
use super::args::{DeterminismArgs, ExhaustArgs};
use crate::problem::{Exit, Problem, plain};
use crate::units::grouped;
use crate::{file, out};

/// Runs every schedule within bounds.
pub(super) struct Exhaust<'a>(pub(super) &'a ExhaustArgs);

impl Task for Exhaust<'_> {
    fn with<S: Simulation>(self, scenario: &S) -> Result<Exit, Problem> {
        let ExhaustArgs { deviations, breadth, limit, .. } = self.0;
        let mut chooser = Exhaustive::new(*deviations, *breadth);
        let mut runner = Runner::new(scenario);
        let (mut runs, mut events) = (0, 0);
        let is_whole = loop {
            let each: &mut dyn Chooser = &mut chooser;
            let run = runner.run(each);
            runs += 1;
            events += run.events;
            if !run.verdict.is_pass() {
                let shrunk = shrink(scenario, runner.record(chooser.again())).recording;
                out::say(format!(
                    "FAIL schedule {}: {}: {}\n\n{}",
                    grouped(runs),
                    run.verdict.id(),
                    run.verdict.found(),
                    diagram(&shrunk).trim_end()
                ))?;
                return Ok(Exit::Failed);
            }
            if !chooser.advance() {
                break true;
            }
            if runs >= *limit {
                break false;
            }
        };
        out::say(format!(
            "{}: {} schedules with at most {deviations} choices that are not benign, {} events, 0 failures{}",
            scenario.title(),
            grouped(runs),
            grouped(events),
            if is_whole { ", all there are" } else { "; there are more: raise --limit" }
        ))?;
        Ok(if is_whole { Exit::Ok } else { Exit::Incomplete })
    }
}

/// Runs seeds in several ways.
pub(super) struct Determinism<'a>(pub(super) &'a DeterminismArgs);

impl Task for Determinism<'_> {
    fn with<S: Simulation>(self, scenario: &S) -> Result<Exit, Problem> {
        let seeds = self.0.seeds.clone();
        let mut one_after_the_other = Runner::new(scenario);
        for seed in seeds.clone() {
            let run = one_after_the_other.run(&mut Seeded::new(seed, Faults::SWARM));
            let alone = Runner::new(scenario).record(Seeded::new(seed, Faults::SWARM));
            if run != alone.run {
                let again = one_after_the_other.record(Seeded::new(seed, Faults::SWARM));
                let difference = Divergence::between(&alone.lines, again);
                out::say(format!(
                    "FAIL seed {seed}: alone and after others it is not the same\n{difference}"
                ))?;
                return Ok(Exit::Internal);
            }
        }
        let of =
            |jobs| campaign::run(scenario, &Campaign::new(seeds.clone()).jobs(jobs), &Progress::default());
        let (one, two) = (of(1), of(2));
        if one != two {
            out::say("FAIL  one thread and two do not find the same".to_owned())?;
            return Ok(Exit::Internal);
        }
        let fresh = in_a_fresh_process(scenario.title(), &seeds)?;
        if !fresh.contains(&one.hash) {
            out::say(format!("FAIL  a fresh process finds something else: {}", fresh.trim()))?;
            return Ok(Exit::Internal);
        }
        out::say(format!(
            "{}: {} seeds are the same alone, after others, recorded, on one thread and on two, and in a fresh process \
             (hash {})",
            scenario.title(),
            grouped(one.runs),
            one.hash
        ))?;
        Ok(Exit::Ok)
    }
}

/// What this program says of the seeds when it is started anew.
fn in_a_fresh_process(scenario: &str, seeds: &std::ops::Range<u64>) -> Result<String, Problem> {
    let failed = |error: std::io::Error| {
        let cause = format!("cannot start this program again: {}", plain(&error));
        Problem::new(Exit::Internal, cause, "check that its file is still there")
    };
    let program = std::env::current_exe().map_err(failed)?;
    let seeds = format!("{}..{}", seeds.start, seeds.end);
    let keep = file::temporary_folder().map_err(|error| Problem::system("cannot make a folder", &error))?;
    let mut again = std::process::Command::new(program);
    again.args(["sim", "run", scenario, "--jobs", "1", "--seeds", &seeds, "--keep"]).arg(&keep);
    let said = again.output().map_err(failed)?;
    let _ = std::fs::remove_dir_all(keep);
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}
