//! The ways into a running session from any thread: stop, abort, and commands, bounded.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use roundtrip_core::hub::{MAILBOX, SendError};

/// Wakes the driver of a session from its sleep.
pub trait Bell: fmt::Debug + Send + Sync {
    /// Makes the driver look into its mailbox, now or the next time it would sleep.
    fn ring(&self);
}

/// The sending side: reaches one running session. Cheap to clone.
pub struct Control<C>(Arc<Shared<C>>);

/// The receiving side, which belongs to the driver of that session. Dropped, it closes the mailbox, so that
/// nobody posts to a connection that is gone.
pub struct Mailbox<C>(Arc<Shared<C>>);

struct Shared<C> {
    state: Mutex<State<C>>,
    capacity: usize,
    bell: Arc<dyn Bell>,
}

struct State<C> {
    commands: VecDeque<C>,
    stop: bool,
    abort: bool,
    open: bool,
}

/// What a driver found in its mailbox.
#[derive(Debug, PartialEq, Eq)]
pub enum Mail<C> {
    /// Abort the session; given once, before all else.
    Abort,
    /// Stop the session; given once, before any command.
    Stop,
    /// The oldest command.
    Command(C),
}

impl<C> Mailbox<C> {
    /// A mailbox for at most `capacity` commands, and the way to reach it.
    pub fn new(capacity: usize, bell: Arc<dyn Bell>) -> (Self, Control<C>) {
        let state = State { commands: VecDeque::new(), stop: false, abort: false, open: true };
        let shared = Arc::new(Shared { state: Mutex::new(state), capacity, bell });
        (Self(Arc::clone(&shared)), Control(shared))
    }

    /// Takes the next mail; commands stay where they are while they are not welcome.
    pub fn take(&self, commands_welcome: bool) -> Option<Mail<C>> {
        let mut state = self.0.lock();
        if std::mem::take(&mut state.abort) {
            Some(Mail::Abort)
        } else if std::mem::take(&mut state.stop) {
            Some(Mail::Stop)
        } else if commands_welcome {
            state.commands.pop_front().map(Mail::Command)
        } else {
            None
        }
    }

    /// Whether anything waits, welcome or not.
    pub fn is_empty(&self) -> bool {
        let state = self.0.lock();
        !state.abort && !state.stop && state.commands.is_empty()
    }
}

impl<C> Drop for Mailbox<C> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open = false;
        let unread = std::mem::take(&mut state.commands);
        drop(state);
        // Dropped outside the lock: a command may hold a `Control` of its own.
        drop(unread);
    }
}

impl<C> Control<C> {
    /// Asks the session to finish gracefully. Does nothing once it is gone.
    pub fn stop(&self) {
        self.0.tell(|state| state.stop = true);
    }

    /// Asks the session to end now. Does nothing once it is gone.
    pub fn abort(&self) {
        self.0.tell(|state| state.abort = true);
    }

    /// Posts a command; it is delivered when the machine gives credit for it. Never blocks.
    ///
    /// # Errors
    ///
    /// [`SendError`] hands the command back if the mailbox is full or the session gone.
    pub fn post(&self, command: C) -> Result<(), SendError<C>> {
        let mut state = self.0.lock();
        if !state.open {
            return Err(SendError::Gone(command));
        }
        if state.commands.len() >= self.0.capacity {
            return Err(SendError::Full(command));
        }
        state.commands.push_back(command);
        drop(state);
        self.0.bell.ring();
        Ok(())
    }
}

impl<C> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        // Nothing that can panic runs under this lock, so the state is whole even if a holder panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: impl FnOnce(&mut State<C>)) {
        let mut state = self.lock();
        if state.open {
            what(&mut state);
            drop(state);
            self.bell.ring();
        }
    }
}

impl<C> Clone for Control<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Control<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("open", &self.0.lock().open).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Mailbox<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("commands", &self.0.lock().commands.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A bell that counts how often it was rung.
    #[derive(Debug, Default)]
    pub(crate) struct Count(pub(crate) AtomicUsize);

    impl Bell for Count {
        fn ring(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn mailbox() -> (Mailbox<u8>, Control<u8>, Arc<Count>) {
        let bell = Arc::new(Count::default());
        let (mailbox, control) = Mailbox::new(2, bell.clone());
        (mailbox, control, bell)
    }

    #[test]
    fn abort_comes_before_stop_before_commands() {
        let (mailbox, control, bell) = mailbox();
        assert!(mailbox.is_empty());
        control.post(1).unwrap();
        control.stop();
        control.abort();
        assert_eq!(mailbox.take(true), Some(Mail::Abort));
        assert_eq!(mailbox.take(true), Some(Mail::Stop));
        assert_eq!(mailbox.take(false), None);
        assert!(!mailbox.is_empty());
        assert_eq!(mailbox.take(true), Some(Mail::Command(1)));
        assert!(mailbox.is_empty());
        assert_eq!(bell.0.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_full_mailbox_hands_the_command_back() {
        let (mailbox, control, _bell) = mailbox();
        control.post(1).unwrap();
        control.post(2).unwrap();
        assert_eq!(control.post(3), Err(SendError::Full(3)));
        assert_eq!(mailbox.take(true), Some(Mail::Command(1)));
        control.post(3).unwrap();
    }

    #[test]
    fn a_session_that_is_gone_takes_nothing_and_rings_no_bell() {
        let (mailbox, control, bell) = mailbox();
        drop(mailbox);
        control.stop();
        control.abort();
        assert_eq!(control.post(1), Err(SendError::Gone(1)));
        assert_eq!(bell.0.load(Ordering::Relaxed), 0);
    }
}
