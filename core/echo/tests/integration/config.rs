//! Bounds of configurations: what `validate` reports, and that sessions keep to their invariants with any values.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use roundtrip_core::datagram::{Datagram, DatagramAction, DatagramInput, DatagramMachine};
use roundtrip_core::{Action, Input, Machine, Time, Wait};
use roundtrip_echo::{
    ClientConfig, ConfigError, DatagramClient, DatagramClientConfig, DatagramEcho, DatagramEchoConfig,
    EchoClient, EchoServer, End, Payload, Pinger, PingerConfig, Schedule, ServerConfig, Verdict,
};

const ZERO: Duration = Duration::ZERO;
const NANOSECOND: Duration = Duration::from_nanos(1);
/// The largest number of bytes that a field may have.
const MOST: usize = 1 << 30;

fn zero(field: &'static str) -> Result<(), ConfigError> {
    Err(ConfigError::Zero { field })
}

fn too_large(field: &'static str, max: usize) -> Result<(), ConfigError> {
    Err(ConfigError::TooLarge { field, max })
}

#[test]
fn bounds_of_a_server_are_exact() {
    let config = ServerConfig::default;
    assert_eq!(config().validate(), Ok(()));
    assert_eq!(config().buffer(0).validate(), zero("buffer"));
    assert_eq!(config().buffer(1).validate(), Ok(()));
    assert_eq!(config().buffer(MOST).validate(), Ok(()));
    assert_eq!(config().buffer(MOST + 1).validate(), too_large("buffer", MOST));
    assert_eq!(config().chunk(0).validate(), zero("chunk"));
    assert_eq!(config().chunk(MOST + 1).validate(), too_large("chunk", MOST));
    assert_eq!(config().max_chunks(0).validate(), zero("max_chunks"));
    assert_eq!(config().max_chunks(usize::MAX).validate(), Ok(()));
    for (field, config) in [
        ("idle", config().idle(Some(ZERO))),
        ("half_close_idle", config().half_close_idle(Some(ZERO))),
        ("max_age", config().max_age(Some(ZERO))),
        ("quiet", config().quiet(ZERO)),
        ("drain", config().drain(ZERO)),
        ("linger", config().linger(ZERO)),
    ] {
        assert_eq!(config.validate(), zero(field));
    }
    assert_eq!(config().idle(Some(NANOSECOND)).quiet(Duration::MAX).validate(), Ok(()));
}

#[test]
fn bounds_of_a_client_are_exact() {
    let config = ClientConfig::default;
    assert_eq!(config().validate(), Ok(()));
    for (field, zeroed, large) in [
        ("window", config().window(0), config().window(MOST + 1)),
        ("chunk", config().chunk(0), config().chunk(MOST + 1)),
        ("write", config().write(0), config().write(MOST + 1)),
    ] {
        assert_eq!((zeroed.validate(), large.validate()), (zero(field), too_large(field, MOST)));
    }
    assert_eq!(config().window(MOST).chunk(1).write(1).validate(), Ok(()));
    for (field, config) in [
        ("timeout", config().timeout(Some(ZERO))),
        ("pause", config().pause(Some(ZERO))),
        ("stall", config().stall(Some(ZERO))),
    ] {
        assert_eq!(config.validate(), zero(field));
    }
}

#[test]
fn bounds_of_a_pinger_are_exact() {
    let config = PingerConfig::default;
    assert_eq!(config().validate(), Ok(()));
    assert_eq!(config().size(0).validate(), zero("size"));
    assert_eq!(config().size(MOST + 1).validate(), too_large("size", MOST));
    assert_eq!(config().in_flight(0).validate(), zero("in_flight"));
    assert_eq!(config().chunk(0).validate(), zero("chunk"));
    assert_eq!(config().timeout(Some(ZERO)).validate(), zero("timeout"));
    assert_eq!(config().size(1 << 20).in_flight(1024).timeout(None).validate(), Ok(()));
    assert_eq!(config().size(1 << 20).in_flight(1025).validate(), too_large("in_flight", 1024));
    assert_eq!(config().size(1).in_flight((1 << 20) + 1).validate(), too_large("in_flight", 1 << 20));
}

#[test]
fn bounds_of_datagram_sessions_are_exact() {
    let echo = DatagramEchoConfig::default;
    assert_eq!(echo().validate(), Ok(()));
    assert_eq!(echo().rate(Some(0)).validate(), zero("rate"));
    assert_eq!(echo().rate(Some(1_000_000_000)).validate(), Ok(()));
    assert_eq!(echo().rate(Some(1_000_000_001)).validate(), too_large("rate", 1_000_000_000));
    assert_eq!(echo().repeats(Some(0)).validate(), zero("repeats"));
    assert_eq!(echo().rate(None).repeats(None).validate(), Ok(()));
    assert_eq!(echo().quiet(ZERO).validate(), zero("quiet"));
    assert_eq!(echo().drain(ZERO).validate(), zero("drain"));
    let client = DatagramClientConfig::default;
    assert_eq!(client().validate(), Ok(()));
    assert_eq!(client().size(15).validate(), Err(ConfigError::TooSmall { field: "size", min: 16 }));
    assert_eq!(client().size(16).validate(), Ok(()));
    assert_eq!(client().size(65_507).validate(), Ok(()));
    assert_eq!(client().size(65_508).validate(), too_large("size", 65_507));
    assert_eq!(client().in_flight(0).validate(), zero("in_flight"));
    assert_eq!(client().in_flight(1 << 20).validate(), Ok(()));
    assert_eq!(client().in_flight((1 << 20) + 1).validate(), too_large("in_flight", 1 << 20));
    assert_eq!(client().wait(ZERO).validate(), zero("wait"));
    assert_eq!(client().timeout(Some(ZERO)).validate(), zero("timeout"));
    assert_eq!(client().settle(ZERO).validate(), zero("settle"));
}

