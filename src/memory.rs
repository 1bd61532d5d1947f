//! Memory that many connections used goes back to the system when they are gone.
//!
//! The allocator keeps what was freed for later use, below whatever small thing still lives above it: a server whose 200
//! clients never read went on holding their 50 MB for ever after.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::platform;

/// Connections whose memory is worth the work.
const MANY: u64 = 8;
/// The shortest time between two releases: connections that come and go must not cost one each.
const PAUSE: Duration = Duration::from_secs(1);

/// Releases memory, on a thread of its own, about a second after half of the connections have ended.
#[derive(Debug)]
pub(crate) struct Release {
    policy: Arc<Mutex<Policy>>,
    wake: SyncSender<()>,
}

impl Release {
    pub(crate) fn new() -> io::Result<Self> {
        let policy = Arc::<Mutex<Policy>>::default();
        let (wake, woken) = sync_channel(1);
        thread::Builder::new().name("memory".into()).spawn({
            let policy = Arc::clone(&policy);
            move || {
                // Until the server is gone.
                while woken.recv().is_ok() {
                    thread::park_timeout(PAUSE);
                    policy.lock().unwrap_or_else(PoisonError::into_inner).released();
                    platform::release_memory();
                }
            }
        })?;
        Ok(Self { policy, wake })
    }

    /// So many connections are open now.
    pub(crate) fn open(&self, connections: u64) {
        let is_due = self.policy.lock().unwrap_or_else(PoisonError::into_inner).open(connections);
        if is_due {
            // If it is awake already, it will look.
            let _ = self.wake.try_send(());
        }
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
    /// So many are open now. Whether a release has just become due.
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
