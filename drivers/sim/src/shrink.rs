//! Makes a failure small: the fewest events and decisions that still break the same invariant.

use crate::choose::{Chooser, Decision, Entity, Family, Replay, Site, mix};
use crate::run::{Recording, Runner, Simulation};

/// Events that are run for one failure, at the most: about two seconds.
const BUDGET: u64 = 4_000_000;
/// Runs, at the most.
const MAX_RUNS: u64 = 80_000;
/// Descents, at the most.
const ATTEMPTS: u32 = 16;
/// Events of a run that is small enough: no other descent is tried.
const SMALL: u64 = 12;
/// Runs of a walk about before another descent.
const SHAKES: u32 = 500;
/// Runs without a smaller one after which varying gives up.
const PATIENCE: u64 = 2000;

/// What came of shrinking.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Shrunk {
    /// The smallest run found that fails in the same way.
    pub recording: Recording,
    /// How many runs it took.
    pub runs: u64,
    /// The search came to its own end; otherwise the budget of 80,000 runs or 4 million events ran out.
    pub is_finished: bool,
}

/// Looks for the smallest run that fails with the same [id](crate::Verdict::id).
///
/// It leaves out what it can: whole families of faults, connections, then decisions one by one and in groups (delta
/// debugging: Zeller and Hildebrandt, TSE 2002). What is left is all needed, and yet often large: a smaller workload
/// needs its faults earlier, or other faults, and only both together fail. So it goes on with a walk: a few changes at
/// random, kept where the run is no larger for them, until nothing helps any more. What was decided is made small at the
/// end. A walk may end in a valley of its own: where the run is still large, it starts again, after some steps that may
/// lead uphill. The draws are the same for the same failure, and so is what comes of it.
pub fn shrink<S: Simulation>(scenario: &S, failure: Recording) -> Shrunk {
    let mut search = Search {
        runner: Runner::new(scenario),
        id: failure.run.verdict.id().to_owned(),
        cost: cost(&failure),
        best: failure,
        runs: 0,
        events: 0,
        draws: 0,
    };
    search.leave_out();
    let start = search.best.clone();
    search.descend();
    for _ in 1..ATTEMPTS {
        if search.best.run.events <= SMALL || search.is_spent() {
            break;
        }
        let (smallest, least) = (std::mem::replace(&mut search.best, start.clone()), search.cost);
        search.cost = cost(&start);
        search.shake();
        search.descend();
        if least <= search.cost {
            (search.best, search.cost) = (smallest, least);
        }
    }
    let is_finished = !search.is_spent();
    Shrunk { recording: search.best, runs: search.runs, is_finished }
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

/// The connection that it is an end of: whose, and the how manieth of it.
fn connection_of(who: Entity) -> Option<(u32, u16)> {
    (who.is_client() || who.is_server()).then(|| (who.number(), who.round()))
}

struct Search<'s, S: Simulation> {
    runner: Runner<'s, S>,
    id: String,
    best: Recording,
    cost: Cost,
    runs: u64,
    events: u64,
    /// Random numbers drawn.
    draws: u64,
}

