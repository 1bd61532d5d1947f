//! `load`: messages that are timed from when they were due.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
use roundtrip_echo::{ClientOutcome, Pinger, PingerConfig, RoundTrip, Schedule, Verdict};

use super::EchoServers;
use super::oracle;
use super::workload::Workload;
use roundtrip_sim::Side;
use roundtrip_sim::choose::mix;
use roundtrip_sim::{Draw, Moment, Reached, Scenario, Setup, Violation, client_and_round};

/// One to six clients that send message after message to one server, in an open or a closed loop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load;

/// Sites of what is drawn here, beside the workload's.
mod site {
    pub(super) const CLIENTS: u8 = 16;
    pub(super) const SIZE: u8 = 17;
    pub(super) const IN_FLIGHT: u8 = 18;
    pub(super) const PERIOD: u8 = 19;
    pub(super) const MESSAGES: u8 = 20;
    pub(super) const FIRST: u8 = 21;
    pub(super) const UNTIL: u8 = 22;
    pub(super) const HALF_CLOSE: u8 = 23;
}

/// The clients of a load, and what they told.
#[derive(Clone, Debug)]
pub struct Pingers {
    config: Arc<PingerConfig>,
    first: Duration,
    period: Option<Duration>,
    lasts: Option<Duration>,
    messages: u64,
    seed: u64,
    told: Vec<Told>,
}

/// What one client told so far.
#[derive(Clone, Debug, Default)]
struct Told {
    schedule: Option<Schedule>,
    messages: u64,
    last: Option<RoundTrip>,
    broken: Option<String>,
}

impl Told {
    /// What is wrong with the next round trip, if anything.
    fn judge(&self, now: Time, trip: RoundTrip) -> Option<String> {
        let schedule = self.schedule?;
        let due = schedule.period.map_or(trip.sent, |period| {
            let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
            schedule.first.after(Duration::from_nanos(nanos.saturating_mul(self.messages)))
        });
        let in_order = self
            .last
            .is_none_or(|last| last.due <= trip.due && last.sent <= trip.sent && last.back <= trip.back);
        let is_right = trip.due == due
            && schedule.first <= trip.due
            && trip.due <= trip.sent
            && trip.sent <= trip.back
            && trip.back <= now
            && schedule.until.is_none_or(|until| trip.due < until)
            && in_order;
        (!is_right).then(|| format!("message {}, due {due:?}: {trip:?} after {:?}", self.messages, self.last))
    }
}

impl Hub for Pingers {
    type Session = Pinger;

    fn open(&mut self, now: Time, id: ConnectionId) -> Pinger {
        let schedule = Schedule::closed_loop(now.after(self.first))
            .period(self.period)
            .until(self.lasts.map(|lasts| now.after(lasts)))
            .messages(self.messages);
        let told = Told { schedule: Some(schedule), ..Told::default() };
        self.told[client_and_round(id).0 as usize] = told;
        Pinger::new(Arc::clone(&self.config), schedule, mix(self.seed ^ id.number()), now)
    }

    fn event(&mut self, now: Time, from: ConnectionId, trip: RoundTrip, _mail: &mut dyn Mail<Infallible>) {
        let told = &mut self.told[client_and_round(from).0 as usize];
        if told.broken.is_none() {
            told.broken = told.judge(now, trip);
        }
        told.messages += 1;
        told.last = Some(trip);
    }
}

/// Goals of its own, behind those of every echo.
const OWN_GOALS: [&str; 5] = [
    "as many in flight as may be",
    "sent late",
    "all messages back",
    "stopped half-way",
    "ended by the time",
];
#[expect(clippy::cast_possible_truncation, reason = "at most 64")]
const FIRST_GOAL: u32 = oracle::GOALS.len() as u32;
const GOALS: [&str; oracle::GOALS.len() + OWN_GOALS.len()] = oracle::goals_and(&OWN_GOALS);

impl Scenario for Load {
    type Server = EchoServers;
    type Client = Pingers;

    fn name(&self) -> &'static str {
        "load"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Pingers, EchoServers) {
        let workload = Workload::draw(draw);
        let us = Duration::from_micros;
        let clients = 1 + draw.below(site::CLIENTS, 6);
        let config = PingerConfig::default()
            .size(draw.one_of(site::SIZE, &[32, 1, 8, 100]))
            .in_flight(draw.one_of(site::IN_FLIGHT, &[1, 2, 4, 16]))
            .timeout(workload.client.timeout)
            .half_close(draw.below(site::HALF_CLOSE, 4) != 3);
        let pingers = Pingers {
            config: Arc::new(config),
            first: draw.one_of(site::FIRST, &[Duration::ZERO, Duration::ZERO, us(1), us(700), us(5000)]),
            period: draw.one_of(site::PERIOD, &[None, None, Some(us(1000)), Some(us(100)), Some(us(7000))]),
            lasts: draw.one_of(site::UNTIL, &[None, None, Some(us(3000)), Some(us(20_000))]),
            messages: draw.one_of(site::MESSAGES, &[2, 1, 4, 8, 16]),
            seed: workload.seed,
            told: vec![Told::default(); clients as usize],
        };
        (workload.setup(clients), pingers, EchoServers::new(workload, 1))
    }

    fn restart(&self, server: &mut EchoServers) {
        server.forget();
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let (connection, pingers) = (moment.connection, moment.clients);
        if moment.side == Side::Server {
            return oracle::check_server(connection.server(), &moment.server.workload, reached);
        }
        let end = connection.client();
        oracle::check_client(end)?;
        let told = &pingers.told[client_and_round(connection.id()).0 as usize];
        if let Some(broken) = &told.broken {
            return Err(Violation::new("timing", broken.clone()));
        }
        if let Some(pinger) = end.machine() {
            let (in_flight, most) = (pinger.in_flight(), pingers.config.in_flight);
            if in_flight > most {
                let found = format!("{in_flight} messages in flight, {most} are the most");
                return Err(Violation::new("in-flight", found));
            }
            reached.reach_if(FIRST_GOAL, in_flight == most && most > 1);
        }
        reached.reach_if(FIRST_GOAL + 1, told.last.is_some_and(|trip| trip.sent > trip.due));
        let Some(ClientOutcome { verdict, sent, .. }) = end.outcome() else { return Ok(()) };
        let bytes = told.messages * pingers.config.size as u64;
        match verdict {
            Verdict::Verified | Verdict::Stopped if bytes != *sent => Err(Violation::new(
                "omission",
                format!("{sent} bytes were sent, {} messages of them told", told.messages),
            )),
            Verdict::Verified => {
                let is_all = told.messages == pingers.messages;
                reached.reach_if(FIRST_GOAL + 2, is_all);
                reached.reach_if(FIRST_GOAL + 4, !is_all);
                Ok(())
            }
            Verdict::Stopped => {
                reached.reach_if(FIRST_GOAL + 3, told.messages > 0);
                Ok(())
            }
            Verdict::Faulty(_) | Verdict::Aborted => Ok(()),
        }
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        oracle::finished(moment.connection, reached)
    }

    fn goals(&self) -> &'static [&'static str] {
        &GOALS
    }
}
