//! `cargo xtask`: the single entry point to the repository's scripts.
//!
//! `cargo xtask` lists the tasks; `cargo xtask TASK --help` prints the comment at the head of its script. Whatever is one
//! plain cargo command (`cargo test -p roundtrip-smol`) is not a task.

#![forbid(unsafe_code)]

mod api;
mod install;
mod tasks;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use tasks::{Runs, Task};

/// Exit code of a command line that names no task, as of the scripts.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if matches!(*words, [] | ["help" | "--help" | "-h" | "--list"]) {
        print!("{}", tasks::list());
        return ExitCode::SUCCESS;
    }
    let Some((task, rest)) = tasks::find(&words) else {
        eprintln!("unknown task: {}\n  try: cargo xtask, for the list", words.join(" "));
        return USAGE.into();
    };
    match run(task, rest) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("{}: {error}", task.name);
            USAGE.into()
        }
    }
}

/// Runs a task to its end, in the current folder, which relative paths refer to; its exit code.
fn run(task: &Task, args: &[&str]) -> io::Result<u8> {
    let mut command = match task.runs {
        Runs::Script(path, fixed) => {
            let script = root().join(path);
            if matches!(args, ["--help" | "-h"]) {
                print!("{}", head_comment(&fs::read_to_string(&script)?));
                return Ok(0);
            }
            let mut command = Command::new("bash");
            command.arg(script).args(fixed);
            command
        }
        Runs::Cargo(command) => command()?,
        Runs::Print(text) => {
            println!("{}", text()?);
            return Ok(0);
        }
    };
    let status = command.args(args).status()?;
    // A signal leaves no code; 101 is what cargo itself uses then.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(101))
}

/// The folder of the workspace's manifest.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new(".")).to_owned()
}

/// The lines of comment that a script begins with, without `#` and the line that names its interpreter.
fn head_comment(script: &str) -> String {
    let lines = script.lines().skip_while(|line| line.starts_with("#!"));
    let comment = lines.map_while(|line| line.strip_prefix('#'));
    comment.flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_script_is_its_head_comment() {
        assert_eq!(
            head_comment("#!/bin/sh\n# Counts.\n#\n#   count N\nset -e\n# no\n"),
            "Counts.\n\n  count N\n"
        );
    }
}
