//! Waking one future from any thread.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use roundtrip_net::Bell;

/// Wakes one future when it is rung, and stays rung until it is heard.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell for Ring {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Ring {
    /// Whether it rang since it was last heard. Whoever hears looks for mail *afterwards*.
    pub(crate) fn hear(&self) -> bool {
        self.rung.load(Ordering::Acquire) && self.rung.swap(false, Ordering::AcqRel)
    }

    /// Whether it rang, and if not, has the task woken when it does.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        // Only now: it may have rung between the last look and the registration.
        self.hear()
    }

    /// Waits until it rings.
    pub(crate) async fn heard(&self) {
        poll_fn(|cx| if self.poll(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}
