//! Plants one bug at a time and measures how soon the simulator finds it. `drivers/sim/planted-bugs.sh` builds and runs
//! this, and writes `docs/planted-bugs.md`.
//!
//! | argument | prints |
//! | --- | --- |
//! | none | the table as Markdown |
//! | `quick` | whether each bug is found within its limit, from seed 0 |
//! | `list` | number and description of each bug, separated by a tab |
//!
//! Exits with 1 if a bug is not found as expected.

#[cfg(not(roundtrip_planted))]
pub(crate) fn main() -> std::process::ExitCode {
    eprintln!("this build has no planted bugs: run drivers/sim/planted-bugs.sh");
    std::process::ExitCode::from(2)
}

#[cfg(roundtrip_planted)]
pub(crate) fn main() -> std::process::ExitCode {
    table::main()
}

#[cfg(roundtrip_planted)]
mod table {
    use std::collections::BTreeMap;
    use std::process::ExitCode;

    use roundtrip_scenarios::{Echo, PLANTED, PlantedBug, Server, plant};
    use roundtrip_sim::choose::{Chooser, Exhaustive, Family, Faults, Seeded};
    use roundtrip_sim::{Recording, Runner, Scenario, Trace, shrink};

    /// Seed ranges that are tried, and how far they are apart.
    const RANGES: u64 = 20;
    const APART: u64 = 1_000_000;
    /// Events of a shrunk run, at the most.
    const EVENTS: u64 = 20;
    /// Schedules that the exhaustive search may take.
    const SCHEDULES: u64 = 200_000;

    pub(super) fn main() -> ExitCode {
        let is_quick = match std::env::args().nth(1).as_deref() {
            None => false,
            Some("quick") => true,
            Some("list") => {
                for bug in PLANTED {
                    println!("{}\t{}", bug.number, bug.what);
                }
                return ExitCode::SUCCESS;
            }
            Some(other) => {
                eprintln!("unexpected argument '{other}': use `quick`, `list` or none");
                return ExitCode::from(2);
            }
        };
        let mut failed = false;
        if !is_quick {
            println!("{}", HEAD);
        }
        for bug in PLANTED {
            let row = match bug.scenario {
                "server" => measure(&Server, &bug, is_quick),
                _ => measure(&Echo, &bug, is_quick),
            };
            plant(0);
            match row {
                Ok(row) => println!("{row}"),
                Err(why) => {
                    failed = true;
                    println!("| {} | {} | **not as it should be: {why}** |", bug.number, bug.what);
                }
            }
        }
        if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    const HEAD: &str = "\
| # | bug | within | median | worst of 20 | by | shrunk to, worst of 20 | all faults, no swarm | default workload, no goals | constant latency | exhaustive |
| ---: | --- | ---: | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: |";

    /// One copy of the simulator serves all choosers: each copy takes long to compile.
    fn passes<S: Scenario>(runner: &mut Runner<'_, S>, chooser: &mut dyn Chooser) -> bool {
        runner.run(chooser).verdict.is_pass()
    }

    /// The first seed that fails from `from` on, as how many it took; none within `most`.
    fn first<S: Scenario>(
        runner: &mut Runner<'_, S>,
        from: u64,
        most: u64,
        faults: Faults,
    ) -> Option<(u64, Recording)> {
        let mut seeded = Seeded::new(0, faults);
        for seed in from..from + most {
            seeded.reseed(seed, faults);
            if !passes(runner, &mut seeded) {
                return Some((seed - from + 1, runner.record(Seeded::new(seed, faults))));
            }
        }
        None
    }

    fn measure<S: Scenario>(scenario: &S, bug: &PlantedBug, is_quick: bool) -> Result<String, String> {
        let mut runner = Runner::new(scenario);
        let most = bug.limit * 10;
        let mut found = Vec::new();
        let mut by = BTreeMap::<String, u32>::new();
        let mut shrunk = Vec::new();
        for range in 0..if is_quick { 1 } else { RANGES } {
            plant(0);
            let from = range * APART;
            plant(bug.number);
            let (seeds, recording) = first(&mut runner, from, most, Faults::SWARM)
                .ok_or_else(|| format!("not found in {most} seeds from {from} on"))?;
            let id = recording.run.verdict.id().to_owned();
            if !bug.expected.contains(&&*id) {
                return Err(format!("found as {id}: {}", recording.run.verdict.found()));
            }
            let small = shrink(scenario, recording);
            let events = small.recording.run.events;
            if is_quick && events > EVENTS {
                return Err(format!("shrunk to {events} events only, seed {}", from + seeds - 1));
            }
            let trace = Trace::new(scenario.name(), Some(from + seeds - 1), small.recording);
            let replayed = Trace::parse(&trace.to_string()).map_err(|error| error.to_string())?;
            replayed
                .replay(scenario)
                .map_err(|divergence| format!("its trace does not replay: {divergence}"))?;
            found.push(seeds);
            shrunk.push((events, small.runs));
            *by.entry(id).or_default() += 1;
        }
        found.sort_unstable();
        let (median, worst) = (found[found.len() / 2], found[found.len() - 1]);
        if is_quick && worst > bug.limit || median > bug.limit {
            return Err(format!("median {median}, worst {worst} seeds, the limit is {}", bug.limit));
        }
        let by: Vec<_> = by.into_iter().map(|(id, times)| format!("{id} {times}")).collect();
        let (events, runs) = (shrunk.iter().map(|one| one.0).max(), shrunk.iter().map(|one| one.1).max());
        let events = events.unwrap_or(0);
        let events = if events > EVENTS { format!("**{events}**") } else { events.to_string() };
        let small = format!("{events} events, {} runs", runs.unwrap_or(0));
        let (number, what, limit) = (bug.number, bug.what, bug.limit);
        if is_quick {
            return Ok(format!("{number:>3} {what}: {worst} seeds of {limit}, {}, {small}", by.join(", ")));
        }
        let mut control = |faults| {
            let found: Vec<_> = (0..RANGES)
                .map(|range| first(&mut runner, range * APART, most, faults).map(|one| one.0))
                .collect();
            let mut seeds: Vec<_> = found.iter().flatten().copied().collect();
            seeds.sort_unstable();
            match seeds.len() {
                0 => "missed".to_owned(),
                n if n as u64 == RANGES => seeds[n / 2].to_string(),
                n => format!("missed in {} of {RANGES}", RANGES - n as u64),
            }
        };
        let controls = [
            control(Faults::ALL),
            control(Faults::SWARM.without(Family::Workload)),
            control(Faults::SWARM.without(Family::Latency).without(Family::Order)),
        ];
        let worst = if worst > limit { format!("**{worst}**") } else { worst.to_string() };
        Ok(format!(
            "| {number} | {what} | {limit} | {median} | {worst} | {} | {small} | {} | {} |",
            by.join(", "),
            controls.join(" | "),
            exhaust(&mut runner)
        ))
    }

    /// Schedules with at most three choices that are not benign until the bug is found.
    fn exhaust<S: Scenario>(runner: &mut Runner<'_, S>) -> String {
        let mut runs = 0;
        for deviations in 0..=3 {
            let mut chooser = Exhaustive::new(deviations, 5);
            loop {
                runs += 1;
                if !passes(runner, &mut chooser) {
                    return runs.to_string();
                }
                if runs >= SCHEDULES {
                    return format!("not in {SCHEDULES}");
                }
                if !chooser.advance() {
                    break;
                }
            }
        }
        "not with 3 choices".to_owned()
    }
}
