//! Builds of the program for other machines: the paths of this one are left out.
//!
//! Panic messages hold the paths of source files. Those of dependencies begin with cargo's home folder, and so with the name
//! of the user who built them. Cargo's `trim-paths` would leave them out, but is not stable; rustc's `--remap-path-prefix`
//! is (rustc book, "Remap source paths").

use std::path::PathBuf;
use std::process::Command;
use std::{env, io};

/// `cargo install` of the program.
pub(crate) fn install() -> io::Result<Command> {
    let mut command = cargo(&["install", "--locked", "--profile", "dist", "--path"])?;
    command.arg(crate::root());
    Ok(command)
}

/// The program for a package, optimised as a whole: `target/dist/roundtrip`.
pub(crate) fn dist() -> io::Result<Command> {
    let mut command = cargo(&["build", "--locked", "--profile", "dist", "--manifest-path"])?;
    command.arg(crate::root().join("Cargo.toml"));
    Ok(command)
}

/// The flags that leave the paths out, as `CARGO_ENCODED_RUSTFLAGS` takes them, behind those that the environment sets.
pub(crate) fn flags() -> io::Result<String> {
    let mut flags = inherited_flags();
    for (from, to) in [(cargo_home()?, "cargo"), (crate::root(), "roundtrip")] {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    Ok(flags.join("\x1f"))
}

fn cargo(args: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).env("CARGO_ENCODED_RUSTFLAGS", flags()?);
    Ok(command)
}

/// The flags that the environment sets, which the variable above would replace. Those of cargo's configuration files are
/// replaced.
fn inherited_flags() -> Vec<String> {
    if let Ok(encoded) = env::var("CARGO_ENCODED_RUSTFLAGS") {
        return encoded.split('\x1f').filter(|flag| !flag.is_empty()).map(str::to_owned).collect();
    }
    env::var("RUSTFLAGS").unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Where cargo keeps the sources of dependencies (cargo book, "Cargo Home").
fn cargo_home() -> io::Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::home_dir().ok_or_else(|| io::Error::other("no home folder; set CARGO_HOME"))?;
    Ok(home.join(".cargo"))
}
