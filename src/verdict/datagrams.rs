//! A verdict over datagrams, in words.

use std::fmt::Write;
use std::time::Duration;

use roundtrip_echo::{DatagramOutcome, DatagramVerdict};
use roundtrip_std::DatagramsEnded;
use serde::{Serialize, Serializer};

use crate::problem::Exit;
use crate::units::{bytes, duration, elapsed, grouped, many};

/// The longest payload that Ethernet carries in one piece, bytes: 1,500 less the headers of IPv4 and UDP.
const ONE_FRAME: u64 = 1472;

/// The options of the verb that advice may name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Options {
    Check,
    /// With a rate, or without.
    Load {
        paced: bool,
    },
}

impl Options {
    /// What says how long a datagram is.
    const fn size(self) -> &'static str {
        match self {
            Self::Check => "--write",
            Self::Load { .. } => "--size",
        }
    }

    /// What bounds the datagrams in flight.
    const fn in_flight(self) -> &'static str {
        match self {
            Self::Check => "--window",
            Self::Load { paced: true } => "--rate",
            Self::Load { paced: false } => "--in-flight",
        }
    }
}

/// What was checked.
pub(crate) struct Checked {
    pub(crate) options: Options,
    /// Datagrams on each socket.
    pub(crate) count: u64,
    /// Bytes of each.
    pub(crate) size: u64,
    /// One that is not back by then is lost.
    pub(crate) wait: Duration,
    /// The longest time without one that came back.
    pub(crate) timeout: Duration,
    pub(crate) took: Duration,
    pub(crate) connections: usize,
    /// Which of how many rounds it was, if there are several.
    pub(crate) round: Option<(u64, u64)>,
    /// The command that does the same again.
    pub(crate) again: String,
}

/// What became of the datagrams of all sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Findings {
    pub(crate) sent: u64,
    pub(crate) back: u64,
    pub(crate) lost: u64,
    pub(crate) late: u64,
    /// The longest time that one of these took.
    #[serde(rename = "slowest_late_seconds", serialize_with = "seconds")]
    pub(crate) slowest_late: Option<Duration>,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) corrupted: u64,
    pub(crate) strays: u64,
    /// The most that were lost one after the other on a socket.
    pub(crate) longest_loss: u64,
    /// The number of the first that was given up, on the first socket on which one was.
    pub(crate) first_lost: Option<u64>,
    pub(crate) first_corrupted: Option<u64>,
    /// Of those corrupted: their end was missing.
    pub(crate) cut: u64,
    /// The fewest bytes that came of one.
    #[serde(rename = "shortest_cut_bytes")]
    pub(crate) shortest_cut: Option<u64>,
    /// Further datagrams in which what was missing of these came.
    pub(crate) split: u64,
    /// Of those corrupted: others followed in the same datagram.
    pub(crate) merged: u64,
    /// Came back, and were dropped here because they were not read in time; where the system tells.
    pub(crate) overflowed: u64,
}

/// What came of it.
pub(crate) struct Judged {
    pub(crate) exit: Exit,
    /// Sockets on which all was well, and on which it was not.
    pub(crate) verified: usize,
    pub(crate) failed: usize,
    pub(crate) findings: Findings,
    pub(crate) found: Option<Found>,
    /// What the system said, if nobody was ever there.
    unreachable: Option<String>,
}

/// The worst of what was found.
pub(crate) struct Found {
    kind: Kind,
    pub(crate) what: String,
    /// The cause that a person should look for first.
    pub(crate) likely: Option<String>,
}

/// The same in documents: `docs/schema/check.json`.
#[derive(Serialize)]
pub(crate) struct Fault {
    kind: &'static str,
    summary: String,
    likely: Option<String>,
}

impl Fault {
    pub(crate) fn of(found: &Found) -> Self {
        Self { kind: found.kind.name(), summary: found.what.clone(), likely: found.likely.clone() }
    }
}

/// The kinds of what can be found, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    TooLong,
    Gone,
    Failed,
    Corrupted,
    Strays,
    TimedOut,
    Lost,
    Late,
    Duplicated,
    Reordered,
}

impl Kind {
    /// As documents have it.
    const fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Gone => "gone",
            Self::Failed => "failed",
            Self::Corrupted => "corrupted",
            Self::Strays => "strays",
            Self::TimedOut => "timed_out",
            Self::Lost => "lost",
            Self::Late => "late",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
        }
    }
}

