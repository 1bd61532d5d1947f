//! Pipes of bytes and of messages: what one client does never costs another one a byte, and every end is told as what it is.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::admission::Limits;
use roundtrip_core::{Action, Failure, Input, Machine, Teardown, Time, Wait};
use roundtrip_echo::{
    ClientConfig, EchoClient, EchoServer, End, Limit, Payload, ServerConfig, ServerOutcome, Verdict,
};
use roundtrip_pipe::{
    Accepted, Application, BindOptions, Clock, ConnectOptions, ConnectionReport, Control, Driver, Endpoint,
    Listener, SendError, ServerHandle, ServerStats, Stage, Stream, SystemClock, bind, connect, drive,
};

/// A name of a test's own, of bytes and of messages.
fn names() -> [Endpoint; 2] {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    ["", ",type=message"].map(|kind| {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        format!("pipe:roundtrip-{}-{number}{kind}", std::process::id()).parse().unwrap()
    })
}

fn bytes() -> Endpoint {
    let [bytes, _] = names();
    bytes
}

fn messages() -> Endpoint {
    let [_, messages] = names();
    messages
}

fn listen(endpoint: &Endpoint) -> Listener {
    bind(endpoint, &BindOptions::default()).unwrap()
}

fn reach(endpoint: &Endpoint) -> Stream {
    let options = ConnectOptions::default().timeout(Some(Duration::from_secs(60)));
    connect(endpoint, &options).unwrap()
}

/// A client that is no machine: what any program does that opens the pipe as a file.
fn open(endpoint: &Endpoint) -> File {
    let Endpoint::Pipe { name, .. } = endpoint else { unreachable!() };
    File::options().read(true).write(true).open(format!(r"\\.\pipe\{name}")).unwrap()
}

/// An echo server, and everything it reports.
struct Running {
    handle: ServerHandle,
    opened: Receiver<()>,
    ended: Receiver<ConnectionReport<ServerOutcome>>,
    served: Receiver<io::Result<ServerStats>>,
}

struct Echo {
    config: Arc<ServerConfig>,
    opened: Mutex<Sender<()>>,
    ended: Mutex<Sender<ConnectionReport<ServerOutcome>>>,
}

impl Application<Accepted> for Echo {
    type Machine = EchoServer;

    fn open(&self, now: Time, _accepted: &Accepted, _control: &Control<Infallible>) -> EchoServer {
        let _ = self.opened.lock().unwrap().send(());
        EchoServer::new(Arc::clone(&self.config), now)
    }

    fn ended(&self, _accepted: &Accepted, ended: ConnectionReport<ServerOutcome>) {
        let _ = self.ended.lock().unwrap().send(ended);
    }
}

fn echo(endpoint: &Endpoint, config: ServerConfig, limits: Limits) -> Running {
    let (listener, handle) = (listen(endpoint), ServerHandle::new());
    let ((opened_sender, opened), (sender, ended)) = (channel(), channel());
    let app = Echo { config: config.into(), opened: opened_sender.into(), ended: sender.into() };
    let served = spawn({
        let handle = handle.clone();
        move || roundtrip_pipe::serve(vec![listener], limits, &handle, &app)
    });
    Running { handle, opened, ended, served }
}

impl Running {
    fn stop(self) -> ServerStats {
        self.handle.stop();
        self.join()
    }

    fn join(self) -> ServerStats {
        soon(&self.served).unwrap()
    }
}

fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(work()));
    receiver
}

/// What a thread came to. One that hangs fails the test instead of hanging it.
#[track_caller]
fn soon<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(Duration::from_secs(60)).unwrap()
}

fn check(endpoint: &Endpoint, total: u64, config: impl FnOnce(ClientConfig) -> ClientConfig) -> Verdict {
    let half_close = ClientConfig::default().half_close(endpoint.has_half_close());
    let (stream, config) = (reach(endpoint), Arc::new(config(half_close)));
    let ended = drive(stream, |now| EchoClient::new(config, Payload::seeded(7, total), now)).unwrap();
    ended.outcome.verdict
}

