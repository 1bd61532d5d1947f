//! `echo`: server sessions and their clients.

use std::convert::Infallible;
use std::sync::Arc;

use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
#[cfg(not(roundtrip_planted))]
use roundtrip_echo::EchoServer;
use roundtrip_echo::{EchoClient, Payload, ServerOutcome};

use super::oracle;
use super::workload::Workload;
use roundtrip_sim::choose::mix;
use roundtrip_sim::{Draw, Moment, Reached, Scenario, Setup, Violation, client_and_round};

/// One to six echo clients, a session each on one server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

/// Sessions of the shipped echo server.
#[cfg(not(roundtrip_planted))]
pub(super) type Session = EchoServer;
/// Sessions of the shipped echo server, with what is planted in them.
#[cfg(roundtrip_planted)]
pub(super) type Session = super::Faulty;

#[cfg(not(roundtrip_planted))]
fn session(workload: &Workload, now: Time) -> Session {
    EchoServer::new(Arc::clone(&workload.server), now)
}
#[cfg(roundtrip_planted)]
fn session(workload: &Workload, now: Time) -> Session {
    super::Faulty::new(workload, now)
}

/// The clients of the echo.
#[derive(Clone, Debug)]
pub struct EchoClients(pub(super) Workload);

/// The server of the echo.
#[derive(Clone, Debug)]
pub struct EchoServers {
    pub(super) workload: Workload,
    /// Sessions that are open.
    pub(super) live: usize,
    /// The same by source.
    pub(super) by_source: Vec<usize>,
}

impl EchoServers {
    /// A server whose clients come from so many addresses.
    pub(super) fn new(workload: Workload, sources: u32) -> Self {
        Self { workload, live: 0, by_source: vec![0; sources.max(1) as usize] }
    }

    /// A crash ends every session without a word.
    pub(super) fn forget(&mut self) {
        self.live = 0;
        self.by_source.fill(0);
    }

    fn source(&mut self, id: ConnectionId) -> &mut usize {
        let source = client_and_round(id).0 as usize % self.by_source.len();
        &mut self.by_source[source]
    }
}

impl Hub for EchoClients {
    type Session = EchoClient;

    fn open(&mut self, now: Time, id: ConnectionId) -> EchoClient {
        // Each has a payload of its own, so that bytes that went astray are seen.
        let payload = Payload::seeded(mix(self.0.seed ^ id.number()), self.0.len);
        EchoClient::new(Arc::clone(&self.0.client), payload, now)
    }
}

impl Hub for EchoServers {
    type Session = Session;

    fn open(&mut self, now: Time, id: ConnectionId) -> Session {
        self.live += 1;
        *self.source(id) += 1;
        session(&self.workload, now)
    }

    fn closed(
        &mut self,
        _now: Time,
        id: ConnectionId,
        _outcome: ServerOutcome,
        _mail: &mut dyn Mail<Infallible>,
    ) {
        self.live -= 1;
        *self.source(id) -= 1;
    }
}

impl Scenario for Echo {
    type Server = EchoServers;
    type Client = EchoClients;

    fn name(&self) -> &'static str {
        "echo"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, EchoClients, EchoServers) {
        let workload = Workload::draw(draw);
        let setup = workload.setup(1 + draw.below(16, 6));
        (setup, EchoClients(workload.clone()), EchoServers::new(workload, 1))
    }

    fn restart(&self, server: &mut EchoServers) {
        server.forget();
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        oracle::check(moment, reached)
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        oracle::finished(moment.connection, reached)
    }

    fn goals(&self) -> &'static [&'static str] {
        oracle::GOALS
    }
}