impl Findings {
    fn of(ended: &[DatagramsEnded<DatagramOutcome>]) -> Self {
        let mut sum = Self::default();
        for DatagramsEnded { outcome, overflowed, .. } in ended {
            let counts = outcome.counts;
            sum.sent += counts.sent;
            sum.back += counts.back;
            sum.lost += counts.lost;
            sum.late += counts.late;
            sum.slowest_late = sum.slowest_late.max(counts.slowest_late);
            sum.duplicated += counts.duplicated;
            sum.reordered += counts.reordered;
            sum.corrupted += counts.corrupted;
            sum.strays += counts.strays;
            sum.longest_loss = sum.longest_loss.max(counts.longest_loss);
            sum.first_lost = sum.first_lost.or(counts.first_lost);
            sum.first_corrupted = sum.first_corrupted.or(counts.first_corrupted);
            sum.cut += counts.cut;
            sum.shortest_cut = [sum.shortest_cut, counts.shortest_cut].into_iter().flatten().min();
            sum.split += counts.split;
            sum.merged += counts.merged;
            sum.overflowed += overflowed;
        }
        sum
    }

    /// Whether anything came at all.
    const fn is_silent(&self) -> bool {
        self.back + self.late + self.duplicated + self.corrupted + self.strays == 0
    }

    /// Whether all that was corrupted came in pieces, and whole.
    const fn is_split(&self) -> bool {
        self.corrupted > 0 && self.split >= self.corrupted
    }

    /// Sent, and neither back nor given up when it ended.
    fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.back + self.lost + self.late + self.corrupted)
    }

    /// `sent 8,334   back 8,322   lost 12 …`
    pub(crate) fn line(&self) -> String {
        let counts = [
            ("sent", self.sent),
            ("back", self.back),
            ("lost", self.lost),
            ("late", self.late),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("corrupted", self.corrupted),
            ("strays", self.strays),
        ];
        counts.map(|(name, count)| format!("{name} {}", grouped(count))).join("   ")
    }
}

impl Judged {
    /// From what came of each socket, and what the system said first, if it said something.
    pub(crate) fn of(
        checked: &Checked,
        ended: &[DatagramsEnded<DatagramOutcome>],
        failure: Option<String>,
    ) -> Self {
        let findings = Findings::of(ended);
        let has = |verdict| ended.iter().any(|ended| ended.outcome.verdict == verdict);
        let verified =
            ended.iter().filter(|ended| ended.outcome.verdict == DatagramVerdict::Verified).count();
        let is_over = |verdict| matches!(verdict, DatagramVerdict::Stopped | DatagramVerdict::Aborted);
        let failed = ended.iter().filter(|ended| !is_over(ended.outcome.verdict)).count() - verified;
        let kind = if failed == 0 {
            None
        } else if has(DatagramVerdict::TooLong) {
            Some(Kind::TooLong)
        } else if has(DatagramVerdict::Refused) {
            Some(Kind::Gone)
        } else if has(DatagramVerdict::Failed) {
            Some(Kind::Failed)
        } else if findings.corrupted > 0 {
            Some(Kind::Corrupted)
        } else if findings.strays > 0 {
            Some(Kind::Strays)
        } else if has(DatagramVerdict::TimedOut) || findings.is_silent() {
            Some(Kind::TimedOut)
        } else if findings.lost > 0 {
            Some(Kind::Lost)
        } else if findings.late > 0 {
            Some(Kind::Late)
        } else if findings.duplicated > 0 {
            Some(Kind::Duplicated)
        } else {
            Some(Kind::Reordered)
        };
        let words = failure.unwrap_or_else(|| "nobody is there".to_owned());
        let is_unreachable = matches!(kind, Some(Kind::Gone | Kind::Failed)) && findings.is_silent();
        let exit = match kind {
            Some(Kind::TimedOut) => Exit::Incomplete,
            Some(_) => Exit::Failed,
            None if verified == checked.connections => Exit::Ok,
            None => Exit::Incomplete,
        };
        let found = kind.map(|kind| Found {
            kind,
            what: what(kind, checked, &findings, &words),
            likely: likely(kind, checked, &findings),
        });
        let unreachable = is_unreachable.then_some(words);
        Self { exit, verified, failed, findings, found, unreachable }
    }

    /// What the system said, if nobody was ever there.
    pub(crate) fn unreachable(&self) -> Option<&str> {
        self.unreachable.as_deref()
    }

    /// Whether some were sent and nothing came.
    pub(crate) fn is_silent(&self) -> bool {
        self.findings.is_silent() && self.found.as_ref().is_some_and(|found| found.kind == Kind::TimedOut)
    }