/// Writes these pieces, half-closes if it is to, and reads until the end, or until so much came.
#[derive(Clone)]
struct Talk {
    writes: Vec<Bytes>,
    half_closes: bool,
    credit: usize,
    until: usize,
    teardown: Teardown,
    outstanding: usize,
    came: Vec<u8>,
    end: Option<Result<(), Option<Failure>>>,
}

impl Talk {
    fn new(writes: &[&[u8]]) -> Self {
        Self {
            writes: writes.iter().rev().map(|piece| Bytes::copy_from_slice(piece)).collect(),
            half_closes: false,
            credit: 1 << 16,
            until: usize::MAX,
            teardown: Teardown::Graceful,
            outstanding: 0,
            came: Vec::new(),
            end: None,
        }
    }
}

/// What came, and how it ended: at the end, by a failure, or otherwise.
type Heard = (Vec<u8>, Option<Result<(), Option<Failure>>>);

impl Machine for Talk {
    type Command = u8;
    type Event = ();
    type Outcome = Heard;

    fn handle(&mut self, _now: Time, input: Input<u8>) {
        match input {
            Input::Data(bytes) => self.came.extend_from_slice(&bytes),
            Input::Wrote(wrote) => self.outstanding -= wrote,
            Input::Command(byte) => self.came.push(byte),
            Input::Eof => self.end = Some(Ok(())),
            Input::Failed(failure) => self.end = Some(Err(Some(failure))),
            Input::Stop | Input::Abort => self.end = Some(Err(None)),
        }
    }

    fn poll(&mut self, _now: Time) -> Action<(), Heard> {
        let over = matches!(self.end, Some(Err(_)));
        if !over && self.outstanding == 0 {
            if let Some(piece) = self.writes.pop() {
                self.outstanding = piece.len();
                return Action::Write(piece);
            }
            if std::mem::take(&mut self.half_closes) {
                return Action::ShutdownWrite;
            }
        }
        if over || (self.outstanding == 0 && (self.end.is_some() || self.came.len() >= self.until)) {
            return Action::Close { how: self.teardown, outcome: (self.came.clone(), self.end) };
        }
        Action::Wait(Wait { read: self.credit, commands: 1, deadline: None })
    }
}

fn talk(endpoint: &Endpoint, talk: Talk) -> ConnectionReport<Heard> {
    drive(reach(endpoint), |_now| talk).unwrap()
}

/// A server that says the same to everybody.
fn say(endpoint: &Endpoint, talk: Talk) -> (ServerHandle, Receiver<io::Result<ServerStats>>) {
    let (listener, handle) = (listen(endpoint), ServerHandle::new());
    let served = spawn({
        let handle = handle.clone();
        move || {
            let app = move |_now, _: &Accepted| talk.clone();
            let limits = Limits::default().total(Some(1));
            roundtrip_pipe::serve(vec![listener], limits, &handle, &app)
        }
    });
    (handle, served)
}

#[test]
fn every_byte_comes_back_whatever_the_size() {
    for endpoint in names() {
        let server = echo(&endpoint, ServerConfig::default(), Limits::default());
        for total in [0, 1, 14, 512, 65_536, 65_537, 1 << 20] {
            assert_eq!(check(&endpoint, total, |config| config), Verdict::Verified, "{endpoint}: {total}");
            let ended = soon(&server.ended);
            assert_eq!((ended.outcome.end, ended.outcome.echoed), (End::Clean, total), "{endpoint}");
            assert_eq!((ended.written, ended.unread), (total, 0), "{endpoint}");
        }
        assert_eq!(server.stop().admission.admitted, 7);
    }
}

