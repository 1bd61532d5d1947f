//! Connecting: many at once, or one after the other over the time of a ramp.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_std::{Clock, ConnectOptions, Endpoint, NetError, Stream, SystemClock};

use super::plan::Plan;
use crate::client::Stop;
use crate::problem::Problem;

/// Connects that may wait for their answers at one time.
const DIALERS: usize = 32;
/// The longest time in which a signal is not noticed.
const GLANCE: Duration = Duration::from_millis(100);

/// The streams, as they are connected. What could not be connected is counted.
pub(super) struct Dialing {
    streams: Receiver<Result<Stream, NetError>>,
    failures: Arc<Failures>,
}

/// Connects that failed.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<(u64, Option<NetError>)>);

impl Failures {
    /// How many there were, and the first.
    pub(super) fn take(&self) -> (u64, Option<NetError>) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, error: NetError) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.0 += 1;
        failures.1.get_or_insert(error);
    }
}

/// Begins to connect, the first at `start`.
pub(super) fn dial(
    endpoint: &Endpoint,
    options: ConnectOptions,
    plan: Plan,
    (clock, start): (SystemClock, Time),
    stop: &Arc<Stop>,
) -> Result<Dialing, Problem> {
    let (sender, streams) = sync_channel(DIALERS);
    let next = Arc::new(AtomicUsize::new(0));
    for _ in 0..DIALERS.min(plan.connections) {
        let (sender, next, stop) = (sender.clone(), Arc::clone(&next), Arc::clone(stop));
        let endpoint = endpoint.clone();
        let work = move || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let begins = start.after(plan.begins(index));
                if index >= plan.connections || !wait_until(begins, clock, &stop) {
                    return;
                }
                if sender.send(roundtrip_std::connect(&endpoint, &options)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("dialer".into()).spawn(work);
        thread.map_err(|error| Problem::system("cannot connect", &error))?;
    }
    Ok(Dialing { streams, failures: Arc::default() })
}

/// False if it was stopped before.
fn wait_until(time: Time, clock: SystemClock, stop: &Stop) -> bool {
    loop {
        if stop.is_stopped() {
            return false;
        }
        let left = time.since(clock.now());
        if left.is_zero() {
            return true;
        }
        thread::park_timeout(left.min(GLANCE));
    }
}

impl Dialing {
    pub(super) fn failures(&self) -> Arc<Failures> {
        Arc::clone(&self.failures)
    }
}

impl Iterator for Dialing {
    type Item = Stream;

    /// Waits for the next one that is connected; none once all were tried.
    fn next(&mut self) -> Option<Stream> {
        loop {
            match self.streams.recv().ok()? {
                Ok(stream) => return Some(stream),
                Err(error) => self.failures.add(error),
            }
        }
    }
}
