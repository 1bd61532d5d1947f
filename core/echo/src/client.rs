//! The client's session: send a payload, half-close, and verify every byte that comes back.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::time::Duration;

use super::bounds::Bounded;
use super::config::ClientConfig;
use super::payload::Payload;
use super::verifier::Verifier;
use super::verifying_client::{ClientOutcome, Next, SendPolicy, VerifyingClient};
use roundtrip_core::{Action, Input, Machine, Time};

/// One echo session of a client, with at most `window` bytes sent and not yet echoed.
///
/// At the first wrong byte it stops sending, half-closes, and reads on only until the kind of the fault is
/// clear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EchoClient(VerifyingClient<Window>);

impl EchoClient {
    /// A session that begins at `now`.
    pub fn new(config: Arc<ClientConfig>, payload: Payload, now: Time) -> Self {
        Self(VerifyingClient::new(Window::new(config.bounded(), &payload), payload, now))
    }

    /// Bytes that the transport took so far.
    pub const fn sent(&self) -> u64 {
        self.0.sent()
    }

    /// Bytes that came back so far.
    pub const fn received(&self) -> u64 {
        self.0.received()
    }
}

impl Machine for EchoClient {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ClientOutcome;

    fn handle(&mut self, now: Time, input: Input) {
        self.0.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> Action<Infallible, ClientOutcome> {
        self.0.poll(now)
    }
}

/// Sends whenever the window allows it, but for one pause.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Window {
    config: Arc<ClientConfig>,
    pause: Pause,
    /// Until when nothing is read, from the first write on.
    stall: Option<Time>,
    /// Since when the last bytes are waited for.
    tail: Option<Time>,
}

/// Where a session stands with the pause that it makes half-way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pause {
    /// To begin when so many bytes are sent and back.
    Due(u64),
    /// Since then.
    Since(Time, Duration),
    /// Over, or never wanted.
    Over,
}

impl Window {
    fn new(config: Arc<ClientConfig>, payload: &Payload) -> Self {
        let half = payload.len().div_ceil(2);
        let pause = if config.pause.is_some() { Pause::Due(half) } else { Pause::Over };
        Self { config, pause, stall: None, tail: None }
    }

    /// When the pause ends, if there is one now.
    fn pause(&mut self, now: Time, verifier: &Verifier) -> Option<Time> {
        if let (Pause::Due(half), Some(length)) = (self.pause, self.config.pause)
            && verifier.sent() == half
            && verifier.in_flight() == 0
        {
            self.pause = Pause::Since(now, length);
        }
        let Pause::Since(began, length) = self.pause else { return None };
        let until = began.after(length);
        if until <= now {
            self.pause = Pause::Over;
            return None;
        }
        Some(until)
    }

    /// All is sent; the last bytes may be waited for.
    fn end(&mut self, now: Time, verifier: &Verifier) -> Next {
        match self.config.tail_wait {
            Some(wait) if verifier.in_flight() > 0 => {
                let until = self.tail.get_or_insert(now).after(wait);
                if until <= now { Next::Done } else { Next::Nothing(Some(until)) }
            }
            _ => Next::Done,
        }
    }
}

impl SendPolicy for Window {
    type Event = Infallible;

    fn chunk(&self) -> usize {
        self.config.chunk
    }

    fn timeout(&self) -> Option<Duration> {
        self.config.timeout
    }

    fn half_close(&self) -> bool {
        self.config.half_close
    }

    fn stall(&self) -> Option<Time> {
        self.stall
    }

    fn paused_since(&self) -> Option<Time> {
        match self.pause {
            Pause::Since(began, _) => Some(began),
            Pause::Due(_) | Pause::Over => None,
        }
    }

    /// It waits for a quarter of the window to be free (RFC 9293 section 3.8.6.2.1 does so for half), or a
    /// peer that echoes single bytes would be sent single bytes; for less only if no write is that large.
    fn next(&mut self, now: Time, verifier: &Verifier) -> Next {
        if let Some(until) = self.pause(now, verifier) {
            return Next::Nothing(Some(until));
        }
        let left = match self.pause {
            Pause::Due(half) => {
                verifier.left().min(usize::try_from(half - verifier.sent()).unwrap_or(usize::MAX))
            }
            Pause::Since(..) | Pause::Over if verifier.left() == 0 => return self.end(now, verifier),
            Pause::Since(..) | Pause::Over => verifier.left(),
        };
        let ClientConfig { window, write, .. } = *self.config;
        let room = window.saturating_sub(verifier.in_flight());
        if left == 0 || room < left.min(window.div_ceil(4)).min(write) {
            return Next::Nothing(None);
        }
        if verifier.sent() == 0 {
            self.stall = self.config.stall.map(|stall| now.after(stall));
        }
        Next::Send(room.min(left).min(write))
    }

    fn is_done(&self, verifier: &Verifier) -> bool {
        verifier.left() == 0
    }

    fn waits_for_tail(&self) -> bool {
        self.tail.is_some()
    }

    fn back(&mut self, now: Time, _received: u64) {
        if let Some(since) = &mut self.tail {
            *since = now;
        }
    }

    fn event(&mut self) -> Option<Infallible> {
        None
    }
}
