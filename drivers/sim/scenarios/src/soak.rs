//! `soak`: a server for a long time.

use std::time::Duration;

use super::oracle;
use super::workload::Workload;
use super::{EchoClients, EchoServers};
use roundtrip_sim::{Draw, Moment, Reached, Scenario, Setup, Violation};

/// Twenty clients that make fifty connections each, seconds apart: a thousand sessions in about a virtual hour, under
/// faults for the whole of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Soak;

/// From the end of one connection to the next of the same client.
const PAUSE: Duration = Duration::from_secs(70);

impl Scenario for Soak {
    type Server = EchoServers;
    type Client = EchoClients;

    fn name(&self) -> &'static str {
        "soak"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, EchoClients, EchoServers) {
        let workload = Workload::draw(draw);
        let setup = workload
            .setup(20)
            .rounds(50)
            .pause(PAUSE)
            .heal_at(Duration::from_secs(3600))
            .settle(Duration::from_secs(3600))
            .max_events(100_000_000);
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
