//! The echo over datagrams in the simulator: it holds, and what is planted in it is found, made small and found again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::datagram::{DatagramAction, DatagramInput, DatagramMachine};
use roundtrip_echo::{
    DatagramClient, DatagramClientConfig, DatagramEcho, DatagramEchoConfig, DatagramEchoOutcome,
    DatagramOutcome, DatagramResult, DatagramVerdict, DroppedDatagram, Schedule,
};
use roundtrip_scenarios::Datagrams;
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{
    Clients, DatagramScenario, DatagramSetup, Draw, OverDatagrams, Passed, Reached, Runner, Trace, Violation,
    shrink,
};

#[test]
fn every_client_says_what_the_network_did() {
    roundtrip_sim::check(&OverDatagrams(Datagrams), 0..2000);
}

/// However the faults fall, what one client leaves unread never takes the room of the others' answers.
#[test]
fn a_client_that_never_reads_leaves_the_others_room() {
    let scenario = OverDatagrams(OneDeaf);
    for seed in 0..100 {
        let run = Runner::new(&scenario).run(Seeded::new(seed, Faults::NONE));
        assert_eq!(run.verdict.id(), "pass", "seed {seed}: {:?}", run.verdict);
    }
}

/// The first of the clients never reads, and there is no other fault.
struct OneDeaf;

impl DatagramScenario for OneDeaf {
    type Server = DatagramEcho<SocketAddr>;
    type Client = DatagramClient<SocketAddr>;

    fn name(&self) -> &'static str {
        "one-deaf"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (DatagramSetup, Self::Server, Clients<Self::Client>) {
        let number = draw.below(0, 40);
        let address = |host: u8| SocketAddr::from(([192, 0, 2, host], 50_000));
        let server = SocketAddr::from(([192, 0, 2, 1], 7007));
        let setup = DatagramSetup::new(server).deaf(1).send_queue(Some(24 << 10)).queue(1000);
        let config = DatagramClientConfig::default().size(16 + number as usize).in_flight(1);
        let config = Arc::new(config);
        let client = |seed| {
            let schedule = Schedule::open_loop(Time::ZERO, Duration::from_millis(5)).messages(100);
            DatagramClient::new(Arc::clone(&config), schedule, server, seed, Time::ZERO)
        };
        let deaf = DatagramClientConfig::default().in_flight(1000);
        let schedule = Schedule::closed_loop(Time::ZERO).messages(1000);
        let deaf = DatagramClient::new(Arc::new(deaf), schedule, server, 1, Time::ZERO);
        let clients = vec![(address(2), deaf), (address(3), client(2)), (address(4), client(3))];
        let echo = DatagramEchoConfig::default().rate(None);
        (setup, DatagramEcho::new(Arc::new(echo), Some(7007), Time::ZERO), clients)
    }

    fn client_closed(
        &self,
        outcome: &DatagramOutcome,
        passed: &Passed,
        _: &mut Reached,
    ) -> Result<(), Violation> {
        let is_deaf = passed.address.is_some_and(|address| address.ip().to_string() == "192.0.2.2");
        match outcome.verdict {
            DatagramVerdict::Verified => Ok(()),
            _ if is_deaf => Ok(()),
            verdict => Err(Violation::new("silenced", format!("{verdict:?}: {:?}", outcome.counts))),
        }
    }
}

/// What a bug does to the shipped machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// The server answers whom it should not.
    AnswersAll,
    /// The server answers twice, now and then.
    AnswersTwice,
    /// The client takes a duplicate for nothing.
    HidesDuplicates,
    /// The client counts what is late as if it were in time.
    ForgivesLate,
    /// The client calls it well whatever came.
    AlwaysWell,
    /// The client forgets its deadline, now and then.
    Sleeps,
}

struct Planted(Bug);

struct Server {
    bug: Bug,
    echo: DatagramEcho<SocketAddr>,
    again: Option<DatagramAction<SocketAddr, DroppedDatagram<SocketAddr>, DatagramEchoOutcome>>,
    answers: u64,
}

struct Client {
    bug: Bug,
    client: DatagramClient<SocketAddr>,
}

impl DatagramMachine for Server {
    type Address = SocketAddr;
    type Event = DroppedDatagram<SocketAddr>;
    type Outcome = DatagramEchoOutcome;

