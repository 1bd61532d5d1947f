//! Writes corpus entries, and runs targets without a fuzzer. `fuzz/corpus.sh` is its front end.
//!
//! | arguments | effect |
//! | --- | --- |
//! | `seeds FOLDER` | writes the initial entries of every target, one folder per target |
//! | `entry TRACE` | prints a trace of the simulator as an entry of `schedule` |
//! | `run TARGET FILE…` | runs a target on files |

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use roundtrip_fuzzing::{TARGETS, seeds};
use roundtrip_sim::Trace;

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let done = match *args {
        ["seeds", folder] => write_seeds(Path::new(folder)),
        ["entry", trace] => entry(Path::new(trace)),
        ["run", target, ref files @ ..] => run(target, files),
        _ => Err(io::Error::other("corpus seeds FOLDER, corpus entry TRACE, or corpus run TARGET FILE…")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn write_seeds(folder: &Path) -> io::Result<()> {
    for (target, _) in TARGETS {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (number, entry) in seeds::of(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:04}")), entry)?;
        }
    }
    Ok(())
}

fn entry(trace: &Path) -> io::Result<()> {
    let text = String::from_utf8(read(trace)?).map_err(io::Error::other)?;
    let trace = Trace::parse(&text).map_err(io::Error::other)?;
    let entry = seeds::entry_of(&trace).ok_or_else(|| io::Error::other("no such scenario"))?;
    io::stdout().write_all(&entry)
}

fn run(target: &str, files: &[&str]) -> io::Result<()> {
    let target = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, target) = target.ok_or_else(|| io::Error::other("no such target"))?;
    for file in files {
        target(&read(Path::new(file))?);
    }
    Ok(())
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    fs::read(file).map_err(|error| io::Error::other(format!("cannot read {}: {error}", file.display())))
}
