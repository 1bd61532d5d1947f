//! Waking one future from any thread.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use roundtrip_net::Bell;

/// Wakes the task that polls it. A notification stays until it is taken.
#[derive(Debug, Default)]
pub struct Notifier {
    notified: AtomicBool,
    waker: AtomicWaker,
}

impl Bell for Notifier {
    fn ring(&self) {
        self.notified.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Notifier {
    /// Takes the notification, if there is one. The caller looks for mail, and for room in its sink, *afterwards*.
    pub fn take(&self) -> bool {
        self.notified.load(Ordering::Acquire) && self.notified.swap(false, Ordering::AcqRel)
    }

    /// Takes the notification, or has the task woken when there is one.
    pub fn poll_take(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        // Only now: a notification may have come between the last look and the registration.
        self.take()
    }

    /// Waits for a notification, and takes it.
    pub async fn notified(&self) {
        poll_fn(|cx| if self.poll_take(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}