    fn handle(&mut self, now: Time, input: DatagramInput<SocketAddr>) {
        self.echo.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> DatagramAction<SocketAddr, Self::Event, DatagramEchoOutcome> {
        if let Some(again) = self.again.take() {
            return again;
        }
        match self.echo.poll(now) {
            DatagramAction::Event(unanswered) if self.bug == Bug::AnswersAll => {
                let payload = Vec::new().into();
                DatagramAction::Send(roundtrip_core::datagram::Datagram { peer: unanswered.from, payload })
            }
            DatagramAction::Send(datagram) => {
                self.answers += 1;
                if self.bug == Bug::AnswersTwice && self.answers == 5 {
                    self.again = Some(DatagramAction::Send(datagram.clone()));
                }
                DatagramAction::Send(datagram)
            }
            other => other,
        }
    }
}

impl DatagramMachine for Client {
    type Address = SocketAddr;
    type Event = DatagramResult;
    type Outcome = DatagramOutcome;

    fn handle(&mut self, now: Time, input: DatagramInput<SocketAddr>) {
        self.client.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> DatagramAction<SocketAddr, DatagramResult, DatagramOutcome> {
        match (self.client.poll(now), self.bug) {
            (DatagramAction::Close(mut outcome), bug) => {
                match bug {
                    Bug::HidesDuplicates => outcome.counts.duplicated = 0,
                    Bug::ForgivesLate if outcome.counts.late > 0 => {
                        outcome.counts.late = 0;
                        outcome.counts.lost = 0;
                    }
                    Bug::AlwaysWell => outcome.verdict = DatagramVerdict::Verified,
                    _ => {}
                }
                DatagramAction::Close(outcome)
            }
            (DatagramAction::Wait(mut wait), Bug::Sleeps) if self.client.counts().sent == 3 => {
                wait.deadline = None;
                DatagramAction::Wait(wait)
            }
            (action, _) => action,
        }
    }
}

impl DatagramScenario for Planted {
    type Server = Server;
    type Client = Client;

    fn name(&self) -> &'static str {
        "planted"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (DatagramSetup, Server, Clients<Client>) {
        let (setup, echo, clients) = Datagrams.build(draw);
        let bug = self.0;
        let clients = clients.into_iter().map(|(from, client)| (from, Client { bug, client })).collect();
        (setup, Server { bug, echo, again: None, answers: 0 }, clients)
    }

    fn client_closed(&self, o: &DatagramOutcome, p: &Passed, r: &mut Reached) -> Result<(), Violation> {
        Datagrams.client_closed(o, p, r)
    }

    fn server_closed(&self, o: &DatagramEchoOutcome, p: &Passed, r: &mut Reached) -> Result<(), Violation> {
        Datagrams.server_closed(o, p, r)
    }
}

#[test]
fn every_planted_bug_is_found_made_small_and_found_again() {
    for (bug, ids) in [
        (Bug::AnswersAll, &["well-known-port", "server-counts", "damaged"][..]),
        (Bug::AnswersTwice, &["made-up", "server-counts"]),
        (Bug::HidesDuplicates, &["duplicated"]),
        (Bug::ForgivesLate, &["back"]),
        (Bug::AlwaysWell, &["verdict", "lost"]),
        (Bug::Sleeps, &["stuck"]),
    ] {
        let scenario = OverDatagrams(Planted(bug));
        let mut runner = Runner::new(&scenario);
        let finds = |seed: &u64| ids.contains(&runner.run(Seeded::new(*seed, Faults::SWARM)).verdict.id());
        let seed = (0..2000).find(finds).unwrap_or_else(|| panic!("{bug:?} is not found"));
        let recording = Runner::new(&scenario).record(Seeded::new(seed, Faults::SWARM));
        let events = recording.run.events;
        let shrunk = shrink(&scenario, recording).recording;
        assert!(shrunk.run.events <= events.min(40), "{bug:?}: {events} events, then {}", shrunk.run.events);
        let trace = Trace::new("planted", Some(seed), shrunk.clone());
        let read = Trace::parse(&trace.to_string()).unwrap();
        let again = read.replay(&scenario).unwrap();
        assert_eq!(again.run, shrunk.run, "{bug:?}");
    }
}
