//! The cause of a fault that a person should look for first.

use std::time::Duration;

use roundtrip_echo::{ClientOutcome, Fault, FaultKind, PeerEnd, Verdict};

use super::{Checked, Ended, Further, Through, is_complete};
use crate::units::{bytes, duration, grouped, many};

/// A shorter silence was no time-out: the shortest that relays have by default is half a second.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(400);

/// Of connections that are cut earlier, the ages are alike by chance.
const SHORTEST_AGE: Duration = Duration::from_millis(100);

const WITHHOLDS: &str = "something on the path passes on whole blocks, and the rest only at a half-close: a client that waits for an answer hangs";

const HALF_CLOSE_OFF: &str = "--half-close off shows whether it is only that";

/// The cause that the evidence speaks for. `verified` is the number of connections of this check that are well.
pub(super) fn likely(checked: &Checked, verified: usize, ended: &Ended, fault: Fault) -> Option<String> {
    let outcome = &ended.outcome;
    let tcp = ended.tcp.filter(|_| fault.kind == FaultKind::TimedOut);
    forgotten(checked, verified, ended, fault)
        .or_else(|| tcp.and_then(|tcp| tcp.lost_on_path(checked.passed)))
        .or_else(|| withheld(checked, ended))
        .or_else(|| stalled(checked, ended))
        .or_else(|| cut_at_a_limit(checked, ended))
        .or_else(|| limited(checked, verified, outcome, fault))
        .or_else(|| {
            let is_silent = outcome.received == 0 && outcome.sent > 0 && checked.stall.is_none();
            let unanswered = tcp.filter(|_| is_silent).and_then(|tcp| tcp.unanswered(outcome.shut.is_some()));
            let likely = unanswered.or_else(|| of_kind(checked, ended, fault));
            likely.map(|likely| with_hint(likely, outcome, fault))
        })
}

/// After our half-close, a time-out and an early end may come of it.
fn with_hint(mut likely: String, outcome: &ClientOutcome, fault: Fault) -> String {
    let may_come_of_it = matches!(fault.kind, FaultKind::TimedOut | FaultKind::Truncated { .. });
    if may_come_of_it && outcome.shut.is_some() && !likely.contains(HALF_CLOSE_OFF) {
        likely.push_str("; ");
        likely.push_str(HALF_CLOSE_OFF);
    }
    likely
}

/// Nothing came back since a pause, and it is over: a path that forgot the connection seldom says so.
fn forgotten(checked: &Checked, verified: usize, ended: &Ended, fault: Fault) -> Option<String> {
    let pause = checked.pause?;
    if !ended.is_forgotten(checked.total?) {
        return None;
    }
    // Then it is no limit of time.
    if let Some(well) = well_before(checked, verified) {
        return Some(format!(
            "the path forgot this connection in the pause, although {well} passed with the same pause: its table of connections is full, or it was restarted"
        ));
    }
    let bounds = match &checked.further {
        Some(Further::ShorterPause(other)) if other.outcome.verdict == Verdict::Verified => {
            format!("between {} and {}", duration(pause / 2), duration(pause))
        }
        Some(Further::ShorterPause(other)) if other.is_forgotten(checked.total?) => {
            format!("less than {}", duration(pause / 2))
        }
        _ => format!("less than {}", duration(pause)),
    };
    let how = if fault.kind == FaultKind::TimedOut {
        "without an end, as of a NAT or a firewall"
    } else {
        "with a reset"
    };
    Some(format!("an idle timeout on the path of {bounds}, {how}"))
}

/// What of this run was ok, if there is something: other connections, or earlier rounds.
fn well_before(checked: &Checked, verified: usize) -> Option<String> {
    match checked.round {
        _ if verified > 0 => {
            let (verified, of) = (grouped(verified as u64), grouped(checked.connections as u64));
            Some(format!("{verified} of {of} connections"))
        }
        Some((round @ 2.., _)) => Some(format!("{} before", many(round - 1, "round"))),
        _ => None,
    }
}

/// A connection that got nothing, although those before it, or beside it, were well.
fn limited(checked: &Checked, verified: usize, outcome: &ClientOutcome, fault: Fault) -> Option<String> {
    let got_nothing = fault.at == 0
        && outcome.received == 0
        && matches!(fault.kind, FaultKind::TimedOut | FaultKind::Truncated { .. });
    let well = well_before(checked, verified).filter(|_| got_nothing)?;
    Some(format!("{well} were ok, and this connection got nothing: a limit, or a leak, of connections"))
}

/// A connection that hung, where another had its last bytes back as soon as it half-closed.
fn withheld(checked: &Checked, ended: &Ended) -> Option<String> {
    let withheld = checked.tail()?.ended.withheld().filter(|_| ended.is_stuck_before_half_close())?;
    Some(format!("{WITHHOLDS}; on another connection, the last {} did so", bytes(withheld)))
}

/// A connection that read nothing for a time, where another one did so without a half-close.
fn stalled(checked: &Checked, ended: &Ended) -> Option<String> {
    let Some(Further::NotHalfClosed(other)) = &checked.further else { return None };
    if !ended.is_unfinished() {
        return None;
    }
    let words = match other.outcome.verdict {
        Verdict::Verified => {
            "the half-close, not the slow reader: another connection with the same --stall was ok without one"
        }
        Verdict::Faulty(_) => {
            "the path fails a client that reads slowly: another connection failed without a half-close, too"
        }
        Verdict::Stopped | Verdict::Aborted => return None,
    };
    Some(words.to_owned())
}

