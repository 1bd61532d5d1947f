//! What is said of a handful of figures: the median, an interval for it, and the extremes.

/// Resamples for an interval: its ends are stable to a few in a thousand of its width.
const RESAMPLES: usize = 4000;

/// A median of several figures, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub median: f64,
    /// In which the median lies with 95 %, by the bootstrap.
    pub low: f64,
    pub high: f64,
    pub least: f64,
    pub most: f64,
    pub count: usize,
}

impl Summary {
    /// Of nothing, nothing is said.
    pub fn of(figures: &[f64]) -> Option<Self> {
        let sorted = sorted(figures);
        let (low, high) = bootstrap(figures)?;
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        Some(Self { median: median(figures)?, low, high, least, most, count: sorted.len() })
    }

    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

pub fn median(figures: &[f64]) -> Option<f64> {
    let sorted = sorted(figures);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The middle 95 % of the medians of what is drawn from the figures, with replacement.
fn bootstrap(figures: &[f64]) -> Option<(f64, f64)> {
    // The same figures always give the same interval.
    let mut random = fastrand::Rng::with_seed(7);
    let mut drawn = vec![0.0; figures.len()];
    let mut medians = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        drawn.fill_with(|| random.choice(figures).copied().unwrap_or_default());
        medians.push(median(&drawn)?);
    }
    medians.sort_by(f64::total_cmp);
    let tail = RESAMPLES / 40;
    Some((medians[tail], medians[RESAMPLES - 1 - tail]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn an_outlier_moves_the_extremes_and_not_the_median() {
        let mut figures = vec![1.0; 30];
        figures.push(50.0);
        let summary = Summary::of(&figures).unwrap();
        assert_eq!(summary, Summary { median: 1.0, low: 1.0, high: 1.0, least: 1.0, most: 50.0, count: 31 });
    }

    /// What "95 %" means: of many experiments, about so many intervals hold the true median.
    #[test]
    fn the_interval_holds_the_true_median_as_often_as_it_says() {
        let mut random = fastrand::Rng::with_seed(1);
        let trials = 400;
        let held = (0..trials).filter(|_| {
            let figures: Vec<f64> = (0..31).map(|_| 1.0 + random.f64() - 0.5).collect();
            Summary::of(&figures).is_some_and(|summary| summary.contains(1.0))
        });
        let held = held.count();
        assert!((368..=398).contains(&held), "{held} of {trials}");
    }

    #[test]
    fn five_percent_are_seen_through_noise_of_five_percent() {
        let mut random = fastrand::Rng::with_seed(2);
        let figures: Vec<f64> = (0..40).map(|_| 1.05 + 0.1 * (random.f64() - 0.5)).collect();
        let summary = Summary::of(&figures).unwrap();
        assert!(summary.contains(1.05) && !summary.contains(1.0), "{summary:?}");
    }
}
