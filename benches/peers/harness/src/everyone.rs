//! What every server does in every workload, with no goal.

use std::io;

use crate::catalogue;
use crate::generator::Load;
use crate::goals;
use crate::idle;
use crate::order::Group;
use crate::report::Report;
use crate::slices::{Bench, Slice, Taken};
use crate::stats::median;

/// All servers by all workloads.
pub fn measure(bench: &Bench, rounds: usize, report: &mut Report) -> io::Result<()> {
    let entries = catalogue::LISTED;
    report.table.workloads = goals::LISTED.to_vec();
    report.table.rows = entries.map(|entry| (entry, Vec::new())).to_vec();
    for workload in goals::LISTED {
        bench.tell(&format!("all, {}", workload.title));
        let each = match workload.load {
            Load::PingPong { connections, .. } => connections + 8,
            Load::Bulk | Load::Churn => 64,
        };
        let mut taken = Taken::default();
        // So many at one time as there are descriptors for.
        for some in entries.chunks((bench.descriptors / each).max(1)) {
            let alone: Vec<Group> = (0..some.len()).map(|ours| Group { ours, others: Vec::new() }).collect();
            bench.block(some, &alone, workload, rounds, &mut taken)?;
        }
        for (entry, cells) in &mut report.table.rows {
            let slices = taken.slices.iter().filter(|(of, _)| of == entry).map(|(_, slice)| slice);
            let of = |figure: fn(&Slice) -> f64| median(&slices.clone().map(figure).collect::<Vec<_>>());
            let (rate, cpu) = if workload == goals::BULK { (1.0, 1.0) } else { (1e-3, 1e6) };
            let cell = of(Slice::rate).zip(of(Slice::cpu_each));
            cells.push(cell.map(|(each, seconds)| (each * rate, seconds * cpu)));
        }
    }
    Ok(())
}

/// Their memory with connections that do nothing.
pub fn memory(bench: &Bench, report: &mut Report) -> io::Result<()> {
    bench.tell("idle connections");
    for entry in catalogue::IDLE {
        bench.go_on()?;
        if !report.idle.iter().any(|(known, _)| *known == entry) {
            report.idle.push((entry, idle::measure(bench, entry)));
        }
    }
    Ok(())
}
