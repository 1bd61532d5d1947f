//! What may be written after `roundtrip sim`.

use std::ops::Range;

use clap::{Args, Subcommand, ValueEnum};
use roundtrip_sim::choose::{Family, Faults};

/// What to do in the simulator.
#[derive(Debug, Subcommand)]
pub(crate) enum SimVerb {
    /// Run a range of seeds; shrink and keep the first that fails
    #[command(after_help = RUN)]
    Run(RunArgs),
    /// Run one schedule again: a trace, or a seed
    #[command(after_help = REPLAY)]
    Replay(OneArgs),
    /// Find the smallest schedule that fails in the same way
    #[command(after_help = SHRINK)]
    Shrink(OneArgs),
    /// Show a schedule as a sequence diagram
    #[command(after_help = EXPLAIN)]
    Explain(OneArgs),
    /// Run every schedule with few choices that are not benign
    #[command(after_help = EXHAUST)]
    Exhaust(ExhaustArgs),
    /// Run seeds in several ways and compare what happens
    #[command(after_help = DETERMINISM)]
    Determinism(DeterminismArgs),
    /// Put the reports of a campaign's shards together
    #[command(after_help = MERGE)]
    Merge(MergeArgs),
}

/// For the verbs together.
pub(crate) const EXAMPLES: &str = "\
Examples:
  roundtrip sim run echo --seeds 0..100000         a hundred thousand hostile schedules
  roundtrip sim replay regressions/FILE            the one that was kept, again
  roundtrip sim explain echo --seed 7              what happens in one of them

Exit codes: 0 ok, 1 an invariant is broken, 2 usage, 3 a goal was not reached, 5 a run was not the
same twice";

const RUN: &str = "\
Examples:
  roundtrip sim run echo --seeds 0..100000
  roundtrip sim run server --without reset         all faults but one
  roundtrip sim run echo --shard 0/4 --report 0    a quarter of them, for `merge`

Exit codes: 0 ok, 1 an invariant is broken, 2 usage, 3 a goal was not reached";

const REPLAY: &str = "\
Examples:
  roundtrip sim replay regressions/FILE
  roundtrip sim replay echo --seed 81734 --trace FILE";

const SHRINK: &str = "\
Examples:
  roundtrip sim shrink echo --seed 81734 --trace FILE";

const EXPLAIN: &str = "\
Examples:
  roundtrip sim explain echo --seed 7
  roundtrip sim explain regressions/FILE --html diagram.html";

const EXHAUST: &str = "\
Examples:
  roundtrip sim exhaust echo                       every schedule with two that are not benign
  roundtrip sim exhaust echo --deviations 1";

const DETERMINISM: &str = "\
Examples:
  roundtrip sim determinism server --seeds 0..500

Exit codes: 0 ok, 2 usage, 5 a run was not the same twice";

const MERGE: &str = "\
Examples:
  roundtrip sim merge 0 1 2 3 --report all";

/// The scenarios that come with the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// One to six clients, a session each
    Echo,
    /// Clients that come again, admission, drain, crash and restart
    Server,
    /// A thousand sessions in a virtual hour
    Soak,
    /// Clients that send message after message, each timed
    Load,
    /// Clients that send and receive at once, through small buffers
    Duplex,
    /// The echo over datagrams, lost, repeated, damaged and out of order
    Datagrams,
}