#[test]
fn the_first_field_out_of_its_bounds_is_reported() {
    let config = ServerConfig::default().linger(ZERO).chunk(0).max_chunks(0);
    assert_eq!(config.validate(), zero("chunk"));
    assert_eq!(config.buffer(MOST + 1).validate(), too_large("buffer", MOST));
}

#[test]
fn errors_name_field_and_bound() {
    assert_eq!(ConfigError::Zero { field: "idle" }.to_string(), "idle must not be zero");
    assert_eq!(ConfigError::TooSmall { field: "size", min: 9 }.to_string(), "size must be at least 9");
    assert_eq!(ConfigError::TooLarge { field: "chunk", max: 9 }.to_string(), "chunk must be at most 9");
}

/// A machine, what it wrote that its peer has not read, and what it waits for.
struct Side<M: Machine> {
    machine: M,
    written: BytesMut,
    shut: bool,
    eof_told: bool,
    wait: Wait,
    outcome: Option<M::Outcome>,
}

impl<M: Machine> Side<M> {
    fn new(machine: M) -> Self {
        let wait = Wait { read: 0, commands: 0, deadline: None };
        Self { machine, written: BytesMut::new(), shut: false, eof_told: false, wait, outcome: None }
    }

    /// Polls until it waits or closes.
    fn settle(&mut self, now: Time) {
        if self.outcome.is_some() {
            return;
        }
        for _ in 0..10_000 {
            match self.machine.poll(now) {
                Action::Write(bytes) => {
                    self.written.extend_from_slice(&bytes);
                    self.machine.handle(now, Input::Wrote(bytes.len()));
                }
                Action::ShutdownWrite => self.shut = true,
                Action::Event(_) => {}
                Action::Wait(wait) => {
                    assert!(wait.deadline.is_none_or(|at| at > now), "I5: {wait:?} at {now:?}");
                    assert!(wait.read <= MOST, "{wait:?}");
                    self.wait = wait;
                    return;
                }
                Action::Close { outcome, .. } => {
                    (self.outcome, self.shut) = (Some(outcome), true);
                    self.wait = Wait { read: usize::MAX, commands: 0, deadline: None };
                    return;
                }
            }
        }
        panic!("it does not come to a wait");
    }

    /// Takes what it may read; whether anything moved.
    fn read(&mut self, now: Time, written: &mut BytesMut, shut: bool) -> bool {
        let bytes = written.split_to(written.len().min(self.wait.read)).freeze();
        let ends = shut && written.is_empty() && !self.eof_told;
        let moved = !bytes.is_empty() || ends;
        self.eof_told |= ends;
        if self.outcome.is_none() {
            if !bytes.is_empty() {
                self.machine.handle(now, Input::Data(bytes));
                self.settle(now);
            }
            if ends && self.outcome.is_none() {
                self.machine.handle(now, Input::Eof);
            }
        }
        moved
    }
}

/// Lets a client and a server talk; no time passes while a byte can move. What came of both.
fn talk<C: Machine>(client: C, server: EchoServer, buffer: usize) -> (C::Outcome, End) {
    let (mut client, mut server, mut now) = (Side::new(client), Side::new(server), Time::ZERO);
    for _ in 0..100_000 {
        client.settle(now);
        server.settle(now);
        assert!(server.machine.held() <= buffer, "I2: {} held", server.machine.held());
        if let (Some(_), Some(served)) = (&client.outcome, server.outcome) {
            return (client.outcome.unwrap(), served.end);
        }
        let moved = server.read(now, &mut client.written, client.shut);
        if client.read(now, &mut server.written, server.shut) || moved {
            continue;
        }
        let deadline = [client.wait.deadline, server.wait.deadline].into_iter().flatten().min();
        now = deadline.expect("I4: nothing moves, and nothing is due");
    }
    panic!("I4: they come to no end");
}

fn any_server(bytes: usize, time: Duration) -> ServerConfig {
    ServerConfig::default()
        .buffer(bytes)
        .chunk(bytes)
        .max_chunks(bytes)
        .idle(Some(time))
        .half_close_idle(Some(time))
        .max_age(Some(time))
        .quiet(time)
        .drain(time)
        .linger(time)
}

fn any_client(bytes: usize, time: Duration) -> ClientConfig {
    ClientConfig::default().window(bytes).chunk(bytes).write(bytes).timeout(Some(time))
}

