//! The client's session: send a payload, half-close, and verify every byte that comes back.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::time::Duration;

use super::config::ClientConfig;
use super::payload::Payload;
use super::session::{ClientOutcome, Next, Pace, Session};
use super::verifier::Verifier;
use crate::{Action, Input, Machine, Misuse, Time};

/// One echo session of a client, with at most `window` bytes sent and not yet echoed.
///
/// At the first wrong byte it stops sending, half-closes, and reads on only until the kind of the fault is
/// clear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EchoClient(Session<Window>);

impl EchoClient {
    /// A session that begins at `now`.
    pub fn new(config: Arc<ClientConfig>, payload: Payload, now: Time) -> Self {
        Self(Session::new(Window(config), payload, now))
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

    fn handle(&mut self, now: Time, input: Input) -> Result<(), Misuse> {
        self.0.handle(now, input)
    }

    fn poll(&mut self, now: Time) -> Action<Infallible, ClientOutcome> {
        self.0.poll(now)
    }
}

/// Sends whenever the window allows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Window(Arc<ClientConfig>);

impl Pace for Window {
    type Event = Infallible;

    fn chunk(&self) -> usize {
        self.0.chunk
    }

    fn timeout(&self) -> Option<Duration> {
        self.0.timeout
    }

    fn half_close(&self) -> bool {
        self.0.half_close
    }

    /// It waits for a quarter of the window to be free (RFC 9293 section 3.8.6.2.1 does so for half), or a
    /// peer that echoes single bytes would be sent single bytes.
    fn next(&mut self, _now: Time, verifier: &Verifier) -> Next {
        let left = verifier.left();
        let room = self.0.window.saturating_sub(verifier.in_flight());
        if left == 0 {
            Next::Done
        } else if room < left.min(self.0.window.div_ceil(4)) {
            Next::Nothing(None)
        } else {
            Next::Send(room.min(left))
        }
    }

    fn is_done(&self, verifier: &Verifier) -> bool {
        verifier.left() == 0
    }

    fn back(&mut self, _now: Time, _received: u64) {}

    fn event(&mut self) -> Option<Infallible> {
        None
    }
}
