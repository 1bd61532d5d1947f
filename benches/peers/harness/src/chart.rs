//! Plots as SVG, for light pages and dark ones.

use std::fmt::Write;

use crate::catalogue::{Entry, Program};
use crate::goals::{Bound, Figure, Workload};
use crate::plan::{Row, Verdict};
use crate::report::{Cell, Table};

/// Ours is blue; what misses is orange, and hollow for those who see no colours.
const STYLE: &str = "<style>\
    text{font:12px system-ui,sans-serif;fill:#1f2328}\
    .title{font-weight:600;font-size:14px}.soft{fill:#59636e}.end{text-anchor:end}.middle{text-anchor:middle}\
    .page{fill:#ffffff}.grid{stroke:#d1d9e0}.goal{stroke:#1f2328;stroke-width:1.5}\
    .ours,.reached{fill:#0969da}.reached{stroke:#0969da}.peer{fill:#9aa4af}\
    .missed{fill:#ffffff;stroke:#bc4c00;stroke-width:2}line.reached,line.missed{stroke-width:2}\
    @media (prefers-color-scheme:dark){\
    text{fill:#f0f6fc}.soft{fill:#9198a1}.page{fill:#0d1117}.grid{stroke:#3d444d}.goal{stroke:#f0f6fc}\
    .ours,.reached{fill:#58a6ff}.reached{stroke:#58a6ff}.peer{fill:#656c76}.missed{fill:#0d1117;stroke:#f0883e}}\
    </style>\n";

const LINE: f64 = 20.0;

/// A picture that grows downwards.
struct Picture {
    body: String,
    width: f64,
    height: f64,
}

impl Picture {
    fn new(width: f64, title: &str, sub: &str) -> Self {
        let mut picture = Self { body: String::new(), width, height: 58.0 };
        picture.text(16.0, 24.0, "title", title);
        picture.text(16.0, 43.0, "soft", sub);
        picture
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>");
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        );
    }

    fn finish(self) -> String {
        let Self { body, width, height } = self;
        let height = height + 12.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\">\n{STYLE}<rect width=\"100%\" height=\"100%\" class=\"page\"/>\n{body}</svg>\n"
        )
    }
}

/// Each goal's figure against the goal: what is left of the line is reached.
pub fn goals(rows: &[Row]) -> String {
    const LEFT: f64 = 460.0;
    const WIDTH: f64 = 330.0;
    const LOW: f64 = 0.7;
    const HIGH: f64 = 1.3;
    let mut picture = Picture::new(
        900.0,
        "What was measured, against its goal",
        "1 is the goal, and left of it is better; the line is the 95 % interval of the median. Hollow: missed.",
    );
    let x = |share: f64| LEFT + WIDTH * (share.clamp(LOW, HIGH) - LOW) / (HIGH - LOW);
    let rows: Vec<_> = rows.iter().filter_map(|row| shares(row).map(|shares| (row, shares))).collect();
    let top = picture.height + LINE;
    picture.height = top;
    let bottom = y(top, rows.len()) - LINE / 2.0;
    for tenth in 7..=13 {
        let share = f64::from(tenth) / 10.0;
        let class = if tenth == 10 { "goal" } else { "grid" };
        picture.text(x(share), top - 8.0, "soft middle", &format!("{share:.1}"));
        picture.line((x(share), top), (x(share), bottom), class);
    }
    for (row, [share, low, high]) in &rows {
        let y = picture.height + LINE / 2.0;
        let reached = row.result.as_ref().is_ok_and(|reached| reached.verdict == Verdict::Reached);
        let class = if reached { "reached" } else { "missed" };
        picture.text(LEFT - 12.0, y + 4.0, "end", &label(row));
        picture.line((x(*low), y), (x(*high), y), class);
        if (LOW..=HIGH).contains(share) {
            let _ = writeln!(
                picture.body,
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" class=\"{class}\"/>",
                x(*share)
            );
        } else {
            // It lies outside, there.
            let (at, tip) = (x(*share), if *share < LOW { -8.0 } else { 8.0 });
            let _ = writeln!(
                picture.body,
                "<path d=\"M{:.1} {y:.1}l{:.1} -5v10z\" class=\"{class}\"/>",
                at + tip,
                -tip
            );
        }
        if let Ok(reached) = &row.result {
            let bound = match row.goal.bound {
                Bound::AtMost(bound) => format!("≤ {bound}"),
                Bound::AtLeast(bound) => format!("≥ {bound}"),
                Bound::Same => "= 1".to_owned(),
            };
            let figures = format!("{:.2} {bound}", reached.summary.median);
            picture.text(picture.width - 16.0, y + 4.0, "end", &figures);
        }
        picture.height += LINE;
    }
    picture.finish()
}

/// The median and its interval against the goal, so that less is better.
fn shares(row: &Row) -> Option<[f64; 3]> {
    let reached = row.result.as_ref().ok()?;
    if matches!(row.goal.figure, Figure::Idle | Figure::Longest) {
        return None;
    }
    let summary = reached.summary;
    Some(match row.goal.bound {
        Bound::AtMost(bound) => [summary.median / bound, summary.low / bound, summary.high / bound],
        Bound::AtLeast(bound) => [bound / summary.median, bound / summary.high, bound / summary.low],
        Bound::Same => [summary.median, summary.low, summary.high],
    })
}

