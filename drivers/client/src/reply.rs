//! A place for one result: a task or a thread waits for it, and is told when it cannot come any more.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The result to come.
pub(crate) struct Reply<T>(Arc<Slot<T>>);

/// Where the result is put. Dropped before that, the reply is none.
pub struct ReplySender<T>(Arc<Slot<T>>);

struct Slot<T>(Mutex<State<T>>);

struct State<T> {
    result: Option<T>,
    waker: Option<Waker>,
    /// The sender has sent, or is gone.
    is_over: bool,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, result: Option<T>) {
        let mut state = self.lock();
        if state.is_over {
            return;
        }
        state.result = result;
        state.is_over = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Reply<T> {
    /// The two ends.
    pub(crate) fn new() -> (ReplySender<T>, Self) {
        let state = State { result: None, waker: None, is_over: false };
        let slot = Arc::new(Slot(Mutex::new(state)));
        (ReplySender(Arc::clone(&slot)), Self(slot))
    }
}

impl<T> Future for Reply<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        if state.is_over {
            return Poll::Ready(state.result.take());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> ReplySender<T> {
    /// Puts the result.
    pub(crate) fn send(self, result: T) {
        self.0.end(Some(result));
    }
}

impl<T> Drop for ReplySender<T> {
    fn drop(&mut self) {
        self.0.end(None);
    }
}

impl<T> fmt::Debug for ReplySender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplySender").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundtrip_net::block_on;

    #[test]
    fn a_reply_comes_once_and_a_sender_that_is_dropped_is_none() {
        let (sender, reply) = Reply::new();
        sender.send(7);
        assert_eq!(block_on(reply), Some(7));
        let (sender, reply) = Reply::<u8>::new();
        let waiting = std::thread::spawn(|| block_on(reply));
        drop(sender);
        assert_eq!(waiting.join().unwrap(), None);
        let (sender, mut reply) = Reply::new();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut reply).poll(&mut cx).is_pending());
        sender.send(8);
        assert_eq!(Pin::new(&mut reply).poll(&mut cx), Poll::Ready(Some(8)));
    }
}
