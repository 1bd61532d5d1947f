//! A recorded run as a sequence diagram: as text, for a terminal.

use std::fmt::Write as _;

use crate::choose::{Decision, Entity};
use crate::line::{Line, What};
use crate::run::Recording;

/// Width of what a lane says, in characters.
const LANE: usize = 24;
/// Choices that are told: of a run that was not shrunk there are hundreds.
const CHOICES: usize = 20;
/// Width of an arrow.
const ARROW: usize = 12;

/// A row of a diagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) time: u64,
    pub(crate) event: u64,
    pub(crate) who: Entity,
    /// What happened there, in words.
    pub(crate) says: String,
    /// What left there for the other side.
    pub(crate) sends: Option<String>,
    pub(crate) kind: Mark,
}

/// How a row is set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The protocol at work.
    Plain,
    /// Trouble that the run made.
    Fault,
    /// The end of a session.
    Close,
}

/// What leaves with a line.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else leaves")]
fn sent(line: &Line) -> Option<String> {
    match line.what {
        What::Send => Some(format!("{} B", line.n)),
        What::SendEnd => Some("FIN".to_owned()),
        What::SendReset => Some("RST".to_owned()),
        _ => None,
    }
}

/// The rows of a run: what belongs together is in one.
pub(crate) fn rows(recording: &Recording) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let lines = &recording.lines;
    for (index, line) in lines.iter().enumerate() {
        let next = lines.get(index + 1);
        let here = |other: &Line| other.event == line.event && other.who == line.who;
        // What is read as it arrives, and what is taken as it is written, is told once.
        let is_read = |next: &Line| here(next) && matches!(next.what, What::Read) && next.n == line.n;
        if line.what == What::Arrive && next.is_some_and(is_read) {
            continue;
        }
        if let Some(sent) = sent(line) {
            match rows
                .last_mut()
                .filter(|row| row.event == line.event && row.who == line.who && row.sends.is_none())
            {
                Some(row) => row.sends = Some(sent),
                None => rows.push(Row { sends: Some(sent), ..row(line, String::new()) }),
            }
            continue;
        }
        let wrote_all = |row: &Row| {
            row.says == format!("writes {}", line.n) && row.event == line.event && row.who == line.who
        };
        if line.what == What::Wrote && rows.iter().rev().take(3).any(wrote_all) {
            continue;
        }
        rows.push(row(line, says(line)));
    }
    rows
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not set apart is plain")]
fn row(line: &Line, says: String) -> Row {
    let kind = match line.what {
        What::Close | What::CloseReset => Mark::Close,
        What::Refused
        | What::Hung
        | What::NotDialled
        | What::TurnedAway
        | What::AcceptFailed
        | What::Blocked
        | What::Failed
        | What::Stop
        | What::Abort
        | What::Timer
        | What::ArriveReset
        | What::LineReset
        | What::Silence
        | What::ServerStop
        | What::ServerForce
        | What::Crash
        | What::Restart
        | What::Jump
        | What::Freeze
        | What::Lost
        | What::Twice
        | What::Damaged
        | What::Unsent => Mark::Fault,
        _ => Mark::Plain,
    };
    Row { time: line.time, event: line.event, who: line.who, says, sends: None, kind }
}

