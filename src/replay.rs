//! `replay`: recorded sessions, run again without a socket.

use std::fs::File;
use std::sync::Arc;

use clap::{Args, ValueHint};
use roundtrip_core::text::escaped;
use roundtrip_echo::{EchoClient, EchoServer, Payload};
use roundtrip_record::{Record, ReplayError, ReplayErrorCause, Replayed};
use serde::de::DeserializeOwned;

use crate::out;
use crate::problem::{Exit, Problem, plain};
use crate::record::{CLIENT, Checked, SERVER, Served};
use crate::units::{bytes, grouped, many, quoted};

#[derive(Debug, Args)]
#[command(after_help = REPLAY_EXAMPLES)]
pub(crate) struct ReplayArgs {
    /// What `serve --record` or `check --record` wrote
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: String,
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  roundtrip replay session.record              do the sessions do the same again?
  gdb --args roundtrip replay session.record   what do they do?

Exit codes: 0 ok, 1 an action is another one, or the record is damaged, 2 usage, 3 the record breaks
off, or nobody takes the result, 5 internal";

pub(crate) fn run(args: &ReplayArgs) -> Result<Exit, Problem> {
    let path = &args.file;
    let file = File::open(path).map_err(|error| unreadable(path, &plain(&error)))?;
    let record = Record::open(file).map_err(|error| problem(path, &error))?;
    let replayed = match &*record.header().machine {
        SERVER => {
            let config = Arc::new(config::<Served>(&record, path)?.config()?);
            record.replay(|opened| EchoServer::new(Arc::clone(&config), opened.at))
        }
        CLIENT => {
            let checked = config::<Checked>(&record, path)?;
            let config = Arc::new(checked.config()?);
            record.replay(|opened| {
                let seed = checked.seed.wrapping_add(opened.connection.number());
                EchoClient::new(Arc::clone(&config), Payload::seeded(seed, checked.bytes), opened.at)
            })
        }
        other => {
            return Err(Problem::usage(
                format!("the record is of machines of another program: {}", escaped(other)),
                "replay it with `roundtrip_record` in that program's tests",
            ));
        }
    };
    match replayed {
        Ok(replayed) => tell(path, &replayed),
        Err(error) if matches!(error.cause, ReplayErrorCause::Diverged(_)) => {
            out::deliver(format!(
                "FAIL  {error}\n  likely: another release wrote the record; if not, it is a bug, and the record shows it\n  \
                 again: roundtrip replay {}",
                quoted(path)
            ))?;
            Ok(Exit::Failed)
        }
        Err(error) => Err(problem(path, &error)),
    }
}

/// What the first line says of the configuration.
fn config<C: DeserializeOwned>(record: &Record<File>, path: &str) -> Result<C, Problem> {
    serde_json::from_str(&record.header().config).map_err(|_| {
        let cause = format!("the configuration in {} is none of this release", escaped(path));
        Problem::usage(cause, "replay it with the release that wrote it")
    })
}

/// Every action was the same: of how many sessions, and whether these were all.
fn tell(path: &str, replayed: &Replayed) -> Result<Exit, Problem> {
    let what = format!(
        "{}, {}, {}: every action the same",
        many(replayed.sessions, "session"),
        many(replayed.inputs, "input"),
        bytes(replayed.bytes)
    );
    match replayed.torn {
        None => out::deliver(format!("ok  {what}")).map(|()| Exit::Ok),
        Some(torn) => {
            let (line, offset) = (grouped(torn.line), grouped(torn.offset));
            out::deliver(format!(
                "INCOMPLETE  {what}\n  {} breaks off in line {line}, which begins at byte {offset}",
                escaped(path)
            ))?;
            Ok(Exit::Incomplete)
        }
    }
}

fn unreadable(path: &str, why: &str) -> Problem {
    let cause = format!("cannot read {}: {why}", escaped(path));
    Problem::usage(cause, "name a file that `serve --record` or `check --record` wrote")
}

/// The record says nothing of what the machines do, for this reason.
fn problem(path: &str, error: &ReplayError) -> Problem {
    let name = escaped(path);
    match &error.cause {
        ReplayErrorCause::Io(error) => unreadable(path, &plain(error)),
        ReplayErrorCause::NotARecord => unreadable(path, "it is no record"),
        ReplayErrorCause::Newer(version) => Problem::usage(
            format!("{name} is a record of version {version}, which this release does not know"),
            "replay it with the release that wrote it",
        ),
        ReplayErrorCause::Torn => Problem::new(
            Exit::Incomplete,
            format!("{name} breaks off in its first line"),
            "record the session again, where there is room for it",
        ),
        ReplayErrorCause::Damaged
        | ReplayErrorCause::TooLong
        | ReplayErrorCause::Malformed
        | ReplayErrorCause::Trailing
        | ReplayErrorCause::Diverged(_)
        | _ => Problem::new(
            Exit::Failed,
            format!("{name} is damaged: {error}"),
            "copy it once more from where it was written; what comes after this line is not to be trusted",
        ),
    }
}
