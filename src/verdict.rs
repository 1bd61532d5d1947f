//! A verdict in words.

mod cause;
pub(crate) mod datagrams;
pub(crate) mod evidence;
pub(crate) mod tcp;
mod words;

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_echo::{ClientOutcome, Fault, FaultKind, Payload, PeerEnd, Verdict};
use roundtrip_std::ConnectionReport;
use serde::Serialize;

use self::tcp::Tcp;
pub(crate) use self::words::Words;
use crate::problem::Exit;
use crate::units::{bytes, grouped, latency, per_second, rate};

/// Seconds from which on a failed connect is told: the delay after which clients try the next address (RFC 8305 section 5).
const NOTICEABLE: f64 = 0.25;

/// A check that takes less time says little of the pace.
const LONG: Duration = Duration::from_secs(5);
/// Bytes a second that every network of today carries, and how many times less is slow.
const FAST: f64 = 50e6;
const SLOW: f64 = 20.0;

/// What was checked.
pub(crate) struct Checked {
    /// Bytes that should have come back on each connection; none: what was sent.
    pub(crate) total: Option<u64>,
    /// What was sent.
    pub(crate) sent: Sent,
    /// How long it took.
    pub(crate) took: Duration,
    /// The longest time without progress that was allowed.
    pub(crate) timeout: Duration,
    /// Whether the sessions half-closed.
    pub(crate) half_close: bool,
    /// Bytes that may go there and back at once: of a window, a write or a read, the smallest. None where that says nothing
    /// of the pace.
    pub(crate) window: Option<usize>,
    /// How long the sessions were silent half-way.
    pub(crate) pause: Option<Duration>,
    /// How long the sessions read nothing.
    pub(crate) stall: Option<Duration>,
    /// Connections at once.
    pub(crate) connections: usize,
    /// Those of them that could not be made, although others could.
    pub(crate) unconnected: Option<Unconnected>,
    /// Addresses that were connected to in vain before the one that was checked.
    pub(crate) unreached: Vec<Unreached>,
    /// The address that was checked, and ours; none of what has none.
    pub(crate) addresses: Option<(SocketAddr, SocketAddr)>,
    /// What a further connection showed.
    pub(crate) further: Option<Further>,
    /// Which of how many rounds it was, if there are several.
    pub(crate) round: Option<(u64, u64)>,
    /// The largest number of bytes for which an earlier check of this run was ok.
    pub(crate) passed: Option<u64>,
    /// What the bytes went through.
    pub(crate) through: Through,
    /// The command that does the same again.
    pub(crate) again: String,
}

impl Checked {
    /// One connection that sends this and half-closes, of which nothing more is known; `again` does the same again.
    pub(crate) const fn new(sent: Sent, again: String) -> Self {
        Self {
            total: None,
            sent,
            took: Duration::ZERO,
            timeout: Duration::ZERO,
            half_close: true,
            window: None,
            pause: None,
            stall: None,
            connections: 1,
            unconnected: None,
            unreached: Vec::new(),
            addresses: None,
            further: None,
            round: None,
            passed: None,
            through: Through::Nothing,
            again,
        }
    }

    /// Bytes that should have come back on this connection; none: what was sent.
    fn total_of(&self, connection: usize) -> Option<u64> {
        let tail = self.tail().filter(|tail| tail.ended.connection == connection);
        tail.map_or(self.total, |tail| Some(tail.total))
    }

    /// The further connection that looked for bytes that are withheld.
    pub(crate) const fn tail(&self) -> Option<&Tail> {
        match &self.further {
            Some(Further::Tail(tail)) => Some(tail),
            _ => None,
        }
    }
}

/// A connection that was made after those of the check, because of what these showed, and what came of it.
pub(crate) enum Further {
    /// It looked for bytes that are withheld until the half-close.
    Tail(Tail),
    /// It was to look for these, and could not be made, or not be finished, for this reason.
    NoTail(String),
    /// Made in the same way, after one was cut half-way.
    Again(Ended),
    /// Without a half-close, after one with a stall failed.
    NotHalfClosed(Ended),
    /// With a pause of half the length, after one on which nothing came back since the pause.
    ShorterPause(Ended),
}