/// The client writes on while nothing that it has read is missing: all of it may be on its way at one time.
#[test]
fn both_directions_move_at_one_time() {
    const TOTAL: u64 = 16 << 20;
    for endpoint in names() {
        let server = echo(&endpoint, ServerConfig::default(), Limits::default());
        let verdict = check(&endpoint, TOTAL, |_| {
            let config = ClientConfig::default().half_close(endpoint.has_half_close());
            config.window(TOTAL as usize).write(1 << 20)
        });
        assert_eq!(verdict, Verdict::Verified, "{endpoint}");
        server.stop();
    }
}

#[test]
fn a_byte_at_a_time_is_a_stream_like_another() {
    for endpoint in names() {
        let server = echo(&endpoint, ServerConfig::default(), Limits::default());
        let verdict = check(&endpoint, 2000, |_| {
            let config = ClientConfig::default().half_close(endpoint.has_half_close());
            config.window(1).write(1).chunk(1)
        });
        assert_eq!(verdict, Verdict::Verified, "{endpoint}");
        server.stop();
    }
}

/// What the credit leaves of it is read next.
#[test]
fn a_message_that_is_longer_than_the_credit_is_read_in_parts() {
    let endpoint = messages();
    let config = ServerConfig::default().buffer(10).chunk(10);
    let server = echo(&endpoint, config, Limits::default());
    let message: Vec<u8> = (0..=255).cycle().take(60_000).collect();
    let mut client = Talk::new(&[&message, b"next"]);
    (client.credit, client.half_closes) = (7, true);
    let (came, end) = talk(&endpoint, client).outcome;
    assert!(came.len() == 60_004 && came[..60_000] == message[..] && &came[60_000..] == b"next");
    assert_eq!(end, Some(Ok(())));
    server.stop();
}

#[test]
fn many_clients_at_once_each_get_their_own_bytes() {
    for endpoint in names() {
        let server = echo(&endpoint, ServerConfig::default(), Limits::default());
        thread::scope(|scope| {
            for client in 0..16 {
                let endpoint = &endpoint;
                scope.spawn(move || {
                    assert_eq!(check(endpoint, 100_000 + client, |config| config), Verdict::Verified);
                });
            }
        });
        let served = server.stop();
        assert_eq!((served.admission.admitted, served.panicked), (16, 0), "{endpoint}");
    }
}

#[test]
fn a_stop_reaches_a_session_that_waits_and_its_client_sees_an_end() {
    for endpoint in names() {
        let config = ServerConfig::default().quiet(Duration::from_millis(20));
        let server = echo(&endpoint, config, Limits::default());
        let (stream, driver) = (reach(&endpoint), Driver::new(SystemClock::new()).unwrap());
        soon(&server.opened);
        let heard = spawn(move || driver.drive(stream, |_now| Talk::new(&[b"hello"]), |()| ()));
        server.handle.stop();
        let ended = soon(&server.ended);
        assert_eq!(ended.outcome.end, End::Clean, "{endpoint}");
        assert_eq!(soon(&heard).outcome, (b"hello".to_vec(), Some(Ok(()))), "{endpoint}");
        assert_eq!(server.join().admission.live, 0);
    }
}

#[test]
fn an_abort_reaches_a_session_that_waits_and_its_client_sees_a_reset() {
    for endpoint in names() {
        let server = echo(&endpoint, ServerConfig::default(), Limits::default());
        let stream = reach(&endpoint);
        soon(&server.opened);
        let heard = spawn(move || drive(stream, |_now| Talk::new(&[])).unwrap());
        server.handle.force();
        assert_eq!(soon(&server.ended).outcome.end, End::Aborted, "{endpoint}");
        assert_eq!(soon(&heard).outcome, (Vec::new(), Some(Err(Some(Failure::Reset)))), "{endpoint}");
        server.join();
    }
}

#[test]
fn an_idle_session_is_ended_in_order() {
    for endpoint in names() {
        let config = ServerConfig::default().idle(Some(Duration::from_millis(20)));
        let server = echo(&endpoint, config, Limits::default());
        assert_eq!(talk(&endpoint, Talk::new(&[])).outcome, (Vec::new(), Some(Ok(()))), "{endpoint}");
        assert_eq!(soon(&server.ended).outcome.end, End::TimedOut(Limit::Idle), "{endpoint}");
        server.stop();
    }
}

