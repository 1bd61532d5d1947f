//! Any chooser, with a record of what it chose.

use super::{Active, Chooser, Counts, Decision, Entity, Site};

/// Records every choice that is not benign.
#[derive(Clone, Debug)]
pub struct Logged<C> {
    chooser: C,
    counts: Counts,
    decisions: Vec<Decision>,
}

impl<C: Chooser> Logged<C> {
    /// Records what `chooser` chooses.
    pub fn new(chooser: C) -> Self {
        Self { chooser, counts: Counts::new(), decisions: Vec::new() }
    }

    /// What was chosen, sorted.
    pub fn into_decisions(mut self) -> Vec<Decision> {
        self.decisions.sort_unstable();
        self.decisions
    }
}

impl<C: Chooser> Chooser for Logged<C> {
    fn choose(&mut self, site: Site, who: Entity, n: u32) -> u32 {
        let v = self.chooser.choose(site, who, n);
        let k = self.counts.next(site, who);
        if v != 0 {
            self.decisions.push(Decision { who, site, k, n, v });
        }
        v
    }

    fn active(&self) -> Active {
        self.chooser.active()
    }

    fn begin(&mut self, who: Entity) {
        self.counts.begin(who);
        self.chooser.begin(who);
    }
}
