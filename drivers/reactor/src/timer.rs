//! A timer that is more exact than the poller's own: `epoll_wait(2)` rounds up to milliseconds.

use std::io;
use std::time::Duration;

use mio::Registry;

#[cfg(target_os = "linux")]
use crate::poller::TIMER;

/// From this on a millisecond is no matter, and a timer's call is saved.
#[cfg(target_os = "linux")]
const COARSE: Duration = Duration::from_secs(1);

#[cfg(target_os = "linux")]
mod system {
    use std::os::fd::{AsRawFd, OwnedFd};

    use mio::Interest;
    use mio::unix::SourceFd;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    use super::{COARSE, Duration, Registry, TIMER, io};
    use crate::poller::mio;

    /// A descriptor that turns readable when the time is up: `timerfd_create(2)`.
    #[derive(Debug)]
    pub(crate) struct Timer(OwnedFd);

    impl Timer {
        pub(crate) fn new(registry: &Registry) -> io::Result<Self> {
            let fd =
                timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
            registry.register(&mut SourceFd(&fd.as_raw_fd()), mio(TIMER), Interest::READABLE)?;
            Ok(Self(fd))
        }

        /// Has the poller wake after `timeout`; how long it may sleep by its own timer.
        pub(crate) fn arm(&self, timeout: Duration) -> Duration {
            if timeout >= COARSE {
                // It looks once more in between, and sleeps the rest exactly.
                return timeout.saturating_sub(COARSE / 2);
            }
            let zero = Timespec::default();
            // Where the timer fails, the poller's own is late by less than a millisecond.
            if let (false, Ok(it_value)) = (timeout.is_zero(), Timespec::try_from(timeout)) {
                let once = Itimerspec { it_interval: zero, it_value };
                let _ = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once);
            }
            timeout
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{Duration, Registry, io};

    /// kqueue(2) counts nanoseconds.
    #[derive(Debug)]
    pub(crate) struct Timer;

    impl Timer {
        pub(crate) fn new(_registry: &Registry) -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn arm(&self, timeout: Duration) -> Duration {
            timeout
        }
    }
}

pub(crate) use system::Timer;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use mio::{Events, Poll};

    /// Without it this would sleep for an hour.
    #[test]
    fn it_wakes_a_poller_that_sleeps_without_an_end_each_time() {
        let mut poll = Poll::new().unwrap();
        let timer = Timer::new(poll.registry()).unwrap();
        let mut events = Events::with_capacity(1);
        for _ in 0..3 {
            let own = timer.arm(Duration::from_micros(100));
            assert_eq!(own, Duration::from_micros(100));
            poll.poll(&mut events, Some(Duration::from_secs(3600))).unwrap();
            let woken: Vec<_> = events.iter().map(|event| event.token().0).collect();
            assert_eq!(woken, [TIMER.0]);
        }
        assert_eq!(timer.arm(Duration::from_secs(3)), Duration::from_millis(2500));
    }
}
