//! Handing connections over to another thread.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{HANDOFF, Ring, Wake};
use crate::{Control, Guarded, MAILBOX, Mailbox, Stream};

/// A connection that has no machine yet.
#[derive(Debug)]
pub struct PendingConnection<K, C> {
    /// What identifies it.
    pub key: K,
    /// Its stream.
    pub stream: Guarded,
    /// The channel into its session.
    pub channel: SessionChannel<C>,
}

/// The channel into a session, and the bell that wakes the thread which will drive it.
#[derive(Debug)]
pub struct SessionChannel<C> {
    /// The bell.
    pub ring: Arc<Ring>,
    /// What was posted.
    pub mailbox: Mailbox<C>,
    /// Where to post.
    pub control: Control<C>,
}

impl<C> SessionChannel<C> {
    /// A channel that wakes this thread.
    pub fn new(wake: &Arc<Wake>) -> Self {
        let ring = Arc::new(Ring::new(Arc::clone(wake)));
        let (mailbox, control) = Mailbox::new(MAILBOX, ring.clone());
        Self { ring, mailbox, control }
    }
}

/// The queue of connections that other threads hand over to one.
pub struct HandoffQueue<K, C> {
    wake: Arc<Wake>,
    left: Mutex<Left<K, C>>,
}

struct Left<K, C> {
    pending: Vec<PendingConnection<K, C>>,
    /// Nothing more will come.
    over: bool,
}

impl<K, C> HandoffQueue<K, C> {
    /// An empty one, whose thread is woken by `wake`.
    pub const fn new(wake: Arc<Wake>) -> Self {
        Self { wake, left: Mutex::new(Left { pending: Vec::new(), over: false }) }
    }

    /// A channel into a session that this thread will drive.
    pub fn channel(&self) -> SessionChannel<C> {
        SessionChannel::new(&self.wake)
    }

    /// Has this thread drive a connection.
    pub fn hand_over(&self, key: K, stream: Stream, channel: SessionChannel<C>) {
        self.left().pending.push(PendingConnection { key, stream: Guarded::new(stream), channel });
        self.wake.ring(HANDOFF);
    }

    /// Nothing more will come: the thread ends with its last connection.
    fn close(&self) {
        self.left().over = true;
        self.wake.ring(HANDOFF);
    }

    /// Takes the connections that were handed over, behind those in `pending`. False once no more come: [`HandoffQueues`] was
    /// dropped.
    pub fn take(&self, pending: &mut Vec<PendingConnection<K, C>>) -> bool {
        let mut left = self.left();
        pending.append(&mut left.pending);
        !left.over
    }

    fn left(&self) -> MutexGuard<'_, Left<K, C>> {
        // Nothing that can panic runs under this lock.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queues of all threads, used in turn. They are closed when this is dropped: however it ends, no thread is left
/// waiting.
pub struct HandoffQueues<K, C> {
    queues: Vec<Arc<HandoffQueue<K, C>>>,
    next: usize,
}

impl<K, C> HandoffQueues<K, C> {
    /// None yet.
    pub const fn new() -> Self {
        Self { queues: Vec::new(), next: 0 }
    }

    /// One more, whose turn comes last.
    pub fn push(&mut self, handoff: Arc<HandoffQueue<K, C>>) {
        self.queues.push(handoff);
    }

    /// The queue of the thread whose turn it is.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[expect(clippy::should_implement_trait, reason = "it lends, and never ends")]
    pub fn next(&mut self) -> &HandoffQueue<K, C> {
        self.next = (self.next + 1) % self.queues.len();
        &self.queues[self.next]
    }
}

impl<K, C> Drop for HandoffQueues<K, C> {
    fn drop(&mut self) {
        self.queues.iter().for_each(|handoff| handoff.close());
    }
}

impl<K, C> Default for HandoffQueues<K, C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, C> fmt::Debug for HandoffQueue<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandoffQueue").field("wake", &self.wake).finish_non_exhaustive()
    }
}

impl<K, C> fmt::Debug for HandoffQueues<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandoffQueues").field(&self.queues.len()).finish()
    }
}