/// A connection that was cut where another one was cut, too: after as many bytes, or at the same age.
fn cut_at_a_limit(checked: &Checked, ended: &Ended) -> Option<String> {
    let Some(Further::Again(again)) = &checked.further else { return None };
    if !ended.is_cut_half_way() || !again.is_cut_half_way() {
        return None;
    }
    let again = &again.outcome;
    let first = &ended.outcome;
    if first.received == again.received {
        let limit = bytes(first.received);
        return Some(format!("a limit of {limit} on a connection: another one was cut after as many"));
    }
    let is_as_old = first.age >= SHORTEST_AGE && first.age.abs_diff(again.age) <= first.age / 10;
    is_as_old.then(|| {
        let (age, other) = (about(first.age.min(again.age)), bytes(again.received));
        format!(
            "a limit of about {age} on a connection's age: another one was cut at that age, with {other} back"
        )
    })
}

/// From the kind of the fault and its moment.
fn of_kind(checked: &Checked, ended: &Ended, Fault { at, kind }: Fault) -> Option<String> {
    let outcome = &ended.outcome;
    if let (Through::Tls(found), FaultKind::Truncated { by: PeerEnd::Truncated, .. }) =
        (&checked.through, kind)
    {
        let hint = outcome.shut.map(|_| format!("; {HALF_CLOSE_OFF}"));
        return found.as_ref().map(|found| format!("{found}{}", hint.unwrap_or_default()));
    }
    let complete = is_complete(checked, ended, at);
    let likely = match kind {
        FaultKind::Corrupted | FaultKind::Trailing if at == 0 => "the peer is no echo server",
        FaultKind::Corrupted => "a program on the path changes the bytes, or memory is bad",
        FaultKind::Inserted { .. } => {
            "a program on the path adds bytes of its own, or bytes of an earlier session came late"
        }
        FaultKind::Withheld { .. } => WITHHOLDS,
        FaultKind::Trailing => "the server adds bytes of its own",
        FaultKind::Lost { .. } | FaultKind::Duplicated { .. } | FaultKind::Reordered => {
            "a program on the path mishandles its buffers: TCP itself delivers in order or not at all"
        }
        FaultKind::Truncated { .. } if outcome.pause.is_some_and(|pause| pause >= SHORTEST_TIMEOUT) => {
            let limit = outcome.pause.unwrap_or_default();
            return Some(format!("an idle timeout of about {} on the path", about(limit)));
        }
        // Nothing was read in the stall: that nothing came back says nothing.
        FaultKind::Truncated { by: PeerEnd::Fin | PeerEnd::Reset, .. } if checked.stall.is_some() => {
            "if all is well without --stall: the path fails a client that reads slowly"
        }
        FaultKind::Truncated { by: PeerEnd::Fin, after: None } if at == 0 => {
            "the peer is no echo server, or refuses this client"
        }
        FaultKind::Truncated { by: PeerEnd::Reset, after: None } if at == 0 => {
            "the server refuses this client, or crashed, or a proxy has no server to turn to"
        }
        FaultKind::Truncated { by: PeerEnd::Fin, after: Some(after) } => {
            // It was cut, or it was waited for.
            let how = if after.min(outcome.idle) < SHORTEST_TIMEOUT {
                "something on the path drops data after a half-close".to_owned()
            } else {
                format!("something on the path gives up about {} after a half-close", about(after))
            };
            return Some(format!("{how}; {HALF_CLOSE_OFF}"));
        }
        FaultKind::Truncated { by: PeerEnd::Reset, after: Some(_) } if complete => {
            "the server, or a proxy, ends with a reset where it should close"
        }
        FaultKind::Truncated { by: PeerEnd::Reset, after: Some(_) } => {
            "something on the path throws away at a half-close what it has already taken, or the server crashed"
        }
        FaultKind::Truncated { by: PeerEnd::Fin, after: None } => "the server, or a proxy, gave up half-way",
        FaultKind::Truncated { by: PeerEnd::Reset, .. } => {
            "the server closed with data unread, crashed, or something on the path cut the connection"
        }
        FaultKind::Truncated { .. } => return None,
        FaultKind::TimedOut if at == 0 && outcome.shut.is_none() => {
            "the peer is no echo server, or waits for more"
        }
        FaultKind::TimedOut if complete => {
            return Some(format!("something on the path does not pass on a half-close; {HALF_CLOSE_OFF}"));
        }
        FaultKind::TimedOut if checked.stall.is_some() => {
            "the server, or a proxy, is stuck after a client read slowly"
        }
        FaultKind::TimedOut if at == 0 => "the peer is no echo server, or stuck",
        FaultKind::TimedOut => "the server, or a proxy, is stuck",
    };
    Some(likely.to_owned())
}

/// `500 ms`, `1.5 s`, `60 s`: as a configuration would say it, for what is measured is always a little late.
fn about(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ ..900 => format!("{} ms", millis / 10 * 10),
        millis => match (millis + 20) / 100 {
            tenths if tenths % 10 == 0 => format!("{} s", tenths / 10),
            tenths => format!("{}.{} s", tenths / 10, tenths % 10),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_as_it_is_configured() {
        for (millis, words) in [
            (301, "300 ms"),
            (899, "890 ms"),
            (990, "1 s"),
            (1004, "1 s"),
            (1503, "1.5 s"),
            (2950, "2.9 s"),
            (60_030, "60 s"),
        ] {
            assert_eq!(about(Duration::from_millis(millis)), words);
        }
    }
}
