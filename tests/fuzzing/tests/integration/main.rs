//! Replays the corpora and the regressions, `fuzz/corpora` and `fuzz/regressions`, through their targets without a fuzzer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test panics where it fails")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use roundtrip_fuzzing::{TARGETS, schedule, seeds};
use roundtrip_scenarios::{Datagrams, Echo, Load, Server};
use roundtrip_sim::{OverDatagrams, Simulation};

fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(kind).join(target)
}

/// The entries in a folder, sorted by name; none if there is no such folder.
fn entries(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// The entries of an archive, in its order.
fn archived(archive: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let name = archive.display();
    let bytes = fs::read(archive).unwrap_or_else(|error| panic!("cannot read {name}: {error}"));
    // An archive ends with two blocks of zeros. The reader accepts it without them, and anything after the first.
    assert!(bytes.ends_with(&[0; 1024]), "{name} is truncated");
    let (mut entries, mut end) = (Vec::new(), 0);
    for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
        let mut entry = entry.unwrap_or_else(|error| panic!("{name} is corrupted: {error}"));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        end = usize::try_from(entry.raw_file_position()).unwrap() + content.len().next_multiple_of(512);
        entries.push((archive.join(entry.path().unwrap()), content));
    }
    assert!(!entries.is_empty(), "{name} has no entries");
    assert!(bytes[end..].iter().all(|byte| *byte == 0), "{name} is corrupted: zeros after {end} bytes");
    entries
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    archived(&folder("corpora", &format!("{target}.tar")))
}

/// Says which entry it was, if one panics.
struct During<'a>(&'a Path);

impl Drop for During<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was {}", self.0.display());
        }
    }
}

fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let corpus = corpus(name);
    // And what it began with: an entry that adds no code is not kept, though what it does may be another thing.
    let seeds: Vec<_> =
        (0..).zip(seeds::of(name)).map(|(n, bytes)| (format!("seed {n}").into(), bytes)).collect();
    for (path, bytes) in corpus.iter().chain(&entries(&folder("regressions", name))).chain(&seeds) {
        let _during = During(path);
        target(bytes);
    }
    println!("{name}: {} entries", corpus.len());
}

macro_rules! replayed {
    ($($name:ident,)*) => {
        /// One test a target, so that they run side by side.
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
        mod entries_of {
            $(#[test]
            fn $name() {
                super::replay(stringify!($name));
            })*
        }
    };
}

replayed! {
    server_ops,
    client_ops,
    pinger_ops,
    session_ops,
    admission_ops,
    config_ops,
    datagram_ops,
    schedule,
    trace_parse,
    report_parse,
    endpoint_parse,
    script_parse,
    record_parse,
    units_parse,
    resp_ops,
    http_ops,
}

#[test]
fn every_target_is_replayed_and_built() {
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, REPLAYED);
    let manifest = fs::read_to_string(folder("", "Cargo.toml")).unwrap();
    for name in names {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is not in fuzz/Cargo.toml"
        );
        assert!(!seeds::of(name).is_empty(), "{name} has no seeds");
    }
}

/// What was never tried was not tested. What the corpus began with counts: an entry that adds no code goes, whatever goal
/// it reaches.
#[test]
fn schedules_reach_every_goal() {
    let goals = [Echo.aims(), Server.aims(), Load.aims(), OverDatagrams(Datagrams).aims()];
    let mut reached = [0; 4];
    let corpus = corpus("schedule").into_iter().map(|(_, bytes)| bytes);
    for bytes in corpus.chain(seeds::of("schedule")) {
        let (scenario, goals) = schedule::reached(&bytes);
        reached[scenario] |= goals.bits();
    }
    for ((name, goals), reached) in schedule::SCENARIOS.iter().zip(goals).zip(reached) {
        let missed: Vec<_> =
            (0..).zip(goals).filter(|(bit, _)| reached >> bit & 1 == 0).map(|(_, goal)| goal).collect();
        assert!(missed.is_empty(), "no entry of {name} reaches {missed:?}");
    }
}

/// A recorded run, as an entry, is the same run.
#[test]
fn seeds_and_traces_are_entries_that_run_the_same() {
    use roundtrip_sim::choose::{Faults, Seeded};
    use roundtrip_sim::{Runner, Trace};
    for seed in 0..50 {
        let seeded = || Seeded::new(seed, Faults::SWARM);
        let families: Vec<_> = seeded().mask().collect();
        let (bytes, run) = schedule::entry(&Load, 2, families, seeded());
        let again = schedule::run(&bytes);
        assert_eq!(again, run, "seed {seed}");
        let trace = Trace::new("load", Some(seed), Runner::new(&Load).record(seeded()));
        assert_eq!(schedule::run(&seeds::entry_of(&trace).unwrap()), run, "seed {seed}");
    }
}
