//! What only a driver of completions can get wrong: something is on its way while something else happens.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::admission::Limits;
use roundtrip_core::{Action, Failure, Input, Machine, Teardown, Time, Wait};
use roundtrip_echo::{EchoServer, End, Payload, ServerConfig};
use roundtrip_uring::{
    Accepted, Application, Backend, BindOptions, Clock, Driver, ServerHandle, SystemClock, Uring, bind,
};

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// What a thread came to. One that hangs fails the test instead of hanging it.
fn soon<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(Duration::from_secs(30)).unwrap()
}

/// A clock that a test moves.
struct Script<F>(Mutex<F>);

impl<F: FnMut() -> Time + Send> Clock for Script<F> {
    fn now(&self) -> Time {
        (self.0.lock().unwrap())()
    }
}

/// The process is suspended after the kernel was asked what had come: it is asked again.
#[test]
fn what_came_since_the_ring_was_entered_is_told_before_a_passed_deadline_takes_effect() {
    let (mut client, server) = pair();
    let mut peer = client.try_clone().unwrap();
    let mut calls = 0;
    let clock = Script(Mutex::new(move || {
        calls += 1;
        // The machine begins; how long to wait is asked; and then what time it is when that has passed.
        if calls < 3 {
            return Time::ZERO;
        }
        if calls == 3 {
            peer.write_all(b"still there?").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
        }
        Time::ZERO.after(Duration::from_secs(calls))
    }));
    let config = ServerConfig::default().idle(Some(Duration::from_millis(1)));
    let driver = Driver::new(clock).unwrap();
    let ended =
        driver.drive(server.into(), |now| EchoServer::new(config.into(), now), |never| match never {});
    assert_eq!((ended.outcome.end, ended.outcome.echoed), (End::Clean, 12));
    let mut back = String::new();
    client.read_to_string(&mut back).unwrap();
    assert_eq!(back, "still there?");
}

/// Writes more than any socket takes, and reads to the end.
struct Torrent(Option<Bytes>, Option<Failure>);

impl Machine for Torrent {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = Option<Failure>;

    fn handle(&mut self, _now: Time, input: Input) {
        if let Input::Failed(failure) = input {
            self.1 = Some(failure);
        }
    }

    fn poll(&mut self, _now: Time) -> Action<Infallible, Option<Failure>> {
        match (self.0.take(), self.1) {
            (_, Some(_)) => Action::Close { how: Teardown::Reset, outcome: self.1 },
            (Some(bytes), None) => Action::Write(bytes),
            (None, None) => Action::Wait(Wait { read: 100, commands: 0, deadline: None }),
        }
    }
}

#[test]
fn a_peer_that_goes_while_a_send_waits_for_it_is_a_failure() {
    const TORRENT: usize = 64 << 20;
    let (mut client, server) = pair();
    let driver = Driver::new(SystemClock::new()).unwrap();
    let (sender, ended) = channel();
    thread::spawn(move || {
        let machine = |_now| Torrent(Some(vec![7; TORRENT].into()), None);
        sender.send(driver.drive(server.into(), machine, |never| match never {}))
    });
    // It is under way, and nobody reads any more: the rest waits.
    client.read_exact(&mut vec![0; 1 << 16]).unwrap();
    drop(client);
    let ended = soon(&ended);
    assert_eq!(ended.outcome, Some(Failure::Reset));
    assert!(ended.written >= 1 << 16 && ended.written < TORRENT as u64, "{ended:?}");
}

fn echo(now: Time) -> EchoServer {
    EchoServer::new(ServerConfig::default().into(), now)
}

/// Sends a byte and has one back.
fn ping(stream: &mut TcpStream) {
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// A server, which is left alone when a test fails.
fn start<S: Application<Accepted, Machine: Send> + Send + 'static>(
    options: Uring,
    app: S,
) -> (SocketAddr, impl FnOnce()) {
    let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let address = listener.local_address().unwrap();
    let (handle, (sender, served)) = (ServerHandle::new(), channel());
    thread::spawn({
        let handle = handle.clone();
        move || {
            let clock = SystemClock::new();
            let served = options.serve_with(&clock, vec![listener], Limits::default(), &handle, &app);
            sender.send(served.unwrap())
        }
    });
    let stop = move || {
        handle.stop();
        soon(&served);
    };
    (address, stop)
}

/// With one buffer, most receives that complete together find none.
#[test]
fn connections_share_buffers_that_are_fewer() {
    let options = Uring::default().buffers(NonZeroU16::MIN);
    let (address, stop) = start(options, |now, _: &Accepted| echo(now));
    let mut streams: Vec<_> = (0..100).map(|_| connect(address)).collect();
    let messages: Vec<_> = (0..streams.len() as u64)
        .map(|seed| {
            let mut message = vec![0; 50_000];
            Payload::seeded(seed, 50_000).fill(0, &mut message);
            message
        })
        .collect();
    for (stream, message) in streams.iter_mut().zip(&messages) {
        stream.write_all(message).unwrap();
    }
    for (stream, message) in streams.iter_mut().zip(&messages) {
        let mut back = vec![0; message.len()];
        stream.read_exact(&mut back).unwrap();
        assert!(back == *message);
    }
    drop(streams);
    stop();
}

