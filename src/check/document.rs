//! What `check --json` prints: `docs/schema/check.json`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::CheckArgs;
use crate::json::{self, Fault};
use crate::problem::Exit;
use crate::verdict::tcp::Tcp;
use crate::verdict::{Checked, Judged, Unreached};

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
    address: Option<SocketAddr>,
    local_address: Option<SocketAddr>,
    unreached: Vec<Unreached>,
    received_bytes: u64,
    received_bytes_per_second: f64,
    tcp: Option<TcpDocument>,
    connections_ok: usize,
    connections_failed: usize,
    connections_not_made: usize,
    tail_checked: bool,
    fault: Option<Fault>,
    again: String,
}

/// What the system's TCP knew of the connection with the fault, or of the first, right before it was closed.
#[derive(Serialize)]
struct TcpDocument {
    acknowledged_bytes: u64,
    unacknowledged_bytes: u64,
    unsent_bytes: u64,
    timeouts: u32,
    retransmissions: u32,
    window_bytes: Option<u32>,
    segment_bytes: u32,
    round_trip_seconds: f64,
}

impl TcpDocument {
    fn of(tcp: Tcp) -> Self {
        let Tcp { info, acknowledged, unacknowledged } = tcp;
        Self {
            acknowledged_bytes: acknowledged,
            unacknowledged_bytes: unacknowledged,
            unsent_bytes: info.unsent,
            timeouts: info.timeouts,
            retransmissions: info.retransmissions,
            window_bytes: info.window,
            segment_bytes: info.segment,
            round_trip_seconds: info.round_trip.as_secs_f64(),
        }
    }
}

impl<'a> Document<'a> {
    pub(super) fn of(
        args: &'a CheckArgs,
        half_close: bool,
        seed: u64,
        exit: Exit,
        checks: Vec<Check>,
    ) -> Self {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        Self {
            result: match checks.last() {
                // All came back, and the record of it is not whole.
                Some(last) if exit == Exit::Ok || last.result != "ok" => last.result,
                _ => "incomplete",
            },
            exit: exit as u8,
            endpoint: args.endpoint.as_deref(),
            driver: args.driver.of_streams().name(),
            seed,
            connections: args.connections,
            rounds: args.repeat,
            half_close,
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
            result: json::result(judged.exit, judged.found.is_some() || checked.unconnected.is_some()),
            round,
            bytes: checked.total.unwrap_or(0),
            seconds: checked.took.as_secs_f64(),
            address: checked.addresses.map(|(theirs, _)| theirs),
            local_address: checked.addresses.map(|(_, ours)| ours),
            unreached: checked.unreached.clone(),
            received_bytes: judged.received,
            received_bytes_per_second: judged.pace(),
            tcp: judged.tcp.map(TcpDocument::of),
            connections_ok: judged.verified,
            connections_failed: judged.failed,
            connections_not_made: checked.unconnected.as_ref().map_or(0, |unconnected| unconnected.count),
            tail_checked: checked.tail().is_some(),
            fault: judged.found.as_ref().map(|found| Fault::of(found, seed)),
            again: checked.again.clone(),
        }
    }
}