/// A pipe of bytes cannot tell; one of messages has a mark for the end, and it did not come.
#[test]
fn a_client_that_vanishes_is_an_end_of_bytes_and_no_end_of_messages() {
    for endpoint in names() {
        let server = echo(&endpoint, ServerConfig::default(), Limits::default());
        let mut client = open(&endpoint);
        client.write_all(b"half a").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
        drop(client);
        let ended = soon(&server.ended);
        let expected = if endpoint.has_half_close() { End::Failed(Failure::Truncated) } else { End::Clean };
        assert_eq!((ended.outcome.end, ended.outcome.echoed), (expected, 6), "{endpoint}");
        server.stop();
    }
}

#[test]
fn an_empty_message_is_the_end_and_what_comes_back_is_read_after_it() {
    let endpoint = messages();
    let server = echo(&endpoint, ServerConfig::default(), Limits::default());
    let mut client = open(&endpoint);
    client.write_all(b"all of it").unwrap();
    assert_eq!(client.write(b"").unwrap(), 0);
    assert_eq!(soon(&server.ended).outcome.end, End::Clean);
    let mut back = [0; 9];
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"all of it");
    server.stop();
}

/// The server has closed its end before the client reads the first byte.
#[test]
fn the_last_bytes_are_not_lost_when_the_server_closes() {
    let payload: Vec<u8> = (0..=255).cycle().take(50_000).collect();
    for endpoint in names() {
        let mut server = Talk::new(&[&payload]);
        server.until = 0;
        let (_handle, served) = say(&endpoint, server);
        let stream = reach(&endpoint);
        assert_eq!(soon(&served).unwrap().admission.admitted, 1);
        let ended = drive(stream, |_now| Talk::new(&[])).unwrap();
        assert!(ended.outcome.0 == payload, "{endpoint}: {} bytes", ended.outcome.0.len());
        assert_eq!(ended.outcome.1, Some(Ok(())), "{endpoint}");
    }
}

#[test]
fn the_last_bytes_are_not_lost_when_the_client_closes() {
    for endpoint in names() {
        let server = echo(&endpoint, ServerConfig::default(), Limits::default());
        let mut client = Talk::new(&[&[7; 40_000]]);
        client.until = 0;
        assert_eq!(talk(&endpoint, client).written, 40_000);
        let ended = soon(&server.ended);
        assert_eq!(ended.outcome.received, 40_000, "{endpoint}: {ended:?}");
        server.stop();
    }
}

/// Half a pipe of bytes cannot be closed: who asks for it ends both directions.
#[test]
fn a_half_close_of_a_pipe_of_bytes_is_the_end_of_both_directions() {
    let endpoint = bytes();
    let server = echo(&endpoint, ServerConfig::default(), Limits::default());
    let mut client = Talk::new(&[b"last"]);
    client.half_closes = true;
    assert_eq!(talk(&endpoint, client).outcome.1, Some(Ok(())));
    assert_eq!(soon(&server.ended).outcome.received, 4);
    server.stop();
}

#[test]
fn a_reset_of_the_server_is_told_as_one() {
    for endpoint in names() {
        let mut server = Talk::new(&[]);
        (server.until, server.teardown) = (1, Teardown::Reset);
        let (_handle, served) = say(&endpoint, server);
        let (_, end) = talk(&endpoint, Talk::new(&[b"x"])).outcome;
        assert_eq!(end, Some(Err(Some(Failure::Reset))), "{endpoint}");
        soon(&served).unwrap();
    }
}

