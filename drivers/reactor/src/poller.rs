//! Where a thread sleeps.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Waker};
use roundtrip_net::event_loop::{Rouse, Token, WAKE, Wake};

/// Events that one look may bring; what is more comes with the next.
const EVENTS: usize = 1024;

/// A thread's poller, and the way to wake it.
#[derive(Debug)]
pub(crate) struct Poller {
    poll: Poll,
    events: Events,
    wake: Arc<Wake>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let wake = Arc::new(Wake::new(Rouser(Waker::new(poll.registry(), mio(WAKE))?)));
        Ok(Self { poll, events: Events::with_capacity(EVENTS), wake })
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    pub(crate) const fn wake(&self) -> &Arc<Wake> {
        &self.wake
    }

    /// Waits until there are events, somebody rings, or `timeout` has passed; it is rounded up to milliseconds.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            // There are no events then.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            waited => waited,
        }
    }

    /// Whether the last wait brought anything.
    pub(crate) fn found(&self) -> bool {
        !self.events.is_empty()
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
