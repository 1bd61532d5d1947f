//! What was measured, as Markdown.

use std::fmt::Write;

use crate::catalogue::Entry;
use crate::goals::{Bound, Figure, Workload};
use crate::idle::Idle;
use crate::plan::{Row, Verdict};
use crate::slices::Failure;
use crate::syscalls::Calls;

/// Of a workload, by server: thousand units a second (GiB of bulk), and microseconds of CPU (seconds) for one.
pub type Cell = Option<(f64, f64)>;

/// All servers by all workloads.
#[derive(Debug, Default)]
pub struct Table {
    pub workloads: Vec<Workload>,
    pub rows: Vec<(&'static Entry, Vec<Cell>)>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Kernel, cores, what was pinned, pairs.
    pub setting: String,
    pub goals: Vec<Row>,
    pub table: Table,
    pub idle: Vec<(&'static Entry, Result<Idle, Failure>)>,
    pub calls: Vec<(&'static Entry, Result<Calls, String>)>,
}

impl Report {
    pub fn goals(&self) -> String {
        let mut out = String::from(
            "| figure | goal | measured | 95 % interval | least – most | pairs | |\n\
             | --- | --- | ---: | ---: | ---: | ---: | --- |\n",
        );
        for Row { goal, result } in &self.goals {
            let bound = match goal.bound {
                Bound::AtMost(most) => format!("≤ {most}"),
                Bound::AtLeast(least) => format!("≥ {least}"),
                Bound::Same => "1 in the interval".to_owned(),
            };
            let name = goal.name();
            let line = match result {
                Err(failure) => {
                    let (Failure::NotStarted(why) | Failure::Broken(why)) = failure;
                    let word = if matches!(failure, Failure::Broken(_)) { "**broken**" } else { "skipped" };
                    format!("| {name} | {bound} | | | | | {word}: `{}` |", why.replace('|', "/"))
                }
                Ok(reached) => {
                    let s = reached.summary;
                    let name = match (goal.others.len(), reached.against) {
                        (2.., Some(best)) => format!("{name} ({})", best.title),
                        _ => name,
                    };
                    let digits = if matches!(goal.figure, Figure::Idle | Figure::Longest) { 1 } else { 3 };
                    let (interval, extremes) = if s.count == 1 {
                        (String::new(), String::new())
                    } else {
                        (
                            format!("{:.digits$} – {:.digits$}", s.low, s.high),
                            format!("{:.digits$} – {:.digits$}", s.least, s.most),
                        )
                    };
                    let unsure = match goal.bound {
                        Bound::AtMost(bound) | Bound::AtLeast(bound) if s.count > 1 && s.contains(bound) => {
                            ", the goal lies in the interval"
                        }
                        _ => "",
                    };
                    let verdict = match reached.verdict {
                        Verdict::Reached => "reached",
                        Verdict::Missed => "**missed**",
                        Verdict::NotTheSame => "**NOT THE SAME**",
                    };
                    format!(
                        "| {name} | {bound} | {:.digits$} | {interval} | {extremes} | {} | {verdict}{unsure} |",
                        s.median, s.count,
                    )
                }
            };
            let _ = writeln!(out, "{line}");
        }
        out
    }

    /// Loud, if what was measured means nothing.
    pub fn warning(&self) -> Option<&'static str> {
        let not_the_same =
            |row: &Row| row.result.as_ref().is_ok_and(|reached| reached.verdict == Verdict::NotTheSame);
        self.goals.iter().any(not_the_same).then_some(
            "**THE SAME SERVER, STARTED TWICE, IS NOT THE SAME: THIS MACHINE WAS TOO BUSY, AND NO ROW MEANS ANYTHING.**",
        )
    }

    pub fn table(&self) -> String {
        let mut out = String::from("| server |");
        for workload in &self.table.workloads {
            let _ = write!(out, " {} |", workload.title);
        }
        out.push_str("\n| --- |");
        out.push_str(&" ---: |".repeat(self.table.workloads.len()));
        out.push('\n');
        for (entry, cells) in &self.table.rows {
            let _ = write!(out, "| {} |", entry.name());
            for cell in cells {
                let _ = match cell {
                    Some((rate, cpu)) => write!(out, " {} · {} |", short(*rate), short(*cpu)),
                    None => write!(out, " – |"),
                };
            }
            out.push('\n');
        }
        out
    }

    #[allow(clippy::cast_precision_loss, reason = "memory is less than 2^52 bytes")]
    pub fn idle(&self) -> String {
        let mut out = String::from(
            "| server | connections | before, MiB | after, MiB | of that anonymous | bytes a connection |\n\
             | --- | ---: | ---: | ---: | ---: | ---: |\n",
        );
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        for (entry, idle) in &self.idle {
            let _ = match idle {
                Ok(idle) => {
                    let each = idle.after.saturating_sub(idle.before) / idle.connections as u64;
                    let (before, after, anonymous) = (mib(idle.before), mib(idle.after), mib(idle.anonymous));
                    let (name, connections) = (entry.name(), idle.connections);
                    writeln!(
                        out,
                        "| {name} | {connections} | {before:.1} | {after:.1} | {anonymous:.1} | {each} |"
                    )
                }
                Err(Failure::NotStarted(_)) => writeln!(out, "| {} | – | – | – | – | – |", entry.name()),
                Err(Failure::Broken(why)) => writeln!(out, "| {} | | {why} | | | |", entry.name()),
            };
        }
        out
    }

    pub fn calls(&self) -> String {
        let mut out = String::from("| server | calls a message |\n| --- | --- |\n");
        for (entry, calls) in &self.calls {
            let said = match calls {
                Ok(calls) => {
                    let each = calls.each.iter().map(|(name, each)| format!("{each:.2} {name}"));
                    format!("{:.2}: {}", calls.all, each.collect::<Vec<_>>().join(" + "))
                }
                Err(why) => format!("skipped: `{why}`"),
            };
            let _ = writeln!(out, "| {} | {said} |", entry.name());
        }
        out
    }
}

/// Two or three digits that say something.
fn short(figure: f64) -> String {
    match figure {
        ..0.995 => format!("{figure:.2}"),
        ..9.95 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}
