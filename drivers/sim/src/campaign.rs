//! Campaigns: a range of seeds, on several threads and several machines, with totals that do not depend on how it
//! was divided.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde::{Deserialize, Serialize};

use crate::choose::{Faults, Seeded, mix};
use crate::run::{Runner, Simulation};

/// Seeds that a thread takes at a time.
const PORTION: u64 = 256;
/// Failures that a report names; all are counted.
const NAMED: usize = 100;

/// Which seeds to run, and how.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Campaign {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Of these, the ones that leave the first number when divided by the second.
    pub shard: (u64, u64),
    /// Threads; 0 is as many as the system advises.
    pub jobs: usize,
    /// Which faults to draw from.
    pub faults: Faults,
}

impl Campaign {
    roundtrip_core::setters! {
        seeds: Range<u64>,
        shard: (u64, u64),
        jobs: usize,
        faults: Faults,
    }

    /// All of `seeds`, on one thread, with swarms of faults.
    pub const fn new(seeds: Range<u64>) -> Self {
        Self { seeds, shard: (0, 1), jobs: 1, faults: Faults::SWARM }
    }
}

/// What a campaign found so far, for whoever watches it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Seeds that were run.
    pub runs: AtomicU64,
    /// Of these, the ones that failed.
    pub failures: AtomicU64,
    /// Set it to end the campaign early: the report then covers what was run.
    pub cancel: AtomicBool,
}

/// What a campaign found. The same for the same seeds, whatever they were run on and however they were divided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Report {
    /// The version of this format.
    #[serde(rename = "roundtrip-report")]
    version: u64,
    /// The scenario's name.
    pub scenario: String,
    /// The first seed, and the one after the last.
    pub seeds: (u64, u64),
    /// The shards of these seeds that it covers, each as its number and how many there are; whole as `(0, 1)`.
    pub shards: Vec<(u64, u64)>,
    /// Seeds that were run.
    pub runs: u64,
    /// Events that happened.
    pub events: u64,
    /// Virtual time that passed, in nanoseconds.
    pub time: u128,
    /// A hash over the hashes of all runs, in base 16.
    pub hash: String,
    /// Seeds that failed.
    pub failed: u64,
    /// The lowest of them, 100 at the most.
    pub failures: Vec<Failure>,
    /// The scenario's goals, and how many runs reached each.
    pub goals: Vec<(String, u64)>,
}

/// A seed that failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The verdict's [id](crate::Verdict::id).
    pub verdict: String,
    /// What was found, in words.
    pub found: String,
}

/// Why reports cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeError {
    /// There are none.
    Nothing,
    /// They are not of one campaign: what differs.
    Different(&'static str),
    /// A shard is in two of them.
    Overlap(u64, u64),
    /// A shard is in none of them.
    Missing(u64, u64),
    /// A report is not whole: it says that it covers more seeds than it ran.
    Cancelled(u64, u64),
}

impl std::fmt::Display for MergeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("there is no report"),
            Self::Different(what) => write!(f, "the reports are of different campaigns: {what}"),
            Self::Overlap(shard, of) => write!(f, "shard {shard}/{of} is in two reports"),
            Self::Missing(shard, of) => write!(f, "shard {shard}/{of} is in no report"),
            Self::Cancelled(shard, of) => {
                write!(f, "the campaign of shard {shard}/{of} was not run to its end")
            }
        }
    }
}

impl std::error::Error for MergeError {}

/// Totals as they are summed up.
#[derive(Debug, Default)]
struct Totals {
    runs: u64,
    events: u64,
    time: u128,
    hash: u64,
    failed: u64,
    failures: Vec<Failure>,
    goals: Vec<u64>,
}

impl Totals {
    fn add(&mut self, other: Self) {
        // A report may say anything.
        self.runs = self.runs.saturating_add(other.runs);
        self.events = self.events.saturating_add(other.events);
        self.time = self.time.saturating_add(other.time);
        self.hash = self.hash.wrapping_add(other.hash);
        self.failed = self.failed.saturating_add(other.failed);
        self.failures.extend(other.failures);
        self.failures.sort_unstable();
        self.failures.truncate(NAMED);
        self.goals.resize(self.goals.len().max(other.goals.len()), 0);
        for (mine, others) in self.goals.iter_mut().zip(other.goals) {
            *mine = mine.saturating_add(others);
        }
    }

    fn report(
        self,
        scenario: &str,
        seeds: (u64, u64),
        shard: (u64, u64),
        goals: impl Iterator<Item = String>,
    ) -> Report {
        Report {
            version: 1,
            scenario: scenario.to_owned(),
            seeds,
            shards: vec![shard],
            runs: self.runs,
            events: self.events,
            time: self.time,
            hash: format!("{:016x}", self.hash),
            failed: self.failed,
            failures: self.failures,
            goals: goals.zip(self.goals).collect(),
        }
    }
}

