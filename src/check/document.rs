//! What `check --json` prints: `docs/schema/check.json`.

use std::time::Duration;

use roundtrip_core::echo::{FaultKind, PeerEnd};
use serde::Serialize;

use crate::cli::{CheckArgs, Driver};
use crate::problem::Exit;
use crate::verdict::{Checked, Found, Judged};

/// The whole document.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    result: &'static str,
    exit: u8,
    endpoint: Option<&'a str>,
    driver: &'static str,
    seed: u64,
    connections: u64,
    rounds: u64,
    half_close: bool,
    pause_seconds: Option<f64>,
    stall_seconds: Option<f64>,
    timeout_seconds: f64,
    checks: Vec<Check>,
}

/// One size in one round.
#[derive(Serialize)]
pub(super) struct Check {
    result: &'static str,
    round: u64,
    bytes: u64,
    seconds: f64,
    received_bytes: u64,
    connections_ok: usize,
    connections_failed: usize,
    fault: Option<Fault>,
    again: String,
}

#[derive(Serialize)]
struct Fault {
    kind: &'static str,
    offset: u64,
    connection: usize,
    seed: u64,
    bytes: Option<u64>,
    end: Option<&'static str>,
    sent_bytes: u64,
    received_bytes: u64,
    idle_seconds: f64,
    after_half_close_seconds: Option<f64>,
    into_pause_seconds: Option<f64>,
    summary: String,
    detail: String,
    likely: Option<String>,
}

impl<'a> Document<'a> {
    pub(super) fn of(args: &'a CheckArgs, seed: u64, exit: Exit, checks: Vec<Check>) -> Self {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        Self {
            result: checks.last().map_or("incomplete", |last| last.result),
            exit: exit as u8,
            endpoint: args.endpoint.as_deref(),
            driver: match args.driver {
                Driver::Std => "std",
                Driver::Smol => "smol",
            },
            seed,
            connections: args.connections,
            rounds: args.repeat,
            half_close: args.half_close,
            pause_seconds: seconds(args.pause),
            stall_seconds: seconds(args.stall),
            timeout_seconds: args.client.timeout.as_secs_f64(),
            checks,
        }
    }
}

impl Check {
    pub(super) fn of(checked: &Checked, judged: &Judged, round: u64, seed: u64) -> Self {
        Self {
            result: match (judged.exit, &judged.found) {
                (Exit::Ok, _) => "ok",
                (_, Some(_)) => "failed",
                (_, None) => "incomplete",
            },
            round,
            bytes: checked.total,
            seconds: checked.took.as_secs_f64(),
            received_bytes: judged.received,
            connections_ok: judged.verified,
            connections_failed: judged.failed,
            fault: judged.found.as_ref().map(|found| Fault::of(found, seed)),
            again: checked.again.clone(),
        }
    }
}

impl Fault {
    fn of(found: &Found, seed: u64) -> Self {
        let Found { connection, outcome, fault, words } = found;
        let (kind, bytes, end) = match fault.kind {
            FaultKind::Lost { bytes } => ("lost", Some(bytes), None),
            FaultKind::Duplicated { bytes } => ("duplicated", Some(bytes), None),
            FaultKind::Reordered => ("reordered", None, None),
            FaultKind::Corrupted => ("corrupted", None, None),
            FaultKind::Trailing => ("trailing", Some(outcome.received - fault.at), None),
            FaultKind::Truncated { by, .. } => ("truncated", None, Some(end(by))),
            FaultKind::TimedOut => ("timed_out", None, None),
        };
        Self {
            kind,
            offset: fault.at,
            connection: connection + 1,
            seed: seed.wrapping_add(*connection as u64),
            bytes,
            end,
            sent_bytes: outcome.sent,
            received_bytes: outcome.received,
            idle_seconds: outcome.idle.as_secs_f64(),
            after_half_close_seconds: outcome.shut.map(|shut| shut.as_secs_f64()),
            into_pause_seconds: outcome.pause.map(|pause| pause.as_secs_f64()),
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
