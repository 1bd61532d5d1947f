//! The sessions of a load, and what they tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roundtrip_core::{Machine, Time};
use roundtrip_echo::{ClientOutcome, Fault, FaultKind, Pinger, PingerConfig, RoundTrip, Schedule, Verdict};
use roundtrip_std::{Application, Clock, ConnectionReport, Control, SystemClock};

use super::plan::Plan;
use super::record::{Record, Records};
use super::watch::Watched;
use crate::client::Stop;
use crate::problem::Problem;
use crate::verdict::Ended;

/// The sessions of a load.
pub(super) struct Sessions<'a> {
    pub(super) plan: Plan,
    pub(super) config: Arc<PingerConfig>,
    pub(super) seed: u64,
    pub(super) start: Time,
    pub(super) stop: &'a Stop,
    /// It was stopped because what was due was not sent for too long.
    pub(super) overdue: AtomicBool,
    clock: SystemClock,
    /// Messages that are to be sent by the connections that began.
    scheduled: AtomicU64,
    /// The schedules of the connections that run.
    running: Mutex<BTreeMap<usize, Schedule>>,
    records: Records,
    ended: Mutex<Vec<Ended>>,
}

impl<'a> Sessions<'a> {
    pub(super) fn new(
        plan: Plan,
        config: PingerConfig,
        seed: u64,
        (clock, start): (SystemClock, Time),
        stop: &'a Stop,
        threads: usize,
    ) -> Result<Self, Problem> {
        let records = Records::new(threads, start, &plan)?;
        let config = Arc::new(config);
        let (overdue, ended) = (AtomicBool::new(false), Mutex::default());
        let (scheduled, running) = (AtomicU64::new(0), Mutex::default());
        Ok(Self { plan, config, seed, start, stop, overdue, clock, scheduled, running, records, ended })
    }

    /// Messages that were to be sent, where that is known.
    pub(super) fn scheduled(&self) -> Option<u64> {
        self.plan.scheduled(self.scheduled.load(Ordering::Relaxed))
    }

    /// In an open loop: what was due on a connection that is over, and is not back, unless a wrong byte ended it.
    fn give_up(&self, index: usize, schedule: &Schedule, outcome: &ClientOutcome) {
        let right = match outcome.verdict {
            Verdict::Faulty(Fault { at, kind: FaultKind::Truncated { .. } | FaultKind::TimedOut }) => at,
            Verdict::Faulty(_) => return,
            Verdict::Verified | Verdict::Stopped | Verdict::Aborted => outcome.received,
        };
        let (size, now) = (self.config.size as u64, self.clock.now());
        let mut record = self.records.of(index);
        for number in right / size..schedule.messages {
            let Some(due) = schedule.due(number).filter(|due| *due < now) else { break };
            record.give_up(due, number < outcome.sent.div_ceil(size), now);
        }
    }

    /// The sessions that are over, in the order in which they ended.
    pub(super) fn ended(&self) -> Vec<Ended> {
        lock(&self.ended).clone()
    }
}

impl Watched for Sessions<'_> {
    fn record(&self) -> Record {
        self.records.sum()
    }

    fn start(&self) -> Time {
        self.start
    }

    fn give_up(&self) {
        if !self.stop.is_stopped() {
            self.overdue.store(true, Ordering::Relaxed);
            self.stop.stop();
        }
    }
}

impl Application<usize> for Sessions<'_> {
    type Machine = Pinger;

    fn open(&self, now: Time, &index: &usize, control: &Control<<Pinger as Machine>::Command>) -> Pinger {
        self.stop.watch(control);
        // In a ramp a connection begins when it is there.
        let begins = if self.plan.ramp.is_zero() { Duration::ZERO } else { now.since(self.start) };
        let schedule = self.plan.schedule(index, self.start, begins);
        self.scheduled.fetch_add(schedule.messages, Ordering::Relaxed);
        lock(&self.running).insert(index, schedule);
        Pinger::new(Arc::clone(&self.config), schedule, self.seed.wrapping_add(index as u64), now)
    }

    fn event(&self, &index: &usize, _control: &Control<<Pinger as Machine>::Command>, trip: RoundTrip) {
        self.records.of(index).add(trip);
    }

    fn ended(&self, &index: &usize, ended: ConnectionReport<ClientOutcome>) {
        let schedule = lock(&self.running).remove(&index);
        if let Some(schedule) = schedule {
            self.give_up(index, &schedule, &ended.outcome);
        }
        lock(&self.ended).push(Ended::of(index, &ended));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
