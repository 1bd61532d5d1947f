//! Every choice there is, one run after the other.

use super::{Chooser, Entity, Site};

/// An odometer over every choice of a small run: [`advance`](Self::advance) turns it to the next run.
///
/// It visits every run in which at most `deviations` choices are not benign, with values below `breadth` each. A
/// fault is mostly found by a few choices at the right places (Qadeer and Rehof, TACAS 2005, bound context switches
/// for the same reason).
#[derive(Clone, Debug)]
pub struct Exhaustive {
    path: Vec<(u32, u32)>,
    asked: usize,
    deviations: usize,
    breadth: u32,
}

impl Exhaustive {
    /// Starts with the benign run.
    pub const fn new(deviations: usize, breadth: u32) -> Self {
        Self { path: Vec::new(), asked: 0, deviations, breadth }
    }

    /// The run that was just made, to be made again.
    pub fn again(&self) -> Self {
        Self { asked: 0, ..self.clone() }
    }

    /// Turns to the next run; false if there is none.
    pub fn advance(&mut self) -> bool {
        self.path.truncate(self.asked);
        self.asked = 0;
        let mut deviations = self.path.iter().filter(|(v, _)| *v != 0).count();
        while let Some((v, n)) = self.path.pop() {
            let before = deviations - usize::from(v != 0);
            if v + 1 < n && before < self.deviations {
                self.path.push((v + 1, n));
                return true;
            }
            deviations = before;
        }
        false
    }
}

impl Chooser for Exhaustive {
    fn choose(&mut self, _site: Site, _who: Entity, n: u32) -> u32 {
        if self.asked == self.path.len() {
            self.path.push((0, n.min(self.breadth)));
        }
        let (v, _) = self.path[self.asked];
        self.asked += 1;
        v
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_run_within_the_bounds_comes_once() {
        let mut chooser = Exhaustive::new(2, 3);
        let mut seen = BTreeSet::new();
        loop {
            // The second choice is made only after a benign first.
            let mut choose = |n| chooser.choose(Site::TIE, Entity::WORLD, n);
            let first = choose(2);
            let run = if first == 0 { vec![0, choose(9), choose(2)] } else { vec![1, choose(9)] };
            assert!(seen.insert(run));
            if !chooser.advance() {
                break;
            }
        }
        let all = [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [0, 2, 0], [0, 2, 1]].map(Vec::from);
        let more = [[1, 0], [1, 1], [1, 2]].map(Vec::from);
        assert_eq!(seen, all.into_iter().chain(more).collect());
    }
}
