//! `sim`: the echo sessions under every fault there is, in virtual time, from a seed.

mod args;
mod campaign;
mod one;
mod search;

pub(crate) use args::{EXAMPLES, SimVerb};

use std::fs;

use roundtrip_core::text::escaped;
use roundtrip_scenarios::{Datagrams, Duplex, Echo, Load, Server, Soak};
use roundtrip_sim::{OverDatagrams, Simulation, Trace};

use crate::file::{Access, Output};
use crate::problem::{Exit, Problem, plain};
use args::Name;

pub(crate) fn run(verb: &SimVerb) -> Result<Exit, Problem> {
    #[cfg(roundtrip_planted)]
    if let Some(bug) = std::env::var("ROUNDTRIP_PLANTED").ok().and_then(|number| number.parse().ok()) {
        roundtrip_scenarios::plant(bug);
    }
    match verb {
        SimVerb::Run(args) => with(args.scenario, campaign::Run(args)),
        SimVerb::Replay(args) => one::of(&args.what, one::Replay(args)),
        SimVerb::Shrink(args) => one::of(&args.what, one::Shrink(args)),
        SimVerb::Explain(args) => one::of(&args.what, one::Explain(args)),
        SimVerb::Exhaust(args) => with(args.scenario, search::Exhaust(args)),
        SimVerb::Determinism(args) => with(args.scenario, search::Determinism(args)),
        SimVerb::Merge(args) => campaign::merge(args),
    }
}

/// What can be done with any scenario.
trait Task {
    fn with<S: Simulation>(self, scenario: &S) -> Result<Exit, Problem>;
}

/// Does it with the one that was named.
fn with(name: Name, task: impl Task) -> Result<Exit, Problem> {
    match name {
        Name::Echo => task.with(&Echo),
        Name::Server => task.with(&Server),
        Name::Soak => task.with(&Soak),
        Name::Load => task.with(&Load),
        Name::Duplex => task.with(&Duplex),
        Name::Datagrams => task.with(&OverDatagrams(Datagrams)),
    }
}

/// The largest file that is read: 256 MiB.
const MAX_FILE: u64 = 256 << 20;

fn read(path: &str) -> Result<String, Problem> {
    let unreadable = |why: &str| {
        let advice = "give a file that `roundtrip sim` wrote";
        Problem::usage(format!("cannot read {}: {why}", escaped(path)), advice)
    };
    match fs::metadata(path) {
        Ok(about) if about.len() > MAX_FILE => Err(unreadable("it is larger than 256 MiB")),
        Ok(about) if !about.is_file() => Err(unreadable("it is no file")),
        Ok(_) => fs::read_to_string(path).map_err(|error| unreadable(&plain(&error))),
        Err(error) => Err(unreadable(&plain(&error))),
    }
}

fn read_trace(path: &str) -> Result<Trace, Problem> {
    Trace::parse(&read(path)?).map_err(|error| {
        let advice = "find it again with the command and the seed that its first line names";
        Problem::usage(format!("{}, {error}", escaped(path)), advice)
    })
}

/// A file that an option asks for; its folder is made.
fn output(path: &str) -> Result<Output, Problem> {
    let parent = std::path::Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or(Ok(()), fs::create_dir_all).map_err(|error| {
        let cause = format!("cannot write {}: {}", escaped(path), plain(&error));
        Problem::usage(cause, "name a file in a folder that can be written to")
    })?;
    Output::new(path.as_ref(), Access::Shared)
}

/// `3 virtual days`, in the largest unit of which there are two.
fn virtual_time(nanos: u128) -> String {
    let units = [
        ("day", 86_400_000_000_000),
        ("hour", 3_600_000_000_000),
        ("minute", 60_000_000_000),
        ("second", 1_000_000_000),
    ];
    let found = units.into_iter().find(|(_, unit)| nanos >= 2 * unit);
    found.map_or_else(
        || format!("{} virtual ms", nanos / 1_000_000),
        |(name, unit)| format!("{} virtual {name}s", nanos / unit),
    )
}
