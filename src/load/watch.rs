//! Whoever watches a load: a person at a terminal, and the limit of its time.

use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use roundtrip_core::Time;
use roundtrip_std::{Clock, SystemClock};

use super::record::Record;
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
    let (done, wait) = sync_channel::<()>(0);
    thread::scope(|scope| {
        let watch = move || {
            let mut shown = stderr().is_terminal().then(Shown::new);
            while wait.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                if let Some(shown) = &mut shown {
                    shown.update(&load.record(), clock.now().since(load.start()));
                }
                if limit.is_some_and(|limit| limit <= clock.now()) {
                    load.give_up();
                }
            }
            if let Some(shown) = shown {
                shown.bar.finish_and_clear();
            }
        };
        let watcher = thread::Builder::new().name("progress".into()).spawn_scoped(scope, watch);
        watcher.map_err(|error| Problem::system("cannot watch the load", &error))?;
        let result = work();
        drop(done);
        Ok(result)
    })
}

/// A line that is written again and again.
struct Shown {
    bar: ProgressBar,
    /// What was measured until the last look.
    before: Option<Histogram<u64>>,
}

impl Shown {
    fn new() -> Self {
        Self { bar: ProgressBar::new_spinner(), before: None }
    }

    fn update(&mut self, record: &Record, since: Duration) {
        let mut recent = record.latency.clone();
        // What was there before is still there.
        let _ = self.before.take().map(|before| recent.subtract(&before));
        let at = |quantile| latency(Duration::from_nanos(recent.value_at_quantile(quantile)));
        let text = format!(
            "{:.0} s   {} messages/s   p50 {}   p99 {}   max {}   (the last second; late starts so far {})",
            since.as_secs_f64(),
            grouped(recent.len()),
            at(0.5),
            at(0.99),
            at(1.0),
            grouped(record.late),
        );
        self.bar.set_message(text);
        self.bar.tick();
        self.before = Some(record.latency.clone());
    }
}