impl<S: Simulation> Search<'_, S> {
    const fn is_spent(&self) -> bool {
        self.runs >= MAX_RUNS || self.events >= BUDGET
    }

    /// Drops what is not needed.
    fn leave_out(&mut self) {
        self.drop_families();
        self.drop_clients();
        self.renumber_clients();
        self.drop_groups();
    }

    /// Walks down until it gets no further; what is decided, and how late, is made small at the end only, since it takes
    /// many runs and makes few of them shorter.
    fn descend(&mut self) {
        let mut before = None;
        while before != Some(self.cost.0) && !self.is_spent() {
            before = Some(self.cost.0);
            self.vary();
            self.leave_out();
        }
        self.lower_values();
        self.come_earlier();
    }

    /// Takes `decisions` for the best if they fail in the same way and cost less.
    fn try_out(&mut self, decisions: Vec<Decision>) -> bool {
        self.try_within(decisions, None)
    }

    /// The same if they cost no more than `most`, whatever the best costs.
    fn try_within(&mut self, mut decisions: Vec<Decision>, most: Option<u64>) -> bool {
        if self.is_spent() {
            return false;
        }
        decisions.sort_unstable();
        self.runs += 1;
        let chooser: &mut dyn Chooser = &mut Replay::new(&decisions);
        let run = self.runner.run(chooser);
        self.events += run.events;
        // An equal number of decisions may turn out as fewer: some are never asked for.
        if run.verdict.id() != self.id || run.events > most.unwrap_or(self.cost.0) {
            return false;
        }
        let recording = self.runner.record(Replay::new(&decisions));
        let found = cost(&recording);
        let is_cheap = most.map_or(found < self.cost, |most| found.0 <= most);
        let is_better = is_cheap && recording.run.verdict.id() == self.id;
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
            let mut rest = self.without(|decision| connection_of(decision.who) == connection_of(client));
            rest.push(Decision { who: client, site: Site::DIAL, k: 0, n: 4, v: 3 });
            self.try_out(rest);
        }
    }

    /// Lets what happens to one client's connection happen to the first client, or to the client's first connection.
    fn renumber_clients(&mut self) {
        let mut ends: Vec<_> =
            self.best.decisions.iter().filter_map(|decision| connection_of(decision.who)).collect();
        ends.sort_unstable();
        ends.dedup();
        for (number, round) in ends {
            let moved = |to: &dyn Fn(Entity) -> Option<Entity>| {
                let decisions = self.best.decisions.iter().filter_map(|decision| {
                    let is_free = connection_of(decision.who).is_none();
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

    /// Changes a few decisions at once, at random, for as long as that leads to something smaller within a while.
    ///
    /// What costs the same is taken as well: from there other steps lead on.
    fn vary(&mut self) {
        let (kept, cost) = (self.best.clone(), self.cost);
        let mut progress = self.runs;
        while self.runs < progress + PATIENCE && !self.is_spent() {
            let before = self.cost.0;
            let varied = self.varied();
            if self.try_within(varied, Some(before)) && self.cost.0 < before {
                progress = self.runs;
            }
        }
        if self.cost.0 == cost.0 {
            (self.best, self.cost) = (kept, cost);
        }
    }

    /// Walks about, and uphill as well: up to half as much again.
    fn shake(&mut self) {
        let most = self.cost.0 * 3 / 2;
        for _ in 0..SHAKES {
            let varied = self.varied();
            self.try_within(varied, Some(most));
        }
    }

    /// The best with a few changes.
    fn varied(&mut self) -> Vec<Decision> {
        let mut varied = self.best.decisions.clone();
        for _ in 0..=self.below(6) {
            self.change(&mut varied);
            varied.sort_unstable();
            varied.dedup_by_key(|decision| (decision.who, decision.site, decision.k));
        }
        varied
    }

    /// Drops, changes or adds something.
    fn change(&mut self, decisions: &mut Vec<Decision>) {
        // What is decided most often does not get most of the changes.
        let mut choices: Vec<_> = decisions.iter().map(|decision| (decision.who, decision.site)).collect();
        choices.dedup();
        let choice = self.one_of(&choices);
        let made = |decision: &Decision| Some((decision.who, decision.site)) == choice;
        let of_choice: Vec<_> = decisions.iter().copied().filter(made).collect();
        let Some(chosen) = self.one_of(&of_choice) else { return self.add(decisions, None) };
        let all = self.below(2) == 0;
        let is_meant = |decision: &Decision| *decision == chosen || all && made(decision);
        match self.below(6) {
            0 => decisions.retain(|decision| !is_meant(decision)),
            // What came before is gone, so it comes earlier.
            1 => {
                let first =
                    decisions.iter().filter(|decision| is_meant(decision)).map(|decision| decision.k).min();
                let by = self.below(first.unwrap_or(0) + 1);
                decisions
                    .iter_mut()
                    .filter(|decision| is_meant(decision))
                    .for_each(|decision| decision.k -= by);
            }
            2 => {
                let v = 1 + self.below(chosen.v.saturating_add(2));
                decisions
                    .iter_mut()
                    .filter(|decision| **decision == chosen)
                    .for_each(|decision| decision.v = v);
            }
            3 => {
                let Some((number, round)) = connection_of(chosen.who) else { return };
                let to = if self.below(2) == 0 { (number, 0) } else { (0, round) };
                if to != (number, round) {
                    decisions.retain(|decision| connection_of(decision.who) != Some(to));
                    for decision in decisions {
                        if connection_of(decision.who) == Some((number, round)) {
                            decision.who = decision.who.renumbered(to.0, to.1);
                        }
                    }
                }
            }
            _ => self.add(decisions, connection_of(chosen.who)),
        }
    }

    /// Decides anything, early, and small as a rule; on this connection, if it is about one.
    fn add(&mut self, decisions: &mut Vec<Decision>, connection: Option<(u32, u16)>) {
        let sites: Vec<_> = Site::all().filter(|site| self.runner.has(site.family())).collect();
        let (number, round) = connection.unwrap_or((0, 0));
        let entities = [
            Entity::client(number, round, 0),
            Entity::server(number, round, 0),
            Entity::CLIENTS,
            Entity::SERVER,
        ];
        let (Some(site), Some(any)) = (self.one_of(&sites), self.one_of(&entities)) else { return };
        let (who, k) =
            if site.family() == Family::Workload { (Entity::WORLD, 0) } else { (any, self.below(2)) };
        let magnitude = 1 + self.below(4);
        let v = 1 + self.below(1 << magnitude);
        decisions.retain(|decision| (decision.who, decision.site, decision.k) != (who, site, k));
        // Whatever there is to choose from: what is too much is the most there is.
        decisions.push(Decision { who, site, k, n: u32::MAX, v });
    }

    /// A random number below `n`.
    const fn below(&mut self, n: u32) -> u32 {
        self.draws += 1;
        (((mix(self.draws) >> 32) * n as u64) >> 32) as u32
    }

    /// One of these, at random; none if there are none.
    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let n = u32::try_from(all.len()).unwrap_or(u32::MAX);
        all.get(self.below(n) as usize).copied()
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
