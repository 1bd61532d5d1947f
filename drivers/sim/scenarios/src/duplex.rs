//! `duplex`: sessions of a protocol with both directions busy at once.

use std::convert::Infallible;
use std::sync::Arc;

use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub};
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig, SessionEnd, SessionOutcome};

use roundtrip_sim::Side;
use roundtrip_sim::{Draw, Moment, Reached, Scenario, Setup, Violation};

/// One to four clients that send and receive a stream at once, through buffers and windows of a few bytes, with a server
/// that sends back what it receives. Every buffer on the way is full most of the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Duplex;

/// Sends a stream of bytes and verifies that it comes back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Streamer {
    total: usize,
    sent: usize,
    received: usize,
    /// The offset of the first byte that is not what was sent there.
    wrong: Option<usize>,
}

impl Streamer {
    /// No two bytes in a row are equal, and the pattern repeats after 251.
    fn byte(offset: usize) -> u8 {
        u8::try_from(offset * 97 % 251).unwrap_or_default()
    }

    fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let is_right = self.received < self.sent && *byte == Self::byte(self.received);
            if !is_right {
                self.wrong.get_or_insert(self.received);
            }
            self.received += 1;
        }
    }
}

impl Protocol for Streamer {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Infallible>) -> Need {
        let bytes = io.inbox().split();
        Self::receive(self, &bytes);
        let until = self.sent + io.room().min(self.total - self.sent);
        io.outbox().extend((self.sent..until).map(Self::byte));
        self.sent = until;
        if self.received == self.total {
            io.finish();
        }
        Need::Any
    }
}

/// Sends back what it receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reflector;

impl Protocol for Reflector {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Infallible>) -> Need {
        let taken = io.room().min(io.inbox().len());
        let piece = io.inbox().split_to(taken);
        io.outbox().extend_from_slice(&piece);
        if io.inbox().is_empty() { Need::Bytes } else { Need::Room }
    }
}

/// The clients.
#[derive(Clone, Debug)]
pub struct Streamers {
    config: Arc<SessionConfig>,
    total: usize,
}

impl Hub for Streamers {
    type Session = Session<Streamer>;

    fn open(&mut self, now: Time, _id: ConnectionId) -> Session<Streamer> {
        let streamer = Streamer { total: self.total, sent: 0, received: 0, wrong: None };
        Session::new(streamer, Arc::clone(&self.config), now)
    }
}

/// The server.
#[derive(Clone, Debug)]
pub struct Reflectors {
    config: Arc<SessionConfig>,
}

impl Hub for Reflectors {
    type Session = Session<Reflector>;

    fn open(&mut self, now: Time, _id: ConnectionId) -> Session<Reflector> {
        Session::new(Reflector, Arc::clone(&self.config), now)
    }
}

const GOALS: &[&str] = &["client's outbox full", "all back", "server's inbox and outbox full"];

/// Bytes that the configuration lets a session hold.
fn bound(config: &SessionConfig) -> usize {
    config.inbox + config.outbox
}

impl Scenario for Duplex {
    type Server = Reflectors;
    type Client = Streamers;

    fn name(&self) -> &'static str {
        "duplex"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Streamers, Reflectors) {
        const SIZES: [usize; 6] = [64, 1, 2, 7, 16, 32];
        let mut config = |site| {
            let (inbox, outbox) = (draw.one_of(site, &SIZES), draw.one_of(site + 1, &SIZES));
            Arc::new(SessionConfig::default().inbox(inbox).outbox(outbox))
        };
        let (client, server) = (config(0), config(2));
        let setup = Setup::default()
            .clients(1 + draw.below(4, 4))
            .window(draw.one_of(5, &SIZES))
            .send_buffer(draw.one_of(6, &SIZES));
        let total = draw.one_of(7, &[200, 1, 64, 300]);
        (setup, Streamers { config: client, total }, Reflectors { config: server })
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let (held, bound) = match moment.side {
            Side::Client => {
                let Some(session) = moment.connection.client().machine() else { return Ok(()) };
                if let Some(at) = session.protocol().wrong {
                    return Err(Violation::new("conservation", format!("a wrong byte at offset {at}")));
                }
                // It takes all that comes at once: what it holds is its outbox.
                reached.reach_if(0, session.held() == moment.clients.config.outbox);
                (session.held(), bound(&moment.clients.config))
            }
            Side::Server => {
                let Some(session) = moment.connection.server().machine() else { return Ok(()) };
                reached.reach_if(2, session.held() == bound(&moment.server.config));
                (session.held(), bound(&moment.server.config))
            }
        };
        if held > bound {
            return Err(Violation::new("memory", format!("{held} bytes held, and {bound} may be")));
        }
        Ok(())
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let Some(outcome) = moment.connection.client().outcome() else { return Ok(()) };
        let SessionOutcome { end, received, .. } = *outcome;
        let is_whole = received == moment.clients.total as u64;
        reached.reach_if(1, is_whole);
        let injected = moment.connection.injected();
        let is_excused = injected.reset
            || injected.crash
            || injected.refused
            || injected.server_stop
            || injected.server_abort
            || injected.client_stop
            || injected.client_abort;
        if is_excused || (end == SessionEnd::Finished && is_whole) {
            return Ok(());
        }
        let found = format!("{received} of {} bytes came back, and the end is {end:?}", moment.clients.total);
        Err(Violation::new("conservation", found))
    }

    fn goals(&self) -> &'static [&'static str] {
        GOALS
    }
}