    /// Sets the cause to one that is known better.
    pub(crate) fn explain(&mut self, likely: String) {
        if let Some(found) = &mut self.found {
            found.likely = Some(likely);
        }
    }

    /// The lines to print.
    pub(crate) fn lines(&self, checked: &Checked) -> String {
        let mut text = match &self.found {
            Some(found) => format!("FAIL  {}", found.what),
            None if self.exit == Exit::Ok => {
                let each = format!("{} of {}", many(checked.count, "datagram"), bytes(checked.size));
                let all = match checked.connections {
                    1 => each,
                    sockets => format!("{}, {each} each,", many(sockets as u64, "socket")),
                };
                format!("ok  {all} back, once and in order, {:.3} s", checked.took.as_secs_f64())
            }
            None => format!("INCOMPLETE  stopped after {} came back", many(self.findings.back, "datagram")),
        };
        if let Some((round, of)) = checked.round {
            let _ = write!(text, ", round {} of {}", grouped(round), grouped(of));
        }
        if self.exit == Exit::Ok {
            return text;
        }
        let _ = write!(text, "\n  {}", self.findings.line());
        let in_flight = self.findings.in_flight();
        if in_flight > 0 {
            let _ = write!(text, "   in flight {}", grouped(in_flight));
        }
        if let Some(first) = self.findings.first_lost {
            let run = grouped(self.findings.longest_loss);
            let _ = write!(text, "\n  first lost: number {first}, counted from 0; at most {run} in a row");
        }
        if let Some(first) = self.findings.first_corrupted {
            let _ = write!(text, "\n  first corrupted: number {first}, counted from 0");
        }
        let Some(found) = &self.found else { return text };
        if let Some(likely) = &found.likely {
            let _ = write!(text, "\n  likely: {likely}");
        }
        if checked.connections > 1 {
            let (failed, ok) = (grouped(self.failed as u64), grouped(self.verified as u64));
            let _ = write!(text, "\n  {failed} sockets of {} failed, {ok} ok", checked.connections);
        }
        let _ = write!(text, "\n  again: {}", checked.again);
        text
    }
}

fn what(kind: Kind, checked: &Checked, findings: &Findings, words: &str) -> String {
    let of_all = |count: u64| format!("{} of {}", grouped(count), many(findings.sent, "datagram"));
    let back = of_all(findings.back);
    match kind {
        Kind::TooLong => {
            format!("too long: the system sends no datagrams of {} there", bytes(checked.size))
        }
        Kind::Gone => format!("peer gone: {words}, after {back} came back"),
        Kind::Failed => format!("cannot go on: {words}, after {back} came back"),
        Kind::Corrupted if findings.is_split() => {
            let of = bytes(checked.size);
            let first =
                findings.shortest_cut.map(|came| format!(", the first with {} of {of}", grouped(came)));
            let split = many(findings.corrupted, "datagram");
            format!("split: {split} came back in pieces{}", first.unwrap_or_default())
        }
        Kind::Corrupted if findings.cut == findings.corrupted => {
            let (came, of) = (grouped(findings.shortest_cut.unwrap_or(0)), bytes(checked.size));
            format!("cut: {} came back with the first {came} of {of}", many(findings.cut, "datagram"))
        }
        Kind::Corrupted if findings.merged == findings.corrupted => {
            format!(
                "merged: {} came back with another behind it in one datagram",
                many(findings.merged, "datagram")
            )
        }
        Kind::Corrupted => {
            format!(
                "corrupted: {} came with other bytes than were sent",
                many(findings.corrupted, "datagram")
            )
        }
        Kind::Strays => format!("strays: {} came that were never sent", many(findings.strays, "datagram")),
        Kind::TimedOut if findings.is_silent() => {
            format!("timed out: none of {} came back", many(findings.sent, "datagram"))
        }
        Kind::TimedOut => {
            format!("timed out: {back} came back, then none for {}", duration(checked.timeout))
        }
        Kind::Lost => format!("lost: {} did not come back", of_all(findings.lost)),
        Kind::Late => {
            format!("late: {} came back after more than {}", of_all(findings.late), duration(checked.wait))
        }
        Kind::Duplicated => {
            format!("duplicated: {} came once more than sent", many(findings.duplicated, "datagram"))
        }
        Kind::Reordered => {
            format!("reordered: {} came after one that was sent later", of_all(findings.reordered))
        }
    }
}

