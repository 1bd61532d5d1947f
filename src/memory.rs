//! Memory that many connections used goes back to the system when they are gone.
//!
//! The allocator keeps what was freed for later use, below whatever small thing still lives above it: a server whose 200
//! clients never read went on holding their 50 MB for ever after.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::platform;

/// Connections whose memory is worth the work.
const MANY: u64 = 8;
/// The shortest time between two releases: connections that come and go must not cost one each.
const PAUSE: Duration = Duration::from_secs(1);

/// Releases memory about a second after half of the connections have ended, on a thread that lasts as long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Release(Arc<Mutex<Policy>>);

impl Release {
    /// Tells how many connections are open now.
    pub(crate) fn open(&self, connections: u64) {
        if !self.policy().open(connections) {
            return;
        }
        let release = self.clone();
        let started = thread::Builder::new().name("memory".into()).spawn(move || {
            thread::park_timeout(PAUSE);
            release.policy().released();
            platform::release_memory();
        });
        if started.is_err() {
            self.policy().released();
        }
    }

    fn policy(&self) -> MutexGuard<'_, Policy> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When there is something to release.
#[derive(Debug, Default)]
struct Policy {
    open: u64,
    /// The most since the last release.
    peak: u64,
    is_due: bool,
}

impl Policy {
    /// Takes the number of open connections. Whether a release has just become due.
    const fn open(&mut self, connections: u64) -> bool {
        self.open = connections;
        if connections > self.peak {
            self.peak = connections;
        }
        let becomes_due = !self.is_due && self.peak >= MANY && connections <= self.peak / 2;
        self.is_due |= becomes_due;
        becomes_due
    }

    const fn released(&mut self) {
        self.peak = self.open;
        self.is_due = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_due_once_when_half_of_many_have_ended() {
        let mut policy = Policy::default();
        assert!((1..=200).all(|open| !policy.open(open)));
        assert!((101..200).rev().all(|open| !policy.open(open)));
        assert!(policy.open(100));
        assert!((50..100).rev().all(|open| !policy.open(open)), "one at a time");
        policy.released();
        assert!(!policy.open(30) && policy.open(25));
        policy.released();
        assert!(policy.open(0));
        policy.released();
        // Few connections are not worth it.
        assert!([1, 0, 2, 0, 7, 0].into_iter().all(|open| !policy.open(open)));
    }
}
