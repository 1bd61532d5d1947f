//! `--json`: one document on standard output, whatever comes of the verb.

use serde::Serialize;

use crate::out;
use crate::problem::Problem;

/// What went wrong before there was a result: `docs/schema/error.json`.
#[derive(Serialize)]
struct Failure<'a> {
    result: &'static str,
    exit: u8,
    error: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    cause: &'a str,
    advice: &'a str,
}

/// The one document: a line on standard output.
pub(crate) fn deliver(document: &impl Serialize) -> Result<(), Problem> {
    let line = serde_json::to_string(document)
        .map_err(|error| Problem::system("cannot write the document", &error.into()))?;
    out::deliver(line)
}

/// Says what is wrong: in the document if one was asked for, else on standard error. There, too, if standard output does
/// not take it.
pub(crate) fn complain(problem: &Problem) {
    let told = Told { cause: problem.cause(), advice: problem.advice() };
    let failure = Failure { result: "error", exit: problem.exit() as u8, error: told };
    if !is_wanted() || deliver(&failure).is_err() {
        out::complain(problem);
    }
}

/// Whether `--json` is among the arguments; those that could not be understood are no reason to answer in another form.
fn is_wanted() -> bool {
    std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json")
}
