//! A fault in words.

use std::fmt::Write;

use roundtrip_echo::{ClientOutcome, Fault, FaultKind, PeerEnd};

use super::evidence::Evidence;
use super::{Checked, Ended, cause, is_complete, on_their_way};
use crate::units::{bytes, duration, elapsed, grouped};

/// A fault in words, each of one line.
pub(crate) struct Words {
    pub(crate) what: String,
    pub(crate) detail: String,
    /// What came at the first wrong offset, and what was due there.
    pub(crate) evidence: Option<Evidence>,
    /// Another service than an echo server answered.
    pub(crate) is_other_service: bool,
    /// The connection whose bytes came, from 0.
    pub(crate) crossed: Option<usize>,
    /// The cause that a person should look for first.
    pub(crate) likely: Option<String>,
}

impl Words {
    pub(super) fn of(checked: &Checked, verified: usize, ended: &Ended, fault: Fault) -> Self {
        let Ended { connection, outcome, tcp } = ended;
        let Fault { at, kind } = fault;
        let total = checked.total_of(*connection);
        let came = match total {
            Some(total) => format!("{} of {} came back", grouped(at), bytes(total)),
            None => format!("{} came back of {} sent", bytes(at), grouped(outcome.sent)),
        };
        let wrong = format!("first wrong offset {at}; every byte before it is right");
        let missing = if is_complete(checked, ended, at) {
            "every byte is right".to_owned()
        } else {
            format!("first missing offset {at}; every byte before it is right")
        };
        let (what, detail) = match kind {
            FaultKind::Lost { bytes: lost } => {
                (format!("lost: {} missing in the middle", is_or_are(lost)), wrong)
            }
            FaultKind::Duplicated { bytes: twice } => {
                (format!("duplicated: {} came twice", bytes(twice)), wrong)
            }
            FaultKind::Inserted { bytes: foreign } => {
                let noun = if foreign == 1 { "byte" } else { "bytes" };
                (format!("inserted: {} foreign {noun} came between the right ones", grouped(foreign)), wrong)
            }
            FaultKind::Reordered => ("reordered: the right bytes in the wrong order".to_owned(), wrong),
            FaultKind::Corrupted => ("corrupted: bytes came that were never sent".to_owned(), wrong),
            FaultKind::Trailing => {
                let extra = bytes(outcome.received - at);
                (format!("trailing: at least {extra} more came than were sent"), wrong)
            }
            FaultKind::Truncated { by, .. } => {
                let what = match by {
                    PeerEnd::Fin => "peer closed",
                    PeerEnd::Reset => "connection reset",
                    PeerEnd::Truncated => "stream cut",
                    PeerEnd::Error => "connection failed",
                };
                let when = match outcome.pause {
                    Some(pause) => format!(" while nothing moved, {} into a pause", elapsed(pause)),
                    None if by == PeerEnd::Fin => " early".to_owned(),
                    None => String::new(),
                };
                (format!("{what}{when}: {came}"), format!("{missing}; {}", end_of(by, outcome)))
            }
            FaultKind::Withheld { bytes: withheld } => {
                let wait = checked.tail().map(|tail| format!(", which was {} later", duration(tail.wait)));
                let wait = wait.unwrap_or_default();
                (
                    format!("withheld: the last {} came only after our half-close{wait}", bytes(withheld)),
                    format!("first withheld offset {at}; every byte is right"),
                )
            }
            FaultKind::TimedOut => {
                let limit = duration(checked.timeout);
                let what = format!("timed out: {came}, then nothing moved for {limit}");
                let acknowledged = tcp.and_then(|tcp| tcp.words()).map(|words| format!("; {words}"));
                (what, format!("{missing}; {}{}", awaited(outcome), acknowledged.unwrap_or_default()))
            }
        };
        let mut words = Self {
            what,
            detail,
            evidence: None,
            is_other_service: false,
            crossed: None,
            likely: cause::likely(checked, verified, ended, fault),
        };
        // Of a load, what was sent is what was due.
        let total = total.unwrap_or(outcome.sent);
        let payload = checked.sent.payload(*connection, total);
        if let Some(evidence) = Evidence::of(fault, outcome.evidence.bytes(), &payload) {
            words.explain(&evidence, kind);
            words.evidence = Some(evidence);
            words.find_crossed(checked, *connection, outcome);
        }
        words
    }

    /// Bytes of another connection are named as such.
    fn find_crossed(&mut self, checked: &Checked, connection: usize, outcome: &ClientOutcome) {
        let came = outcome.evidence.bytes();
        let total = checked.total.unwrap_or(u64::MAX);
        let is_from = |other: &usize| checked.sent.payload(*other, total).find(came).is_some();
        self.crossed = (0..checked.connections).filter(|other| *other != connection).find(is_from);
        if let Some(other) = self.crossed {
            let (other, connection) = (grouped(other as u64 + 1), grouped(connection as u64 + 1));
            self.what = format!("cross-talk: bytes of connection {other} came on connection {connection}");
            self.likely =
                Some("the server, or a proxy, mixes up its connections or their buffers".to_owned());
        }
    }

    /// What the wrong bytes tell.
    fn explain(&mut self, evidence: &Evidence, kind: FaultKind) {
        if let Some((service, line)) = evidence.service(kind) {
            self.is_other_service = true;
            self.what = format!("not an echo server: the peer sent {line}");
            self.likely = Some(format!("the peer speaks {service}"));
        } else if let Some(cause) = evidence.cause(kind) {
            self.likely = Some(cause.to_owned());
        }
    }
}

fn is_or_are(number: u64) -> String {
    format!("{} {}", bytes(number), if number == 1 { "is" } else { "are" })
}

/// `FIN, not RST, 3 ms after our FIN, 1 ms after the last byte; 65,536 bytes on their way`
fn end_of(by: PeerEnd, outcome: &ClientOutcome) -> String {
    let what = match by {
        PeerEnd::Fin => "FIN, not RST",
        PeerEnd::Reset => "RST, not FIN",
        PeerEnd::Truncated => "no authenticated end",
        PeerEnd::Error => "an error, not an end",
    };
    let mut text = format!("{what}, {}", since_our_end(outcome));
    // Nothing moved since our FIN: that is what it came after.
    let is_later = outcome.shut.is_none_or(|shut| outcome.idle < shut);
    if is_later && outcome.received + outcome.sent > 0 {
        let _ = write!(text, ", {} after the last byte", elapsed(outcome.idle));
    }
    match on_their_way(outcome) {
        0 => {}
        way => drop(write!(text, "; {} on their way", bytes(way))),
    }
    let _ = write!(text, "; {} after the connection was made", elapsed(outcome.age));
    text
}

/// `awaited, 30.0 s after our FIN: 10 bytes on their way, and the peer's end`
fn awaited(outcome: &ClientOutcome) -> String {
    let what = match (on_their_way(outcome), outcome.shut) {
        (0, Some(_)) => "nothing but the peer's end".to_owned(),
        (0, None) => "room for what is to be sent".to_owned(),
        (way, Some(_)) => format!("{} on their way, and the peer's end", bytes(way)),
        (way, None) => format!("{} on their way", bytes(way)),
    };
    format!("awaited, {}: {what}", since_our_end(outcome))
}

fn since_our_end(outcome: &ClientOutcome) -> String {
    outcome.shut.map_or("before our FIN".to_owned(), |shut| format!("{} after our FIN", elapsed(shut)))
}
