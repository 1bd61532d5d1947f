//! The machine, as far as it matters here, and what runs on it.

use std::fs;
use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cores::Cores;
use crate::slices::Bench;

/// Enough for 1,000 connections to each of all servers, and for 10,000 to one.
const DESCRIPTORS: u64 = 64 << 10;

/// As many descriptors as we may have, for us and for the servers: Go's takes three a connection.
pub fn descriptors() -> io::Result<usize> {
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
pub fn setting(bench: &Bench, rounds: usize) -> io::Result<String> {
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
