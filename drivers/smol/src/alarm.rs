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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const fn hour(hours: u64) -> Time {
        Time::from_nanos(hours * 3_600_000_000_000)
    }

    #[test]
    fn only_a_deadline_that_comes_earlier_moves_it() {
        let mut alarm = Alarm::new();
        let mut wake_by = |now, deadline| {
            alarm.wake_by(&mut Context::from_waker(Waker::noop()), now, deadline);
            alarm.at
        };
        assert_eq!(wake_by(hour(0), hour(10)), Some(hour(10)));
        assert_eq!(wake_by(hour(1), hour(11)), Some(hour(10)));
        assert_eq!(wake_by(hour(2), hour(5)), Some(hour(5)));
    }

    #[test]
    fn once_it_has_rung_the_task_is_woken_and_it_is_set_anew() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut alarm = Alarm::new();
        alarm.wake_by(&mut Context::from_waker(&waker), hour(1), hour(1));
        assert_eq!((alarm.at, wakes.0.load(Ordering::Relaxed)), (None, 1));
        alarm.wake_by(&mut Context::from_waker(&waker), hour(1), hour(2));
        assert_eq!((alarm.at, wakes.0.load(Ordering::Relaxed)), (Some(hour(2)), 1));
    }
}