impl Name {
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// What to simulate
    #[arg(value_enum)]
    pub(crate) scenario: Name,
    /// The seeds, the last left out
    #[arg(long, value_name = "A..B", default_value = "0..10000", value_parser = parse_seeds)]
    pub(crate) seeds: Range<u64>,
    /// Threads [default: what the system advises]
    #[arg(long, value_name = "N", value_parser = parse_jobs, default_value = "0", hide_default_value = true)]
    pub(crate) jobs: usize,
    /// Of the seeds, those that leave I when divided by N; `auto` takes both from a job array's environment
    #[arg(long, value_name = "I/N", default_value = "0/1", value_parser = parse_shard)]
    pub(crate) shard: (u64, u64),
    /// Write the totals here, for `merge`; -: standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<String>,
    /// Where the smallest schedule that fails is kept
    #[arg(long, value_name = "FOLDER", default_value = "regressions")]
    pub(crate) keep: String,
    #[command(flatten)]
    pub(crate) faults: FaultArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FaultArgs {
    /// Which faults to draw
    #[arg(long, value_enum, default_value = "swarm")]
    faults: Draw,
    /// Leave out a family of faults, such as `reset`; may be given again
    #[arg(long, value_name = "FAMILY", value_parser = parse_family)]
    without: Vec<Family>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Draw {
    /// Each family in every other run
    Swarm,
    /// Every family in every run
    All,
    /// None
    None,
}

impl FaultArgs {
    pub(crate) fn faults(&self) -> Faults {
        let drawn = match self.faults {
            Draw::Swarm => Faults::SWARM,
            Draw::All => Faults::ALL,
            Draw::None => Faults::NONE,
        };
        self.without.iter().fold(drawn, |faults, family| faults.without(*family))
    }

    /// The options that give the same faults again.
    pub(crate) fn again(&self) -> String {
        let drawn = match self.faults {
            Draw::Swarm => String::new(),
            Draw::All => " --faults all".to_owned(),
            Draw::None => " --faults none".to_owned(),
        };
        self.without.iter().fold(drawn, |text, family| format!("{text} --without {}", family.name()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// A trace; with --seed, a scenario
    #[arg(value_name = "FILE|SCENARIO")]
    pub(crate) what: String,
    /// The seed, if a scenario was named
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Write the trace here; `replay` and `explain` write what they ran, `shrink` what it found; -: standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<String>,
    /// Write a page with the diagram here, which needs nothing else; -: standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<String>,
    #[command(flatten)]
    pub(crate) faults: FaultArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExhaustArgs {
    /// What to simulate
    #[arg(value_enum)]
    pub(crate) scenario: Name,
    /// Choices that are not benign in one schedule, at the most
    #[arg(long, value_name = "N", default_value = "2")]
    pub(crate) deviations: usize,
    /// Values that are tried of each choice, at the most
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) breadth: u32,
    /// Schedules after which to give up
    #[arg(long, value_name = "N", default_value = "1000000")]
    pub(crate) limit: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DeterminismArgs {
    /// What to simulate
    #[arg(value_enum)]
    pub(crate) scenario: Name,
    /// The seeds, the last left out
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = parse_seeds)]
    pub(crate) seeds: Range<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// The reports, one of each shard
    #[arg(value_name = "REPORT", required = true)]
    pub(crate) reports: Vec<String>,
    /// Write the whole here [default: the standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<String>,
}

/// `A..B`, with A below B.
fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let numbers = text.split_once("..").and_then(|(from, to)| Some((number(from)?, number(to)?)));
    match numbers {
        Some((from, to)) if from < to => Ok(from..to),
        Some(_) => Err("there is no seed in it\nwrite the lower number first, as in 0..1000".to_owned()),
        None => Err("not a range of seeds\nwrite two numbers, as in 0..1000".to_owned()),
    }
}

/// A whole number; thousands may be set apart with `_`.
fn number(text: &str) -> Option<u64> {
    let is_number = text.starts_with(|first: char| first.is_ascii_digit());
    text.replace('_', "").parse().ok().filter(|_| is_number)
}

fn parse_jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs) if jobs <= 1024 => Ok(jobs),
        _ => Err("not a number of threads\nwrite a number up to 1024, or leave it out".to_owned()),
    }
}

fn parse_family(text: &str) -> Result<Family, String> {
    Family::of_name(text).ok_or_else(|| {
        let names: Vec<_> = Family::ALL.iter().map(|family| family.name()).collect();
        format!("no family of faults is called so\nuse one of {}", names.join(", "))
    })
}

/// `I/N` with I below N, or what a job array says of itself.
fn parse_shard(text: &str) -> Result<(u64, u64), String> {
    if text == "auto" {
        return shard_of(|name| std::env::var(name).ok());
    }
    let numbers = text.split_once('/').and_then(|(shard, of)| Some((number(shard)?, number(of)?)));
    match numbers {
        Some((shard, of)) if shard < of => Ok((shard, of)),
        Some(_) => Err("there is no such shard\nthe first of N is 0/N, the last is N-1/N".to_owned()),
        None => Err("not a shard\nwrite two numbers, as in 0/4, or `auto`".to_owned()),
    }
}

/// Which task of a job array this is: Slurm's variables (sbatch(1)), or those of a Kubernetes Indexed Job, which does
/// not say how many there are.
fn shard_of(variable: impl Fn(&str) -> Option<String>) -> Result<(u64, u64), String> {
    let value = |name: &str| variable(name).and_then(|text| number(&text));
    let slurm = || {
        let first = value("SLURM_ARRAY_TASK_MIN")?;
        Some((value("SLURM_ARRAY_TASK_ID")?.checked_sub(first)?, value("SLURM_ARRAY_TASK_COUNT")?))
    };
    let kubernetes = || Some((value("JOB_COMPLETION_INDEX")?, value("JOB_COMPLETIONS")?));
    slurm().or_else(kubernetes).filter(|(shard, of)| shard < of).ok_or_else(|| {
        "this is no task of a job array\nset JOB_COMPLETION_INDEX and JOB_COMPLETIONS, or write the shard, as in 0/4"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_shards_are_read() {
        assert_eq!(parse_seeds("0..100_000"), Ok(0..100_000));
        for bad in
            ["", "5", "5..5", "6..5", "a..b", "..5", "-1..5", "0..99999999999999999999", "_..5", "0...5"]
        {
            assert!(parse_seeds(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_shard("3/4"), Ok((3, 4)));
        for bad in ["", "4/4", "0/0", "1", "a/b", "-1/4", "1/2/3"] {
            assert!(parse_shard(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_job_array_says_which_shard_it_is() {
        let from = |pairs: &'static [(&'static str, &'static str)]| {
            shard_of(move |name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))
        };
        let slurm: &[_] =
            &[("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_MIN", "1"), ("SLURM_ARRAY_TASK_COUNT", "8")];
        assert_eq!(from(slurm), Ok((4, 8)));
        assert_eq!(from(&[("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "3")]), Ok((0, 3)));
        assert!(from(&[("JOB_COMPLETION_INDEX", "3"), ("JOB_COMPLETIONS", "3")]).is_err());
        assert!(from(&[("JOB_COMPLETION_INDEX", "1")]).is_err());
    }
}
