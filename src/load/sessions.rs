//! The sessions of a load, and what they tell.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roundtrip_core::echo::{ClientOutcome, Pinger, PingerConfig, RoundTrip};
use roundtrip_core::{Machine, Time};
use roundtrip_std::{Clients, Control, Ended};

use super::plan::Plan;
use super::record::Record;
use crate::client::Stop;
use crate::problem::Problem;

/// The sessions of a load.
pub(super) struct Sessions<'a> {
    pub(super) plan: Plan,
    pub(super) config: Arc<PingerConfig>,
    pub(super) seed: u64,
    pub(super) start: Time,
    pub(super) stop: &'a Stop,
    /// It was stopped because what was due was not sent for too long.
    pub(super) overdue: AtomicBool,
    /// Each connection writes into one of them: as many as there are threads, so that none waits for another.
    records: Vec<Mutex<Record>>,
    outcomes: Mutex<Vec<(usize, ClientOutcome)>>,
}

impl<'a> Sessions<'a> {
    pub(super) fn new(
        plan: Plan,
        config: PingerConfig,
        seed: u64,
        start: Time,
        stop: &'a Stop,
        threads: usize,
    ) -> Result<Self, Problem> {
        let width = plan.lasts().map_or(Duration::from_millis(10), |lasts| lasts / 200);
        let record = Record::new(start, width.max(Duration::from_millis(1)))?;
        let records = (0..threads).map(|_| Mutex::new(record.clone())).collect();
        let config = Arc::new(config);
        let (overdue, outcomes) = (AtomicBool::new(false), Mutex::default());
        Ok(Self { plan, config, seed, start, stop, overdue, records, outcomes })
    }

    /// What was measured so far.
    pub(super) fn record(&self) -> Record {
        let mut whole = lock(&self.records[0]).clone();
        for record in &self.records[1..] {
            let record = lock(record).clone();
            whole.merge(&record);
        }
        whole
    }

    /// What came of the sessions that are over, in the order in which they ended.
    pub(super) fn outcomes(&self) -> Vec<(usize, ClientOutcome)> {
        lock(&self.outcomes).clone()
    }
}

impl Clients for Sessions<'_> {
    type Machine = Pinger;

    fn open(&self, now: Time, index: usize, control: &Control<<Pinger as Machine>::Command>) -> Pinger {
        self.stop.watch(control);
        let schedule = self.plan.schedule(index, self.start);
        Pinger::new(Arc::clone(&self.config), schedule, self.seed.wrapping_add(index as u64), now)
    }

    fn event(&self, index: usize, trip: RoundTrip) {
        lock(&self.records[index % self.records.len()]).add(trip);
    }

    fn ended(&self, index: usize, ended: Ended<ClientOutcome>) {
        lock(&self.outcomes).push((index, ended.outcome));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