/// Reads a byte at a time and never has enough; answers each, or none.
struct Nibbler {
    answers: bool,
    outstanding: Option<Bytes>,
    over: bool,
}

impl Machine for Nibbler {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ();

    fn handle(&mut self, _now: Time, input: Input) {
        match input {
            Input::Data(byte) => self.outstanding = Some(byte).filter(|_| self.answers),
            Input::Wrote(_) => {}
            Input::Command(never) => match never {},
            Input::Eof | Input::Stop | Input::Abort | Input::Failed(_) => self.over = true,
        }
    }

    fn poll(&mut self, _now: Time) -> Action<Infallible, ()> {
        if self.over {
            return Action::Close { how: Teardown::Reset, outcome: () };
        }
        // It is asked by a client that waits for each answer: there is always room for it.
        match self.outstanding.take() {
            Some(byte) => Action::Write(byte),
            None => Action::Wait(Wait { read: 1, commands: 0, deadline: None }),
        }
    }
}

#[test]
fn a_peer_that_always_has_more_starves_nobody() {
    let connections = AtomicUsize::new(0);
    let (address, stop) = start(Uring::default(), move |_now, _: &Accepted| {
        let answers = connections.fetch_add(1, Ordering::Relaxed) > 0;
        Nibbler { answers, outstanding: None, over: false }
    });
    let mut flood = connect(address);
    // There is something to read before the other one comes, and from then on.
    flood.write_all(&[0; 1 << 14]).unwrap();
    thread::spawn(move || while flood.write(&[0; 1 << 14]).is_ok() {});
    let mut other = connect(address);
    for _ in 0..100 {
        ping(&mut other);
    }
    drop(other);
    stop();
}

#[test]
fn every_thread_has_its_share_of_the_connections() {
    let options = Uring::default().threads(std::num::NonZeroUsize::new(3).unwrap());
    let (sender, threads) = channel();
    let (address, stop) = start(options, {
        let sender = Mutex::new(sender);
        move |now, _: &Accepted| {
            sender.lock().unwrap().send(format!("{:?}", thread::current().id())).unwrap();
            echo(now)
        }
    });
    let mut streams: Vec<_> = (0..6).map(|_| connect(address)).collect();
    streams.iter_mut().for_each(ping);
    drop(streams);
    stop();
    let distinct: BTreeSet<_> = threads.iter().collect();
    assert_eq!(distinct.len(), 3);
}

/// Several at one time: each has a deadline of its own, which moved when it was answered.
#[test]
fn a_deadline_wakes_a_thread_that_sleeps() {
    let (address, stop) = start(Uring::default(), |now, _: &Accepted| {
        let idle = ServerConfig::default().idle(Some(Duration::from_millis(20)));
        EchoServer::new(idle.into(), now)
    });
    let mut streams: Vec<_> = (0..3).map(|_| connect(address)).collect();
    for stream in &mut streams {
        stream.write_all(b"x").unwrap();
    }
    for mut stream in streams {
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert_eq!(back, b"x");
    }
    stop();
}

/// Panics at its first byte, when a receive was asked for before, or goes on.
struct Fuse {
    blows: bool,
    echo: EchoServer,
}

impl Machine for Fuse {
    type Command = <EchoServer as Machine>::Command;
    type Event = <EchoServer as Machine>::Event;
    type Outcome = <EchoServer as Machine>::Outcome;

    fn handle(&mut self, now: Time, input: Input<Self::Command>) {
        // Then a receive is in flight.
        assert!(!(self.blows && matches!(input, Input::Wrote(_))), "planted");
        self.echo.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> Action<Self::Event, Self::Outcome> {
        self.echo.poll(now)
    }
}

#[test]
fn a_machine_that_panics_with_a_receive_in_flight_is_reset_and_the_others_go_on() {
    let first = AtomicBool::new(true);
    let (address, stop) = start(Uring::default(), move |now, _: &Accepted| Fuse {
        blows: first.swap(false, Ordering::Relaxed),
        echo: echo(now),
    });
    let mut unlucky = connect(address);
    unlucky.write_all(b"x").unwrap();
    let mut other = connect(address);
    ping(&mut other);
    // The byte may come back before.
    let mut back = Vec::new();
    assert_eq!(unlucky.read_to_end(&mut back).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    ping(&mut other);
    drop(other);
    stop();
}

/// The first panics as the machine of the second begins, which then is driven to its end.
#[test]
fn a_client_that_panics_ends_no_other() {
    let ((mut first, unlucky), (mut second, lucky)) = (pair(), pair());
    let (sender, driven) = channel();
    let went_on = AtomicBool::new(false);
    thread::spawn(move || {
        let machine = |now, &index: &usize| {
            assert!(index > 0, "planted");
            went_on.store(true, Ordering::Relaxed);
            echo(now)
        };
        let streams = [unlucky.into(), lucky.into()];
        let driven = catch_unwind(AssertUnwindSafe(|| Uring::default().drive_all(streams, &machine)));
        sender.send((driven.is_err(), went_on.into_inner())).unwrap();
    });
    assert_eq!(first.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    ping(&mut second);
    drop(second);
    assert_eq!(soon(&driven), (true, true));
}
