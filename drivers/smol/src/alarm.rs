//! The timer of one connection.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use async_io::Timer;
use roundtrip_core::Time;

/// A timer that is set when it must ring earlier than it would, and left alone otherwise.
///
/// The deadline of a busy connection moves with each message. Moving the timer as often would cost more than the one
/// ring in vain that it now gives for each time it was set.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: Timer,
    /// When it rings, if it is set.
    at: Option<Time>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self { timer: Timer::never(), at: None }
    }

    /// Has the task woken at `deadline`, or before.
    pub(crate) fn wake_by(&mut self, cx: &mut Context<'_>, now: Time, deadline: Time) {
        if self.at.is_none_or(|at| at > deadline) {
            self.timer.set_after(deadline.since(now));
            self.at = Some(deadline);
        }
        if Pin::new(&mut self.timer).poll(cx).is_ready() {
            self.at = None;
            cx.waker().wake_by_ref();
        }
    }
}
