//! Clients that send 64-byte messages to the shipped echo server, one at a time, and verify what comes back. Shared by
//! the benchmark and the tests.

#![allow(clippy::inline_always, reason = "as the shipped machines are: what is counted is the simulator")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_sim::{Draw, Scenario, Setup};

/// Bytes of a message.
const MESSAGE: usize = 64;
/// What messages are cut from, each from another place, so that no two of the last two hundred are the same.
static TEXT: [u8; 1 << 14] = text();

/// Bytes that do not repeat soon.
const fn text() -> [u8; 1 << 14] {
    let mut text = [0; 1 << 14];
    let mut state = 1_u32;
    let mut at = 0;
    while at < text.len() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text[at] = (state >> 24) as u8;
        at += 1;
    }
    text
}

/// Sends a message, waits for all of it to come back, and sends the next; then half-closes and reads to the end.
#[derive(Debug)]
pub(crate) struct Pinger {
    left: u32,
    /// Where in the text the present message begins.
    from: usize,
    verified: u32,
    /// Bytes of the message that are not back.
    due: usize,
    writing: usize,
    shut: bool,
    over: Option<u32>,
}

impl Machine for Pinger {
    type Command = Infallible;
    type Event = Infallible;
    /// Messages that came back as they were sent; 0 if anything was wrong.
    type Outcome = u32;

    #[inline(always)]
    fn handle(&mut self, _now: Time, input: Input) {
        match input {
            Input::Data(bytes) => {
                let from = self.from + MESSAGE - self.due;
                if TEXT.get(from..from + bytes.len()) == Some(&*bytes) {
                    self.due -= bytes.len();
                    self.verified += u32::from(self.due == 0);
                } else {
                    self.over = Some(0);
                }
            }
            Input::Wrote(n) => self.writing -= n,
            Input::Eof => self.over = Some(if self.shut && self.due == 0 { self.verified } else { 0 }),
            Input::Stop => self.left = 0,
            Input::Abort | Input::Failed(_) => self.over = Some(0),
            Input::Command(never) => match never {},
        }
    }

    #[inline(always)]
    fn poll(&mut self, _now: Time) -> Action<Infallible, u32> {
        if let Some(outcome) = self.over {
            return Action::Close { how: Teardown::Graceful, outcome };
        }
        if self.due == 0 && self.writing == 0 && !self.shut {
            if self.left == 0 {
                self.shut = true;
                return Action::ShutdownWrite;
            }
            self.left -= 1;
            self.from = (self.from + MESSAGE) % (TEXT.len() - MESSAGE);
            self.due = MESSAGE;
            self.writing = MESSAGE;
            return Action::Write(Bytes::from_static(&TEXT[self.from..self.from + MESSAGE]));
        }
        Action::Wait(Wait { read: self.due.max(1), commands: 0, deadline: None })
    }
}

/// So many clients that send so many messages each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PingPong {
    pub(crate) clients: u32,
    pub(crate) messages: u32,
}

#[derive(Debug)]
pub(crate) struct Pingers {
    messages: u32,
}

/// Messages that came back as they were sent.
pub(crate) static VERIFIED: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(crate) struct Servers(Arc<ServerConfig>);

impl Hub for Pingers {
    type Session = Pinger;

    fn open(&mut self, _now: Time, id: ConnectionId) -> Pinger {
        // Each client begins at another place of the text.
        let from = usize::try_from(id.number()).unwrap_or(0) * 97 % TEXT.len();
        Pinger { left: self.messages, from, verified: 0, due: 0, writing: 0, shut: false, over: None }
    }

    fn closed(&mut self, _now: Time, _id: ConnectionId, verified: u32, _mail: &mut dyn Mail<Infallible>) {
        VERIFIED.fetch_add(u64::from(verified), Ordering::Relaxed);
    }
}

impl Hub for Servers {
    type Session = EchoServer;

    fn open(&mut self, now: Time, _id: ConnectionId) -> EchoServer {
        EchoServer::new(Arc::clone(&self.0), now)
    }
}

impl Scenario for PingPong {
    type Server = Servers;
    type Client = Pingers;

    fn name(&self) -> &'static str {
        "ping-pong"
    }

    fn build(&self, _draw: &mut Draw<'_>) -> (Setup, Pingers, Servers) {
        let setup = Setup::default()
            .clients(self.clients)
            // A calm run has no faults to heal from.
            .heal_at(Duration::from_secs(100_000))
            .max_events(u64::MAX);
        (setup, Pingers { messages: self.messages }, Servers(Arc::new(ServerConfig::default())))
    }
}