/// A connection that is over.
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    /// Its number, from 0.
    pub(crate) connection: usize,
    pub(crate) outcome: ClientOutcome,
    /// What the system's TCP knew of it.
    pub(crate) tcp: Option<Tcp>,
}

/// A connection that half-closes only when all is back, or has been waited for.
pub(crate) struct Tail {
    pub(crate) ended: Ended,
    /// How long the last bytes were waited for.
    pub(crate) wait: Duration,
    /// Bytes that were to come back.
    pub(crate) total: u64,
}

impl Ended {
    /// The fault, if it has one.
    fn fault(&self) -> Option<Fault> {
        match self.outcome.verdict {
            Verdict::Faulty(fault) => Some(fault),
            Verdict::Verified | Verdict::Stopped | Verdict::Aborted => None,
        }
    }

    /// Bytes that came only after the half-close.
    pub(crate) fn withheld(&self) -> Option<u64> {
        let FaultKind::Withheld { bytes } = self.fault()?.kind else { return None };
        Some(bytes)
    }

    /// Whether it timed out before its half-close with bytes in flight that the path carried.
    pub(crate) fn is_stuck_before_half_close(&self) -> bool {
        let outcome = &self.outcome;
        let is_timed_out = self.fault().is_some_and(|fault| fault.kind == FaultKind::TimedOut);
        let is_lost = self.tcp.is_some_and(|tcp| tcp.lost_on_path(None).is_some());
        is_timed_out && outcome.shut.is_none() && on_their_way(outcome) > 0 && !is_lost
    }

    /// Whether it is over without a byte back since a pause in the middle of `total` bytes, and without the peer's end.
    pub(crate) fn is_forgotten(&self, total: u64) -> bool {
        let (outcome, half) = (&self.outcome, total.div_ceil(2));
        self.fault().is_some_and(|Fault { at, kind }| {
            let is_over =
                matches!(kind, FaultKind::TimedOut | FaultKind::Truncated { by: PeerEnd::Reset, .. });
            is_over && at == half && outcome.pause.is_none() && outcome.sent > half
        })
    }

    /// Whether it ended early, or with a timeout.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.fault()
            .is_some_and(|fault| matches!(fault.kind, FaultKind::TimedOut | FaultKind::Truncated { .. }))
    }

    /// Whether the peer ended it in the middle, with bytes back and before our half-close.
    pub(crate) fn is_cut_half_way(&self) -> bool {
        self.fault().is_some_and(|Fault { at, kind }| {
            let is_cut =
                matches!(kind, FaultKind::Truncated { by: PeerEnd::Fin | PeerEnd::Reset, after: None });
            at > 0 && is_cut
        })
    }

    pub(crate) fn of(connection: usize, report: &ConnectionReport<ClientOutcome>) -> Self {
        Self { connection, outcome: report.outcome, tcp: Tcp::of(report) }
    }
}

/// Connections that could not be made, although others could.
pub(crate) struct Unconnected {
    pub(crate) count: usize,
    /// Whether the peer refused the first of them.
    pub(crate) is_refused: bool,
    /// What the system said of the first.
    pub(crate) why: String,
}

/// An address that was connected to in vain.
#[derive(Clone, Serialize)]
pub(crate) struct Unreached {
    pub(crate) address: SocketAddr,
    /// What the system said.
    pub(crate) error: String,
    /// How long it took to fail.
    pub(crate) seconds: f64,
}

/// What was sent.
pub(crate) enum Sent {
    /// The payload of this seed; on each further connection, that of the next seed.
    Seeded(u64),
    /// These bytes.
    Given(Bytes),
}

impl Sent {
    /// The payload of a connection, `total` bytes long.
    fn payload(&self, connection: usize, total: u64) -> Payload {
        match self {
            Self::Seeded(seed) => Payload::seeded(seed.wrapping_add(connection as u64), total),
            Self::Given(bytes) => Payload::given(bytes.clone()),
        }
    }
}

