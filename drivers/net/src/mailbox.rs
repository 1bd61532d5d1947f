//! The ways into a running session from any thread: stop, abort, and commands, bounded.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub use roundtrip_core::hub::{MAILBOX, SendError};

use crate::block_on;

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
    /// Tasks, and threads, that wait for room.
    waiting: Vec<Waker>,
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
        let state =
            State { commands: VecDeque::new(), stop: false, abort: false, open: true, waiting: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), capacity, bell });
        (Self(Arc::clone(&shared)), Control(shared))
    }

    /// Takes the next mail: an abort, a stop, or if `with_command` the oldest command.
    pub fn take(&self, with_command: bool) -> Option<Mail<C>> {
        let mut state = self.0.lock();
        if std::mem::take(&mut state.abort) {
            Some(Mail::Abort)
        } else if std::mem::take(&mut state.stop) {
            Some(Mail::Stop)
        } else if with_command {
            let command = state.commands.pop_front()?;
            Shared::wake_waiting(state);
            Some(Mail::Command(command))
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
        Shared::wake_waiting(state);
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

    /// Sends a command; it is delivered when the machine gives credit for it. Never waits.
    ///
    /// # Errors
    ///
    /// Hands the command back: [`SendError::Full`] if [`MAILBOX`] commands wait already, [`SendError::Gone`] if the session
    /// is gone.
    pub fn try_send(&self, command: C) -> Result<(), SendError<C>> {
        self.0.push(self.0.lock(), command)
    }

    /// Sends a command, and waits for room if there is none.
    ///
    /// Cancel safety: dropped before it is done, the future has sent nothing.
    ///
    /// # Errors
    ///
    /// [`SendError::Gone`] hands the command back if the session is gone.
    pub fn send(&self, command: C) -> impl Future<Output = Result<(), SendError<C>>> + '_ {
        let mut command = Some(command);
        poll_fn(move |cx| match command.take() {
            Some(given) => {
                self.poll_send(cx, given).map_err(|given| command = Some(given)).unwrap_or(Poll::Pending)
            }
            // As every future: polled again after its end, it never is ready.
            None => Poll::Pending,
        })
    }

    /// Sends a command, and blocks this thread while there is no room. A thread that drives the session itself would wait for
    /// ever.
    ///
    /// # Errors
    ///
    /// [`SendError::Gone`] hands the command back if the session is gone.
    pub fn send_blocking(&self, command: C) -> Result<(), SendError<C>> {
        block_on(self.send(command))
    }

    /// Hands the command back if there is no room, and has the task woken when there may be some.
    fn poll_send(&self, cx: &Context<'_>, command: C) -> Result<Poll<Result<(), SendError<C>>>, C> {
        let mut state = self.0.lock();
        if state.open && state.commands.len() >= self.0.capacity {
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            return Err(command);
        }
        Ok(Poll::Ready(self.0.push(state, command)))
    }
}

impl<C> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        // Nothing that can panic runs under this lock, so the state is whole even if a holder panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, mut state: MutexGuard<'_, State<C>>, command: C) -> Result<(), SendError<C>> {
        if !state.open {
            return Err(SendError::Gone(command));
        }
        if state.commands.len() >= self.capacity {
            return Err(SendError::Full(command));
        }
        state.commands.push_back(command);
        drop(state);
        self.bell.ring();
        Ok(())
    }

    /// All of them: one that was woken may have given up.
    fn wake_waiting(mut state: MutexGuard<'_, State<C>>) {
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
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

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.ring();
        }
    }

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
        control.try_send(1).unwrap();
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
        control.try_send(1).unwrap();
        control.try_send(2).unwrap();
        assert_eq!(control.try_send(3), Err(SendError::Full(3)));
        assert_eq!(mailbox.take(true), Some(Mail::Command(1)));
        control.try_send(3).unwrap();
    }

    #[test]
    fn a_session_that_is_gone_takes_nothing_and_rings_no_bell() {
        let (mailbox, control, bell) = mailbox();
        drop(mailbox);
        control.stop();
        control.abort();
        assert_eq!(control.try_send(1), Err(SendError::Gone(1)));
        assert_eq!(bell.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_send_waits_for_room_and_is_woken_by_it() {
        let (mailbox, control, _bell) = mailbox();
        control.try_send(1).unwrap();
        control.try_send(2).unwrap();
        let wakes = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let mut third = std::pin::pin!(control.send(3));
        assert!(third.as_mut().poll(&mut cx).is_pending() && third.as_mut().poll(&mut cx).is_pending());
        // One that is dropped has sent nothing.
        assert!(std::pin::pin!(control.send(4)).poll(&mut cx).is_pending());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        assert_eq!(mailbox.take(true), Some(Mail::Command(1)));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(third.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
        assert_eq!(mailbox.take(true), Some(Mail::Command(2)));
        assert_eq!(mailbox.take(true), Some(Mail::Command(3)));
        assert!(mailbox.is_empty());
    }

    #[test]
    fn a_send_to_a_session_that_ends_meanwhile_hands_the_command_back() {
        let (mailbox, control, _bell) = mailbox();
        control.try_send(1).unwrap();
        control.try_send(2).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let mut third = std::pin::pin!(control.send(3));
        assert!(third.as_mut().poll(&mut cx).is_pending());
        let blocked = std::thread::spawn({
            let control = control.clone();
            move || control.send_blocking(4)
        });
        drop(mailbox);
        assert_eq!(third.poll(&mut cx), Poll::Ready(Err(SendError::Gone(3))));
        assert_eq!(blocked.join().unwrap(), Err(SendError::Gone(4)));
    }

    #[test]
    fn threads_that_wait_for_room_all_get_it() {
        let (mailbox, control, _bell) = mailbox();
        let senders: Vec<_> = (0..10)
            .map(|number| {
                let control = control.clone();
                std::thread::spawn(move || control.send_blocking(number).unwrap())
            })
            .collect();
        let mut taken = Vec::new();
        while taken.len() < 10 {
            match mailbox.take(true) {
                Some(Mail::Command(command)) => taken.push(command),
                _ => std::thread::yield_now(),
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..10));
    }
}
