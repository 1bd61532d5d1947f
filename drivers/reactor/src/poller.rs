//! Where a thread sleeps.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Waker};
use roundtrip_net::event_loop::{Rouse, Token, WAKE, Wake};

use crate::timer::Timer;

/// Events that one look may bring; what is more comes with the next.
const EVENTS: usize = 1024;

/// The time is up, which says nothing: deadlines are looked at after each wait. No slot has such a token. Only Linux has a timer
/// that tells.
pub(crate) const TIMER: Token = Token(usize::MAX - 4);

/// A thread's poller, and the way to wake it.
#[derive(Debug)]
pub(crate) struct Poller {
    poll: Poll,
    events: Events,
    wake: Arc<Wake>,
    timer: Timer,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let wake = Arc::new(Wake::new(Rouser(Waker::new(poll.registry(), mio(WAKE))?)));
        let timer = Timer::new(poll.registry())?;
        Ok(Self { poll, events: Events::with_capacity(EVENTS), wake, timer })
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    pub(crate) const fn wake(&self) -> &Arc<Wake> {
        &self.wake
    }

    /// Waits until there are events, somebody rings, or `timeout` has passed, or half a second less if it is a second or more.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| self.timer.arm(timeout));
        match self.poll.poll(&mut self.events, timeout) {
            // There are no events then.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            waited => waited,
        }
    }

    /// Whether the last wait brought anything but the news that the time is up.
    pub(crate) fn found(&self) -> bool {
        self.events().any(|event| token(event) != TIMER)
    }

    /// What the last wait brought.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// The same, to be [given back](Self::give_back) before the next wait: whoever goes through it may use the poller.
    pub(crate) fn take_events(&mut self) -> Events {
        std::mem::replace(&mut self.events, Events::with_capacity(0))
    }

    pub(crate) fn give_back(&mut self, events: Events) {
        self.events = events;
    }
}

/// What the poller calls a token.
pub(crate) const fn mio(token: Token) -> mio::Token {
    mio::Token(token.0)
}

/// What an event is for.
pub(crate) fn token(event: &Event) -> Token {
    Token(event.token().0)
}

#[derive(Debug)]
struct Rouser(Waker);

impl Rouse for Rouser {
    fn rouse(&self) {
        // It fails for no descriptor that is open.
        let _ = self.0.wake();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use mio::unix::SourceFd;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    /// The poller's own timer would let it sleep for a whole millisecond, and bring no event.
    #[test]
    fn a_sleep_of_microseconds_is_ended_by_the_exact_timer() {
        let mut poller = Poller::new().unwrap();
        for _ in 0..3 {
            poller.wait(Some(Duration::from_micros(50))).unwrap();
            assert_eq!(poller.events().map(token).collect::<Vec<_>>(), [TIMER]);
            assert!(!poller.found(), "a thread that spins has found nothing");
        }
        poller.wait(Some(Duration::ZERO)).unwrap();
        assert!(!poller.found());
        let (read, mut write) = UnixStream::pair().unwrap();
        let interest = mio::Interest::READABLE;
        poller.registry().register(&mut SourceFd(&read.as_raw_fd()), mio(Token(0)), interest).unwrap();
        write.write_all(b"x").unwrap();
        poller.wait(Some(Duration::ZERO)).unwrap();
        assert!(poller.found());
    }
}