#[test]
fn a_machine_that_panics_looks_like_no_orderly_end() {
    for endpoint in names() {
        let (listener, handle) = (listen(&endpoint), ServerHandle::new());
        let served = spawn(move || {
            let app = |_now, _: &Accepted| -> EchoServer { panic!("planted") };
            let limits = Limits::default().total(Some(1));
            roundtrip_pipe::serve(vec![listener], limits, &handle, &app)
        });
        let (_, end) = talk(&endpoint, Talk::new(&[])).outcome;
        assert_eq!(end, Some(Err(Some(Failure::Reset))), "{endpoint}");
        assert_eq!(soon(&served).unwrap().panicked, 1);
    }
}

/// Panics, and again when it is dropped: while the first panic unwinds, that would end the process.
struct PanicsTwice;

impl Machine for PanicsTwice {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ();

    fn handle(&mut self, _now: Time, _input: Input) {}

    fn poll(&mut self, _now: Time) -> Action<Infallible, ()> {
        panic!("planted")
    }
}

impl Drop for PanicsTwice {
    fn drop(&mut self) {
        panic!("planted, too")
    }
}

struct PanickingClients;

impl Application<usize> for PanickingClients {
    type Machine = PanicsTwice;

    fn open(&self, _now: Time, _index: &usize, _control: &Control<Infallible>) -> PanicsTwice {
        PanicsTwice
    }
}

#[test]
fn a_machine_that_panics_again_in_its_drop_ends_its_own_connection_only() {
    for endpoint in names() {
        let (listener, handle) = (listen(&endpoint), ServerHandle::new());
        let served = spawn(move || {
            let app = |_now, _: &Accepted| PanicsTwice;
            let limits = Limits::default().total(Some(2));
            roundtrip_pipe::serve(vec![listener], limits, &handle, &app)
        });
        for _ in 0..2 {
            let (_, end) = talk(&endpoint, Talk::new(&[])).outcome;
            assert_eq!(end, Some(Err(Some(Failure::Reset))), "{endpoint}");
        }
        assert_eq!(soon(&served).unwrap().panicked, 2);

        let server = echo(&endpoint, ServerConfig::default(), Limits::default());
        let streams = [reach(&endpoint), reach(&endpoint)];
        let driven = thread::spawn(move || {
            roundtrip_pipe::drive_all(&SystemClock::new(), streams, &PanickingClients).unwrap();
        });
        assert!(driven.join().is_err(), "the panic reaches the caller");
        server.stop();
    }
}

/// They wait until there is an instance for them, in whatever order.
#[test]
fn who_finds_the_pipe_busy_waits_and_is_served() {
    for endpoint in names() {
        let limits = Limits::default().connections(1);
        let server = echo(&endpoint, ServerConfig::default(), limits);
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| assert_eq!(check(&endpoint, 100_000, |config| config), Verdict::Verified));
            }
        });
        assert_eq!(server.stop().admission.admitted, 5);
    }
}

#[test]
fn who_waits_too_long_for_a_busy_pipe_is_told() {
    let endpoint = bytes();
    let limits = Limits::default().connections(1);
    let server = echo(&endpoint, ServerConfig::default(), limits);
    let _served = reach(&endpoint);
    soon(&server.opened);
    let _waits = reach(&endpoint);
    let options = ConnectOptions::default().timeout(Some(Duration::from_millis(50)));
    let error = connect(&endpoint, &options).unwrap_err();
    assert_eq!((error.stage, error.source.kind()), (Stage::Connect, io::ErrorKind::TimedOut));
    server.handle.force();
    server.join();
}

/// A client that waits believes that it is connected, and is served before the gate closes.
#[test]
fn a_drain_serves_who_waits_already() {
    for endpoint in names() {
        let limits = Limits::default().connections(1);
        let server = echo(&endpoint, ServerConfig::default(), limits);
        let first = reach(&endpoint);
        soon(&server.opened);
        let second = reach(&endpoint);
        server.handle.stop();
        let served = thread::scope(|scope| {
            for stream in [first, second] {
                scope.spawn(move || {
                    let mut client = Talk::new(&[b"hello"]);
                    client.until = 5;
                    let (came, _) = drive(stream, |_now| client).unwrap().outcome;
                    assert_eq!(came, b"hello");
                });
            }
            server.join()
        });
        assert_eq!(served.admission.admitted, 2, "{endpoint}");
    }
}