fn label(row: &Row) -> String {
    let against = row.result.as_ref().ok().and_then(|reached| reached.against);
    let against = against.map_or(String::new(), |other| format!(" : {}", other.title));
    let rate = if row.goal.figure == Figure::Rate { ", rate" } else { "" };
    format!("{}{against}, {}{rate}", row.goal.ours.title, row.goal.workload.title)
}

/// CPU a message of all servers, a panel for each of these workloads.
pub fn cpu(table: &Table, workloads: &[Workload]) -> String {
    const LEFT: f64 = 220.0;
    const PANEL: f64 = 170.0;
    const BAR: f64 = 120.0;
    let mut picture = Picture::new(
        LEFT + PANEL * 4.0 + 16.0,
        "Server CPU, µs a message (churn: a connection)",
        "Less is better. Blue: ours. A bar that ends in an arrow is longer.",
    );
    let top = picture.height + LINE;
    for (line, (entry, _)) in rows(table).enumerate() {
        picture.text(LEFT - 12.0, y(top, line) + 4.0, "end", &entry.name());
    }
    for (panel, workload) in (0_u32..).zip(workloads) {
        let left = LEFT + PANEL * f64::from(panel);
        picture.text(left, top - 8.0, "soft", workload.title);
        let Some(column) = table.workloads.iter().position(|known| known == workload) else { continue };
        let figures = rows(table).map(|(_, cells)| cells.get(column).copied().flatten().map(|(_, cpu)| cpu));
        let least = figures.clone().flatten().fold(f64::INFINITY, f64::min);
        // Those that stall would make the others look alike.
        let most = figures.clone().flatten().fold(0.0, f64::max).min(4.0 * least);
        for (line, ((entry, _), cpu)) in rows(table).zip(figures).enumerate() {
            let y = y(top, line);
            let Some(cpu) = cpu else {
                picture.text(left, y + 4.0, "soft", "–");
                continue;
            };
            let (length, more) = (BAR * cpu.min(most) / most, cpu > most);
            let tip = if more { 6.0 } else { 0.0 };
            let class = if entry.program == Program::Ours { "ours" } else { "peer" };
            let _ = writeln!(
                picture.body,
                "<path d=\"M{left:.1} {:.1}h{:.1}l{tip:.1} 6l-{tip:.1} 6H{left:.1}z\" class=\"{class}\"/>",
                y - 6.0,
                length - tip,
            );
            picture.text(left + length + 4.0, y + 4.0, "", &format!("{cpu:.1}"));
        }
    }
    picture.height = y(top, rows(table).count());
    picture.finish()
}

#[allow(clippy::cast_precision_loss, reason = "there are a few lines")]
fn y(top: f64, line: usize) -> f64 {
    top + LINE * (line as f64 + 0.5)
}

/// Servers of which anything is known.
fn rows(table: &Table) -> impl Iterator<Item = &(&'static Entry, Vec<Cell>)> + Clone {
    table.rows.iter().filter(|(_, cells)| cells.iter().any(Option::is_some))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::LISTED;
    use crate::goals::{FIFTY, THOUSAND, goals as all};
    use crate::plan::{Reached, verdict};
    use crate::stats::Summary;

    fn rows() -> Vec<Row> {
        let mut random = fastrand::Rng::with_seed(5);
        let goals = all().into_iter().map(|goal| {
            let figures: Vec<f64> = (0..30).map(|_| 0.5 + random.f64()).collect();
            let summary = Summary::of(&figures).unwrap();
            let verdict = verdict(goal.bound, &summary);
            let against = goal.others.first().copied();
            Row { goal, result: Ok(Reached { summary, against, verdict }) }
        });
        goals.collect()
    }

    #[test]
    fn every_ratio_is_a_line_of_the_plot() {
        let rows = rows();
        let plot = goals(&rows);
        let ratios = rows.iter().filter(|row| shares(row).is_some()).count();
        assert_eq!(
            plot.matches("class=\"reached\"/>").count() + plot.matches("class=\"missed\"/>").count(),
            2 * ratios
        );
    }

    #[test]
    fn a_bar_that_is_longer_than_its_panel_ends_in_an_arrow_and_tells_its_figure() {
        let cells = |cpu| vec![Some((1.0, cpu)), None];
        let table = Table {
            workloads: vec![FIFTY, THOUSAND],
            rows: vec![(LISTED[0], cells(4.0)), (LISTED[1], cells(40.0)), (LISTED[2], vec![None, None])],
        };
        let plot = cpu(&table, &[FIFTY, THOUSAND]);
        assert_eq!((plot.matches("<path").count(), plot.matches("l6.0 6").count()), (2, 1));
        assert!(plot.contains(">40.0</text>") && !plot.contains(LISTED[2].title));
    }
}
