//! Makes a failure small: the fewest events and decisions that still break the same invariant.

use crate::choose::{Decision, Entity, Family, Replay, Site};
use crate::run::{Recording, Runner};
use crate::scenario::Scenario;

/// Events that are run for one failure, at the most: about two seconds.
const BUDGET: u64 = 8_000_000;
/// Runs, at the most.
const MAX_RUNS: u64 = 50_000;

/// What came of shrinking.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest run found that fails in the same way.
    pub recording: Recording,
    /// How many runs it took.
    pub runs: u64,
    /// Nothing smaller is a step away; otherwise the budget of 50,000 runs or 8 million events ran out.
    pub is_minimal: bool,
}

/// Looks for the smallest run that fails with the same [id](crate::Verdict::id).
///
/// It drops whole families of faults, then connections, then decisions one by one and in groups (delta debugging:
/// Zeller and Hildebrandt, TSE 2002), and lowers what is left towards 0, tries other small
/// workloads, and all of it again until nothing helps.
pub fn shrink<S: Scenario>(scenario: &S, failure: Recording) -> Shrunk {
    let mut search = Search {
        runner: Runner::new(scenario),
        id: failure.run.verdict.id().to_owned(),
        cost: cost(&failure),
        best: failure,
        runs: 0,
        events: 0,
    };
    loop {
        let before = search.cost;
        search.drop_families();
        search.drop_clients();
        search.renumber_clients();
        search.drop_groups();
        search.lower_values();
        search.come_earlier();
        search.try_workloads();
        if search.cost == before || search.is_spent() {
            break;
        }
    }
    let is_minimal = !search.is_spent();
    Shrunk { recording: search.best, runs: search.runs, is_minimal }
}

/// Events and decisions first, what is decided and how late second.
type Cost = (u64, u64);

fn cost(recording: &Recording) -> Cost {
    let weight = |decision: &Decision| {
        let Decision { who, k, v, .. } = decision;
        u64::from(*v) + u64::from(*k) + u64::from(who.number()) + u64::from(who.round())
    };
    let values = recording.decisions.iter().map(weight).sum();
    (recording.run.events + recording.decisions.len() as u64, values)
}

struct Search<'s, S: Scenario> {
    runner: Runner<'s, S>,
    id: String,
    best: Recording,
    cost: Cost,
    runs: u64,
    events: u64,
}

