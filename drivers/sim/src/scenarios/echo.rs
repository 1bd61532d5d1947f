//! `echo`: server sessions and their clients.

use std::sync::Arc;

use roundtrip_core::Time;
#[cfg(not(roundtrip_planted))]
use roundtrip_core::echo::EchoServer;
use roundtrip_core::echo::{EchoClient, Payload};
use roundtrip_core::hub::{ConnectionId, Hub};

use super::oracle;
use super::workload::Workload;
use crate::scenario::{Draw, Moment, Reached, Scenario, Setup, Violation};

/// One to four echo clients, a session each on one server.
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
pub struct EchoServers(pub(super) Workload);

impl Hub for EchoClients {
    type Session = EchoClient;

    fn open(&mut self, now: Time, id: ConnectionId) -> EchoClient {
        // Each has a payload of its own, so that bytes that went astray are seen.
        let payload = Payload::seeded(self.0.seed ^ id.number() << 32, self.0.len);
        EchoClient::new(Arc::clone(&self.0.client), payload, now)
    }
}

impl Hub for EchoServers {
    type Session = Session;

    fn open(&mut self, now: Time, _id: ConnectionId) -> Session {
        session(&self.0, now)
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
        let setup = workload.setup(1 + draw.below(16, 4));
        (setup, EchoClients(workload.clone()), EchoServers(workload))
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        oracle::check(moment, &moment.server.0, reached)
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        oracle::finished(moment.connection, reached)
    }

    fn goals(&self) -> &'static [&'static str] {
        oracle::GOALS
    }
}
