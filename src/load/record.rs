//! What is measured while a load runs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use roundtrip_core::Time;
use roundtrip_echo::RoundTrip;

use super::plan::Plan;
use crate::problem::Problem;

/// A start that is later than this is counted: below it lies what timers and schedulers take.
pub(super) const LATE: Duration = Duration::from_millis(1);
/// The longest time that is told from longer ones.
const LONGEST: Duration = Duration::from_secs(3600);
/// The widths that a course begins with.
const NARROWEST: Duration = Duration::from_millis(1);
const WIDEST: Duration = Duration::from_millis(20);
/// Intervals that a course has at the most.
const MAX_INTERVALS: usize = 600;

/// The measurements of some connections; those of all are their sum.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Nanoseconds, to three digits; with the messages that were waited for in vain.
    pub(super) latency: Histogram<u64>,
    /// Messages that came back.
    pub(super) ok: u64,
    /// Messages that started late, and the latest of all starts.
    pub(super) late: u64,
    pub(super) latest: Duration,
    /// How late after it was due each message was handed to its socket, nanoseconds.
    pub(super) lag: Histogram<u64>,
    pub(super) course: Course,
}

/// What happened in each of equal intervals of time. However long it lasts, there are at most 600.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Course {
    start: Time,
    width: Duration,
    intervals: Vec<Interval>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interval {
    /// Messages that came back in it.
    pub(super) messages: u64,
    /// The longest that one of them took.
    pub(super) longest: Duration,
}

impl Interval {
    fn merge(&mut self, other: Self) {
        self.messages += other.messages;
        self.longest = self.longest.max(other.longest);
    }
}

impl Record {
    /// For a load that is planned so. Its course grows with what there is to tell: a long load may be interrupted.
    pub(super) fn over(start: Time, plan: &Plan) -> Result<Self, Problem> {
        let width = plan.lasts().map_or(WIDEST, |lasts| lasts / 200).clamp(NARROWEST, WIDEST);
        Self::new(start, width)
    }

    pub(super) fn new(start: Time, width: Duration) -> Result<Self, Problem> {
        let longest = nanos(LONGEST);
        let latency = Histogram::new_with_bounds(1, longest, 3).map_err(|error| {
            Problem::system("cannot keep a histogram", &std::io::Error::other(error.to_string()))
        })?;
        let lag = latency.clone();
        Ok(Self {
            latency,
            ok: 0,
            late: 0,
            latest: Duration::ZERO,
            lag,
            course: Course { start, width, intervals: Vec::new() },
        })
    }

    /// A message is back.
    pub(super) fn add(&mut self, trip: RoundTrip) {
        self.ok += 1;
        self.latency.saturating_record(nanos(trip.took()));
        self.start_late(trip.late());
        self.course.at(trip.back).merge(Interval { messages: 1, longest: trip.took() });
    }

    /// A message that was due is given up: it took so long at the least.
    pub(super) fn give_up(&mut self, due: Time, sent: bool, now: Time) {
        let waited = now.since(due);
        self.latency.saturating_record(nanos(waited));
        if !sent {
            self.start_late(waited);
        }
        self.course.at(now).merge(Interval { messages: 0, longest: waited });
    }

    /// Whether the generator's own lag is a tenth of the median or more: then the latencies are its own in part.
    pub(super) fn lags(&self) -> bool {
        let median = |of: &Histogram<u64>| of.value_at_quantile(0.5);
        !self.lag.is_empty() && median(&self.lag).saturating_mul(10) >= median(&self.latency)
    }

    fn start_late(&mut self, late: Duration) {
        self.late += u64::from(late > LATE);
        self.lag.saturating_record(nanos(late));
        self.latest = self.latest.max(late);
    }

    /// Both together.
    pub(super) fn merge(&mut self, other: &Self) {
        // The bounds are the same, so it always fits.
        let merged = self.latency.add(&other.latency).and(self.lag.add(&other.lag));
        debug_assert!(merged.is_ok());
        self.ok += other.ok;
        self.late += other.late;
        self.latest = self.latest.max(other.latest);
        self.course.merge(&other.course);
    }
}

impl Course {
    pub(super) const fn width(&self) -> Duration {
        self.width
    }

    pub(super) fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// The interval of this time.
    fn at(&mut self, time: Time) -> &mut Interval {
        let since = time.since(self.start).as_nanos();
        let index = loop {
            match usize::try_from(since / self.width.as_nanos().max(1)) {
                Ok(index) if index < MAX_INTERVALS => break index,
                _ => self.coarsen(),
            }
        };
        if self.intervals.len() <= index {
            self.intervals.resize(index + 1, Interval::default());
        }
        &mut self.intervals[index]
    }

    /// Intervals of twice the width.
    fn coarsen(&mut self) {
        self.width *= 2;
        let pairs = self.intervals.chunks(2).map(|pair| {
            let mut whole = Interval::default();
            for half in pair {
                whole.merge(*half);
            }
            whole
        });
        self.intervals = pairs.collect();
    }

    fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        while self.width < other.width {
            self.coarsen();
        }
        while other.width < self.width {
            other.coarsen();
        }
        if self.intervals.len() < other.intervals.len() {
            self.intervals.resize(other.intervals.len(), Interval::default());
        }
        for (sum, next) in self.intervals.iter_mut().zip(&other.intervals) {
            sum.merge(*next);
        }
    }
}

/// The measurements of many connections: each writes into one of several records, so that threads do not wait for each other.
#[derive(Debug)]
pub(super) struct Records(Vec<Mutex<Record>>);

impl Records {
    /// For so many threads, at least 1, of a load that is planned so.
    pub(super) fn new(threads: usize, start: Time, plan: &Plan) -> Result<Self, Problem> {
        let record = Record::over(start, plan)?;
        Ok(Self((0..threads.max(1)).map(|_| Mutex::new(record.clone())).collect()))
    }

    /// Where this connection writes.
    pub(super) fn of(&self, connection: usize) -> MutexGuard<'_, Record> {
        Self::lock(&self.0[connection % self.0.len()])
    }

    /// All of them together.
    pub(super) fn sum(&self) -> Record {
        let mut whole = Self::lock(&self.0[0]).clone();
        for record in &self.0[1..] {
            let record = Self::lock(record).clone();
            whole.merge(&record);
        }
        whole
    }

    fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
        record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn trip(due: u32, sent: u32, back: u32) -> RoundTrip {
        let at = |millis: u32| Time::ZERO.after(MS * millis);
        RoundTrip { due: at(due), sent: at(sent), back: at(back) }
    }

    fn record(trips: &[RoundTrip]) -> Record {
        let mut record = Record::new(Time::ZERO, MS).unwrap();
        for trip in trips {
            record.add(*trip);
        }
        record
    }

    #[test]
    fn a_message_counts_from_when_it_was_due() {
        let record = record(&[trip(0, 10, 11), trip(1, 9, 10), trip(9, 10, 11)]);
        assert_eq!((record.latency.len(), record.late, record.latest), (3, 2, 10 * MS));
        assert!(record.latency.max().abs_diff(11_000_000) < 11_000);
        assert!(record.latency.min().abs_diff(2_000_000) < 2_000);
    }

    #[test]
    fn a_lag_that_matters_is_told() {
        let lags = |late, back| {
            let record = record(&[trip(0, late, back), trip(0, late, back), trip(0, 900, 1000)]);
            (record.lag.len(), record.lags())
        };
        assert_eq!(lags(1, 11), (3, false));
        assert_eq!(lags(1, 10), (3, true));
        assert_eq!(lags(0, 10), (3, false));
        assert!(!Record::new(Time::ZERO, MS).unwrap().lags(), "nothing was measured");
    }

    /// What never came back must not make the percentiles better than they are.
    #[test]
    fn what_is_given_up_counts_for_as_long_as_it_was_waited_for() {
        let mut record = record(&[trip(0, 0, 1)]);
        let at = |millis: u32| Time::ZERO.after(MS * millis);
        record.give_up(at(10), true, at(30));
        record.give_up(at(20), false, at(30));
        assert_eq!((record.ok, record.latency.len(), record.late, record.latest), (1, 3, 1, 10 * MS));
        assert!(record.latency.max().abs_diff(20_000_000) < 20_000);
        assert_eq!(record.course.intervals()[30], Interval { messages: 0, longest: 20 * MS });
    }

    #[test]
    fn records_are_merged_as_if_they_were_one() {
        let trips: Vec<_> = (0..2000).map(|i| trip(i, i + i % 3, i + 3 + i % 7)).collect();
        let whole = record(&trips);
        // The first has few intervals, and narrow ones.
        let (mut first, second) = (record(&trips[..100]), record(&trips[100..]));
        first.merge(&second);
        assert_eq!((&first.latency, &first.lag), (&whole.latency, &whole.lag));
        assert_eq!((first.ok, first.late, first.latest), (whole.ok, whole.late, whole.latest));
        assert_eq!(first.course, whole.course);
        let mut second = second;
        second.merge(&record(&trips[..100]));
        assert_eq!(second.course, whole.course);
    }

    #[test]
    fn a_course_stays_short_however_long_it_lasts() {
        let trips: Vec<_> = (0..100_000).map(|i| trip(i, i, i)).collect();
        let course = record(&trips).course;
        assert!(
            course.intervals().len() <= MAX_INTERVALS && course.intervals().len() > MAX_INTERVALS / 2 - 1
        );
        assert_eq!(course.intervals().iter().map(|interval| interval.messages).sum::<u64>(), 100_000);
        assert_eq!(course.width(), 256 * MS);
    }
}