#[test]
fn who_is_turned_away_sees_an_end() {
    for endpoint in names() {
        let limits = Limits::default().per_source(Some(0));
        let server = echo(&endpoint, ServerConfig::default(), limits);
        assert_eq!(talk(&endpoint, Talk::new(&[])).outcome.1, Some(Ok(())), "{endpoint}");
        assert_eq!(server.stop().admission.refused, 1);
    }
}

#[test]
fn a_command_reaches_a_session_that_waits() {
    let endpoint = bytes();
    let server = echo(&endpoint, ServerConfig::default(), Limits::default());
    let (stream, driver) = (reach(&endpoint), Driver::new(SystemClock::new()).unwrap());
    let control = driver.control();
    let mut client = Talk::new(&[]);
    client.until = 1;
    let heard = spawn(move || driver.drive(stream, |_now| client, |()| ()));
    control.try_send(b'!').unwrap();
    assert_eq!(soon(&heard).outcome.0, b"!");
    assert_eq!(control.try_send(b'?'), Err(SendError::Gone(b'?')));
    server.stop();
}

/// A clock that a test moves.
struct Script<F>(Mutex<F>);

impl<F: FnMut() -> Time + Send> Clock for Script<F> {
    fn now(&self) -> Time {
        (self.0.lock().unwrap())()
    }
}

/// The process is suspended while it waits: the deadline has passed when it wakes, and bytes have come.
#[test]
fn what_is_there_is_read_before_a_passed_deadline_takes_effect() {
    for endpoint in names() {
        let mut server = Talk::new(&[b"still there?"]);
        server.until = 0;
        let (_handle, served) = say(&endpoint, server);
        let mut calls = 0;
        let clock = Script(Mutex::new(move || {
            calls += 1;
            if calls == 1 {
                return Time::ZERO;
            }
            if calls == 2 {
                // All of it is on our side then.
                soon(&served).unwrap();
            }
            Time::ZERO.after(Duration::from_secs(calls))
        }));
        let config = ServerConfig::default().idle(Some(Duration::from_millis(1)));
        let driver = Driver::new(clock).unwrap();
        let ended =
            driver.drive(reach(&endpoint), |now| EchoServer::new(config.into(), now), |never| match never {});
        assert_eq!(ended.outcome.received, 12, "{endpoint}: {ended:?}");
    }
}

#[test]
fn a_name_that_somebody_has_is_refused() {
    let endpoint = bytes();
    let taken = listen(&endpoint);
    match bind(&endpoint, &BindOptions::default()) {
        Err(error) => {
            assert_eq!((error.stage, error.source.kind()), (Stage::Bind, io::ErrorKind::AddrInUse));
        }
        Ok(_second) => {
            let words = "skipped: a first instance that is not the first, which is not checked here";
            let _ = writeln!(io::stderr(), "{words}");
        }
    }
    drop(taken);
    listen(&endpoint);
}

#[test]
fn a_pipe_of_another_kind_is_refused() {
    let [bytes, messages] = names();
    for (made, asked) in [(&bytes, ",type=message"), (&messages, "")] {
        let _listener = listen(made);
        let name = made.to_string().replace(",type=message", "");
        let error = connect(&format!("{name}{asked}").parse().unwrap(), &ConnectOptions::default());
        let error = error.unwrap_err();
        assert_eq!((error.stage, error.source.kind()), (Stage::Connect, io::ErrorKind::InvalidInput));
    }
}

#[test]
fn nobody_listening_is_told_at_once() {
    let error = connect(&bytes(), &ConnectOptions::default()).unwrap_err();
    assert_eq!((error.stage, error.source.kind()), (Stage::Connect, io::ErrorKind::NotFound));
}
