//! `sim replay`, `sim shrink` and `sim explain`: one schedule.

use roundtrip_core::text::escaped;
use roundtrip_sim::choose::{self, Seeded};
use roundtrip_sim::{Divergence, Recording, Runner, Simulation, Trace, diagram, html, shrink};

use super::args::{Name, OneArgs};
use super::{Task, output, read_trace, with};
use crate::problem::{Exit, Problem};
use crate::units::grouped;
use crate::{file, out};

/// Does something with the scenario that `what` names or that its trace is of.
pub(super) fn of(what: &str, task: impl Task) -> Result<Exit, Problem> {
    if let Some(name) = Name::of(what) {
        return with(name, task);
    }
    let scenario = read_trace(what)?.scenario;
    let name = Name::of(&scenario).ok_or_else(|| {
        Problem::usage(
            format!("the trace is of a scenario of another program: {}", escaped(&scenario)),
            "run it with `roundtrip_sim::replay` in that program's tests",
        )
    })?;
    with(name, task)
}

/// A trace from a file, or none if a seed is meant.
fn trace(args: &OneArgs) -> Result<Option<Trace>, Problem> {
    match (Name::of(&args.what), args.seed) {
        (Some(_), Some(_)) => Ok(None),
        (Some(_), None) => Err(Problem::usage("a scenario without a seed", "add --seed N, or name a trace")),
        (None, Some(_)) => {
            Err(Problem::usage("a trace has its seed in it", "leave out --seed, or name a scenario"))
        }
        (None, None) => read_trace(&args.what).map(Some),
    }
}

/// What was run, and how it compares with what was recorded.
struct Ran {
    recording: Recording,
    seed: Option<u64>,
    divergence: Option<Box<Divergence>>,
}

/// Runs the trace or the seed.
fn record<S: Simulation>(scenario: &S, args: &OneArgs) -> Result<Ran, Problem> {
    let Some(trace) = trace(args)? else {
        let chooser = Seeded::new(args.seed.unwrap_or_default(), args.faults.faults());
        let recording = Runner::new(scenario).record(chooser);
        return Ok(Ran { recording, seed: args.seed, divergence: None });
    };
    Ok(match trace.replay(scenario) {
        Ok(recording) => Ran { recording, seed: trace.seed, divergence: None },
        Err(divergence) => {
            Ran { recording: divergence.recording.clone(), seed: trace.seed, divergence: Some(divergence) }
        }
    })
}

/// Writes the files that were asked for.
fn keep<S: Simulation>(
    scenario: &S,
    args: &OneArgs,
    seed: Option<u64>,
    recording: &Recording,
) -> Result<(), Problem> {
    file::refuse_to_mix(&[("--trace", args.trace.as_ref()), ("--html", args.html.as_ref())], false)?;
    if let Some(path) = &args.trace {
        output(path)?.write(&Trace::new(scenario.title(), seed, recording.clone()).to_string())?;
    }
    if let Some(path) = &args.html {
        output(path)?.write(&html(scenario.title(), recording))?;
    }
    Ok(())
}

fn outcome(recording: &Recording) -> String {
    let verdict = &recording.run.verdict;
    let events = grouped(recording.run.events);
    if verdict.is_pass() {
        format!("ok  {events} events, nothing is wrong (hash {:016x})", recording.run.hash)
    } else {
        format!(
            "FAIL  {}: {} ({events} events, hash {:016x})",
            verdict.id(),
            verdict.found(),
            recording.run.hash
        )
    }
}

const fn exit(recording: &Recording) -> Exit {
    if recording.run.verdict.is_pass() { Exit::Ok } else { Exit::Failed }
}

/// Runs it again, and says whether it goes the same way.
pub(super) struct Replay<'a>(pub(super) &'a OneArgs);

impl Task for Replay<'_> {
    fn with<S: Simulation>(self, scenario: &S) -> Result<Exit, Problem> {
        let args = self.0;
        let Ran { recording, seed, divergence } = record(scenario, args)?;
        // Its decisions are the whole run, so they have to give it once more.
        let again = Runner::new(scenario).record(choose::Replay::new(&recording.decisions));
        if again != recording {
            let difference = Divergence::between(&recording.lines, again);
            out::say(format!("FAIL  two runs in one process are not the same\n{difference}"))?;
            return Ok(Exit::Internal);
        }
        keep(scenario, args, seed, &recording)?;
        out::say(outcome(&recording))?;
        if let Some(divergence) = divergence {
            out::say(format!("it goes another way than it was recorded:\n{divergence}"))?;
        }
        Ok(exit(&recording))
    }
}

/// Makes it small.
pub(super) struct Shrink<'a>(pub(super) &'a OneArgs);

impl Task for Shrink<'_> {
    fn with<S: Simulation>(self, scenario: &S) -> Result<Exit, Problem> {
        let args = self.0;
        let Ran { recording, seed, .. } = record(scenario, args)?;
        if recording.run.verdict.is_pass() {
            out::say(outcome(&recording))?;
            return Ok(Exit::Ok);
        }
        let (events, decisions) = (recording.run.events, recording.decisions.len());
        let shrunk = shrink(scenario, recording);
        let small = &shrunk.recording;
        keep(scenario, args, seed, small)?;
        out::say(format!(
            "{}\nshrunk from {} events and {} choices to {} and {}, in {} runs{}\n\n{}",
            outcome(small),
            grouped(events),
            grouped(decisions as u64),
            grouped(small.run.events),
            grouped(small.decisions.len() as u64),
            grouped(shrunk.runs),
            if shrunk.is_finished { "" } else { "; there may be smaller ones" },
            diagram(small).trim_end()
        ))?;
        Ok(Exit::Failed)
    }
}

/// Shows it.
pub(super) struct Explain<'a>(pub(super) &'a OneArgs);

impl Task for Explain<'_> {
    fn with<S: Simulation>(self, scenario: &S) -> Result<Exit, Problem> {
        let args = self.0;
        let Ran { recording, seed, .. } = record(scenario, args)?;
        keep(scenario, args, seed, &recording)?;
        out::say(format!("{}\n\n{}", outcome(&recording), diagram(&recording).trim_end()))?;
        Ok(exit(&recording))
    }
}
