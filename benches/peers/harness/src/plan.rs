//! From goals to blocks of slices, and from slices to verdicts.

use std::io;

use crate::catalogue::Entry;
use crate::goals::{Bound, Figure, Goal, Workload};
use crate::order::Group;
use crate::slices::{Bench, Failure, Pair, Taken};
use crate::stats::Summary;

/// Each server is started anew so many times, for one is luckier with its pages than the next.
const STARTS: usize = 5;
/// Slices of a server that is compared with nobody.
const ALONE: usize = 10;

/// A goal, and what came of it.
#[derive(Debug)]
pub struct Row {
    pub goal: Goal,
    pub result: Result<Reached, Failure>,
}

#[derive(Debug)]
pub struct Reached {
    pub summary: Summary,
    pub against: Option<&'static Entry>,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Reached,
    Missed,
    /// The A/A row: all that is said here is noise.
    NotTheSame,
}

/// The figures of a workload, and what came of its goals.
pub fn measure(bench: &Bench, goals: &[Goal], workload: Workload, rounds: usize) -> io::Result<Vec<Row>> {
    let (entries, groups) = groups(goals);
    let (alone, compared): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.others.is_empty());
    let mut taken = Taken::default();
    for start in 0..STARTS {
        let share = (rounds + start) / STARTS;
        if share > 0 && !compared.is_empty() {
            bench.block(&entries, &compared, workload, share, &mut taken)?;
        }
    }
    // Who was compared has slices already.
    let alone: Vec<Group> =
        alone.into_iter().filter(|group| compared.iter().all(|other| other.ours != group.ours)).collect();
    if !alone.is_empty() {
        bench.block(&entries, &alone, workload, ALONE.min(rounds), &mut taken)?;
    }
    Ok(goals.iter().map(|goal| Row { goal: goal.clone(), result: judge(goal, &taken) }).collect())
}

/// The servers of these goals, and who is compared with whom, by their places among them.
fn groups(goals: &[Goal]) -> (Vec<&'static Entry>, Vec<Group>) {
    let mut entries: Vec<&'static Entry> = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut place = |entry: &'static Entry| {
        entries.iter().position(|known| *known == entry).unwrap_or_else(|| {
            entries.push(entry);
            entries.len() - 1
        })
    };
    for goal in goals {
        let ours = place(goal.ours);
        let others: Vec<usize> = goal.others.iter().map(|other| place(other)).collect();
        // What is compared with nobody is in a group of its own.
        let same = |group: &Group| group.ours == ours && group.others.is_empty() == others.is_empty();
        let group = groups.iter().position(same).unwrap_or_else(|| {
            groups.push(Group { ours, others: Vec::new() });
            groups.len() - 1
        });
        let group = &mut groups[group];
        for other in others {
            let have = group.others.iter().filter(|known| **known == other).count();
            group.others.extend(std::iter::repeat_n(other, goal.times.saturating_sub(have)));
        }
    }
    (entries, groups)
}

fn judge(goal: &Goal, taken: &Taken) -> Result<Reached, Failure> {
    let failed = |entry: &Entry| taken.failures.iter().find(|(failed, _)| *failed == entry);
    if let Some((_, why)) = failed(goal.ours) {
        return Err(why.clone());
    }
    if goal.others.is_empty() {
        let slices = taken.slices.iter().filter(|(entry, _)| *entry == goal.ours);
        let longest: Vec<f64> = slices.map(|(_, slice)| slice.work.longest.as_secs_f64() * 1e3).collect();
        let summary = Summary::of(&longest).ok_or_else(nothing)?;
        return Ok(Reached { summary, against: None, verdict: verdict(goal.bound, &summary) });
    }
    let against = goal.others.iter().filter_map(|other| {
        let pairs = taken.pairs.iter().filter(|(ours, with, _)| ours == &goal.ours && with == other);
        let ratios: Vec<f64> = pairs.map(|(_, _, pair)| ratio(goal.figure, pair)).collect();
        Some((*other, Summary::of(&ratios)?))
    });
    // The best of the others is the one against which we look worst.
    let worse = |a: &Summary, b: &Summary| match goal.bound {
        Bound::AtLeast(_) => b.median.total_cmp(&a.median),
        Bound::AtMost(_) | Bound::Same => a.median.total_cmp(&b.median),
    };
    if let Some((other, summary)) = against.max_by(|(_, a), (_, b)| worse(a, b)) {
        return Ok(Reached { summary, against: Some(other), verdict: verdict(goal.bound, &summary) });
    }
    let why = goal.others.iter().find_map(|other| failed(other));
    // That another is broken is no fault of ours.
    Err(why.map_or_else(nothing, |(other, why)| {
        let (Failure::NotStarted(why) | Failure::Broken(why)) = why;
        Failure::NotStarted(format!("{}: {why}", other.title))
    }))
}

fn nothing() -> Failure {
    Failure::NotStarted("not one slice was taken".to_owned())
}

fn ratio(figure: Figure, pair: &Pair) -> f64 {
    match figure {
        Figure::Rate => pair.ours.rate() / pair.other.rate(),
        Figure::Cpu | Figure::Longest | Figure::Idle => pair.ours.cpu_each() / pair.other.cpu_each(),
    }
}

pub fn verdict(bound: Bound, summary: &Summary) -> Verdict {
    let holds = match bound {
        Bound::AtMost(most) => summary.median <= most,
        Bound::AtLeast(least) => summary.median >= least,
        Bound::Same if summary.contains(1.0) => true,
        Bound::Same => return Verdict::NotTheSame,
    };
    if holds { Verdict::Reached } else { Verdict::Missed }
}
