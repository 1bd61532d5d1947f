//! The choices of a recorded run.

use super::{Active, Chooser, Counts, Decision, Entity, Site};

/// Makes the recorded choices again; what is not recorded is benign.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    decisions: &'a [Decision],
    counts: Counts,
}

impl<'a> Replay<'a> {
    /// The choices in `decisions`, which must be sorted.
    pub fn new(decisions: &'a [Decision]) -> Self {
        debug_assert!(decisions.is_sorted(), "decisions are looked up by name");
        Self { decisions, counts: Counts::new() }
    }
}

impl Chooser for Replay<'_> {
    fn choose(&mut self, site: Site, who: Entity, n: u32) -> u32 {
        let k = self.counts.next(site, who);
        self.decisions
            .binary_search_by_key(&(who, site, k), |decision| (decision.who, decision.site, decision.k))
            .map_or(0, |found| self.decisions[found].v.min(n - 1))
    }

    fn active(&self) -> Active {
        self.decisions.iter().fold(Active::NONE, |active, decision| active.with(decision.site))
    }

    fn begin(&mut self, who: Entity) {
        self.counts.begin(who);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Faults, Logged, Seeded};
    use super::*;

    #[test]
    fn what_was_logged_is_chosen_again() {
        let asked: Vec<_> = (0..300_u32)
            .map(|turn| {
                let site = if turn % 3 == 0 { Site::LATENCY } else { Site::SHORT_READ };
                (site, Entity::client(turn % 4, 0, turn % 4), 2 + turn)
            })
            .collect();
        let choose = |chooser: &mut dyn Chooser| {
            (0..4).for_each(|slot| chooser.begin(Entity::client(slot, 0, slot)));
            asked.iter().map(|&(site, who, n)| chooser.choose(site, who, n)).collect::<Vec<_>>()
        };
        let mut logged = Logged::new(Seeded::new(11, Faults::ALL));
        let first = choose(&mut logged);
        let decisions = logged.into_decisions();
        assert!(decisions.len() > 10 && decisions.len() < 200);
        assert_eq!(choose(&mut Replay::new(&decisions)), first);
    }
}
