//! Whoever watches a load: a person at a terminal, and the limit of its time.

use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use roundtrip_core::Time;
use roundtrip_std::{Clock, SystemClock};

use super::record::Record;
use crate::out;
use crate::problem::Problem;
use crate::units::{grouped, latency};

/// From one look to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// A load that runs.
pub(super) trait Watched: Sync {
    /// What was measured so far.
    fn record(&self) -> Record;

    fn start(&self) -> Time;

    /// The limit of its time has passed.
    fn give_up(&self);
}

/// Does `work`; meanwhile shows each second how it goes, if somebody looks, and stops it at `limit`.
pub(super) fn watched<R>(
    load: &impl Watched,
    clock: SystemClock,
    limit: Option<Time>,
    work: impl FnOnce() -> R,
) -> Result<R, Problem> {
    let mut shown = out::progress_line().map(|bar| Shown { bar, line: Line::default() });
    let look = || {
        if let Some(shown) = &mut shown {
            shown.update(&load.record(), clock.now().since(load.start()));
        }
        if limit.is_some_and(|limit| limit <= clock.now()) {
            load.give_up();
        }
    };
    out::meanwhile(PERIOD, look, work)
}

/// A line that is written again and again.
struct Shown {
    bar: ProgressBar,
    line: Line,
}

/// What it says.
#[derive(Default)]
struct Line {
    /// What was measured until the last look.
    before: Option<Histogram<u64>>,
    /// When the last message was seen to be back.
    back: Duration,
}

impl Shown {
    fn update(&mut self, record: &Record, since: Duration) {
        self.bar.set_message(self.line.next(record, since));
        self.bar.tick();
    }
}

impl Line {
    /// How the time since the last look went.
    fn next(&mut self, record: &Record, since: Duration) -> String {
        let mut recent = record.latency.clone();
        // What was there before is still there.
        let _ = self.before.take().map(|before| recent.subtract(&before));
        self.before = Some(record.latency.clone());
        let (seconds, late) = (since.as_secs_f64(), grouped(record.late));
        if recent.is_empty() {
            let silent = since.saturating_sub(self.back).as_secs_f64();
            return format!(
                "{seconds:.0} s   nothing came back for {silent:.0} s   (late starts so far {late})"
            );
        }
        self.back = since;
        let at = |quantile| latency(Duration::from_nanos(recent.value_at_quantile(quantile)));
        format!(
            "{seconds:.0} s   {} messages/s   p50 {}   p99 {}   max {}   (the last second; late starts so far {late})",
            grouped(recent.len()),
            at(0.5),
            at(0.99),
            at(1.0),
        )
    }
}

#[cfg(test)]
mod tests {
    use roundtrip_echo::RoundTrip;

    use super::*;

    #[test]
    fn a_standstill_has_no_latency() {
        let mut record = Record::new(Time::ZERO, PERIOD).unwrap();
        let mut line = Line::default();
        let at = Time::from_nanos;
        record.add(RoundTrip { due: at(0), sent: at(0), back: at(88_000) });
        assert!(line.next(&record, PERIOD).starts_with("1 s   1 messages/s   p50 88."));
        for seconds in 2..5 {
            let told = line.next(&record, PERIOD * seconds);
            let expected = format!("{seconds} s   nothing came back for {} s   (late", seconds - 1);
            assert!(told.starts_with(&expected) && !told.contains("µs"), "{told}");
        }
        record.add(RoundTrip { due: at(0), sent: at(0), back: at(5_000_000_000) });
        assert!(line.next(&record, PERIOD * 5).starts_with("5 s   1 messages/s   p50 5.0"));
        assert!(line.next(&record, PERIOD * 6).starts_with("6 s   nothing came back for 1 s   "));
    }
}
