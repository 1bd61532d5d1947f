//! Where a thread is given connections by others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roundtrip_net::{Control, Guarded, MAILBOX, Mailbox, Stream};

use crate::wake::{DESK, Ring, Wake};

/// A connection that has no machine yet.
pub(crate) struct Fresh<N, C> {
    pub(crate) name: N,
    pub(crate) stream: Guarded,
    pub(crate) way_in: WayIn<C>,
}

/// The ways into a session, and the bell of that thread which will drive it.
#[derive(Debug)]
pub(crate) struct WayIn<C> {
    pub(crate) ring: Arc<Ring>,
    pub(crate) mailbox: Mailbox<C>,
    pub(crate) control: Control<C>,
}

impl<C> WayIn<C> {
    pub(crate) fn new(wake: &Arc<Wake>) -> Self {
        let ring = Arc::new(Ring::new(Arc::clone(wake)));
        let (mailbox, control) = Mailbox::new(MAILBOX, ring.clone());
        Self { ring, mailbox, control }
    }
}

/// What other threads leave for one.
pub(crate) struct Desk<N, C> {
    wake: Arc<Wake>,
    left: Mutex<Left<N, C>>,
}

struct Left<N, C> {
    fresh: Vec<Fresh<N, C>>,
    /// Nothing more will come.
    over: bool,
}

impl<N, C> Desk<N, C> {
    pub(crate) const fn new(wake: Arc<Wake>) -> Self {
        Self { wake, left: Mutex::new(Left { fresh: Vec::new(), over: false }) }
    }

    /// The ways into a session that this thread will drive.
    pub(crate) fn way_in(&self) -> WayIn<C> {
        WayIn::new(&self.wake)
    }

    /// Has this thread drive a connection.
    pub(crate) fn hand_over(&self, name: N, stream: Stream, way_in: WayIn<C>) {
        self.left().fresh.push(Fresh { name, stream: Guarded::new(stream), way_in });
        self.wake.ring(DESK);
    }

    /// Nothing more will come: the thread ends with its last connection.
    fn close(&self) {
        self.left().over = true;
        self.wake.ring(DESK);
    }

    /// Takes what was left; whether more may come.
    pub(crate) fn take(&self, fresh: &mut Vec<Fresh<N, C>>) -> bool {
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
pub(crate) struct Desks<N, C> {
    desks: Vec<Arc<Desk<N, C>>>,
    next: usize,
}

impl<N, C> Desks<N, C> {
    pub(crate) const fn new() -> Self {
        Self { desks: Vec::new(), next: 0 }
    }

    pub(crate) fn push(&mut self, desk: Arc<Desk<N, C>>) {
        self.desks.push(desk);
    }

    /// The desk of the thread whose turn it is. There must be one.
    pub(crate) fn next(&mut self) -> &Desk<N, C> {
        self.next = (self.next + 1) % self.desks.len();
        &self.desks[self.next]
    }
}

impl<N, C> Drop for Desks<N, C> {
    fn drop(&mut self) {
        self.desks.iter().for_each(|desk| desk.close());
    }
}