fn likely(kind: Kind, checked: &Checked, findings: &Findings) -> Option<String> {
    let is_cut = checked.size > ONE_FRAME;
    let (size, in_flight) = (checked.options.size(), checked.options.in_flight());
    let words = match kind {
        Kind::TooLong => {
            return Some(format!(
                "the path has a smaller MTU, or the socket a limit: a smaller {size} shows which"
            ));
        }
        Kind::Gone => "the server ended",
        Kind::Failed => return None,
        Kind::Corrupted if findings.is_split() => {
            "a program on the path reads datagrams as a stream, and sends each read as a datagram"
        }
        Kind::Corrupted if findings.cut == findings.corrupted => {
            let came = bytes(findings.shortest_cut.unwrap_or(0));
            return Some(format!("a buffer of {came} in the server, or in a program on the path"));
        }
        Kind::Corrupted if findings.merged == findings.corrupted => {
            "a program on the path reads datagrams as a stream, and keeps no boundaries"
        }
        Kind::Corrupted => "a program on the path changes the bytes, or nobody uses UDP's checksum (RFC 768)",
        Kind::Strays => "the peer is no echo server, or sends more than an echo",
        Kind::TimedOut if findings.is_silent() && is_cut => {
            return Some(format!(
                "nobody echoes there, or the path carries no fragments: {size} 1200 shows which"
            ));
        }
        Kind::TimedOut if findings.is_silent() => "nobody echoes there, or a firewall drops it",
        Kind::TimedOut => "the server, or something on the path, is stuck",
        Kind::Lost if findings.overflowed > 0 => {
            return Some(format!(
                "{} of them came back and were dropped here, because they were not read in time: use a smaller {in_flight}",
                grouped(findings.overflowed)
            ));
        }
        Kind::Lost if is_cut => {
            return Some(format!("the path loses fragments: {size} 1200 shows whether it is only that"));
        }
        Kind::Lost => match checked.options {
            Options::Load { paced: true } => {
                "a queue is full, or the rate is above what the server answers (10,000/s unless its --max-rate says more, and a tenth on one socket that goes on): a smaller --rate shows whether it is only that"
            }
            Options::Check | Options::Load { paced: false } => {
                return Some(format!(
                    "a queue is full, of the server or on the path: a smaller {in_flight} shows whether it is only that"
                ));
            }
        },
        Kind::Late => {
            let mut words = "a long queue on the path, or a server that is slow".to_owned();
            if let Some(slowest) = findings.slowest_late {
                let _ = write!(words, ": the slowest took {}", elapsed(slowest));
                if let Options::Check = checked.options {
                    let _ = write!(words, "; --wait {} counts them as back", duration(enough(slowest)));
                }
            }
            return Some(words);
        }
        Kind::Duplicated => "there are two ways on the path, or a link that repeats what it takes for lost",
        Kind::Reordered => {
            "the path has several routes, or a program on it passes datagrams on with several threads"
        }
    };
    Some(words.to_owned())
}

/// A time with some room above this one, in whole seconds.
fn enough(slowest: Duration) -> Duration {
    Duration::from_secs(slowest.as_secs() + 1 + slowest.as_secs() / 4)
}

/// As documents have a time.
#[expect(clippy::ref_option, reason = "the signature that serde wants")]
fn seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 10] = [
        Kind::TooLong,
        Kind::Gone,
        Kind::Failed,
        Kind::Corrupted,
        Kind::Strays,
        Kind::TimedOut,
        Kind::Lost,
        Kind::Late,
        Kind::Duplicated,
        Kind::Reordered,
    ];

    /// The server's own options may be named as such.
    #[test]
    fn advice_names_options_that_the_verb_has() {
        let command = crate::cli::command();
        for (verb, options) in [
            ("check", Options::Check),
            ("load", Options::Load { paced: true }),
            ("load", Options::Load { paced: false }),
        ] {
            for (size, overflowed, sent) in
                [(100, 0, 0), (100, 1, 9), (9000, 0, 0), (9000, 1, 9), (9000, 0, 9)]
            {
                let checked = Checked {
                    options,
                    count: 9,
                    size,
                    wait: Duration::ZERO,
                    timeout: Duration::ZERO,
                    took: Duration::ZERO,
                    connections: 1,
                    round: None,
                    again: String::new(),
                };
                let findings = Findings { sent, back: sent, overflowed, ..Findings::default() };
                for advice in KINDS.into_iter().filter_map(|kind| likely(kind, &checked, &findings)) {
                    crate::cli::assert_has_options(&command, verb, &advice.replace("its --max-rate", ""));
                }
            }
        }
    }
}
