//! `server`: who gets in, and how it ends.

use roundtrip_core::admission::Limits;
use std::time::Duration;

use super::oracle;
use super::workload::Workload;
use super::{EchoClients, EchoServers};
use roundtrip_sim::{Draw, Moment, Reached, Scenario, Setup, Violation};

/// One to eight clients that come again and again, and a server with an admission policy, which is stopped, forced,
/// killed and brought back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server;

/// Sites of what is drawn here, beside the workload's.
mod site {
    pub(super) const CLIENTS: u8 = 16;
    pub(super) const ROUNDS: u8 = 17;
    pub(super) const CONNECTIONS: u8 = 18;
    pub(super) const PER_SOURCE: u8 = 19;
    pub(super) const SOURCES: u8 = 20;
    pub(super) const TOTAL: u8 = 21;
    pub(super) const DRAIN: u8 = 22;
}

/// Goals of its own, behind those of every echo.
const OWN_GOALS: [&str; 4] =
    ["at the limit of connections", "turned away", "crash with a session open", "abort of all sessions"];
#[expect(clippy::cast_possible_truncation, reason = "at most 64")]
const FIRST_GOAL: u32 = oracle::GOALS.len() as u32;
const GOALS: [&str; oracle::GOALS.len() + OWN_GOALS.len()] = oracle::goals_and(&OWN_GOALS);

impl Scenario for Server {
    type Server = EchoServers;
    type Client = EchoClients;

    fn name(&self) -> &'static str {
        "server"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, EchoClients, EchoServers) {
        let workload = Workload::draw(draw);
        let ms = Duration::from_millis;
        let limits = Limits::default()
            .connections(draw.one_of(site::CONNECTIONS, &[usize::MAX, 1, 2, 3]))
            .per_source(draw.one_of(site::PER_SOURCE, &[None, None, Some(1), Some(2)]))
            .total(draw.one_of(site::TOTAL, &[None, None, None, Some(1), Some(3)]))
            .drain(draw.one_of(site::DRAIN, &[ms(10_000), ms(5), ms(50)]));
        let sources = 1 + draw.below(site::SOURCES, 3);
        let rounds = draw.one_of(site::ROUNDS, &[1, 2, 3]);
        let setup =
            workload.setup(1 + draw.below(site::CLIENTS, 8)).rounds(rounds).limits(limits).sources(sources);
        (setup, EchoClients(workload.clone()), EchoServers::new(workload, sources))
    }

    fn restart(&self, server: &mut EchoServers) {
        server.forget();
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        oracle::check(moment, reached)?;
        let (server, limits) = (moment.server, &moment.setup.limits);
        let from_one = server.by_source.iter().copied().max().unwrap_or(0);
        if server.live > limits.connections || limits.per_source.is_some_and(|limit| from_one > limit) {
            return Err(Violation::new(
                "admission",
                format!("{} sessions, {from_one} from one source, under {limits:?}", server.live),
            ));
        }
        reached.reach_if(FIRST_GOAL, server.live == limits.connections);
        Ok(())
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let injected = moment.connection.injected();
        reached.reach_if(FIRST_GOAL + 1, injected.refused);
        reached.reach_if(FIRST_GOAL + 2, injected.crash);
        reached.reach_if(FIRST_GOAL + 3, injected.server_abort && injected.server_stop);
        oracle::finished(moment.connection, reached)
    }

    fn goals(&self) -> &'static [&'static str] {
        &GOALS
    }
}