impl<S: Scenario> Search<'_, S> {
    const fn is_spent(&self) -> bool {
        self.runs >= MAX_RUNS || self.events >= BUDGET
    }

    /// Takes `decisions` for the best if they fail in the same way and cost less.
    fn try_out(&mut self, mut decisions: Vec<Decision>) -> bool {
        if self.is_spent() {
            return false;
        }
        decisions.sort_unstable();
        self.runs += 1;
        let run = self.runner.run(Replay::new(&decisions));
        self.events += run.events;
        // An equal number of decisions may turn out as fewer: some are never asked for.
        if run.verdict.id() != self.id || run.events > self.cost.0 {
            return false;
        }
        let recording = self.runner.record(Replay::new(&decisions));
        let found = cost(&recording);
        let is_better = found < self.cost && recording.run.verdict.id() == self.id;
        if is_better {
            self.cost = found;
            self.best = recording;
        }
        is_better
    }

    fn without(&self, dropped: impl Fn(&Decision) -> bool) -> Vec<Decision> {
        self.best.decisions.iter().filter(|decision| !dropped(decision)).copied().collect()
    }

    fn drop_families(&mut self) {
        for family in Family::ALL {
            let rest = self.without(|decision| decision.site.family() == family);
            if rest.len() < self.best.decisions.len() {
                self.try_out(rest);
            }
        }
    }

    /// Lets a client stay away.
    fn drop_clients(&mut self) {
        let dialled = |recording: &Recording| {
            let mut clients: Vec<_> =
                recording.lines.iter().map(|line| line.who).filter(|who| who.is_client()).collect();
            clients.sort_unstable();
            clients.dedup();
            clients
        };
        for client in dialled(&self.best) {
            let is_of = |who: Entity| {
                (who.is_client() || who.is_server())
                    && (who.number(), who.round()) == (client.number(), client.round())
            };
            let mut rest = self.without(|decision| is_of(decision.who));
            rest.push(Decision { who: client, site: Site::DIAL, k: 0, n: 4, v: 3 });
            self.try_out(rest);
        }
    }

    /// Lets what happens to one client's connection happen to the first client, or to the client's first connection.
    fn renumber_clients(&mut self) {
        let mut ends: Vec<_> = self
            .best
            .decisions
            .iter()
            .map(|decision| (decision.who.number(), decision.who.round()))
            .collect();
        ends.sort_unstable();
        ends.dedup();
        for (number, round) in ends {
            let is_connection = |who: Entity| who.is_client() || who.is_server();
            let moved = |to: &dyn Fn(Entity) -> Option<Entity>| {
                let decisions = self.best.decisions.iter().filter_map(|decision| {
                    let is_free = !is_connection(decision.who);
                    let who = if is_free { Some(decision.who) } else { to(decision.who) };
                    Some(Decision { who: who?, ..*decision })
                });
                decisions.collect::<Vec<_>>()
            };
            let swapped = moved(&|who| {
                let other = if who.number() == number {
                    0
                } else if who.number() == 0 {
                    number
                } else {
                    who.number()
                };
                Some(who.renumbered(other, who.round()))
            });
            let earlier = moved(&|who| {
                if who.number() != number {
                    return Some(who);
                }
                who.round().checked_sub(round).map(|round| who.renumbered(number, round))
            });
            let alone = moved(&|who| {
                let is_it = who.number() == number && who.round() >= round;
                is_it.then(|| who.renumbered(0, who.round() - round))
            });
            for candidate in [alone, swapped, earlier] {
                if candidate != self.best.decisions {
                    self.try_out(candidate);
                }
            }
        }
    }

    fn drop_groups(&mut self) {
        let mut size = self.best.decisions.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.best.decisions.len() && !self.is_spent() {
                let to = (from + size).min(self.best.decisions.len());
                let (head, tail) = (&self.best.decisions[..from], &self.best.decisions[to..]);
                let rest = [head, tail].concat();
                if !self.try_out(rest) {
                    from = to;
                }
            }
            size /= 2;
        }
    }

    /// Brings each value as near to 0 as it goes.
    fn lower_values(&mut self) {
        self.halve(1, |decision| &mut decision.v);
    }

    /// Lets each choice be made as early as it goes.
    fn come_earlier(&mut self) {
        self.halve(0, |decision| &mut decision.k);
    }

    /// Tries other small workloads: the benign one is the simplest, but not always the shortest.
    fn try_workloads(&mut self) {
        for site in Site::all().filter(|site| site.family() == Family::Workload) {
            for v in 1..4 {
                let mut others = self.without(|decision| decision.site == site);
                // Whatever there is to choose from: what is too much is the most there is.
                others.push(Decision { who: Entity::WORLD, site, k: 0, n: u32::MAX, v });
                self.try_out(others);
            }
        }
    }

    /// Lowers one field of each decision towards `least`, by halves.
    fn halve(&mut self, least: u32, field: impl Fn(&mut Decision) -> &mut u32) {
        let mut index = 0;
        while let Some(mut decision) = self.best.decisions.get(index).copied() {
            let mut high = *field(&mut decision);
            let mut low = least;
            while low < high && !self.is_spent() {
                let middle = low + (high - low) / 2;
                let mut lowered = self.best.decisions.clone();
                // A success may have moved it.
                let Some(found) = lowered.iter_mut().find(|other| **other == decision) else { break };
                *field(found) = middle;
                let tried = *found;
                let is_taken =
                    |other: &&Decision| (other.who, other.site, other.k) == (tried.who, tried.site, tried.k);
                if lowered.iter().filter(is_taken).count() == 1 && self.try_out(lowered) {
                    decision = tried;
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            index += 1;
        }
    }
}
