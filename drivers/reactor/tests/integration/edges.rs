//! What only an edge-triggered loop can get wrong: it is told each thing once.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::admission::Limits;
use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_reactor::{
    Accepted, Application, Backend, BindOptions, Driver, Reactor, ServerHandle, SystemClock, bind,
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

/// Reads once, tells so, and then nothing until it is told to. Ends with its peer or with so many bytes, and says what it
/// read.
struct Patient {
    came: Vec<u8>,
    enough: usize,
    reads: bool,
    told: bool,
    ended: bool,
}

impl Machine for Patient {
    type Command = ();
    type Event = ();
    type Outcome = Vec<u8>;

    fn handle(&mut self, _now: Time, input: Input<()>) {
        match input {
            Input::Command(()) => self.reads = true,
            Input::Data(bytes) => self.came.extend_from_slice(&bytes),
            Input::Eof | Input::Stop | Input::Abort | Input::Failed(_) => self.ended = true,
            Input::Wrote(_) => {}
        }
    }

    fn poll(&mut self, _now: Time) -> Action<(), Vec<u8>> {
        if self.ended || self.came.len() >= self.enough {
            return Action::Close { how: Teardown::Graceful, outcome: self.came.clone() };
        }
        if !self.came.is_empty() && !std::mem::replace(&mut self.told, true) {
            return Action::Event(());
        }
        let read = if self.told && !self.reads { 0 } else { 1000 };
        Action::Wait(Wait { read, commands: 1, deadline: None })
    }
}

/// What a patient machine reads, when what its peer sends comes while there is no credit for it.
fn read_late(enough: usize, peer: impl FnOnce(&mut TcpStream)) -> Vec<u8> {
    let (mut client, server) = pair();
    let driver = Driver::new(SystemClock::new()).unwrap();
    let control = driver.control();
    let ((has_read, reads), (sender, outcome)) = (channel(), channel());
    thread::spawn(move || {
        let machine = |_now| Patient { came: Vec::new(), enough, reads: false, told: false, ended: false };
        let tell = |()| has_read.send(()).unwrap();
        sender.send(driver.drive(server.into(), machine, tell).outcome)
    });
    client.write_all(b".").unwrap();
    soon(&reads);
    peer(&mut client);
    control.try_send(()).unwrap();
    soon(&outcome)
}

#[test]
fn bytes_that_came_while_there_was_no_credit_are_read_when_there_is() {
    assert_eq!(read_late(6, |client| client.write_all(b"early").unwrap()), b".early");
}

#[test]
fn an_end_that_came_with_the_last_bytes_is_not_lost() {
    let send_all = |client: &mut TcpStream| {
        client.write_all(b"all of it").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    };
    assert_eq!(read_late(usize::MAX, send_all), b".all of it");
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

/// A server on so many threads, which are left alone when a test fails.
fn start<S: Application<Accepted, Machine: Send> + Send + 'static>(
    threads: usize,
    app: S,
) -> (SocketAddr, impl FnOnce()) {
    start_with(Reactor::default().threads(NonZeroUsize::new(threads).unwrap()), app)
}

fn start_with<S: Application<Accepted, Machine: Send> + Send + 'static>(
    options: Reactor,
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

#[test]
fn a_peer_that_always_has_more_starves_nobody() {
    let connections = AtomicUsize::new(0);
    let (address, stop) = start(1, move |_now, _: &Accepted| {
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
    const THREADS: usize = 3;
    let (sender, threads) = channel();
    let (address, stop) = start(THREADS, {
        let sender = Mutex::new(sender);
        move |now, _: &Accepted| {
            sender.lock().unwrap().send(format!("{:?}", thread::current().id())).unwrap();
            echo(now)
        }
    });
    let mut streams: Vec<_> = (0..2 * THREADS).map(|_| connect(address)).collect();
    streams.iter_mut().for_each(ping);
    drop(streams);
    stop();
    let distinct: BTreeSet<_> = threads.iter().collect();
    assert_eq!(distinct.len(), THREADS);
}

/// Several at one time: each has a deadline of its own, which moved when it was answered.
#[test]
fn a_deadline_wakes_a_thread_that_sleeps() {
    let (address, stop) = start(1, |now, _: &Accepted| {
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

/// It never sleeps once it spins, so it must look for all that would have woken it.
#[test]
fn a_thread_that_spins_for_hours_keeps_deadlines_and_hears_a_stop() {
    let options = Reactor::default().busy_poll(Duration::from_secs(3600));
    let (address, stop) = start_with(options, |now, _: &Accepted| {
        let idle = ServerConfig::default().idle(Some(Duration::from_millis(20)));
        EchoServer::new(idle.into(), now)
    });
    for _ in 0..2 {
        let mut stream = connect(address);
        ping(&mut stream);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it was idle");
    }
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
        let driven = catch_unwind(AssertUnwindSafe(|| Reactor::default().drive_all(streams, &machine)));
        sender.send((driven.is_err(), went_on.into_inner())).unwrap();
    });
    assert_eq!(first.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    ping(&mut second);
    drop(second);
    assert_eq!(soon(&driven), (true, true));
}