/// What the bytes of a check go through, besides the transport.
pub(crate) enum Through {
    Nothing,
    /// TLS, and what was wrong with it.
    Tls(Option<String>),
}

/// What came of it.
pub(crate) struct Judged {
    pub(crate) exit: Exit,
    /// Connections on which all came back.
    pub(crate) verified: usize,
    /// Connections on which it did not.
    pub(crate) failed: usize,
    /// Those of them on which a byte was wrong.
    pub(crate) wrong: usize,
    /// Bytes that came back on all connections.
    pub(crate) received: u64,
    /// How long the oldest connection was there.
    pub(crate) active: Duration,
    /// What the system's TCP knew of the connection with the fault, or of the first.
    pub(crate) tcp: Option<Tcp>,
    /// The fault to tell: the first that is not a mere time-out, or the first.
    pub(crate) found: Option<Found>,
}

/// A fault, and where it was.
pub(crate) struct Found {
    pub(crate) ended: Ended,
    pub(crate) fault: Fault,
    pub(crate) words: Words,
}

impl Judged {
    /// From the outcomes of the connections, in the order in which they ended.
    pub(crate) fn of(checked: &Checked, ended: &[Ended]) -> Self {
        let with_fault = |ended: &Ended| Some((*ended, ended.fault()?));
        let faults = ended.iter().filter_map(with_fault);
        let verified = ended.iter().filter(|ended| ended.outcome.verdict == Verdict::Verified).count();
        let worst = faults.clone().min_by_key(|(_, fault)| fault.kind == FaultKind::TimedOut);
        // Of a tail, if all else is well.
        let tail = checked.tail().filter(|_| checked.half_close);
        let of_tail = tail.and_then(|tail| with_fault(&tail.ended));
        let failed = faults.clone().count() + usize::from(worst.is_none() && of_tail.is_some());
        let found = worst.or(of_tail).map(|(ended, fault)| {
            let words = Words::of(checked, verified, &ended, fault);
            Found { ended, fault, words }
        });
        let exit = match &found {
            None if checked.unconnected.is_some() => Exit::Failed,
            Some(Found { fault: Fault { kind: FaultKind::TimedOut, .. }, .. }) => Exit::Incomplete,
            Some(_) => Exit::Failed,
            None if verified == checked.connections => Exit::Ok,
            None => Exit::Incomplete,
        };
        let is_wrong = |fault: &Fault| {
            let kind = fault.kind;
            !matches!(
                kind,
                FaultKind::Truncated { .. }
                    | FaultKind::TimedOut
                    | FaultKind::Trailing
                    | FaultKind::Withheld { .. }
            )
        };
        let wrong = faults.clone().filter(|(_, fault)| is_wrong(fault)).count();
        let received = ended.iter().map(|ended| ended.outcome.received).sum();
        let active = ended.iter().map(|ended| ended.outcome.age).max().unwrap_or_default();
        let tcp = found.as_ref().map(|found| &found.ended).or(ended.first()).and_then(|ended| ended.tcp);
        Self { exit, verified, failed, wrong, received, active, tcp, found }
    }

    /// Bytes that came back per second, on all connections.
    pub(crate) fn pace(&self) -> f64 {
        per_second(self.received, self.active)
    }

    /// The lines to print.
    pub(crate) fn lines(&self, checked: &Checked) -> String {
        let mut text = match (&self.found, &checked.unconnected) {
            (Some(found), _) => self.fail(found, checked),
            (None, Some(unconnected)) => unconnected.lines(self, checked),
            (None, None) if self.exit == Exit::Ok => ok(checked, self),
            (None, None) => {
                let total = checked.total.unwrap_or(0).saturating_mul(checked.connections as u64);
                format!("INCOMPLETE  stopped after {} of {} came back", grouped(self.received), bytes(total))
            }
        };
        if let (Some((round, of)), None) = (checked.round, &self.found) {
            let _ = write!(text, ", round {} of {}", grouped(round), grouped(of));
        }
        text
    }

