//! A recorded run as one page that needs nothing else: no script, no request.

use std::fmt::Write as _;

use crate::choose::Entity;
use crate::diagram::{Mark, Row, connection, millis, rows};
use crate::line::What;
use crate::run::Recording;

/// Height of a row.
const ROW: usize = 24;
/// Where the lanes of a connection are, from its left edge; and how wide it is.
const CLIENT: usize = 170;
const SERVER: usize = 430;
const WIDTH: usize = 620;
/// What comes before the first connection.
const LEFT: usize = 90;
/// The widest bar of bytes held.
const BAR: usize = 60;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1d2733;--faint:#7b8794;--line:#c3cbd4;--paper:#fff;--bad:#c62828;--trouble:#b26a00;
--bytes:#2f6fb3;--held:#9ec5ea}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--faint:#8d99a6;--line:#3b4652;--paper:#12171d;--bad:#ff7b72;
--trouble:#f0b35a;--bytes:#79b8ff;--held:#274b6d}}
body{margin:2rem;background:var(--paper);color:var(--ink);font:14px/1.45 system-ui,sans-serif}
h1{font-size:1.3rem}.bad{color:var(--bad)}.faint{color:var(--faint)}
svg text{font:12px ui-monospace,monospace;fill:var(--ink)}svg .time{fill:var(--faint)}svg .head{font-weight:bold}
svg .trouble{fill:var(--trouble)}svg .close,svg .verdict{fill:var(--bad)}
svg .lane{stroke:var(--line);stroke-width:2}svg .sent{stroke:var(--bytes);stroke-width:1.5;fill:none}
svg .lost{stroke:var(--trouble);stroke-dasharray:4 3}svg .tip{fill:var(--bytes)}svg .held{fill:var(--held)}
svg .mark{fill:var(--trouble)}svg .last{stroke:var(--bad);stroke-width:1.5}
table{border-collapse:collapse}td,th{padding:.1rem .8rem .1rem 0;text-align:left}
";

/// A run as a page: a lane for each end, arrows for what travels, bars for the bytes that an end was given and has not
/// written again, marks where there was trouble, and the verdict at the end.
pub fn html(scenario: &str, recording: &Recording) -> String {
    let run = &recording.run;
    let (id, found) = (run.verdict.id(), escape(run.verdict.found()));
    let title = format!("{}: {}", escape(scenario), escape(id));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{title}</title>\n<style>{STYLE}</style></head>\
         <body>\n<h1>{title}</h1>\n<p class=\"{}\">{found}</p>\n<p class=\"faint\">{} events in {} of virtual time, hash \
         {:016x}</p>\n",
        if run.verdict.is_pass() { "faint" } else { "bad" },
        run.events,
        millis(run.time),
        run.hash
    );
    draw(&mut page, recording);
    page.push_str("<h2>Choices that were not benign</h2>\n<table><tr><th>who</th><th>choice</th><th>which time</th><th>value</th></tr>\n");
    for decision in &recording.decisions {
        let (who, site) = (decision.who, decision.site);
        let _ = writeln!(
            page,
            "<tr><td>{who}</td><td>{site}</td><td>{}</td><td>{} of {}</td></tr>",
            decision.k + 1,
            decision.v,
            decision.n
        );
    }
    page.push_str("</table>\n</body></html>\n");
    page
}

fn draw(page: &mut String, recording: &Recording) {
    let rows = rows(recording);
    let mut connections: Vec<_> = rows
        .iter()
        .filter(|row| row.who.is_client() || row.who.is_server())
        .map(|row| connection(row.who))
        .collect();
    connections.sort_unstable();
    connections.dedup();
    let (width, height) = (LEFT + connections.len().max(1) * WIDTH, (rows.len() + 4) * ROW);
    let _ = writeln!(
        page,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" role=\"img\">"
    );
    for (index, name) in connections.iter().enumerate() {
        for (lane, side) in [(CLIENT, "client"), (SERVER, "server")] {
            let x = LEFT + index * WIDTH + lane;
            let _ = writeln!(
                page,
                "<text class=\"head\" x=\"{x}\" y=\"16\" text-anchor=\"middle\">{side} {name}</text>"
            );
            let _ = writeln!(
                page,
                "<line class=\"lane\" x1=\"{x}\" y1=\"24\" x2=\"{x}\" y2=\"{}\"/>",
                height - 2 * ROW
            );
        }
    }
    let place = |who: Entity| {
        let name = connection(who);
        let index = connections.iter().position(|known| *known == name).unwrap_or(0);
        LEFT + index * WIDTH + if who.is_client() { CLIENT } else { SERVER }
    };
    let y = |index: usize| 44 + index * ROW;
    draw_held(page, recording, &rows, &place, y);
    for (index, row) in rows.iter().enumerate() {
        draw_row(page, row, &place, y(index));
    }
    draw_arrows(page, recording, &rows, &place, y);
    let verdict = &recording.run.verdict;
    if !verdict.is_pass() {
        let at = y(rows.len());
        let _ = writeln!(page, "<line class=\"last\" x1=\"0\" y1=\"{at}\" x2=\"{width}\" y2=\"{at}\"/>");
        let text = format!("{}: {}", verdict.id(), verdict.found());
        let _ = writeln!(page, "<text class=\"verdict\" x=\"8\" y=\"{}\">{}</text>", at + 18, escape(&text));
    }
    page.push_str("</svg>\n");
}

