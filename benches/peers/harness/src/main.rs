//! Our drivers beside the field's echo servers, in one run.
//!
//! All servers of a workload are up; the generator gives a fraction of a second to one, then to the other, in random
//! order, and compares neighbours. `order.rs` says who is a neighbour, `stats.rs` what is said of it, `goals.rs` what is
//! asked for.

mod catalogue;
mod chart;
mod cores;
mod docs;
mod generator;
mod goals;
mod idle;
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
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use cores::Cores;
use goals::{Figure, Goal, Workload};
use options::Options;
use order::Group;
use plan::{Reached, Row, Verdict, verdict};
use report::{Cell as TableCell, Report};
use slices::{Bench, Failure, Taken};
use stats::{Summary, median};

/// Rounds of pairs, of each server against its neighbour.
const ROUNDS: usize = 30;
const SLICE: Duration = Duration::from_millis(200);
/// Slices for a cell of the table of all.
const TABLE: usize = 4;

const DESCRIPTORS: u64 = 64 << 10;

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

fn run(options: &Options, folder: std::path::PathBuf) -> io::Result<Report> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let descriptors = descriptors()?;
    let cores = Cores::find()?;
    let bench = Bench {
        ours: options.ours.clone(),
        peers: options.peers.clone(),
        folder,
        cores,
        slice: if options.quick { SLICE / 2 } else { SLICE },
        interrupted,
        started: Cell::new(0),
    };
    let rounds = if options.quick { 6 } else { ROUNDS };
    let mut report = Report { setting: setting(&bench, rounds)?, ..Report::default() };
    println!("{}\n", report.setting);
    if !options.syscalls {
        measure_goals(&bench, options.goal.as_deref(), rounds, &mut report)?;
        if let Some(warning) = report.warning() {
            println!("{warning}\n");
        }
        println!("{}", report.goals());
    }
    if options.goal.is_none() {
        for entry in catalogue::LISTED {
            bench.go_on()?;
            let calls = syscalls::measure(&bench, entry).map_err(|error| error.to_string());
            report.calls.push((entry, calls));
        }
        println!("{}", report.calls());
    }
    if options.goal.is_none() && !options.syscalls {
        let rounds = if options.quick { 1 } else { TABLE };
        measure_table(&bench, rounds, descriptors, &mut report)?;
        println!("{}\n{}", report.table(), report.idle());
    }
    if let Some(folder) = &options.write {
        docs::write(folder, &report)?;
    }
    Ok(report)
}

/// As many descriptors as we may have, for us and for the servers: Go's takes three a connection.
fn descriptors() -> io::Result<usize> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Only root may have more than the hard limit.
    let limit = match setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS.max(hard)) {
        Ok(()) => DESCRIPTORS,
        Err(_) => hard,
    };
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit.max(hard))?;
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// On what, and with what.
fn setting(bench: &Bench, rounds: usize) -> io::Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = release.split(['-', '\n']).next().unwrap_or_default();
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism()?;
    let Cores { server, generator } = bench.cores;
    let versions = ["mio", "tokio", "smol", "async-io"].map(|name| format!("{name} {}", version(name)));
    Ok(format!(
        "Kernel {kernel}, {cores} cores ({}); servers pinned to core {server}, the generator to core {generator}; \
         {rounds} rounds of\nslices of {} ms; {}.",
        model.unwrap_or("of unknown make"),
        bench.slice.as_millis(),
        versions.join(", "),
    ))
}

/// Of a package, as it is locked.
fn version(name: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let found = lock.split_once(&format!("name = \"{name}\"\nversion = \""));
    found.and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
}

/// Workload after workload, but the rows in the order of the goals.
fn measure_goals(bench: &Bench, named: Option<&str>, rounds: usize, report: &mut Report) -> io::Result<()> {
    let mut goals = goals::goals();
    if let Some(named) = named {
        goals.extend(goals::planted());
        goals.retain(|goal| goal.name().contains(named));
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
        eprintln!("{}", workload.title);
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

fn measure_table(bench: &Bench, rounds: usize, descriptors: usize, report: &mut Report) -> io::Result<()> {
    let entries = catalogue::LISTED;
    report.table.workloads = goals::LISTED.to_vec();
    report.table.rows = entries.map(|entry| (entry, Vec::new())).to_vec();
    for workload in goals::LISTED {
        eprintln!("all, {}", workload.title);
        let each = match workload.load {
            generator::Load::PingPong { connections, .. } => connections + 8,
            generator::Load::Bulk | generator::Load::Churn => 64,
        };
        let mut taken = Taken::default();
        // So many at one time as there are descriptors for.
        for some in entries.chunks((descriptors / each).max(1)) {
            let alone: Vec<Group> = (0..some.len()).map(|ours| Group { ours, others: Vec::new() }).collect();
            bench.block(some, &alone, workload, rounds, &mut taken)?;
        }
        for (entry, cells) in &mut report.table.rows {
            let slices = taken.slices.iter().filter(|(of, _)| of == entry).map(|(_, slice)| slice);
            let of =
                |figure: fn(&slices::Slice) -> f64| median(&slices.clone().map(figure).collect::<Vec<_>>());
            let (rate, cpu) = if workload == goals::BULK { (1.0, 1.0) } else { (1e-3, 1e6) };
            let cell: TableCell = of(slices::Slice::rate).zip(of(slices::Slice::cpu_each));
            cells.push(cell.map(|(each, seconds)| (each * rate, seconds * cpu)));
        }
    }
    for entry in entries {
        bench.go_on()?;
        if !report.idle.iter().any(|(known, _)| *known == entry) {
            report.idle.push((entry, idle::measure(bench, entry)));
        }
    }
    Ok(())
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