    fn fail(&self, found: &Found, checked: &Checked) -> String {
        let Words { what, detail, evidence, likely, .. } = &found.words;
        let mut text = format!("FAIL  {what}\n  {detail}");
        if let Some(evidence) = evidence {
            let _ = write!(text, "\n  {}", evidence.words());
        }
        if let Some(likely) = likely {
            let _ = write!(text, "\n  likely: {likely}");
        }
        let number = found.ended.connection + 1;
        let made = checked.connections.max(number);
        if made > 1 {
            let (number, of) = (grouped(number as u64), grouped(made as u64));
            let more = grouped(self.failed as u64 - 1);
            let verified = grouped(self.verified as u64);
            let _ = write!(text, "\n  connection {number} of {of}; {more} more failed, {verified} ok");
        }
        if let Some((round, of)) = checked.round {
            let _ = write!(text, "\n  round {} of {}", grouped(round), grouped(of));
        }
        let _ = write!(text, "\n  again: {}", checked.again);
        text
    }
}

impl Unconnected {
    /// `FAIL  10 of 20 connections refused`, and what the others found.
    fn lines(&self, judged: &Judged, checked: &Checked) -> String {
        let made = grouped((checked.connections - self.count) as u64);
        let (what, cause) = if self.is_refused {
            ("refused".to_owned(), "the server, or something on the path, limits connections to")
        } else {
            (format!("not made: {}", self.why), "something on the path drops connections beyond")
        };
        format!(
            "FAIL  {} of {} connections {what}\n  of the {made} others, {} ok\n  likely: {cause} {made}\n  again: {}",
            grouped(self.count as u64),
            grouped(checked.connections as u64),
            grouped(judged.verified as u64),
            checked.again
        )
    }
}

fn ok(checked: &Checked, judged: &Judged) -> String {
    let total = bytes(checked.total.unwrap_or(0));
    let what = match checked.connections {
        1 => total,
        many => format!("{} connections, {total} each", grouped(many as u64)),
    };
    let end = if checked.half_close { "clean end" } else { "not half-closed" };
    let over = match checked.through {
        Through::Nothing => "",
        Through::Tls(_) => " over TLS",
    };
    let pace = rate(judged.pace());
    let mut text =
        format!("ok  {what} back in order{over}, {end}, {:.3} s, {pace}", checked.took.as_secs_f64());
    if let Some(tcp) = judged.tcp {
        let _ = write!(text, ", round trip {}", latency(tcp.info.round_trip));
    }
    if let Some((address, _)) = checked.addresses {
        // What fails at once costs nothing, as where a name has a family that its server has not.
        let slow = checked.unreached.iter().filter(|unreached| unreached.seconds >= NOTICEABLE);
        for Unreached { address: other, error, seconds } in slow {
            let _ = write!(
                text,
                "\n  note: {other} failed after {seconds:.3} s ({error}); {address} was checked"
            );
        }
    }
    if let Some(slow) = slow(checked, judged) {
        let _ = write!(text, "\n  note: {slow}");
    }
    if let Some(Further::NoTail(why)) = &checked.further {
        let _ = write!(
            text,
            "\n  note: bytes withheld until the half-close were not looked for: a further connection failed ({why})"
        );
    }
    text
}

/// Far less a second than the window and the round trip allow.
fn slow(checked: &Checked, judged: &Judged) -> Option<String> {
    let (window, round_trip) = (checked.window?, judged.tcp?.info.round_trip);
    let is_steady = checked.pause.is_none() && checked.stall.is_none();
    let pace = judged.pace();
    let allowed = per_second(window as u64, round_trip).min(FAST);
    (is_steady && judged.active >= LONG && pace < allowed / SLOW).then(|| {
        format!(
            "slow: {}, where {} a round trip of {} allow {}: Nagle's algorithm waits for delayed acknowledgements, or \
             something limits the rate",
            rate(pace),
            bytes(window as u64),
            latency(round_trip),
            rate(allowed)
        )
    })
}

