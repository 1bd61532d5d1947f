//! A verdict in words.

use std::fmt::Write;
use std::time::Duration;

use roundtrip_core::echo::{ClientOutcome, Fault, FaultKind, PeerEnd, Verdict};

use crate::problem::Exit;
use crate::units::{bytes, duration, grouped};

/// What was checked.
pub(crate) struct Checked {
    /// Bytes that should have come back.
    pub(crate) total: u64,
    /// How long it took.
    pub(crate) took: Duration,
    /// The longest time without progress that was allowed.
    pub(crate) timeout: Duration,
    /// The command that does the same again.
    pub(crate) again: String,
}

/// The lines to print, and how the program ends.
pub(crate) fn render(checked: &Checked, outcome: &ClientOutcome) -> (String, Exit) {
    match outcome.verdict {
        Verdict::Verified => {
            let seconds = checked.took.as_secs_f64();
            (format!("ok  {} back in order, clean end, {seconds:.3} s", bytes(checked.total)), Exit::Ok)
        }
        Verdict::Stopped | Verdict::Aborted => {
            let line = format!(
                "INCOMPLETE  stopped after {} of {} came back",
                grouped(outcome.received),
                bytes(checked.total)
            );
            (line, Exit::Incomplete)
        }
        Verdict::Faulty(fault) => {
            let exit = if fault.kind == FaultKind::TimedOut { Exit::Incomplete } else { Exit::Failed };
            (faulty(checked, outcome, fault), exit)
        }
    }
}

fn faulty(checked: &Checked, outcome: &ClientOutcome, fault: Fault) -> String {
    let Fault { at, kind } = fault;
    let total = checked.total;
    let came = format!("{} of {} came back", grouped(at), bytes(total));
    let wrong = format!("first wrong offset {at}; every byte before it is right");
    let missing = if at == total {
        "every byte is right".to_owned()
    } else {
        format!("first missing offset {at}; every byte before it is right")
    };
    let (what, detail) = match kind {
        FaultKind::Lost { bytes: lost } => {
            (format!("lost: {} missing in the middle", is_or_are(lost)), wrong)
        }
        FaultKind::Duplicated { bytes: twice } => (format!("duplicated: {} came twice", bytes(twice)), wrong),
        FaultKind::Reordered => ("reordered: the right bytes in the wrong order".to_owned(), wrong),
        FaultKind::Corrupted => ("corrupted: bytes came that were never sent".to_owned(), wrong),
        FaultKind::Trailing => {
            let extra = bytes(outcome.received - at);
            (format!("trailing: at least {extra} more came than were sent"), wrong)
        }
        FaultKind::Truncated { by, after } => {
            let what = match by {
                PeerEnd::Fin => "peer closed early",
                PeerEnd::Reset => "connection reset",
                PeerEnd::Truncated => "stream cut",
                PeerEnd::Error => "connection failed",
            };
            (format!("{what}: {came}"), format!("{missing}; {}", end_of(by, after)))
        }
        FaultKind::TimedOut => {
            let limit = duration(checked.timeout);
            (format!("timed out: {came}, then nothing moved for {limit}"), missing)
        }
    };
    let mut text = format!("FAIL  {what}\n  {detail}");
    if let Some(likely) = likely(total, fault) {
        let _ = write!(text, "\n  likely: {likely}");
    }
    let _ = write!(text, "\n  again: {}", checked.again);
    text
}

fn is_or_are(number: u64) -> String {
    format!("{} {}", bytes(number), if number == 1 { "is" } else { "are" })
}

/// `FIN, not RST, 3 ms after ours`
fn end_of(by: PeerEnd, after: Option<Duration>) -> String {
    let what = match by {
        PeerEnd::Fin => "FIN, not RST",
        PeerEnd::Reset => "RST, not FIN",
        PeerEnd::Truncated => "no authenticated end",
        PeerEnd::Error => "an error, not an end",
    };
    let when = match after {
        Some(after) if after < Duration::from_secs(1) => format!("{} ms after our FIN", after.as_millis()),
        Some(after) => format!("{:.1} s after our FIN", after.as_secs_f64()),
        None => "before our FIN".to_owned(),
    };
    format!("{what}, {when}")
}

/// The cause that a person should look for first.
fn likely(total: u64, Fault { at, kind }: Fault) -> Option<&'static str> {
    Some(match kind {
        FaultKind::Corrupted | FaultKind::Trailing if at == 0 => "the peer is no echo server",
        FaultKind::Truncated { by: PeerEnd::Fin, after: None } if at == 0 => {
            "the peer is no echo server, or refuses this client"
        }
        FaultKind::Truncated { by: PeerEnd::Fin, after: Some(_) } => {
            "something on the path drops data after a half-close"
        }
        FaultKind::Truncated { by: PeerEnd::Fin, after: None } => "the server, or a proxy, gave up half-way",
        FaultKind::Truncated { by: PeerEnd::Reset, .. } => {
            "the server closed with data unread, crashed, or something on the path cut the connection"
        }
        FaultKind::Truncated { .. } => return None,
        FaultKind::TimedOut if at == 0 => "the peer is no echo server, or waits for more",
        FaultKind::TimedOut if at == total => "something on the path does not pass on a half-close",
        FaultKind::TimedOut => "the server, or a proxy, is stuck",
        FaultKind::Lost { .. } | FaultKind::Duplicated { .. } | FaultKind::Reordered => {
            "a program on the path mishandles its buffers: TCP itself delivers in order or not at all"
        }
        FaultKind::Corrupted => "a program on the path changes the bytes, or memory is bad",
        FaultKind::Trailing => "the server adds bytes of its own",
    })
}
