//! Values on a line of pixels, and the round numbers among them.

use crate::units::grouped;

/// Above this ratio of the largest to the smallest, a scale is logarithmic.
const WIDE: f64 = 8.0;
/// Below this ratio there is room for more than the powers of ten.
const NARROW: f64 = 300.0;
/// What a time is not worth telling apart from 0, in nanoseconds.
const SHORT: f64 = 1000.0;

/// What an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Things, as they are.
    Number,
    /// Nanoseconds, told in what is easy to read.
    Nanos,
    /// `1 / (1 - q)` of a quantile `q`, told as a percentile.
    Tail,
}

/// From `low` at the pixel `from` to `high` at the pixel `to`.
#[derive(Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    unit: Unit,
    is_log: bool,
    ticks: Vec<f64>,
}

impl Axis {
    /// From 0 to `high`, which is above 0, with about so many ticks.
    pub(super) fn linear(unit: Unit, high: f64, (from, to): (f64, f64), about: u32) -> Self {
        let rough = high / f64::from(about);
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|digit| digit * decade).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * decade);
        let ticks = (0..=about).map(|number| f64::from(number) * step);
        let ticks = ticks.take_while(|tick| *tick <= high * (1.0 + 1e-9)).collect();
        Self { low: 0.0, high, from, to, unit, is_log: false, ticks }
    }

    /// The same with `high` raised to a tick.
    pub(super) fn raised(unit: Unit, high: f64, span: (f64, f64), about: u32) -> Self {
        let axis = Self::linear(unit, high, span, about);
        let (step, last) = (axis.ticks[1], axis.ticks[axis.ticks.len() - 1]);
        if last >= high { axis } else { Self::linear(unit, last + step, span, about) }
    }

    /// Around times from `low` to `high`: logarithmic where they are far apart, else from 0.
    pub(super) fn times((low, high): (f64, f64), span: (f64, f64), about: u32) -> Self {
        let (low, high) = (low.max(1.0), high.max(1.0));
        if high / low < WIDE {
            return Self::raised(Unit::Nanos, high.max(SHORT), span, about);
        }
        let digits: &[f64] = if high / low < NARROW { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = std::iter::successors(Some(1.0), |decade| Some(decade * 10.0));
        let all: Vec<_> = decades
            .take_while(|decade| *decade < high * 10.0)
            .flat_map(|decade| digits.iter().map(move |digit| digit * decade))
            .collect();
        let first = all.iter().rposition(|tick| *tick <= low).unwrap_or(0);
        let last = all.iter().position(|tick| *tick >= high).unwrap_or(all.len() - 1);
        Self::logarithmic(Unit::Nanos, all[first..=last].to_vec(), span)
    }

    /// The tails of the percentiles that so many samples can tell.
    pub(super) fn tails(samples: f64, span: (f64, f64)) -> Self {
        let nines = std::iter::successors(Some(10.0), |tail| Some(tail * 10.0));
        let nines = nines.take_while(|tail| *tail <= samples);
        let ticks = [1.0, 2.0].into_iter().chain(nines).collect();
        Self { high: samples.max(10.0), ..Self::logarithmic(Unit::Tail, ticks, span) }
    }

    fn logarithmic(unit: Unit, ticks: Vec<f64>, (from, to): (f64, f64)) -> Self {
        Self { low: ticks[0], high: ticks[ticks.len() - 1], from, to, unit, is_log: true, ticks }
    }

    /// The pixel of a value; what lies outside is at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let part = if self.is_log {
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + (self.to - self.from) * part
    }

    /// The end of the axis.
    pub(super) const fn high(&self) -> f64 {
        self.high
    }

    /// Round numbers from the low end on.
    pub(super) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    /// A tick in words.
    pub(super) fn label(&self, tick: f64) -> String {
        match self.unit {
            Unit::Number => number(tick),
            Unit::Tail => percentile(tick),
            Unit::Nanos if tick <= 0.0 => "0".to_owned(),
            Unit::Nanos => {
                // On a linear axis all ticks are told in the same unit.
                let large = if self.is_log { tick } else { self.high };
                let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
                let (of, unit) = units.into_iter().find(|(of, _)| large >= *of).unwrap_or((1.0, "ns"));
                format!("{} {unit}", number(tick / of))
            }
        }
    }
}

/// `99.9 %` of 1000.
fn percentile(tail: f64) -> String {
    // No more digits than the nines have.
    let text = format!("{:.9}", 100.0 - 100.0 / tail);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `20,000`, `0.25`
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a tick is not negative, and small"
)]
pub(super) fn number(number: f64) -> String {
    let whole = number.round();
    if (number - whole).abs() < 1e-9 * number.max(1e-6) {
        return grouped(whole as u64);
    }
    let text = format!("{number:.12}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: (f64, f64) = (0.0, 100.0);

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().iter().map(|tick| axis.label(*tick)).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        let raised = |high| labels(&Axis::raised(Unit::Number, high, SPAN, 5));
        assert_eq!(raised(20_000.0), ["0", "5,000", "10,000", "15,000", "20,000"]);
        assert_eq!(raised(20_001.0), ["0", "5,000", "10,000", "15,000", "20,000", "25,000"]);
        assert_eq!(raised(0.3), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(raised(1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        let times = |low, high| labels(&Axis::times((low, high), SPAN, 5));
        assert_eq!(times(90e3, 110e3), ["0", "50 µs", "100 µs", "150 µs"]);
        assert_eq!(times(90e3, 1.3e6), ["50 µs", "100 µs", "200 µs", "500 µs", "1 ms", "2 ms"]);
        assert_eq!(times(900e3, 1.3e6), ["0", "0.5 ms", "1 ms", "1.5 ms"]);
        let hour = times(1e3, 3600e9);
        assert_eq!((&*hour[0], &*hour[hour.len() - 1], hour.len()), ("1 µs", "10,000 s", 11));
        assert_eq!(times(0.0, 0.0), ["0", "0.2 µs", "0.4 µs", "0.6 µs", "0.8 µs", "1 µs"]);
    }

    #[test]
    fn percentiles_go_as_far_as_the_samples() {
        let tails = |samples| labels(&Axis::tails(samples, SPAN));
        assert_eq!(tails(1.0), ["0 %", "50 %"]);
        assert_eq!(tails(999.0), ["0 %", "50 %", "90 %", "99 %"]);
        assert_eq!(tails(1e6)[4..], ["99.9 %", "99.99 %", "99.999 %", "99.9999 %"]);
    }

    #[test]
    fn the_ends_of_an_axis_are_the_ends_of_its_line() {
        for axis in [
            Axis::linear(Unit::Number, 7.0, (900.0, 60.0), 5),
            Axis::times((3e4, 7e8), (900.0, 60.0), 5),
            Axis::tails(5.0, (900.0, 60.0)),
        ] {
            let (low, high) = (axis.at(axis.low), axis.at(axis.high()));
            assert!((low - 900.0).abs() < 1e-6 && (high - 60.0).abs() < 1e-6, "{axis:?}");
            assert!((axis.at(f64::INFINITY) - 60.0).abs() < 1e-6 && (axis.at(-1.0) - 900.0).abs() < 1e-6);
        }
    }
}
