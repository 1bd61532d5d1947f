//! Reliability trials: what echo servers lose, the drivers of roundtrip and common tools side by side.
//!
//! `tests/reliability/reliability.sh` builds the program and this, and runs it. It prints a table with one column per server
//! and one row per trial, and exits with 1 if a driver of ours misses a figure. Servers that are not installed are left out.
//! Everything runs on the loopback or in network namespaces, and every wait ends.
//!
//! - `--quick`: a twentieth of each trial, all servers at once; rows that depend on time are not judged
//! - `--missing`: print the servers that are not installed, and exit
//! - `SERVER...`: only these columns
//! - `ROUNDTRIP_TRIAL=WORDS`: only rows whose name contains these words

#![cfg(target_os = "linux")]

mod burst;
mod client;
mod clients;
mod datagrams;
mod descriptors;
mod drain;
mod dripping;
mod folder;
mod full_disk;
mod half_close;
mod limits;
mod memory;
mod namespace;
mod passed;
mod process;
mod resets;
mod server;
mod socket_file;
mod sources;
mod tls;
mod trials;
mod vanished;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use server::Server;

/// The size of the trials.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// Tries, clients, bytes and times are divided by this.
    divisor: usize,
}

impl Scale {
    /// Whether trials have the size that their figures name.
    const fn is_whole(self) -> bool {
        self.divisor == 1
    }

    fn of(self, whole: usize) -> usize {
        (whole / self.divisor).max(1)
    }

    fn time(self, whole: Duration) -> Duration {
        whole / u32::try_from(self.divisor).unwrap_or(1)
    }
}

/// The result of one trial with one server.
#[derive(Clone, Debug)]
struct Cell {
    text: String,
    /// Whether the figure is reached, or cannot be judged here.
    is_good: bool,
}

impl Cell {
    fn new(is_good: bool, text: impl Into<String>) -> Self {
        Self { text: text.into(), is_good }
    }

    /// Nothing to measure: the server has no part in this trial.
    fn none() -> Self {
        Self::new(true, "–")
    }

    /// This machine does not allow the trial.
    fn not_possible(reason: impl std::fmt::Display) -> Self {
        Self::new(true, format!("not possible here: {reason}"))
    }
}

/// Why a trial could not be carried out.
type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut take = |flag: &str| {
        let before = args.len();
        args.retain(|arg| arg != flag);
        args.len() < before
    };
    let (is_quick, is_missing) = (take("--quick"), take("--missing"));
    let known = Server::all();
    if let Some(unknown) = args.iter().find(|arg| known.iter().all(|server| server.name != **arg)) {
        let names: Vec<_> = known.iter().map(|server| server.name).collect();
        eprintln!("error: unknown server `{unknown}`\n  try: {}", names.join(", "));
        return ExitCode::from(2);
    }
    let chosen =
        known.into_iter().filter(|server| args.is_empty() || args.iter().any(|arg| arg == server.name));
    let (servers, missing): (Vec<_>, Vec<_>) = chosen.partition(Server::is_installed);
    if is_missing {
        for server in missing {
            println!("{}", server.name);
        }
        return ExitCode::SUCCESS;
    }
    for server in missing {
        eprintln!("left out, not installed: {}", server.name);
    }
    process::raise_descriptor_limit();
    let scale = Scale { divisor: if is_quick { 20 } else { 1 } };
    let mut missed = Vec::new();
    let names: Vec<_> = servers.iter().map(|server| server.name).collect();
    println!("| trial | figure | {} |", names.join(" | "));
    println!("| --- | --- |{}", " --- |".repeat(names.len()));
    let only = std::env::var("ROUNDTRIP_TRIAL").unwrap_or_default();
    for trial in trials::ALL.iter().filter(|trial| trial.name.contains(&only)) {
        let run = |server: &Server| {
            eprintln!("{}: {}", trial.name, server.name);
            let cell = trial.run.with(server, scale);
            cell.unwrap_or_else(|error| Cell::new(false, format!("failed: {error}")))
        };
        let cells: Vec<_> = if is_quick && !trial.is_alone {
            thread::scope(|scope| {
                let threads: Vec<_> = servers.iter().map(|server| scope.spawn(|| run(server))).collect();
                let failed = || Cell::new(false, "failed: a panic");
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| failed())).collect()
            })
        } else {
            servers.iter().map(run).collect()
        };
        let texts = cells.into_iter().zip(&servers).map(|(cell, server)| {
            if !cell.is_good && server.is_ours() && !(is_quick && trial.is_timed) {
                missed.push(format!("{}: {}: {}", server.name, trial.name, cell.text));
            }
            if cell.is_good { cell.text } else { format!("**{}**", cell.text) }
        });
        let cells: Vec<_> = texts.collect();
        println!("| {} | {} | {} |", trial.name, trial.figure, cells.join(" | "));
    }
    for miss in &missed {
        eprintln!("missed: {miss}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
