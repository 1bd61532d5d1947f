//! Our drivers beside the field's echo servers, in one run.
//!
//! All servers of a workload are up; the generator gives a fraction of a second to one, then to the other, in random
//! order, and compares neighbours. `order.rs` says who is a neighbour, `stats.rs` what is said of it, `goals.rs` what is
//! asked for.

mod catalogue;
mod chart;
mod cores;
mod docs;
mod everyone;
mod generator;
mod goals;
mod idle;
mod machine;
mod options;
mod order;
mod plan;
mod report;
mod server;
mod slices;
mod socket;
mod stats;
mod syscalls;

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use cores::Cores;
use goals::{Figure, Goal, Workload};
use options::Options;
use plan::{Reached, Row, Verdict, verdict};
use report::Report;
use slices::{Bench, Failure};
use stats::Summary;

/// Rounds of pairs, of each server against its neighbour.
const ROUNDS: usize = 30;
const QUICK_ROUNDS: usize = 5;
const SLICE: Duration = Duration::from_millis(200);
/// Slices for a cell of the table of all.
const TABLE: usize = 3;

/// A goal is missed.
const MISSED: u8 = 1;
/// Nothing could be measured.
const BROKEN: u8 = 2;
/// The same server, started twice, was not the same.
const NOISE: u8 = 3;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(BROKEN);
        }
    };
    let folder = std::env::temp_dir().join(format!("peers-{}", std::process::id()));
    let report = fs::create_dir(&folder).and_then(|()| {
        let report = run(&options, folder.clone());
        fs::remove_dir_all(&folder)?;
        report
    });
    match report {
        Ok(report) => ExitCode::from(exit(&report)),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(BROKEN)
        }
    }
}

fn run(options: &Options, folder: PathBuf) -> io::Result<Report> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let cores = Cores::find()?;
    let bench = Bench {
        ours: options.ours.clone(),
        peers: options.peers.clone(),
        folder,
        cores,
        descriptors: machine::descriptors()?,
        slice: if options.quick { SLICE / 2 } else { SLICE },
        interrupted,
        started: Cell::new(0),
        since: Instant::now(),
    };
    let rounds = options.rounds.unwrap_or(if options.quick { QUICK_ROUNDS } else { ROUNDS });
    let mut report = Report { setting: machine::setting(&bench, rounds)?, ..Report::default() };
    println!("{}\n", report.setting);
    if !options.syscalls {
        measure_goals(&bench, options.goal.as_deref(), rounds, &mut report)?;
        if let Some(warning) = report.warning() {
            println!("{warning}\n");
        }
        println!("{}", report.goals());
    }
    if options.goal.is_none() {
        bench.tell("system calls");
        for entry in catalogue::CALLING {
            bench.go_on()?;
            let calls = syscalls::measure(&bench, entry).map_err(|error| error.to_string());
            report.calls.push((entry, calls));
        }
        println!("{}", report.calls());
    }
    if options.goal.is_none() && !options.syscalls {
        let rounds = if options.quick { 1 } else { TABLE };
        everyone::measure(&bench, rounds, &mut report)?;
        everyone::memory(&bench, &mut report)?;
        println!("{}\n{}", report.table(), report.idle());
    }
    if let Some(folder) = &options.write {
        docs::write(folder, &report)?;
    }
    Ok(report)
}

/// Workload after workload, but the rows in the order of the goals.
fn measure_goals(bench: &Bench, named: Option<&str>, rounds: usize, report: &mut Report) -> io::Result<()> {
    let mut goals = goals::goals();
    if let Some(named) = named {
        goals.extend(goals::planted());
        goals.retain(|goal| goal.name().contains(named));
        if goals.is_empty() {
            return Err(io::Error::other(format!("no goal has `{named}` in its name")));
        }
    }
    let mut workloads: Vec<Workload> = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for goal in &goals {
        if goal.figure == Figure::Idle {
            rows.push(idle_row(bench, goal, report));
        } else if !workloads.contains(&goal.workload) {
            workloads.push(goal.workload);
        }
    }
    for workload in workloads {
        bench.tell(workload.title);
        let of_it: Vec<Goal> = goals
            .iter()
            .filter(|goal| goal.workload == workload && goal.figure != Figure::Idle)
            .cloned()
            .collect();
        rows.extend(plan::measure(bench, &of_it, workload, rounds)?);
    }
    rows.sort_by_key(|row| goals.iter().position(|goal| goal.name() == row.goal.name()));
    report.goals = rows;
    Ok(())
}

fn idle_row(bench: &Bench, goal: &Goal, report: &mut Report) -> Row {
    let idle = idle::measure(bench, goal.ours);
    report.idle.push((goal.ours, idle.clone()));
    #[allow(clippy::cast_precision_loss, reason = "memory is less than 2^52 bytes")]
    let result = idle.and_then(|idle| {
        if idle.connections < idle::CONNECTIONS {
            return Err(Failure::Broken(format!("not more than {} connections", idle.connections)));
        }
        let summary = Summary::of(&[idle.after as f64 / f64::from(1 << 20)]);
        let summary = summary.ok_or_else(|| Failure::Broken("no figure".to_owned()))?;
        Ok(Reached { summary, against: None, verdict: verdict(goal.bound, &summary) })
    });
    Row { goal: goal.clone(), result }
}

fn exit(report: &Report) -> u8 {
    if report.warning().is_some() {
        return NOISE;
    }
    let missed = |row: &Row| match &row.result {
        Ok(reached) => reached.verdict == Verdict::Missed,
        Err(failure) => matches!(failure, Failure::Broken(_)),
    };
    if report.goals.iter().any(missed) { MISSED } else { 0 }
}
