//! Where the events of one session go: to a callback, or into a bounded channel whose receiver holds the session back.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::{Bell, block_on};

/// Where the events of one session go.
pub trait EventSink<E> {
    /// The session begins: `bell` is rung whenever there is room again.
    fn attach(&mut self, bell: Arc<dyn Bell>) {
        let _ = bell;
    }

    /// Whether it takes an event. While it does not, the session is neither read for nor polled; an abort ends it all the same.
    fn has_room(&self) -> bool {
        true
    }

    /// Takes an event, for which there is room.
    fn send(&mut self, event: E);
}

/// Calls a function for each event: there is always room.
#[derive(Clone, Copy, Debug)]
pub struct Callback<F>(pub F);

impl<E, F: FnMut(E)> EventSink<E> for Callback<F> {
    fn send(&mut self, event: E) {
        (self.0)(event);
    }
}

/// A bounded channel of events: `capacity` of them wait at most, at least 1. While it is full its session is not read for, so that
/// an application that falls behind holds back the peer. Once the receiver is dropped, events are dropped.
pub fn event_channel<E>(capacity: usize) -> (EventSender<E>, EventReceiver<E>) {
    let state = State { events: VecDeque::new(), bell: None, waker: None, receiver: true, sender: true };
    let shared = Shared { state: Mutex::new(state), capacity: capacity.max(1) };
    let shared = Arc::new(shared);
    (EventSender(Arc::clone(&shared)), EventReceiver(shared))
}

/// The end of an [`event_channel`] that a session is given.
pub struct EventSender<E>(Arc<Shared<E>>);

/// The end of an [`event_channel`] that the application keeps.
pub struct EventReceiver<E>(Arc<Shared<E>>);

struct Shared<E> {
    state: Mutex<State<E>>,
    capacity: usize,
}

struct State<E> {
    events: VecDeque<E>,
    bell: Option<Arc<dyn Bell>>,
    /// Wakes the task, or the thread, that receives.
    waker: Option<Waker>,
    receiver: bool,
    sender: bool,
}

impl<E> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_receiver(mut state: MutexGuard<'_, State<E>>) {
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes an event. If that made room, the session is told.
    fn pop(&self, mut state: MutexGuard<'_, State<E>>) -> Option<E> {
        let event = state.events.pop_front();
        let was_full = event.is_some() && state.events.len() + 1 == self.capacity;
        let bell = if was_full { state.bell.clone() } else { None };
        drop(state);
        if let Some(bell) = bell {
            bell.ring();
        }
        event
    }
}

impl<E> EventSink<E> for EventSender<E> {
    fn attach(&mut self, bell: Arc<dyn Bell>) {
        self.0.lock().bell = Some(bell);
    }

    fn has_room(&self) -> bool {
        let state = self.0.lock();
        state.events.len() < self.0.capacity || !state.receiver
    }

    fn send(&mut self, event: E) {
        let mut state = self.0.lock();
        if !state.receiver {
            // Dropped outside the lock: an event may do anything when it is dropped.
            drop(state);
            drop(event);
            return;
        }
        state.events.push_back(event);
        Shared::wake_receiver(state);
    }
}

impl<E> EventReceiver<E> {
    /// Waits for the next event; none once the session is over and all its events were received.
    ///
    /// Cancel safety: dropped before it is done, the future has received nothing.
    pub fn recv(&mut self) -> impl Future<Output = Option<E>> + '_ {
        poll_fn(|cx| self.poll_recv(cx))
    }

    /// As [`recv`](Self::recv), polled.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<E>> {
        let mut state = self.0.lock();
        if state.events.is_empty() && state.sender {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(self.0.pop(state))
    }

    /// The next event, if there is one.
    pub fn try_recv(&mut self) -> Option<E> {
        self.0.pop(self.0.lock())
    }

    /// Blocks this thread until the next event; none once the session is over and all its events were received.
    pub fn recv_blocking(&mut self) -> Option<E> {
        block_on(self.recv())
    }
}

impl<E> Drop for EventSender<E> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.sender = false;
        Shared::wake_receiver(state);
    }
}

impl<E> Drop for EventReceiver<E> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.receiver = false;
        let (events, bell) = (std::mem::take(&mut state.events), state.bell.take());
        drop(state);
        drop(events);
        // A session that waited for room goes on.
        if let Some(bell) = bell {
            bell.ring();
        }
    }
}

impl<E> fmt::Debug for EventSender<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSender").field("waiting", &self.0.lock().events.len()).finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for EventReceiver<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventReceiver").field("waiting", &self.0.lock().events.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::tests::Count;
    use std::sync::atomic::Ordering;

    #[test]
    fn room_that_was_made_rings_the_bell_once() {
        let (mut sender, mut receiver) = event_channel(2);
        let bell = Arc::new(Count::default());
        sender.attach(bell.clone());
        let rung = || bell.0.load(Ordering::Relaxed);
        sender.send(1);
        assert!(sender.has_room());
        assert_eq!((receiver.try_recv(), rung()), (Some(1), 0));
        sender.send(2);
        sender.send(3);
        assert!(!sender.has_room());
        assert_eq!((receiver.try_recv(), rung()), (Some(2), 1));
        assert_eq!((receiver.try_recv(), rung()), (Some(3), 1));
        assert_eq!(receiver.try_recv(), None);
    }

    #[test]
    fn a_receiver_that_is_dropped_holds_nothing_back() {
        let (mut sender, receiver) = event_channel(1);
        let bell = Arc::new(Count::default());
        sender.attach(bell.clone());
        sender.send(1);
        assert!(!sender.has_room());
        drop(receiver);
        assert!(sender.has_room());
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
        sender.send(2);
        assert!(sender.has_room());
    }

    #[test]
    fn what_was_sent_before_the_end_is_received_first() {
        let (mut sender, mut receiver) = event_channel(2);
        let wakes = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        assert!(receiver.poll_recv(&mut cx).is_pending());
        sender.send(1);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        drop(sender);
        assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(1)));
        assert_eq!((receiver.poll_recv(&mut cx), receiver.recv_blocking()), (Poll::Ready(None), None));
    }

    #[test]
    fn a_thread_that_waits_is_woken_by_an_event_and_by_the_end() {
        let (mut sender, mut receiver) = event_channel(1);
        let received = std::thread::spawn(move || (receiver.recv_blocking(), receiver.recv_blocking()));
        while !sender.has_room() {
            std::thread::yield_now();
        }
        sender.send(1);
        drop(sender);
        assert_eq!(received.join().unwrap(), (Some(1), None));
    }
}
