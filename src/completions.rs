//! `completions`: what a shell needs to complete verbs and options, made from their definitions.

use crate::cli::{self, CompletionsArgs};
use crate::out;
use crate::problem::{Exit, Problem};

pub(crate) fn run(args: &CompletionsArgs) -> Result<Exit, Problem> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "roundtrip", &mut script);
    out::say(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Ok)
}