fn says(line: &Line) -> String {
    let n = line.n;
    match line.what {
        What::Dial => "dials".to_owned(),
        What::NotDialled => "does not dial".to_owned(),
        What::Refused => "is refused".to_owned(),
        What::Hung => "gets no answer".to_owned(),
        What::Connected => "is connected".to_owned(),
        What::Admitted => "is admitted".to_owned(),
        What::TurnedAway => "is turned away".to_owned(),
        What::AcceptFailed => "accept fails".to_owned(),
        What::Write => format!("writes {n}"),
        What::Wrote => format!("wrote {n}"),
        What::Blocked => "write would block".to_owned(),
        What::HalfClose => "half-closes".to_owned(),
        What::Send | What::SendEnd | What::SendReset => String::new(),
        What::Arrive => format!("{n} arrive"),
        What::ArriveEnd => "FIN arrives".to_owned(),
        What::ArriveReset => "RST arrives".to_owned(),
        What::Read => format!("reads {n}"),
        What::End => "sees the end".to_owned(),
        What::Failed => "sees the reset".to_owned(),
        What::Command => "takes a command".to_owned(),
        What::Stop => "is told to stop".to_owned(),
        What::Abort => "is told to abort".to_owned(),
        What::Event => "tells its hub".to_owned(),
        What::Timer => "deadline passes".to_owned(),
        What::Close => "closes".to_owned(),
        What::CloseReset => "closes with RST".to_owned(),
        What::LineReset => "the line resets".to_owned(),
        What::Silence => format!("hears nothing for {}", millis(n)),
        What::ServerStop => "the server is stopped".to_owned(),
        What::ServerForce => "the server is forced".to_owned(),
        What::Drained => "the server is drained".to_owned(),
        What::Crash => "the server dies".to_owned(),
        What::Restart => "the server is back".to_owned(),
        What::Jump => format!("the clock jumps by {}", millis(n)),
        What::Freeze => format!("suspended for {}", millis(n)),
        What::Heal => "all faults end".to_owned(),
        What::Lost => format!("{n} are lost"),
        What::Twice => format!("{n} come twice"),
        What::Damaged => format!("{n} are damaged"),
        What::Unsent => format!("{n} do not leave"),
    }
}

/// Milliseconds, as short as they can be told.
pub(crate) fn millis(nanos: u64) -> String {
    let (whole, part) = (nanos / 1_000_000, nanos % 1_000_000);
    if part == 0 { format!("{whole} ms") } else { format!("{whole}.{:03} ms", part / 1000) }
}

/// A run as a sequence diagram. Connections are told apart by the client's number in front of each row.
///
/// ```text
///       ms     client                  network      server
///    1.000  0  is connected
///    2.000  0  writes 64               ── 64 B ──▶
///    3.000  0                                       reads 64
/// ```
pub fn diagram(recording: &Recording) -> String {
    let mut text =
        format!("{:>10} {:>3}  {:<LANE$} {:^ARROW$} {}\n", "ms", "", "client", "network", "server");
    for row in rows(recording) {
        let time = format!("{}.{:03}", row.time / 1_000_000, row.time % 1_000_000 / 1000);
        let (mut client, mut server) = (String::new(), String::new());
        let mut number = connection(row.who);
        if row.who.is_client() {
            client = row.says;
        } else if row.who.is_server() {
            server = row.says;
        } else {
            number = String::new();
            let lane = if row.who == Entity::CLIENTS { &mut client } else { &mut server };
            *lane = format!("** {} **", row.says);
        }
        let arrow = row.sends.map(|sent| arrow(&sent, row.who.is_client())).unwrap_or_default();
        let line = format!("{time:>10} {number:>3}  {client:<LANE$} {arrow:<ARROW$} {server}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let verdict = &recording.run.verdict;
    if verdict.is_pass() {
        text.push_str("   nothing is wrong\n");
    } else {
        let _ = writeln!(text, "   {}: {}", verdict.id(), verdict.found());
    }
    let decisions = &recording.decisions;
    for (index, decision) in decisions.iter().take(CHOICES).enumerate() {
        let head = if index == 0 { "   chosen: " } else { "           " };
        let Decision { who, site, k, n, v } = decision;
        let time = if *k == 0 { String::new() } else { format!(", for the {} time", ordinal(k + 1)) };
        let _ = writeln!(text, "{head}{site} {v} of {n} for {who}{time}");
    }
    if decisions.len() > CHOICES {
        let _ = writeln!(text, "           and {} more", decisions.len() - CHOICES);
    }
    text
}

/// 1st, 2nd, 3rd, 4th.
fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// The client's number, and which of its connections it is if it is not the first.
pub(crate) fn connection(who: Entity) -> String {
    if who.round() == 0 { who.number().to_string() } else { format!("{}.{}", who.number(), who.round()) }
}

fn arrow(sent: &str, rightwards: bool) -> String {
    let room = ARROW.saturating_sub(sent.chars().count() + 3);
    let (before, after) = ("─".repeat(room / 2), "─".repeat(room - room / 2));
    if rightwards { format!("{before} {sent} {after}▶") } else { format!("◀{before} {sent} {after}") }
}