fn draw_row(page: &mut String, row: &Row, place: &impl Fn(Entity) -> usize, y: usize) {
    let time = millis(row.time);
    let _ = writeln!(page, "<text class=\"time\" x=\"80\" y=\"{y}\" text-anchor=\"end\">{time}</text>");
    let class = match row.kind {
        Mark::Plain => "",
        Mark::Fault => "trouble",
        Mark::Close => "close",
    };
    if !(row.who.is_client() || row.who.is_server()) {
        let _ = writeln!(page, "<text class=\"{class}\" x=\"{LEFT}\" y=\"{y}\">{}</text>", escape(&row.says));
        return;
    }
    let x = place(row.who);
    if row.kind == Mark::Fault {
        let _ = writeln!(page, "<circle class=\"mark\" cx=\"{x}\" cy=\"{}\" r=\"4\"/>", y - 4);
    }
    let (x, anchor) = if row.who.is_client() { (x - 12, "end") } else { (x + 12, "start") };
    let _ = writeln!(
        page,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>",
        escape(&row.says)
    );
}

/// Arrows from where something left to where it arrived: in each direction the first that left is the first that
/// arrives, but for a reset, which may overtake.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else travels")]
fn draw_arrows(
    page: &mut String,
    recording: &Recording,
    rows: &[Row],
    place: &impl Fn(Entity) -> usize,
    y: impl Fn(usize) -> usize,
) {
    let row_of = |event: u64, who: Entity| {
        let is_here = |row: &Row| row.event == event && row.who == who;
        rows.iter().position(is_here).or_else(|| rows.iter().position(|row| row.event >= event))
    };
    let mut arrived = vec![false; recording.lines.len()];
    for (index, line) in recording.lines.iter().enumerate() {
        let (what, says) = match line.what {
            What::Send => (What::Arrive, format!("{} B", line.n)),
            What::SendEnd => (What::ArriveEnd, "FIN".to_owned()),
            What::SendReset => (What::ArriveReset, "RST".to_owned()),
            _ => continue,
        };
        let is_other =
            |who: Entity| connection(who) == connection(line.who) && who.is_client() != line.who.is_client();
        let arrival = (index + 1..recording.lines.len()).find(|&at| {
            !arrived[at] && recording.lines[at].what == what && is_other(recording.lines[at].who)
        });
        let Some(from) = rows.iter().position(|row| {
            row.event == line.event && row.who == line.who && row.sends.as_ref() == Some(&says)
        }) else {
            continue;
        };
        let (x1, y1) = (place(line.who), y(from) - 4);
        let rightwards = line.who.is_client();
        let middle = if rightwards { x1 + (SERVER - CLIENT) / 2 } else { x1 - (SERVER - CLIENT) / 2 };
        let (x2, y2, class) = match arrival {
            Some(at) => {
                arrived[at] = true;
                let there = recording.lines[at];
                let y2 = row_of(there.event, there.who).map_or(y1, |row| y(row) - 4);
                (place(there.who), y2, "sent")
            }
            None => (middle, y1 + ROW / 2, "sent lost"),
        };
        let _ = writeln!(page, "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>");
        let _ = writeln!(page, "<circle class=\"tip\" cx=\"{x2}\" cy=\"{y2}\" r=\"3\"/>");
        let height = usize::midpoint(y1, y2) - 3;
        let _ = writeln!(page, "<text x=\"{middle}\" y=\"{height}\" text-anchor=\"middle\">{says}</text>");
    }
}

/// Bars beside the server's lanes: bytes that it was given and has not written.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else changes what is held")]
fn draw_held(
    page: &mut String,
    recording: &Recording,
    rows: &[Row],
    place: &impl Fn(Entity) -> usize,
    y: impl Fn(usize) -> usize,
) {
    let mut held = std::collections::BTreeMap::<Entity, u64>::new();
    let mut bars = Vec::new();
    for line in recording.lines.iter().filter(|line| line.who.is_server()) {
        let now = held.entry(line.who).or_insert(0);
        match line.what {
            What::Read => *now += line.n,
            What::Wrote => *now = now.saturating_sub(line.n),
            _ => continue,
        }
        bars.push((line.event, line.who, *now));
    }
    let most = bars.iter().map(|bar| bar.2).max().unwrap_or(0).max(1);
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.who.is_server()) {
        let last = bars.iter().rev().find(|bar| bar.0 <= row.event && bar.1 == row.who);
        let Some((_, who, bytes)) = last.filter(|bar| bar.2 > 0) else { continue };
        let width = usize::try_from(*bytes * BAR as u64 / most).unwrap_or(BAR).max(2);
        let x = place(*who) + 120;
        let _ = writeln!(
            page,
            "<rect class=\"held\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"14\"><title>{bytes} bytes held</title></rect>",
            y(index) - 14
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
