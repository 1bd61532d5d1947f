//! What servers lose: the same trials for roundtrip's drivers and for the tools that people use today.
//!
//! `tests/reliability/reliability.sh` builds the program and this, and runs both. A table is printed: a column a server, a row a
//! trial. With `--quick` there is a twentieth of each trial. It exits with 1 if a driver of ours misses a figure. Servers whose program is not here are left out. Everything runs on the loopback, and
//! ends by itself.

#![cfg(target_os = "linux")]

mod client;
mod clients;
mod drain;
mod limits;
mod process;
mod server;
mod trials;

use std::process::ExitCode;

use server::Server;

/// How much of each trial there is.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// One in so many of a trial's tries, clients or bytes.
    divisor: usize,
}

impl Scale {
    /// Whether trials are as large as their figures say.
    const fn is_whole(self) -> bool {
        self.divisor == 1
    }

    fn of(self, whole: usize) -> usize {
        (whole / self.divisor).max(1)
    }
}

/// What came of a trial.
#[derive(Clone, Debug)]
struct Cell {
    text: String,
    /// Whether it is what a server that loses nothing would show.
    is_good: bool,
}

impl Cell {
    fn new(is_good: bool, text: impl Into<String>) -> Self {
        Self { text: text.into(), is_good }
    }
}

/// A trial that could not be made.
type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = args.iter().any(|arg| arg == "--quick");
    args.retain(|arg| arg != "--quick");
    let known = Server::all();
    if let Some(unknown) = args.iter().find(|arg| known.iter().all(|server| server.name != **arg)) {
        let names: Vec<_> = known.iter().map(|server| server.name).collect();
        eprintln!("error: no server is called `{unknown}`\n  try: {}", names.join(", "));
        return ExitCode::from(2);
    }
    process::raise_descriptor_limit();
    let servers: Vec<_> = known
        .into_iter()
        .filter(|server| args.is_empty() || args.iter().any(|arg| arg == server.name))
        .filter(Server::is_here)
        .collect();
    let scale = Scale { divisor: if is_quick { 20 } else { 1 } };
    let mut missed = Vec::new();
    let names: Vec<_> = servers.iter().map(|server| server.name).collect();
    println!("| trial | figure | {} |", names.join(" | "));
    println!("| --- | --- |{}", " --- |".repeat(names.len()));
    let only = std::env::var("ROUNDTRIP_TRIAL").unwrap_or_default();
    for trial in trials::ALL.iter().filter(|trial| trial.name.contains(&only)) {
        let cells: Vec<_> = servers
            .iter()
            .map(|server| {
                eprintln!("{}: {}", trial.name, server.name);
                let cell = (trial.run)(server, scale)
                    .unwrap_or_else(|error| Cell::new(false, format!("failed: {error}")));
                if !cell.is_good && server.is_ours() && !(is_quick && trial.is_timed) {
                    missed.push(format!("{}: {}: {}", server.name, trial.name, cell.text));
                }
                if cell.is_good { cell.text } else { format!("**{}**", cell.text) }
            })
            .collect();
        println!("| {} | {} | {} |", trial.name, trial.figure, cells.join(" | "));
    }
    for miss in &missed {
        eprintln!("missed: {miss}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