#[test]
fn sessions_over_streams_keep_their_invariants_with_any_configuration() {
    let values = [(0, ZERO), (1, NANOSECOND), (usize::MAX, Duration::MAX)];
    for (bytes, time) in values {
        let config = Arc::new(any_server(bytes, time));
        let server = || EchoServer::new(Arc::clone(&config), Time::ZERO);
        let buffer = bytes.clamp(1, MOST);
        for (bytes, time) in values {
            let client = any_client(bytes, time);
            let session =
                |client: ClientConfig| EchoClient::new(client.into(), Payload::seeded(1, 500), Time::ZERO);
            let (outcome, end) = talk(session(client.clone()), server(), buffer);
            assert_eq!((outcome.verdict, end), (Verdict::Verified, End::Clean), "{config:?} {client:?}");
            // The server's limits may pass first.
            talk(session(client.clone().pause(Some(time))), server(), buffer);
            talk(session(client.stall(Some(time))), server(), buffer);
            let pinger = PingerConfig::default().size(bytes.min(9)).in_flight(bytes).chunk(bytes);
            let schedule = Schedule::closed_loop(Time::ZERO).messages(50);
            let pinger = Pinger::new(pinger.timeout(Some(time)).into(), schedule, 1, Time::ZERO);
            assert_eq!(talk(pinger, server(), buffer).0.verdict, Verdict::Verified, "{config:?} {bytes}");
        }
    }
}

#[test]
fn a_server_never_reads_more_than_its_buffer_holds() {
    let config = Arc::new(ServerConfig::default().buffer(512).quiet(NANOSECOND));
    let mut server = EchoServer::new(config, Time::ZERO);
    let Action::Wait(wait) = server.poll(Time::ZERO) else { panic!("no wait") };
    assert_eq!((wait.read, server.discards_input()), (512, false));
    // What is cut off after a stop is read and dropped.
    server.handle(Time::ZERO, Input::Stop);
    let now = Time::from_nanos(1);
    assert!(matches!(server.poll(now), Action::ShutdownWrite));
    let Action::Wait(wait) = server.poll(now) else { panic!("no wait") };
    assert!(server.discards_input());
    assert_eq!(wait.read, 512);
}

#[test]
fn a_pinger_remembers_no_more_messages_than_it_may() {
    let config = PingerConfig::default().size(1).in_flight(usize::MAX);
    let mut pinger = Pinger::new(config.into(), Schedule::closed_loop(Time::ZERO), 1, Time::ZERO);
    while let Action::Write(bytes) = pinger.poll(Time::ZERO) {
        pinger.handle(Time::ZERO, Input::Wrote(bytes.len()));
        assert!(pinger.in_flight() <= 1 << 20);
    }
    assert_eq!(pinger.in_flight(), 1 << 20);
}

/// Polls until it waits: what it sent, and until when it waits.
fn sent<M: DatagramMachine<Address = SocketAddr>>(machine: &mut M, now: Time) -> (Vec<Bytes>, Option<Time>) {
    let mut payloads = Vec::new();
    for _ in 0..1000 {
        match machine.poll(now) {
            DatagramAction::Send(datagram) => payloads.push(datagram.payload),
            DatagramAction::Event(_) => {}
            DatagramAction::Wait(wait) => {
                assert!(wait.deadline.is_none_or(|at| at > now), "I5: {wait:?}");
                return (payloads, wait.deadline);
            }
            DatagramAction::Close(_) => return (payloads, None),
        }
    }
    panic!("it does not come to a wait");
}

#[test]
fn sessions_over_datagrams_keep_their_invariants_with_any_configuration() {
    let peer = SocketAddr::from(([127, 0, 0, 1], 5000));
    for (count, time) in [(0, ZERO), (1, NANOSECOND), (u32::MAX, Duration::MAX)] {
        let config = DatagramEchoConfig::default().rate(Some(count)).repeats(Some(count));
        let mut echo = DatagramEcho::new(config.quiet(time).drain(time).into(), None, Time::ZERO);
        sent(&mut echo, Time::ZERO);
        for number in 0..3 {
            let datagram = Datagram { peer, payload: Bytes::from(vec![number; 3]) };
            echo.handle(Time::ZERO, DatagramInput::Received(datagram));
        }
        sent(&mut echo, Time::ZERO);
        echo.handle(Time::ZERO, DatagramInput::Stop);
        sent(&mut echo, Time::ZERO);
        sent(&mut echo, Time::MAX);

        let (size, in_flight) = (count as usize, (count as usize).min(100));
        let config = DatagramClientConfig::default().size(size).in_flight(in_flight).wait(time).settle(time);
        let schedule = Schedule::closed_loop(Time::ZERO).messages(3);
        let config = Arc::new(config.timeout(Some(time)));
        let mut client = DatagramClient::new(config, schedule, peer, 1, Time::ZERO);
        let (datagrams, deadline) = sent(&mut client, Time::ZERO);
        let expected = in_flight.clamp(1, 3);
        assert!(datagrams.len() == expected && deadline.is_some(), "I4: {count}");
        assert!(datagrams.iter().all(|payload| payload.len() == size.clamp(16, 65_507)));
    }
}