/// Runs a campaign to its end, or until `progress` is cancelled.
///
/// Seeds that fail are counted and named, and the campaign goes on.
#[expect(clippy::disallowed_methods, reason = "whole runs are divided among threads; nothing in a run is")]
pub fn run<S: Simulation>(scenario: &S, campaign: &Campaign, progress: &Progress) -> Report {
    let (shard, of) = (campaign.shard.0, campaign.shard.1.max(1));
    // Seeds of the shard are its first, and every `of`-th after it.
    let first = campaign.seeds.start + (shard + of - campaign.seeds.start % of) % of;
    let next = AtomicU64::new(0);
    let totals = Mutex::new(Totals { goals: vec![0; scenario.aims().len()], ..Totals::default() });
    let work = || {
        let mut runner = Runner::new(scenario);
        let mut seeded = Seeded::new(0, campaign.faults);
        let mut mine = Totals { goals: vec![0; scenario.aims().len()], ..Totals::default() };
        while !progress.cancel.load(Ordering::Relaxed) {
            let from = next.fetch_add(PORTION, Ordering::Relaxed);
            let mut seeds = (from..from + PORTION)
                .map_while(|index| first.checked_add(index.checked_mul(of)?))
                .take_while(|seed| *seed < campaign.seeds.end)
                .peekable();
            if seeds.peek().is_none() {
                break;
            }
            let (runs, failed) = (mine.runs, mine.failed);
            for seed in seeds {
                seeded.reseed(seed, campaign.faults);
                let run = runner.run(&mut seeded);
                mine.runs += 1;
                mine.events += run.events;
                mine.time += u128::from(run.time);
                mine.hash = mine.hash.wrapping_add(mix(run.hash ^ mix(seed)));
                let mut reached = run.reached.bits();
                while reached != 0 {
                    if let Some(count) = mine.goals.get_mut(reached.trailing_zeros() as usize) {
                        *count += 1;
                    }
                    reached &= reached - 1;
                }
                if !run.verdict.is_pass() {
                    mine.failed += 1;
                    // Seeds rise, so the first are the lowest of this thread.
                    if mine.failures.len() < NAMED {
                        let (verdict, found) = (run.verdict.id().to_owned(), run.verdict.found().to_owned());
                        mine.failures.push(Failure { seed, verdict, found });
                    }
                }
            }
            progress.runs.fetch_add(mine.runs - runs, Ordering::Relaxed);
            progress.failures.fetch_add(mine.failed - failed, Ordering::Relaxed);
        }
        totals.lock().unwrap_or_else(PoisonError::into_inner).add(mine);
    };
    let jobs = match campaign.jobs {
        0 => thread::available_parallelism().map_or(1, std::num::NonZero::get),
        jobs => jobs,
    };
    thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(work);
        }
        work();
    });
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    let goals = scenario.aims().iter().map(|name| (*name).to_owned());
    totals.report(scenario.title(), (campaign.seeds.start, campaign.seeds.end), (shard, of), goals)
}

impl Report {
    /// Whether nothing failed.
    pub const fn is_pass(&self) -> bool {
        self.failed == 0
    }

    /// Goals that no run reached.
    pub fn missed(&self) -> impl Iterator<Item = &str> {
        self.goals.iter().filter(|(_, runs)| *runs == 0).map(|(name, _)| &**name)
    }

    /// Reads a report.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let report: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if report.version != 1 {
            return Err(format!("the report has version {}, and this release reads 1", report.version));
        }
        if u64::from_str_radix(&report.hash, 16).is_err() {
            return Err("the hash is no number of base 16".to_owned());
        }
        Ok(report)
    }

    /// Puts the shards of one campaign together: the same report as if it had not been divided.
    ///
    /// # Errors
    ///
    /// [`MergeError`], if they do not make a whole.
    pub fn merge(reports: &[Self]) -> Result<Self, MergeError> {
        let Some(first) = reports.first() else { return Err(MergeError::Nothing) };
        let mut totals = Totals::default();
        let mut shards = Vec::new();
        for report in reports {
            if report.scenario != first.scenario {
                return Err(MergeError::Different("the scenario"));
            }
            if report.seeds != first.seeds {
                return Err(MergeError::Different("the seeds"));
            }
            if !report.goals.iter().map(|goal| &goal.0).eq(first.goals.iter().map(|goal| &goal.0)) {
                return Err(MergeError::Different("the goals"));
            }
            for &(shard, of) in &report.shards {
                if first.shards.first().is_none_or(|first| first.1 != of) {
                    return Err(MergeError::Different("the number of shards"));
                }
                if shards.contains(&(shard, of)) {
                    return Err(MergeError::Overlap(shard, of));
                }
                shards.push((shard, of));
                if report.shards.len() == 1 && report.runs != seeds_in(first.seeds, (shard, of)) {
                    return Err(MergeError::Cancelled(shard, of));
                }
            }
            totals.add(Totals {
                runs: report.runs,
                events: report.events,
                time: report.time,
                hash: u64::from_str_radix(&report.hash, 16).unwrap_or_default(),
                failed: report.failed,
                failures: report.failures.clone(),
                goals: report.goals.iter().map(|goal| goal.1).collect(),
            });
        }
        let of = shards.first().map_or(1, |shard| shard.1);
        if let Some(missing) = (0..of).find(|shard| !shards.contains(&(*shard, of))) {
            return Err(MergeError::Missing(missing, of));
        }
        let goals = first.goals.iter().map(|goal| goal.0.clone());
        Ok(totals.report(&first.scenario, first.seeds, (0, 1), goals))
    }
}

impl std::fmt::Display for Report {
    /// The report as it is in a file: JSON.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = serde_json::to_string_pretty(self).map_err(|_| std::fmt::Error)?;
        writeln!(f, "{text}")
    }
}

/// How many seeds of a range belong to a shard.
fn seeds_in((start, end): (u64, u64), (shard, of): (u64, u64)) -> u64 {
    let below = |limit: u64| limit / of.max(1) + u64::from(limit % of.max(1) > shard);
    below(end).saturating_sub(below(start))
}
