//! The timer of one connection.

use std::task::Context;

use roundtrip_core::Time;

use crate::Timer;

/// A timer that is set when it must expire earlier than it would, and left alone otherwise.
///
/// The deadline of a busy connection moves with each message. Moving the timer as often would cost more than the one
/// early wake-up that it now causes for each time it was set.
#[derive(Debug)]
pub struct LazyTimer<T> {
    timer: T,
    /// When it expires, if it is set.
    at: Option<Time>,
}

impl<T: Timer> LazyTimer<T> {
    /// A timer that is not set.
    pub fn new() -> Self {
        Self { timer: T::new(), at: None }
    }

    /// Has the task woken at `deadline`, or before.
    pub fn wake_by(&mut self, cx: &mut Context<'_>, now: Time, deadline: Time) {
        if self.at.is_none_or(|at| at > deadline) {
            self.timer.set_after(deadline.since(now));
            self.at = Some(deadline);
        }
        if self.timer.poll_expired(cx).is_ready() {
            self.at = None;
            cx.waker().wake_by_ref();
        }
    }
}

impl<T: Timer> Default for LazyTimer<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Poll, Wake, Waker};
    use std::time::Duration;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Expired if it was set to expire at once.
    struct Fake(Duration);

    impl Timer for Fake {
        fn new() -> Self {
            Self(Duration::MAX)
        }

        fn set_after(&mut self, delay: Duration) {
            self.0 = delay;
        }

        fn poll_expired(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
            if self.0.is_zero() { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    const fn hour(hours: u64) -> Time {
        Time::from_nanos(hours * 3_600_000_000_000)
    }

    #[test]
    fn only_a_deadline_that_comes_earlier_moves_it() {
        let mut timer = LazyTimer::<Fake>::new();
        let mut wake_by = |now, deadline| {
            timer.wake_by(&mut Context::from_waker(Waker::noop()), now, deadline);
            timer.at
        };
        assert_eq!(wake_by(hour(0), hour(10)), Some(hour(10)));
        assert_eq!(wake_by(hour(1), hour(11)), Some(hour(10)));
        assert_eq!(wake_by(hour(2), hour(5)), Some(hour(5)));
    }

    #[test]
    fn once_it_has_expired_the_task_is_woken_and_it_is_set_anew() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut timer = LazyTimer::<Fake>::new();
        timer.wake_by(&mut Context::from_waker(&waker), hour(1), hour(1));
        assert_eq!((timer.at, wakes.0.load(Ordering::Relaxed)), (None, 1));
        timer.wake_by(&mut Context::from_waker(&waker), hour(1), hour(2));
        assert_eq!((timer.at, wakes.0.load(Ordering::Relaxed)), (Some(hour(2)), 1));
    }
}
