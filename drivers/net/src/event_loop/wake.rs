//! Waking a thread, and telling it for what.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Token;
use crate::Bell;

/// For pollers that need a key for the wake-up itself: never among what [`Wake::hear`] gives. No slot has this token, nor the next
/// two.
pub const WAKE: Token = Token(usize::MAX);
/// The listeners, and the bell of a [`ServerApp`](super::ServerApp): call [`Acceptor::obey`](super::Acceptor::obey).
pub const LISTENER: Token = Token(usize::MAX - 1);
/// Connections were handed over, or no more come: call [`HandoffQueue::take`](super::HandoffQueue::take).
pub const HANDOFF: Token = Token(usize::MAX - 2);
/// A bell that was rung before anybody was to hear it.
const NOBODY: usize = usize::MAX - 3;

/// The thread looks for what was rung before it sleeps.
const AWAKE: u8 = 0;
/// It takes a call to the system to be heard.
const ASLEEP: u8 = 1;
/// Something was rung that the thread has not heard of.
const RUNG: u8 = 2;

/// Ends the sleep of a thread, or the next one it falls into: what a poller calls `notify` or `wake`.
pub trait Rouse: fmt::Debug + Send + Sync {
    /// Ends it.
    fn rouse(&self);
}

/// The way to a thread that sleeps. A thread that nobody rings for takes no lock.
#[derive(Debug)]
pub struct Wake {
    state: AtomicU8,
    /// What was rung. It is written before the state says so.
    rung: Mutex<Vec<Token>>,
    rouse: Box<dyn Rouse>,
}

impl Wake {
    /// The way to the thread whose sleep this ends.
    pub fn new(rouse: impl Rouse + 'static) -> Self {
        Self { state: AtomicU8::new(AWAKE), rung: Mutex::default(), rouse: Box::new(rouse) }
    }

    /// Has the thread look at what this token names.
    pub fn ring(&self, token: Token) {
        self.lock().push(token);
        self.tell();
    }

    /// Says that something was rung.
    fn tell(&self) {
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            self.rouse.rouse();
        }
    }

    /// Whether something was rung that was not heard.
    pub fn is_rung(&self) -> bool {
        self.state.load(Ordering::Acquire) == RUNG
    }

    /// Whether the thread may sleep: nothing was rung, and from here on whoever rings wakes it.
    pub fn may_sleep(&self) -> bool {
        let slept = self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        slept != Err(RUNG)
    }

    /// The thread is awake: what was rung goes into `rung`, which is empty.
    pub fn hear(&self, rung: &mut Vec<Token>) {
        // The state first: what is rung after this look is rung for the next one.
        let state = self.state.load(Ordering::Acquire);
        if state != AWAKE && self.state.swap(AWAKE, Ordering::AcqRel) == RUNG {
            std::mem::swap(&mut *self.lock(), rung);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Token>> {
        // Nothing that can panic runs under this lock.
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bell of one connection. However often it is rung, its thread hears of it once.
#[derive(Debug)]
pub struct Ring {
    wake: Arc<Wake>,
    /// Rung and not heard yet.
    rung: AtomicBool,
    /// Written under the lock of `wake`, read under it.
    token: AtomicUsize,
}

impl Ring {
    /// A bell in this thread, that nobody hears yet.
    pub const fn new(wake: Arc<Wake>) -> Self {
        Self { wake, rung: AtomicBool::new(false), token: AtomicUsize::new(NOBODY) }
    }

    /// The bell of `token`, from here on. True if it was rung before: then look into the mailbox now, for that ring is not told
    /// again.
    #[must_use = "a ring from before is not told again"]
    pub fn belongs_to(&self, token: Token) -> bool {
        let _rung = self.wake.lock();
        self.token.store(token.0, Ordering::Relaxed);
        self.hear()
    }

    /// It can be rung again. True if it was rung since it was last heard. Look for mail *afterwards*.
    pub fn hear(&self) -> bool {
        self.rung.swap(false, Ordering::AcqRel)
    }
}

impl Bell for Ring {
    fn ring(&self) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut rung = self.wake.lock();
        let token = self.token.load(Ordering::Relaxed);
        if token != NOBODY {
            rung.push(Token(token));
            drop(rung);
            self.wake.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts how often it was roused.
    #[derive(Clone, Debug, Default)]
    struct Sleeper(Arc<AtomicUsize>);

    impl Rouse for Sleeper {
        fn rouse(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Sleeper {
        fn roused(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn wake() -> (Sleeper, Arc<Wake>) {
        let sleeper = Sleeper::default();
        let wake = Arc::new(Wake::new(sleeper.clone()));
        (sleeper, wake)
    }

    #[test]
    fn a_bell_that_rings_often_is_heard_once_until_it_is_heard() {
        let (_sleeper, wake) = wake();
        let ring = Ring::new(Arc::clone(&wake));
        assert!(!ring.belongs_to(Token(7)));
        let mut rung = Vec::new();
        for _ in 0..2 {
            ring.ring();
            ring.ring();
            rung.clear();
            wake.hear(&mut rung);
            assert_eq!(rung, [Token(7)]);
            assert!(ring.hear());
        }
    }

    #[test]
    fn a_bell_that_rang_before_it_belonged_to_anybody_is_not_forgotten() {
        let (_sleeper, wake) = wake();
        let ring = Ring::new(Arc::clone(&wake));
        ring.ring();
        assert!(wake.may_sleep(), "there is nobody to be told");
        assert!(ring.belongs_to(Token(7)));
        ring.ring();
        assert!(!wake.may_sleep());
    }

    #[test]
    fn a_thread_that_sleeps_is_woken_and_one_that_does_not_is_not() {
        let (sleeper, wake) = wake();
        wake.ring(HANDOFF);
        assert!(!wake.may_sleep());
        assert_eq!(sleeper.roused(), 0);
        wake.hear(&mut Vec::new());
        assert!(wake.may_sleep());
        wake.ring(HANDOFF);
        assert_eq!(sleeper.roused(), 1);
    }
}
