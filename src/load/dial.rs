//! Connecting: many at once, or one after the other over the time of a ramp.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_std::{Clock, ConnectOptions, Endpoint, NetError, SystemClock};

use super::plan::Plan;
use crate::client::Stop;
use crate::problem::Problem;
use crate::transport::{self, Stream};

/// Connects that may wait for their answers at one time.
const DIALERS: usize = 32;
/// Connects that fail before the first that does not, after which no more are tried.
const HOPELESS: u64 = 3;
/// The longest time in which a signal is not noticed.
const GLANCE: Duration = Duration::from_millis(100);

/// The streams, as they are connected. What could not be connected is counted.
pub(super) struct Dialing {
    streams: Receiver<Result<Stream, NetError>>,
    failures: Arc<Failures>,
    stop: Arc<Stop>,
    /// Whether one was connected.
    reached: Arc<AtomicBool>,
}

/// Connects that failed.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<(u64, Option<NetError>)>);

impl Failures {
    /// How many there were, and the first.
    pub(super) fn take(&self) -> (u64, Option<NetError>) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there were so many that, if nobody was reached, nobody will be.
    fn many(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 >= HOPELESS
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
    let (next, reached) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let failures = Arc::new(Failures::default());
    for _ in 0..DIALERS.min(plan.connections) {
        let (sender, next, stop) = (sender.clone(), Arc::clone(&next), Arc::clone(stop));
        let (reached, failures) = (Arc::clone(&reached), Arc::clone(&failures));
        let endpoint = endpoint.clone();
        let work = move || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let begins = start.after(plan.begins(index));
                if index >= plan.connections || !wait_until(begins, clock, &stop) {
                    return;
                }
                let stream = transport::connect(&endpoint, &options);
                // Where nobody was reached at all, nobody will be.
                let hopeless = stream.is_err() && !reached.load(Ordering::Relaxed) && failures.many();
                if sender.send(stream).is_err() || hopeless {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("dialer".into()).spawn(work);
        thread.map_err(|error| Problem::system("cannot connect", &error))?;
    }
    Ok(Dialing { streams, failures, stop: Arc::clone(stop), reached })
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

    /// Waits for the next one that is connected; none once all were tried, or it is stopped.
    fn next(&mut self) -> Option<Stream> {
        loop {
            match self.streams.recv_timeout(GLANCE) {
                Ok(Ok(stream)) => {
                    self.reached.store(true, Ordering::Relaxed);
                    return Some(stream);
                }
                Ok(Err(error)) => self.failures.add(error),
                Err(RecvTimeoutError::Timeout) if !self.stop.is_stopped() => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}
