//! A script: what clients do to one echo server, and what must come of it.

use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::admission::Limits;
use roundtrip_echo::{End, Payload, ServerConfig};

use crate::client::Scripted;
use crate::settings::Setting;

/// What clients do to one echo server, and what must come of it, on any driver.
///
/// It is written as text and made by [`FromStr`](std::str::FromStr); the [crate](crate#the-language) describes the
/// language. [`Display`](std::fmt::Display) gives the text back, without comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub(crate) name: String,
    pub(crate) settings: Vec<Setting>,
    pub(crate) together: bool,
    pub(crate) clients: Vec<Client>,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) limits: Limits,
}

/// One client of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub(crate) steps: Arc<[Step]>,
    pub(crate) server: Server,
}

/// What a client does next. It goes on to the next step when this one has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Writes that many more bytes of its payload, behind what is not written yet. Passes at once: writing goes on
    /// during the steps that follow.
    Send(u64),
    /// Half-closes behind what is not written yet. Passes at once.
    HalfClose,
    /// Waits until the transport has taken all of that.
    Flush,
    /// Reads until that many more bytes are back, each verified.
    Expect(u64),
    /// Reads until the peer's end, before which nothing may come.
    ExpectEnd,
    /// Waits until the connection is reset. What comes before that is verified, and not counted.
    ExpectReset {
        /// Reads nothing meanwhile: what is sent next has to find out.
        unread: bool,
    },
    /// Nobody accepts the connection: the client's only step.
    ExpectRefused,
    /// Lets time pass and does not read.
    Pause(Duration),
    /// Waits until every client that is still there has come to a `meet` of its own.
    Meet,
    /// Has the server's application stop it. Passes at once.
    StopServer,
    /// Has the server's application end the drain. Passes at once.
    ForceServer,
    /// Closes, once all is written. So does the end of the list.
    Close,
    /// Closes with a reset, whatever is not written.
    Reset,
}

/// What a client is to the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// Its session, of which the server must say this.
    Says(ServerSays),
    /// A connection that the admission policy turned away.
    TurnedAway,
    /// Nobody: the policy never heard of it.
    Never,
}

/// What the server must say of a session; each field that is left open depends on timing that no driver decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerSays {
    /// How the session ended: one of these.
    pub ends: Vec<End>,
    /// Bytes received; `None` if that is left open.
    pub received: Option<u64>,
    /// Bytes echoed; `None` if that is left open.
    pub echoed: Option<u64>,
}

impl Script {
    /// Its name: letters, digits and `-`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the server's sessions are configured with. Limits that the script does not set are an hour away, or
    /// absent.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Whom the server lets in.
    pub fn limits(&self) -> Limits {
        self.limits.clone()
    }

    /// Its clients, in order.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// Whether all clients connect before the first of them begins. Otherwise each connects when the one before it
    /// and its session are over; and after a stop, when the server is drained.
    pub const fn is_together(&self) -> bool {
        self.together
    }

    /// The machine of the client with this number, from 0: its connection is there.
    ///
    /// # Panics
    ///
    /// If the script has no such client.
    pub fn open(&self, client: usize, now: Time) -> Scripted {
        let Client { steps, .. } = &self.clients[client];
        // Each has a payload of its own, so that bytes that went astray are seen.
        let payload = Payload::seeded(client as u64 + 1, self.clients[client].bytes());
        Scripted::new(Arc::clone(steps), payload, now)
    }

    /// Bytes that its clients send.
    pub fn bytes(&self) -> u64 {
        self.clients.iter().map(Client::bytes).sum()
    }
}

impl Client {
    /// What it does, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What it is to the server.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Whether it is let in.
    pub const fn is_admitted(&self) -> bool {
        matches!(self.server, Server::Says(_))
    }

    /// Bytes that it sends.
    pub fn bytes(&self) -> u64 {
        self.steps.iter().map(|step| if let Step::Send(bytes) = *step { bytes } else { 0 }).sum()
    }

    /// Bytes that it has to see again.
    pub fn expected(&self) -> u64 {
        self.steps.iter().map(|step| if let Step::Expect(bytes) = *step { bytes } else { 0 }).sum()
    }

    /// Whether it is told that nobody is there.
    pub fn is_refused(&self) -> bool {
        self.steps.contains(&Step::ExpectRefused)
    }

    /// Whether its connection ends with a reset, its own or the server's: then it does not say how much of what it
    /// wrote was taken.
    pub(crate) fn is_reset(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Reset | Step::ExpectReset { .. }))
    }
}
