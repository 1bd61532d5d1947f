//! A client, and a path to an echo and back that plants one fault.

use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::{Driven, Failure, Step, Time};
use roundtrip_echo::{ClientConfig, ClientOutcome, EchoClient, Payload};

use super::fault::Planted;

/// How long after the client's half-close the stream ends.
pub(crate) const PAUSE: Duration = Duration::from_nanos(5);

/// How the stream ends when all has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Fin,
    Reset,
    Truncated,
    Io,
    /// It does not.
    Silence,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) seed: u64,
    pub(crate) len: usize,
    pub(crate) window: usize,
    pub(crate) chunk: usize,
    /// Largest read.
    pub(crate) slice: usize,
    pub(crate) ending: Ending,
}

impl Default for Path {
    fn default() -> Self {
        Self { seed: 0, len: 0, window: 1, chunk: 1, slice: usize::MAX, ending: Ending::Fin }
    }
}

impl Path {
    /// All that the client would send.
    pub(crate) fn stream(&self) -> Vec<u8> {
        let mut stream = vec![0; self.len];
        self.payload().fill(0, &mut stream);
        stream
    }

    fn payload(&self) -> Payload {
        Payload::seeded(self.seed, self.len as u64)
    }

    /// Sends as the client likes, delivers what `fault` makes of it as soon as it was sent; what was delivered,
    /// and the outcome.
    pub(crate) fn run(&self, fault: &Planted) -> (Vec<u8>, ClientOutcome) {
        let config = ClientConfig::default().window(self.window).chunk(self.chunk);
        let mut now = Time::ZERO;
        let mut client = Driven::new(EchoClient::new(Arc::new(config), self.payload(), now));
        let mut tampered = fault.tamper(self.len).into_iter().peekable();
        let (mut sent, mut delivered) = (Vec::new(), Vec::new());
        let mut shut = false;
        for _ in 0..8 * self.len + 1000 {
            match client.step(now) {
                Step::Write => {
                    sent.extend_from_slice(client.pending());
                    client.wrote(now, client.pending().len());
                }
                Step::ShutdownWrite => {
                    shut = true;
                    now = now.after(PAUSE);
                }
                Step::Event(never) => match never {},
                Step::Wait(wait) => {
                    let mut read = Vec::new();
                    while read.len() < self.slice.min(wait.read)
                        && let Some(byte) =
                            tampered.next_if(|byte| shut || byte.foreign || byte.from < sent.len())
                    {
                        // What was never sent after all never comes.
                        let from = sent.get(byte.from).copied();
                        read.extend(from.or(byte.foreign.then_some(0)).map(|came| came ^ byte.flip));
                    }
                    delivered.extend_from_slice(&read);
                    if !read.is_empty() {
                        assert!(client.data(now, read.into()).is_empty());
                    } else if tampered.peek().is_some() && shut {
                        // Nothing of these bytes was sent: look on.
                    } else {
                        now = self.end(&mut client, now, shut, wait.deadline);
                    }
                }
                Step::Close { outcome, .. } => return (delivered, outcome),
            }
        }
        panic!("no end");
    }

    /// Nothing more comes.
    fn end(&self, client: &mut Driven<EchoClient>, now: Time, shut: bool, deadline: Option<Time>) -> Time {
        match self.ending {
            Ending::Silence => return deadline.expect("a client has a timeout"),
            // A peer that lost what the window waits for has nothing to end.
            _ if !shut => return deadline.expect("a client has a timeout"),
            Ending::Fin => client.eof(now),
            Ending::Reset => client.failed(now, Failure::Reset),
            Ending::Truncated => client.failed(now, Failure::Truncated),
            Ending::Io => client.failed(now, Failure::Io),
        }
        now
    }
}
