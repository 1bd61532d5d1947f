//! `sim run` and `sim merge`: many seeds.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::ProgressStyle;
use roundtrip_sim::campaign::{self, Campaign, Progress, Report};
use roundtrip_sim::choose::{Family, Seeded};
use roundtrip_sim::{Runner, Simulation, Trace, diagram, shrink};
use roundtrip_std::{Clock, SystemClock};

use super::args::{MergeArgs, RunArgs};
use super::{Task, output, read, virtual_time};
use crate::problem::{Exit, Problem};
use crate::units::grouped;
use crate::{out, signals};
use roundtrip_core::Time;
use roundtrip_core::text::escaped;

/// Runs a campaign.
pub(super) struct Run<'a>(pub(super) &'a RunArgs);

impl Task for Run<'_> {
    fn with<S: Simulation>(self, scenario: &S) -> Result<Exit, Problem> {
        let args = self.0;
        let report_to = args.report.as_deref().map(output).transpose()?;
        let campaign =
            Campaign::new(args.seeds.clone()).shard(args.shard).jobs(args.jobs).faults(args.faults.faults());
        let progress = Arc::new(Progress::default());
        let cancel = Arc::clone(&progress);
        signals::watch_stops(move |_nth| cancel.cancel.store(true, Ordering::Relaxed))?;
        let clock = SystemClock::new();
        let report =
            watched(&progress, &args.seeds, args.shard, || campaign::run(scenario, &campaign, &progress))?;
        let took = clock.now().since(Time::ZERO);
        if let Some(file) = report_to {
            file.write(&report.to_string())?;
        }
        let missed: Vec<_> = report.missed().collect();
        out::say(summary(&report, took, &missed))?;
        if let Some(failure) = report.failures.first() {
            tell_failure(scenario, args, failure.seed)?;
        }
        let interrupted = progress.cancel.load(Ordering::Relaxed);
        Ok(match (report.is_pass(), missed.is_empty(), interrupted) {
            (false, ..) => Exit::Failed,
            (true, true, false) => Exit::Ok,
            (true, ..) => {
                if interrupted {
                    out::complain("interrupted: the seeds that are left were not run");
                }
                Exit::Incomplete
            }
        })
    }
}

fn summary(report: &Report, took: Duration, missed: &[&str]) -> String {
    let goals = match (report.goals.len(), missed) {
        (0, _) => "no goals".to_owned(),
        (_, []) => "all goals reached".to_owned(),
        (_, missed) => format!("goals not reached: {}", missed.join(", ")),
    };
    format!(
        "{}: {} schedules, {} events, {}, {:.1} s, {} failure{}, {goals} (hash {})",
        report.scenario,
        grouped(report.runs),
        grouped(report.events),
        virtual_time(report.time),
        took.as_secs_f64(),
        grouped(report.failed),
        if report.failed == 1 { "" } else { "s" },
        report.hash,
    )
}

/// Shrinks the first failure, keeps its trace, and shows it.
fn tell_failure<S: Simulation>(scenario: &S, args: &RunArgs, seed: u64) -> Result<(), Problem> {
    let mut seeded = Seeded::new(seed, args.faults.faults());
    let recording = Runner::new(scenario).record(&mut seeded);
    let on: Vec<_> = seeded.mask().map(Family::name).collect();
    let on = if on.is_empty() { "none".to_owned() } else { on.join(", ") };
    let events = recording.run.events;
    let shrunk = shrink(scenario, recording).recording;
    let verdict = &shrunk.run.verdict;
    let headline = format!(
        "FAIL seed {seed}: {}: {} (shrunk from {} events to {})",
        verdict.id(),
        verdict.found(),
        grouped(events),
        grouped(shrunk.run.events)
    );
    let path = format!("{}/{}-{}-{seed}.jsonl", args.keep, scenario.title(), verdict.id());
    let picture = diagram(&shrunk);
    output(&path)?.write(&Trace::new(scenario.title(), Some(seed), shrunk).to_string())?;
    out::say(format!(
        "{headline}\nfaults drawn: {on}\n\n{picture}\nagain: roundtrip sim replay {path}\n  all of it: roundtrip sim explain {} --seed {seed}{}",
        scenario.title(),
        args.faults.again()
    ))
}

/// Shows how far it is, on a terminal.
fn watched<R>(
    progress: &Progress,
    seeds: &Range<u64>,
    (_, of): (u64, u64),
    work: impl FnOnce() -> R,
) -> Result<R, Problem> {
    let Some(bar) = out::progress_line() else { return Ok(work()) };
    bar.set_length((seeds.end - seeds.start).div_ceil(of));
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} seeds, {msg}, {eta} left")
    {
        bar.set_style(style);
    }
    let show = || {
        bar.set_position(progress.runs.load(Ordering::Relaxed));
        bar.set_message(format!("{} failed", progress.failures.load(Ordering::Relaxed)));
    };
    out::meanwhile(Duration::from_millis(100), show, work)
}

/// Puts reports together.
pub(super) fn merge(args: &MergeArgs) -> Result<Exit, Problem> {
    let mut reports = Vec::new();
    for path in &args.reports {
        let report = Report::parse(&read(path)?).map_err(|error| {
            let cause = format!("{} is no report: {error}", escaped(path));
            Problem::usage(cause, "give files that `roundtrip sim run --report` wrote")
        })?;
        reports.push(report);
    }
    let whole = Report::merge(&reports).map_err(|error| {
        Problem::usage(error.to_string(), "give the reports of all shards of one campaign, each once")
    })?;
    match &args.report {
        Some(path) => output(path)?.write(&whole.to_string())?,
        None => out::say(whole.to_string().trim_end())?,
    }
    let missed = whole.missed().next().is_some();
    Ok(match (whole.is_pass(), missed) {
        (false, _) => Exit::Failed,
        (true, true) => Exit::Incomplete,
        (true, false) => Exit::Ok,
    })
}
