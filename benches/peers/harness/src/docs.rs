//! The section of `docs/performance.md` that a run writes, and its plots.

use std::fs;
use std::io;
use std::path::Path;

use crate::chart;
use crate::goals;
use crate::report::Report;

const BEGIN: &str = "<!-- side by side: written by benches/peers/peers.sh -->\n";
const END: &str = "<!-- side by side: end -->\n";

const HOW: &str = "\
All servers of a workload are up. The generator gives a slice to one, then to the other, in random order; a ratio is of
two slices that are neighbours, ours against the other's, and what is told is the median of the pairs, with the 95 %
interval of the median (bootstrap). The CPU is the server's, as the kernel counts it for all its threads. All that is on
its way is awaited before a slice ends, and every byte is compared. Each server is started five times in a workload, for one is luckier with its memory than the next.
*As its example* is what the project's own examples do, *tuned* is 64 KiB and `TCP_NODELAY`.
";

const NOT_CLAIMED: &str = "\
What is not claimed:

- It is loopback: no card, no latency, no loss. A server and the generator have a core each, and two threads share both
  with the generator.
- It is one machine, and a virtual one. Absolute figures drift by 30 % between runs; only ratios within a run count, and
  the table of all servers, whose cells are medians of a few slices, is good for its first digit.
- Messages a second are those of the generator and the server together; the generator is often the side that has no time
  left. CPU a message is the server's alone.
- Most of a server's time is the kernel's `send` (84 % in the best). So 3 % of the whole may be a fifth of what a program
  adds.
- The peers are programs of some dozens of lines that do nothing but echo; `roundtrip serve` counts, limits and drains, and
  is measured as it ships.
- A server that stalls (50 × 16 KiB with a small buffer and no `TCP_NODELAY`) makes a message in 44 ms; a ratio against it
  says that it stalls.
";

/// Into `docs`.
pub fn write(docs: &Path, report: &Report) -> io::Result<()> {
    let page = docs.join("performance.md");
    let text = fs::read_to_string(&page)?;
    let written = replaced(&text, &section(report))
        .ok_or_else(|| io::Error::other("docs/performance.md has no place for it: its marks are missing"))?;
    fs::write(page, written)?;
    fs::write(docs.join("peers-goals.svg"), chart::goals(&report.goals))?;
    let panels = [goals::FIFTY, goals::THOUSAND, goals::LARGE, goals::CHURN];
    fs::write(docs.join("peers-cpu.svg"), chart::cpu(&report.table, &panels))
}

fn section(report: &Report) -> String {
    let warning = report.warning().map_or(String::new(), |warning| format!("{warning}\n\n"));
    format!(
        "\n{}\n\n{HOW}\n{warning}{}\n![Each goal's figure against the goal](peers-goals.svg)\n\n\
         All servers; thousand messages a second · µs of CPU a message (bulk: GiB a second · s of CPU a GiB; churn: \
         thousand\nconnections a second · µs a connection):\n\n{}\n![CPU a message of all servers](peers-cpu.svg)\n\n\
         Memory that is resident before and after 10,000 connections that are each used (5,000, where more need too many \
         descriptors):\n\n{}\n\
         System calls a message, 50 × 64 B, as the kernel counts them at full speed:\n\n{}\n{NOT_CLAIMED}\n",
        report.setting,
        report.goals(),
        report.table(),
        report.idle(),
        report.calls(),
    )
}

/// The page with this between its marks.
fn replaced(page: &str, section: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{section}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_written_anew() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let once = replaced(&page, "new\n").unwrap();
        assert_eq!(once, format!("before\n{BEGIN}new\n{END}after\n"));
        assert_eq!(replaced(&once, "new\n").unwrap(), once);
        assert_eq!(replaced("no marks", "new\n"), None);
    }
}
