//! What a machine and the operations of its script share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use bytes::{Bytes, BytesMut};
use roundtrip_core::Time;

use crate::ScriptConfig;

/// The state behind its lock, which is never contended: machine and script run in turns on one thread.
pub(crate) struct Shared<C, E> {
    /// The type of the script, for panics.
    pub(crate) name: &'static str,
    state: Mutex<State<C, E>>,
    /// The script has to be polled.
    woken: AtomicBool,
}

impl<C, E> Shared<C, E> {
    pub(crate) fn new(name: &'static str, config: Arc<ScriptConfig>, now: Time) -> Self {
        Self { name, state: Mutex::new(State::new(config, now)), woken: AtomicBool::new(true) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State<C, E>> {
        // A panic in an operation leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the script was woken since this was asked last.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire) && self.woken.swap(false, Ordering::AcqRel)
    }
}

impl<C: Send + 'static, E: Send + 'static> Wake for Shared<C, E> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
    }
}

/// What an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// So many bytes in the inbox, or the peer's end.
    Bytes(usize),
    /// Room in the outbox, or an empty one.
    Write,
    /// The half-close.
    HalfClose,
    /// Room for an event.
    EventRoom,
    /// A command.
    Command,
    /// A stop.
    Stop,
    /// A point in time.
    At(Time),
}

struct Waiting {
    /// `None` once it was woken and until it is polled again.
    need: Option<Need>,
    waker: Waker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteSide {
    Open,
    /// To be half-closed when all is written.
    Closing,
    HalfClosed,
}

pub(crate) struct State<C, E> {
    pub(crate) config: Arc<ScriptConfig>,
    pub(crate) now: Time,
    pub(crate) inbox: BytesMut,
    /// Bytes taken from the inbox since the beginning.
    pub(crate) taken: u64,
    pub(crate) peer_ended: bool,
    pub(crate) outbox: BytesMut,
    /// Bytes of the outstanding write that the transport has not taken.
    pub(crate) outstanding: usize,
    pub(crate) write_side: WriteSide,
    pub(crate) reset: bool,
    pub(crate) events: VecDeque<E>,
    pub(crate) commands: VecDeque<C>,
    pub(crate) stopped: bool,
    /// Operations completed since the script last waited or moved something.
    pub(crate) completed: u32,
    /// Operations that wait. A place is free once its operation completed or was dropped.
    waiting: Vec<Option<Waiting>>,
}

impl<C, E> State<C, E> {
    fn new(config: Arc<ScriptConfig>, now: Time) -> Self {
        Self {
            config,
            now,
            inbox: BytesMut::new(),
            taken: 0,
            peer_ended: false,
            outbox: BytesMut::new(),
            outstanding: 0,
            write_side: WriteSide::Open,
            reset: false,
            events: VecDeque::new(),
            commands: VecDeque::new(),
            stopped: false,
            completed: 0,
            waiting: Vec::new(),
        }
    }

    pub(crate) fn inbox_limit(&self) -> usize {
        self.config.inbox.max(1)
    }

    pub(crate) fn unsent(&self) -> usize {
        self.outbox.len() + self.outstanding
    }

    /// Bytes that may be queued.
    pub(crate) fn room(&self) -> usize {
        self.config.outbox.max(1).saturating_sub(self.unsent())
    }

    /// Takes bytes from the front of the inbox, which has them.
    pub(crate) fn take(&mut self, n: usize) -> Bytes {
        self.taken += n as u64;
        self.note_moved(n);
        self.inbox.split_to(n).freeze()
    }

    /// What is moved is bounded by the inbox, the outbox and the queues: only what moves nothing can go on for ever.
    pub(crate) const fn note_moved(&mut self, n: usize) {
        if n > 0 {
            self.completed = 0;
        }
    }

    /// The operation at `place`, or a new one, waits.
    pub(crate) fn wait(&mut self, place: &mut Option<usize>, need: Need, waker: &Waker) {
        if let Some(waiting) = place.and_then(|place| self.waiting.get_mut(place)?.as_mut()) {
            waiting.need = Some(need);
            waiting.waker.clone_from(waker);
            return;
        }
        let waiting = Some(Waiting { need: Some(need), waker: waker.clone() });
        let free = self.waiting.iter().position(Option::is_none);
        match free {
            Some(free) => self.waiting[free] = waiting,
            None => self.waiting.push(waiting),
        }
        *place = Some(free.unwrap_or(self.waiting.len() - 1));
    }

    /// The operation at `place` waits no more. Its waker is to be dropped without the lock.
    #[must_use]
    pub(crate) fn leave(&mut self, place: usize) -> Option<Waker> {
        let waiting = self.waiting.get_mut(place).and_then(Option::take);
        waiting.map(|waiting| waiting.waker)
    }

    /// Wakes the operations whose need is met, each once.
    pub(crate) fn wake(&mut self, is_met: impl Fn(Need) -> bool) {
        for waiting in self.waiting.iter_mut().flatten() {
            if waiting.need.is_some_and(&is_met) {
                waiting.need = None;
                waiting.waker.wake_by_ref();
            }
        }
    }

    /// Wakes those that wait for bytes, and have them.
    pub(crate) fn wake_readers(&mut self) {
        let (held, ended) = (self.inbox.len(), self.peer_ended);
        self.wake(|need| matches!(need, Need::Bytes(wanted) if held >= wanted || ended));
    }

    pub(crate) fn needs(&self) -> impl Iterator<Item = Need> {
        self.waiting.iter().flatten().filter_map(|waiting| waiting.need)
    }

    /// When the first operation that waits for a point in time is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let times = self.needs().filter_map(|need| if let Need::At(at) = need { Some(at) } else { None });
        times.min()
    }
}