/// Bytes that the transport took and that are not back.
const fn on_their_way(outcome: &ClientOutcome) -> u64 {
    outcome.sent.saturating_sub(outcome.received)
}

/// Whether all that was to come back did.
fn is_complete(checked: &Checked, ended: &Ended, at: u64) -> bool {
    match checked.total_of(ended.connection) {
        Some(total) => at == total,
        None => at == ended.outcome.sent && ended.outcome.shut.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(connections: usize, unconnected: Option<Unconnected>, through: Through) -> Checked {
        Checked {
            total: Some(10),
            timeout: Duration::from_secs(1),
            connections,
            unconnected,
            through,
            ..Checked::new(Sent::Seeded(1), "roundtrip check".to_owned())
        }
    }

    fn ended(connection: usize, outcome: ClientOutcome) -> Ended {
        Ended { connection, outcome, tcp: None }
    }

    /// A check of four connections, of which `count` could not be made, and the others are well.
    fn lines(count: usize, is_refused: bool) -> String {
        let unconnected = Unconnected { count, is_refused, why: "timed out".to_owned() };
        let checked = checked(4, Some(unconnected), Through::Nothing);
        let outcomes: Vec<_> =
            (0..4 - count).map(|index| ended(index, ClientOutcome::new(Verdict::Verified))).collect();
        let judged = Judged::of(&checked, &outcomes);
        assert_eq!(judged.exit, Exit::Failed);
        judged.lines(&checked)
    }

    #[test]
    fn connections_that_are_not_made_although_others_are_fail_a_check() {
        assert_eq!(
            lines(3, true),
            "FAIL  3 of 4 connections refused\n  of the 1 others, 1 ok\n  likely: the server, or something on the path, \
             limits connections to 1\n  again: roundtrip check"
        );
        assert_eq!(
            lines(2, false),
            "FAIL  2 of 4 connections not made: timed out\n  of the 2 others, 2 ok\n  likely: something on the path drops \
             connections beyond 2\n  again: roundtrip check"
        );
    }

    /// Ten megabytes back, in this time and with this round trip.
    fn paced(seconds: u64, micros: u64) -> Option<String> {
        let mut outcome = ClientOutcome::new(Verdict::Verified);
        (outcome.received, outcome.age) = (10_000_000, Duration::from_secs(seconds));
        let mut report = ConnectionReport::new(outcome);
        let mut info = roundtrip_std::TcpInfo::default();
        info.round_trip = Duration::from_micros(micros);
        report.tcp = Some(info);
        let checked = Checked { window: Some(65_536), ..checked(1, None, Through::Nothing) };
        slow(&checked, &Judged::of(&checked, &[Ended::of(0, &report)]))
    }

    #[test]
    fn a_check_that_is_far_slower_than_its_window_has_a_note() {
        assert_eq!(
            paced(10, 100).unwrap_or_default(),
            "slow: 1.00 MB/s, where 65,536 bytes a round trip of 100 µs allow 50.0 MB/s: Nagle's algorithm waits for delayed \
             acknowledgements, or something limits the rate"
        );
        // A round trip of 40 ms allows no more.
        assert_eq!(paced(10, 40_000), None);
        assert_eq!(paced(4, 100), None);
    }

    #[test]
    fn a_cut_of_tls_after_our_half_close_has_the_hint_that_a_plain_end_has() {
        let checked = checked(1, None, Through::Tls(Some("TLS: the stream was cut".to_owned())));
        let kind = FaultKind::Truncated { by: PeerEnd::Truncated, after: None };
        let mut outcome = ClientOutcome::new(Verdict::Faulty(Fault { at: 5, kind }));
        let likely =
            |outcome| Judged::of(&checked, &[ended(0, outcome)]).found.unwrap().words.likely.unwrap();
        assert_eq!(likely(outcome), "TLS: the stream was cut");
        outcome.shut = Some(Duration::from_millis(1));
        assert_eq!(
            likely(outcome),
            "TLS: the stream was cut; --half-close off shows whether it is only that"
        );
    }
}
