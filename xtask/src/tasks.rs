//! The tasks: one list, which the front prints and runs, and which a test holds against the scripts of the repository.

use std::fmt::Write;
use std::io;
use std::process::Command;

use crate::{api, install};

/// What can be run.
#[derive(Debug)]
pub(crate) struct Task {
    /// One word, or two where several tasks share a topic.
    pub(crate) name: &'static str,
    /// The most common arguments; all are passed on.
    pub(crate) args: &'static str,
    pub(crate) about: &'static str,
    pub(crate) runs: Runs,
}

/// How a task is run.
#[derive(Debug)]
pub(crate) enum Runs {
    /// A script, by its path from the root, and arguments that come before the caller's.
    Script(&'static str, &'static [&'static str]),
    /// A cargo command, with the caller's arguments at its end.
    Cargo(fn() -> io::Result<Command>),
    /// Prints the returned text.
    Print(fn() -> io::Result<String>),
}

const fn script(
    name: &'static str,
    args: &'static str,
    path: &'static str,
    fixed: &'static [&'static str],
    about: &'static str,
) -> Task {
    Task { name, args, about, runs: Runs::Script(path, fixed) }
}

/// All tasks, grouped by heading.
pub(crate) const TASKS: &[(&str, &[Task])] = &[
    (
        "Checks",
        &[
            script(
                "ci",
                "[--list] [STEP]...",
                ".ci/run",
                &[],
                "The gate, or some of its steps: what a pull request must pass",
            ),
            script(
                "nightly",
                "[--list] [STEP]...",
                ".ci/nightly",
                &[],
                "The slow campaigns, or some of them",
            ),
            script(
                "mutants",
                "[OPTION]...",
                ".ci/mutants.sh",
                &[],
                "Mutate the core; every mutant must fail a test",
            ),
            script(
                "bare-metal",
                "",
                ".ci/bare-metal.sh",
                &[],
                "Build the core for a target without a standard library",
            ),
            script(
                "other-unix",
                "",
                ".ci/other-unix.sh",
                &[],
                "Type-check the workspace for FreeBSD and macOS",
            ),
            script("windows", "", ".ci/windows.sh", &[], "Build for Windows and run the tests under wine"),
        ],
    ),
    (
        "Fuzzing",
        &[
            script(
                "fuzz build",
                "[--address] [--planted] [TARGET]...",
                "fuzz/build.sh",
                &[],
                "Build fuzz targets without cargo-fuzz",
            ),
            script("fuzz smoke", "[SECONDS]", "fuzz/smoke.sh", &[], "Fuzz every target for some seconds"),
            script(
                "fuzz parsers",
                "[RUNS]",
                "fuzz/parsers.sh",
                &[],
                "Feed mutated inputs to every parser in 1 GiB",
            ),
            script(
                "fuzz campaign",
                "TARGET [RUNS] [JOBS]",
                "fuzz/campaign.sh",
                &[],
                "Fuzz one target for long and grow its corpus",
            ),
            script(
                "fuzz coverage",
                "[missing]",
                "fuzz/coverage.sh",
                &[],
                "Measure what of the core the corpora cover",
            ),
            script(
                "fuzz add",
                "TARGET FILE [NAME]",
                "fuzz/corpus.sh",
                &["add"],
                "Add a finding to the regressions and replay it",
            ),
            script(
                "fuzz unpack",
                "[TARGET]...",
                "fuzz/corpus.sh",
                &["unpack"],
                "Unpack corpora to fuzz/corpus, where fuzzers look",
            ),
            script(
                "fuzz pack",
                "TARGET",
                "fuzz/corpus.sh",
                &["pack"],
                "Pack fuzz/corpus/TARGET into its archive",
            ),
            script(
                "fuzz minimize",
                "TARGET",
                "fuzz/corpus.sh",
                &["minimize"],
                "Drop the entries of a corpus that add no coverage",
            ),
            script(
                "fuzz seeds",
                "FOLDER",
                "fuzz/corpus.sh",
                &["seeds"],
                "Write the entries that every corpus begins with",
            ),
            script(
                "fuzz entry",
                "TRACE",
                "fuzz/corpus.sh",
                &["entry"],
                "Print a simulator trace as an entry of `schedule`",
            ),
        ],
    ),
    (
        "Benchmarks",
        &[
            script(
                "bench instructions",
                "[--write]",
                "benches/instructions/instructions.sh",
                &[],
                "Instructions per message and event, against the baseline",
            ),
            script(
                "bench event-path",
                "[times]",
                "drivers/sim/scenarios/benches/event-path.sh",
                &[],
                "The simulator's event path, against its limits",
            ),
            script(
                "bench peers",
                "[--quick] [--goal NAME]",
                "benches/peers/peers.sh",
                &[],
                "The drivers against other echo servers",
            ),
            script(
                "bench load",
                "[PAIRS [SECONDS]]",
                "benches/load/load.sh",
                &[],
                "`roundtrip load` against a bare generator in C",
            ),
            script(
                "bench simulators",
                "[CLIENTS]",
                "benches/simulators/simulators.sh",
                &[],
                "The simulator against turmoil and madsim",
            ),
            script(
                "bench redis",
                "[ROUNDS [REQUESTS]]",
                "examples/resp/redis-benchmark.sh",
                &[],
                "The Redis example against redis-server",
            ),
            script(
                "bench http",
                "[ROUNDS [SECONDS]]",
                "examples/http/wrk.sh",
                &[],
                "The HTTP example against hyper: CPU time per request",
            ),
        ],
    ),
    (
        "Trials",
        &[
            script(
                "trial reliability",
                "[--quick] [SERVER]...",
                "tests/reliability/reliability.sh",
                &[],
                "What servers lose: ours and others",
            ),
            script(
                "trial proxies",
                "[--quick] [ROW]...",
                "tests/proxies/proxies.sh",
                &[],
                "What proxies lose after a half-close",
            ),
            script(
                "trial soak",
                "[COUNT [DRIVER]]",
                "tests/soak.sh",
                &[],
                "10 MiB through `serve`, again and again",
            ),
            script(
                "trial planted",
                "[quick]",
                "drivers/sim/planted-bugs.sh",
                &[],
                "How soon the simulator finds each planted bug",
            ),
            script(
                "trial planted-fuzz",
                "[quick]",
                "fuzz/planted-schedule.sh",
                &[],
                "How soon the fuzzer finds each planted bug",
            ),
        ],
    ),
    (
        "Documents written by commands",
        &[
            script(
                "docs performance",
                "",
                "benches/peers/peers.sh",
                &["--write"],
                "docs/performance.md and its plots; 15 minutes, an idle machine",
            ),
            script(
                "docs reliability",
                "",
                "tests/reliability/reliability.sh",
                &[],
                "docs/reliability.md; 20 minutes, an idle machine",
            ),
            script("docs proxies", "", "tests/proxies/proxies.sh", &[], "docs/proxies.md; 5 minutes"),
            script(
                "docs planted-bugs",
                "",
                "drivers/sim/planted-bugs.sh",
                &[],
                "docs/planted-bugs.md; 2 minutes and a build",
            ),
            script(
                "docs fuzzing",
                "",
                "fuzz/planted-schedule.sh",
                &[],
                "The table of planted bugs in docs/fuzzing.md",
            ),
            Task {
                name: "docs api",
                args: "",
                about: "Print the public API of the published crates: what tests/api.txt holds",
                runs: Runs::Print(api::text),
            },
        ],
    ),
    (
        "Builds",
        &[
            Task {
                name: "install",
                args: "[OPTION]...",
                about: "`cargo install` of the program, without the paths of this machine in it",
                runs: Runs::Cargo(install::install),
            },
            Task {
                name: "dist",
                args: "[OPTION]...",
                about: "The program for packages, target/dist/roundtrip, likewise",
                runs: Runs::Cargo(install::dist),
            },
            Task {
                name: "flags",
                args: "",
                about: "The flags of both, for CARGO_ENCODED_RUSTFLAGS",
                runs: Runs::Print(install::flags),
            },
        ],
    ),
];

/// The task that the words begin with, and the words behind its name.
pub(crate) fn find<'a, 'w>(words: &'a [&'w str]) -> Option<(&'static Task, &'a [&'w str])> {
    let tasks = TASKS.iter().flat_map(|(_, tasks)| *tasks);
    tasks.into_iter().find_map(|task| {
        let name: Vec<_> = task.name.split(' ').collect();
        Some((task, words.strip_prefix(&*name)?))
    })
}

/// The list, as `cargo xtask` prints it.
pub(crate) fn list() -> String {
    let mut text = String::from("cargo xtask TASK [ARGUMENT]...; cargo xtask TASK --help for more\n");
    for (heading, tasks) in TASKS {
        let _ = writeln!(text, "\n{heading}:");
        for Task { name, args, about, .. } in *tasks {
            let _ = writeln!(text, "  {:<46}{about}", format!("{name} {args}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_name_of_two_words_is_found_before_its_arguments() {
        let (task, rest) = find(&["fuzz", "add", "schedule", "crash-1"]).unwrap();
        assert_eq!((task.name, rest), ("fuzz add", &["schedule", "crash-1"][..]));
        assert!(find(&["fuzz"]).is_none());
        assert!(find(&["no", "such"]).is_none());
    }

    /// Scripts that others source or call, and that do nothing by themselves.
    const PARTS: [&str; 4] =
        [".ci/limits.sh", ".ci/steps.sh", "benches/instructions/count.sh", "fuzz/options.sh"];

    #[test]
    fn every_script_is_a_task_and_every_task_is_there() {
        let root = crate::root();
        let listed: BTreeSet<_> = TASKS
            .iter()
            .flat_map(|(_, tasks)| *tasks)
            .filter_map(|task| match task.runs {
                Runs::Script(path, _) => Some(path.to_owned()),
                Runs::Cargo(_) | Runs::Print(_) => None,
            })
            .collect();
        for path in &listed {
            assert!(root.join(path).is_file(), "{path} is not there");
        }
        let mut scripts = BTreeSet::new();
        for folder in [".ci", "benches", "drivers", "examples", "fuzz", "layers", "packaging", "tests"] {
            collect(&root, Path::new(folder), &mut scripts);
        }
        let forgotten: Vec<_> =
            scripts.iter().filter(|path| !listed.contains(*path) && !PARTS.contains(&&***path)).collect();
        assert!(forgotten.is_empty(), "no task runs {forgotten:?}");
    }

    /// The paths from the root of all shell scripts in a folder.
    fn collect(root: &Path, folder: &Path, scripts: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                if !["target", "corpus", "artifacts"].contains(&&*entry.file_name().to_string_lossy()) {
                    collect(root, &path, scripts);
                }
            } else if path.extension().is_some_and(|extension| extension == "sh") {
                scripts.insert(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
}
