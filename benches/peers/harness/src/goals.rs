//! What is to be reached, as ratios in one run.

use crate::catalogue as all;
use crate::catalogue::Entry;
use crate::generator::Load;

/// A load, over which sockets, and on which cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    pub title: &'static str,
    /// What is counted.
    pub unit: &'static str,
    pub load: Load,
    /// Server and generator share both cores.
    pub shared: bool,
}

const fn pingpong(title: &'static str, connections: usize, size: usize) -> Workload {
    Workload { title, unit: "message", load: Load::PingPong { connections, size }, shared: false }
}

const fn shared(workload: Workload, title: &'static str) -> Workload {
    Workload { title, shared: true, ..workload }
}

pub const ONE: Workload = pingpong("1 × 64 B", 1, 64);
pub const FIFTY: Workload = pingpong("50 × 64 B", 50, 64);
pub const THOUSAND: Workload = pingpong("1,000 × 64 B", 1000, 64);
pub const LARGE: Workload = pingpong("50 × 16 KiB", 50, 16 << 10);
pub const CHURN: Workload = Workload { title: "churn", unit: "connection", load: Load::Churn, shared: false };
pub const BULK: Workload = Workload { title: "bulk", unit: "GiB", load: Load::Bulk, shared: false };
const FIFTY_UNIX: Workload = pingpong("50 × 64 B, Unix sockets", 50, 64);
const FIFTY_SHARED: Workload = shared(FIFTY, "50 × 64 B, both cores");
const THOUSAND_SHARED: Workload = shared(THOUSAND, "1,000 × 64 B, both cores");

/// The workloads of the table of all.
pub const LISTED: [Workload; 6] = [ONE, FIFTY, THOUSAND, LARGE, BULK, CHURN];

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// CPU of the server for a message, ours against the other's.
    Cpu,
    /// Messages a second, ours against the other's.
    Rate,
    /// Milliseconds of the slowest message of a slice.
    Longest,
    /// MiB that are resident with 10,000 connections, each used once.
    Idle,
}

/// Where it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Two of the same: the interval must contain 1, or no other row means anything.
    Same,
}

/// A row.
#[derive(Clone, Debug)]
pub struct Goal {
    pub ours: &'static Entry,
    /// The best of these counts.
    pub others: Vec<&'static Entry>,
    pub workload: Workload,
    pub figure: Figure,
    pub bound: Bound,
    /// Compared so many times in a round.
    pub times: usize,
}

impl Goal {
    /// What `--goal` looks for.
    pub fn name(&self) -> String {
        let figure = match self.figure {
            Figure::Cpu => format!("CPU a {}", self.workload.unit),
            Figure::Rate => format!("{}s a second", self.workload.unit).replace("GiBs", "GiB"),
            Figure::Longest => "slowest message of a slice, ms".to_owned(),
            Figure::Idle => return format!("{}, 10,000 idle connections, MiB", self.ours.title),
        };
        let against = match *self.others {
            [] => String::new(),
            [other] => format!(" : {}", other.title),
            _ => " : the best of others".to_owned(),
        };
        format!("{}{against}, {}, {figure}", self.ours.title, self.workload.title)
    }
}

fn cpu(ours: &'static Entry, other: &'static Entry, workload: Workload, at_most: f64) -> Goal {
    Goal { ours, others: vec![other], workload, figure: Figure::Cpu, bound: Bound::AtMost(at_most), times: 1 }
}

/// All of them, in the order in which they are told.
pub fn goals() -> Vec<Goal> {
    let mut goals = vec![Goal { bound: Bound::Same, ..cpu(&all::REACTOR_AGAIN, &all::REACTOR, FIFTY, 1.0) }];
    let usual = [FIFTY, THOUSAND, LARGE, CHURN];
    for workload in usual {
        // Three in a hundred are asked for, so it is looked at twice as often.
        goals.push(Goal { times: 2, ..cpu(&all::REACTOR, &all::MIO, workload, 1.03) });
    }
    goals.extend(usual.map(|workload| cpu(&all::REACTOR, &all::TOKIO_TUNED, workload, 0.98)));
    goals.extend(usual.map(|workload| cpu(&all::REACTOR, &all::TOKIO, workload, 0.95)));
    goals.push(Goal {
        others: vec![&all::EPOLL_TUNED, &all::MIO, &all::TOKIO_TUNED],
        figure: Figure::Rate,
        bound: Bound::AtLeast(2.5),
        ..cpu(&all::REACTOR_SPIN, &all::MIO, ONE, 1.0)
    });
    goals.push(Goal {
        figure: Figure::Rate,
        bound: Bound::AtLeast(1.0),
        ..cpu(&all::REACTOR, &all::TOKIO_TUNED, BULK, 1.0)
    });
    goals.push(cpu(&all::REACTOR, &all::GO, BULK, 1.1));
    goals.push(Goal {
        others: Vec::new(),
        figure: Figure::Idle,
        ..cpu(&all::REACTOR, &all::REACTOR, ONE, 4.0)
    });
    goals.push(cpu(&all::URING_UNIX, &all::REACTOR_UNIX, FIFTY_UNIX, 0.92));
    goals.extend(usual.map(|workload| cpu(&all::TOKIO_DRIVER, &all::TOKIO_TUNED, workload, 1.03)));
    goals.extend(usual.map(|workload| cpu(&all::SMOL, &all::ASYNC_IO, workload, 1.03)));
    goals.extend(usual.map(|workload| cpu(&all::SMOL, &all::SMOL_COPY, workload, 0.95)));
    for other in [&all::THREAD, &all::THREAD_TUNED] {
        let bound = |workload| if workload == CHURN { 0.6 } else { 1.0 };
        goals.extend(LISTED.map(|workload| cpu(&all::STD, other, workload, bound(workload))));
    }
    // A stalled message takes 44 ms.
    goals.extend([&all::REACTOR, &all::URING, &all::SMOL, &all::STD].map(|ours| Goal {
        others: Vec::new(),
        figure: Figure::Longest,
        ..cpu(ours, ours, LARGE, 30.0)
    }));
    goals.extend([FIFTY_SHARED, THOUSAND_SHARED].map(|workload| Goal {
        others: vec![&all::TOKIO_TWO, &all::GO],
        ..cpu(&all::REACTOR_TWO, &all::TOKIO_TWO, workload, 1.0)
    }));
    goals
}

/// What is in no run unless it is asked for by name: that a planted difference is seen.
pub fn planted() -> Vec<Goal> {
    vec![Goal { times: 2, ..cpu(&all::MIO_MORE, &all::MIO, FIFTY, 1.0) }]
}
