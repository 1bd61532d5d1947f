//! `--json`: one document on standard output, whatever comes of the verb.

use std::fmt::Write;

use roundtrip_core::text::is_hidden;
use roundtrip_echo::{FaultKind, PeerEnd};
use serde::Serialize;

use crate::out;
use crate::problem::{Exit, Problem};
use crate::verdict::evidence::hex;
use crate::verdict::{Ended, Found};

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

/// The version of all documents. A field that is renamed, removed, or that changes its meaning is a new one; a field more is not.
const VERSION: u8 = 2;

/// A document with its version.
#[derive(Serialize)]
struct Versioned<'a, T> {
    version: u8,
    #[serde(flatten)]
    document: &'a T,
}

/// The one document: a line on standard output.
pub(crate) fn deliver(document: &impl Serialize) -> Result<(), Problem> {
    let line = serde_json::to_string(&Versioned { version: VERSION, document })
        .map_err(|error| Problem::system("cannot write the document", &error.into()))?;
    out::deliver(shown(&line))
}

/// The same document, with what JSON allows in a string and is hidden as its escapes: it may go to a terminal.
fn shown(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for char in document.chars() {
        if is_hidden(char) {
            let _ = write!(shown, "\\u{:04x}", u32::from(char));
        } else {
            shown.push(char);
        }
    }
    shown
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

/// What came of a verb, in a word, if it ends so and a fault was found.
pub(crate) const fn result(exit: Exit, has_fault: bool) -> &'static str {
    match (exit, has_fault) {
        (Exit::Ok, _) => "ok",
        (_, true) => "failed",
        (_, false) => "incomplete",
    }
}

/// What is wrong on a connection: `docs/schema/check.json`.
#[derive(Serialize)]
pub(crate) struct Fault {
    kind: &'static str,
    offset_bytes: u64,
    connection: usize,
    seed: u64,
    bytes: Option<u64>,
    end: Option<&'static str>,
    sent_bytes: u64,
    received_bytes: u64,
    age_seconds: f64,
    idle_seconds: f64,
    after_half_close_seconds: Option<f64>,
    into_pause_seconds: Option<f64>,
    crossed_connection: Option<usize>,
    came_hex: Option<String>,
    due_hex: Option<String>,
    summary: String,
    detail: String,
    likely: Option<String>,
}

impl Fault {
    pub(crate) fn of(found: &Found, seed: u64) -> Self {
        let Found { ended: Ended { connection, outcome, .. }, fault, words } = found;
        let (kind, bytes, end) = match fault.kind {
            FaultKind::Lost { bytes } => ("lost", Some(bytes), None),
            FaultKind::Duplicated { bytes } => ("duplicated", Some(bytes), None),
            FaultKind::Inserted { bytes } => ("inserted", Some(bytes), None),
            FaultKind::Reordered => ("reordered", None, None),
            FaultKind::Corrupted => ("corrupted", None, None),
            FaultKind::Withheld { bytes } => ("withheld", Some(bytes), None),
            FaultKind::Trailing => ("trailing", Some(outcome.received - fault.at), None),
            FaultKind::Truncated { by, .. } => ("truncated", None, Some(end(by))),
            FaultKind::TimedOut => ("timed_out", None, None),
        };
        let (kind, bytes) = if words.is_other_service { ("not_echo", None) } else { (kind, bytes) };
        Self {
            kind,
            offset_bytes: fault.at,
            connection: connection + 1,
            seed: seed.wrapping_add(*connection as u64),
            bytes,
            end,
            sent_bytes: outcome.sent,
            received_bytes: outcome.received,
            age_seconds: outcome.age.as_secs_f64(),
            idle_seconds: outcome.idle.as_secs_f64(),
            after_half_close_seconds: outcome.shut.map(|shut| shut.as_secs_f64()),
            into_pause_seconds: outcome.pause.map(|pause| pause.as_secs_f64()),
            crossed_connection: words.crossed.map(|connection| connection + 1),
            came_hex: words.evidence.as_ref().map(|evidence| hex(&evidence.came)),
            due_hex: words.evidence.as_ref().map(|evidence| hex(&evidence.due)),
            summary: words.what.clone(),
            detail: words.detail.clone(),
            likely: words.likely.clone(),
        }
    }
}

const fn end(by: PeerEnd) -> &'static str {
    match by {
        PeerEnd::Fin => "fin",
        PeerEnd::Reset => "reset",
        PeerEnd::Truncated => "truncated",
        PeerEnd::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_escaped_and_means_the_same() {
        let text = "\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2028}é 🙂 \\ \"";
        let document = shown(&serde_json::to_string(text).unwrap());
        assert!(!document.chars().any(is_hidden) && document.contains("\\u202e"), "{document:?}");
        assert_eq!(serde_json::from_str::<String>(&document).unwrap(), text);
    }
}
