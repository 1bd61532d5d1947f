//! Where a thread is given connections by others.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DESK, Ring, Wake};
use crate::{Control, Guarded, MAILBOX, Mailbox, Stream};

/// A connection that has no machine yet.
#[derive(Debug)]
pub struct Fresh<N, C> {
    /// Its name.
    pub name: N,
    /// Its stream.
    pub stream: Guarded,
    /// The ways into its session.
    pub way_in: WayIn<C>,
}

/// The ways into a session, and the bell of that thread which will drive it.
#[derive(Debug)]
pub struct WayIn<C> {
    /// The bell.
    pub ring: Arc<Ring>,
    /// What was posted.
    pub mailbox: Mailbox<C>,
    /// Where to post.
    pub control: Control<C>,
}

impl<C> WayIn<C> {
    /// Ways that ring in this thread.
    pub fn new(wake: &Arc<Wake>) -> Self {
        let ring = Arc::new(Ring::new(Arc::clone(wake)));
        let (mailbox, control) = Mailbox::new(MAILBOX, ring.clone());
        Self { ring, mailbox, control }
    }
}

/// What other threads leave for one.
pub struct Desk<N, C> {
    wake: Arc<Wake>,
    left: Mutex<Left<N, C>>,
}

struct Left<N, C> {
    fresh: Vec<Fresh<N, C>>,
    /// Nothing more will come.
    over: bool,
}

impl<N, C> Desk<N, C> {
    /// An empty one, whose thread is woken by `wake`.
    pub const fn new(wake: Arc<Wake>) -> Self {
        Self { wake, left: Mutex::new(Left { fresh: Vec::new(), over: false }) }
    }

    /// The ways into a session that this thread will drive.
    pub fn way_in(&self) -> WayIn<C> {
        WayIn::new(&self.wake)
    }

    /// Has this thread drive a connection.
    pub fn hand_over(&self, name: N, stream: Stream, way_in: WayIn<C>) {
        self.left().fresh.push(Fresh { name, stream: Guarded::new(stream), way_in });
        self.wake.ring(DESK);
    }

    /// Nothing more will come: the thread ends with its last connection.
    fn close(&self) {
        self.left().over = true;
        self.wake.ring(DESK);
    }

    /// Takes what was left; whether more may come.
    pub fn take(&self, fresh: &mut Vec<Fresh<N, C>>) -> bool {
        let mut left = self.left();
        fresh.append(&mut left.fresh);
        !left.over
    }

    fn left(&self) -> MutexGuard<'_, Left<N, C>> {
        // Nothing that can panic runs under this lock.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The desks of all threads, used in turn. They are closed when this is dropped: however it ends, no thread is left
/// waiting.
pub struct Desks<N, C> {
    desks: Vec<Arc<Desk<N, C>>>,
    next: usize,
}

impl<N, C> Desks<N, C> {
    /// None yet.
    pub const fn new() -> Self {
        Self { desks: Vec::new(), next: 0 }
    }

    /// One more, whose turn comes last.
    pub fn push(&mut self, desk: Arc<Desk<N, C>>) {
        self.desks.push(desk);
    }

    /// The desk of the thread whose turn it is.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[expect(clippy::should_implement_trait, reason = "it lends, and never ends")]
    pub fn next(&mut self) -> &Desk<N, C> {
        self.next = (self.next + 1) % self.desks.len();
        &self.desks[self.next]
    }
}

impl<N, C> Drop for Desks<N, C> {
    fn drop(&mut self) {
        self.desks.iter().for_each(|desk| desk.close());
    }
}

impl<N, C> Default for Desks<N, C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N, C> fmt::Debug for Desk<N, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("wake", &self.wake).finish_non_exhaustive()
    }
}

impl<N, C> fmt::Debug for Desks<N, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Desks").field(&self.desks.len()).finish()
    }
}
