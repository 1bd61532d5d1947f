//! In which order slices are taken: every slice of ours stands beside one of each server that it is compared with, and
//! everything else is chance.

/// One server against others, in one block.
#[derive(Clone, Debug)]
pub struct Group {
    pub ours: usize,
    /// One that is here twice is compared twice as often.
    pub others: Vec<usize>,
}

/// A slice of each, one after the other; the pairs are of neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub servers: Vec<usize>,
    /// Positions of ours and of the other.
    pub pairs: Vec<(usize, usize)>,
}

/// A round of all groups. One slice of ours serves two neighbours.
pub fn round(groups: &[Group], random: &mut fastrand::Rng) -> Vec<Run> {
    let mut runs = Vec::new();
    for group in groups {
        let mut others = group.others.clone();
        random.shuffle(&mut others);
        if others.is_empty() {
            runs.push(Run { servers: vec![group.ours], pairs: Vec::new() });
        }
        for others in others.chunks(2) {
            runs.push(match *others {
                [before, after] => {
                    Run { servers: vec![before, group.ours, after], pairs: vec![(1, 0), (1, 2)] }
                }
                [other, ..] if random.bool() => Run { servers: vec![group.ours, other], pairs: vec![(0, 1)] },
                [other, ..] => Run { servers: vec![other, group.ours], pairs: vec![(1, 0)] },
                [] => continue,
            });
        }
    }
    random.shuffle(&mut runs);
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_of_neighbours_and_all_others_have_one() {
        let groups = [
            Group { ours: 0, others: vec![1, 1, 2, 3, 4] },
            Group { ours: 5, others: vec![6] },
            Group { ours: 7, others: vec![] },
        ];
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100 {
            let mut compared = Vec::new();
            for run in round(&groups, &mut random) {
                assert!(run.servers.len() <= 3);
                for (ours, other) in run.pairs {
                    assert_eq!(ours.abs_diff(other), 1);
                    compared.push((run.servers[ours], run.servers[other]));
                }
            }
            compared.sort_unstable();
            assert_eq!(compared, [(0, 1), (0, 1), (0, 2), (0, 3), (0, 4), (5, 6)]);
        }
    }

    /// What is always second finds the caches as the first left them.
    #[test]
    fn who_begins_is_chance() {
        let groups = [Group { ours: 0, others: vec![1] }];
        let mut random = fastrand::Rng::with_seed(4);
        let begins = (0..1000).filter(|_| round(&groups, &mut random)[0].servers[0] == 0).count();
        assert!((400..600).contains(&begins), "{begins}");
    }
}
