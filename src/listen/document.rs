//! What `listen --json` prints: `docs/schema/listen.json`.

use roundtrip_messages::{Ending, Sender, SenderStats};
use roundtrip_std::DatagramAddress;
use serde::Serialize;

use super::report::Told;
use crate::problem::Exit;

/// The whole document.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    result: &'static str,
    exit: u8,
    endpoint: &'a str,
    ended_by: &'static str,
    messages: u64,
    without_number: u64,
    too_long: u64,
    dropped: u64,
    not_followed: u64,
    senders: Vec<OneSender>,
}

/// Who numbered its messages.
#[derive(Serialize)]
struct OneSender {
    sender: String,
    address: String,
    total: Option<u64>,
    came: u64,
    missing: u64,
    gaps: Vec<[u64; 2]>,
    gaps_complete: bool,
    twice: u64,
    late: u64,
    late_or_twice: u64,
    contradicts: bool,
}

impl<'a> Document<'a> {
    pub(super) fn of(endpoint: &'a str, told: &Told<'_>) -> Self {
        Self {
            result: match told.exit {
                Exit::Ok => "ok",
                Exit::Failed => "failed",
                Exit::Usage | Exit::Incomplete | Exit::Unreachable | Exit::Internal => "incomplete",
            },
            exit: told.exit as u8,
            endpoint,
            ended_by: match told.ending {
                Ending::EndMark => "end_mark",
                Ending::Count => "count",
                Ending::Limit => "time",
                Ending::Stopped | Ending::Failed(_) => "signal",
            },
            messages: told.report.heard,
            without_number: told.report.plain,
            too_long: told.report.too_long,
            dropped: told.overflowed,
            not_followed: told.report.unfollowed,
            senders: told.report.senders.iter().map(OneSender::of).collect(),
        }
    }
}

impl OneSender {
    fn of((sender, SenderStats { from, tracker, .. }): (&Sender, &SenderStats<DatagramAddress>)) -> Self {
        Self {
            sender: sender.to_string(),
            address: from.to_string(),
            total: tracker.total(),
            came: tracker.came(),
            missing: tracker.missing_count(),
            gaps: tracker.missing().map(|range| [*range.start(), *range.end()]).collect(),
            gaps_complete: tracker.is_exact(),
            twice: tracker.twice(),
            late: tracker.late(),
            late_or_twice: tracker.forgotten(),
            contradicts: tracker.contradicts(),
        }
    }
}
