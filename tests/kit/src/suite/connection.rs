//! The loop over one connection: who wakes it, what it reads first, what it returns.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::{Action, Failure, Input, Machine, Teardown, Time, Wait};
use roundtrip_echo::{EchoServer, End, Limit, ServerConfig};
use roundtrip_net::{Control, SendError, SystemClock};

use super::common::{Script, assert_reset, pair, reset, resets_are_told, soon, spawn};
use super::driver::{Connection, SocketDriver};

fn seconds(seconds: u64) -> Time {
    Time::ZERO.after(Duration::from_secs(seconds))
}

fn idle_after_a_second() -> impl FnOnce(Time) -> EchoServer {
    let config = ServerConfig::default().idle(Some(Duration::from_secs(1)));
    |now| EchoServer::new(config.into(), now)
}

/// The process is suspended while it waits: the deadline has passed when it wakes, and a request has come.
pub fn what_is_there_is_read_before_a_passed_deadline_takes_effect<D: SocketDriver>() {
    let (mut client, server) = pair();
    let mut peer = client.try_clone().unwrap();
    let mut calls = 0;
    // Waits for as long as the clock says: not at all, for it says that the deadline is near. The
    // request comes after the system was asked, and the clock is a second later.
    let clock = Script(Mutex::new(move || {
        calls += 1;
        if calls == 1 {
            return Time::ZERO;
        }
        if calls == 2 {
            peer.write_all(b"still there?").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            // On loopback the bytes are in the other socket's queue when `write` returns.
        }
        seconds(1 + calls)
    }));
    let config = ServerConfig::default().idle(Some(Duration::from_millis(1)));
    let driver = Connection::<D, _, _>::new(clock);
    let ended = driver.drive(server, |now| EchoServer::new(config.into(), now), |never| match never {});
    assert_eq!((ended.outcome.end, ended.outcome.echoed), (End::Clean, 12));
    let mut back = String::new();
    client.read_to_string(&mut back).unwrap();
    assert_eq!(back, "still there?");
}

pub fn a_deadline_with_nothing_to_read_takes_effect<D: SocketDriver>() {
    let (_client, server) = pair();
    let mut now = Time::ZERO;
    let clock = Script(Mutex::new(move || std::mem::replace(&mut now, seconds(1))));
    let config = ServerConfig::default().idle(Some(Duration::from_millis(1)));
    let driver = Connection::<D, _, _>::new(clock);
    let ended = driver.drive(server, |now| EchoServer::new(config.into(), now), |never| match never {});
    assert_eq!(ended.outcome.end, End::TimedOut(Limit::Idle));
}

/// Reads a byte at a time, and tells when each came.
struct Watch(Vec<Time>, bool);

impl Machine for Watch {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = Vec<Time>;

    fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Data(_) => self.0.push(now),
            Input::Wrote(_) | Input::Command(_) | Input::Stop => {}
            Input::Eof | Input::Abort | Input::Failed(_) => self.1 = true,
        }
    }

    fn poll(&mut self, _now: Time) -> Action<Infallible, Vec<Time>> {
        if self.1 {
            return Action::Close { how: Teardown::Graceful, outcome: self.0.clone() };
        }
        Action::Wait(Wait { read: 1, commands: 0, deadline: None })
    }
}

/// A machine that measures must not be told the time of the wake-up for all that is read in it.
pub fn each_read_is_told_with_a_time_of_its_own<D: SocketDriver>() {
    let (mut client, server) = pair();
    client.write_all(&[0; 10]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut calls = 0;
    let clock = Script(Mutex::new(move || {
        calls += 1;
        seconds(calls)
    }));
    let driver = Connection::<D, _, _>::new(clock);
    let ended = driver.drive(server, |_now| Watch(Vec::new(), false), |never| match never {});
    assert_eq!(ended.outcome.len(), 10);
    assert!(ended.outcome.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", ended.outcome);
}

pub fn stop_and_abort_wake_a_connection_that_waits_to_read<D: SocketDriver>() {
    for abort in [false, true] {
        let (client, server) = pair();
        let driver = Connection::<D, _, _>::new(SystemClock::new());
        let control = driver.control();
        let waiting = spawn(move || {
            let config = ServerConfig::default().quiet(Duration::from_nanos(1));
            driver.drive(server, |now| EchoServer::new(config.into(), now), |never| match never {})
        });
        if abort {
            control.abort();
        } else {
            control.stop();
            // The session lingers for our end.
            let _ = client.shutdown(Shutdown::Write);
        }
        let ended = soon(&waiting);
        assert_eq!(ended.outcome.end, if abort { End::Aborted } else { End::Clean });
    }
}

/// Writes each command to the peer, one at a time; ends with the peer.
#[derive(Default)]
struct Announcer {
    next: Option<Bytes>,
    outstanding: usize,
    announced: usize,
    ended: bool,
    told: bool,
}

impl Machine for Announcer {
    type Command = Bytes;
    type Event = usize;
    type Outcome = usize;

    fn handle(&mut self, _now: Time, input: Input<Bytes>) {
        match input {
            Input::Command(bytes) => {
                assert!(self.next.is_none() && self.outstanding == 0, "a command without credit");
                self.next = Some(bytes);
            }
            Input::Wrote(n) => {
                self.outstanding -= n;
                self.told = self.outstanding > 0;
                self.announced += usize::from(self.outstanding == 0);
            }
            Input::Data(_) => {}
            Input::Eof | Input::Stop | Input::Abort | Input::Failed(_) => self.ended = true,
        }
    }

    fn poll(&mut self, _now: Time) -> Action<usize, usize> {
        if self.ended {
            return Action::Close { how: Teardown::Graceful, outcome: self.announced };
        }
        if let Some(bytes) = self.next.take() {
            self.outstanding = bytes.len();
            return Action::Write(bytes);
        }
        if self.announced > 0 && self.outstanding == 0 && !self.told {
            self.told = true;
            return Action::Event(self.announced);
        }
        let commands = usize::from(self.outstanding == 0);
        Action::Wait(Wait { read: 100, commands, deadline: None })
    }
}

pub fn commands_wake_a_connection_that_waits_to_read_and_wait_for_credit<D: SocketDriver>() {
    let (mut client, server) = pair();
    let driver = Connection::<D, _, _>::new(SystemClock::new());
    let control = driver.control();
    let waiting = spawn(move || {
        let mut events = Vec::new();
        let ended = driver.drive(server, |_now| Announcer::default(), |event| events.push(event));
        (ended, events)
    });
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    for word in ["one ", "two ", "three "] {
        control.try_send(Bytes::from_static(word.as_bytes())).unwrap();
    }
    let mut back = [0; 14];
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"one two three ");
    control.try_send(Bytes::from_static(b"four")).unwrap();
    client.read_exact(&mut back[..4]).unwrap();
    assert_eq!(&back[..4], b"four");
    client.shutdown(Shutdown::Write).unwrap();
    let (ended, events) = soon(&waiting);
    assert_eq!((ended.outcome, ended.written), (4, 18));
    assert_eq!(events, [1, 2, 3, 4]);
    assert_eq!(control.try_send(Bytes::new()), Err(SendError::Gone(Bytes::new())));
}

pub fn a_reset_is_told_with_its_error<D: SocketDriver>() {
    let (client, server) = pair();
    reset(client);
    let ended = D::drive(server.into(), idle_after_a_second()).unwrap();
    if resets_are_told() {
        assert_eq!(ended.outcome.end, End::Failed(Failure::Reset));
        assert!(ended.failure.is_some());
    }
}

/// Never reads, and ends at once.
struct Deaf;

impl Machine for Deaf {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ();

    fn handle(&mut self, _now: Time, _input: Input) {}

    fn poll(&mut self, _now: Time) -> Action<Infallible, ()> {
        Action::Close { how: Teardown::Graceful, outcome: () }
    }
}

pub fn bytes_that_nobody_read_are_counted<D: SocketDriver>() {
    let (mut client, server) = pair();
    client.write_all(b"nobody reads this").unwrap();
    let ended = D::drive(server.into(), |_now| Deaf).unwrap();
    assert_eq!(ended.unread, 17);
}

/// Panics at its first byte.
struct Brittle;

impl Machine for Brittle {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ();

    fn handle(&mut self, _now: Time, _input: Input) {
        panic!("planted");
    }

    fn poll(&mut self, _now: Time) -> Action<Infallible, ()> {
        Action::Wait(Wait { read: 1, commands: 0, deadline: None })
    }
}

pub fn a_panic_resets_the_connection_instead_of_ending_it<D: SocketDriver>() {
    let (mut client, server): (TcpStream, TcpStream) = pair();
    client.write_all(b"x").unwrap();
    let driven = spawn(move || D::drive(server.into(), |_now| Brittle));
    assert!(driven.recv().is_err(), "it panicked");
    assert_reset(&mut client);
}

/// Takes a byte at a time, and asks for its own stop at the first; ends when it is heard.
struct Flooded {
    control: Control<Infallible>,
    stopped: bool,
}

impl Machine for Flooded {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ();

    fn handle(&mut self, _now: Time, input: Input) {
        match input {
            Input::Data(_) => self.control.stop(),
            Input::Stop => self.stopped = true,
            Input::Eof | Input::Wrote(_) | Input::Abort | Input::Failed(_) => unreachable!("{input:?}"),
            Input::Command(never) => match never {},
        }
    }

    fn poll(&mut self, _now: Time) -> Action<Infallible, ()> {
        if self.stopped {
            return Action::Close { how: Teardown::Reset, outcome: () };
        }
        Action::Wait(Wait { read: 1, commands: 0, deadline: None })
    }
}

pub fn a_peer_that_floods_does_not_keep_a_stop_from_being_heard<D: SocketDriver>() {
    let (mut client, server) = pair();
    let driver = Connection::<D, _, _>::new(SystemClock::new());
    let control = driver.control();
    let flood = spawn(move || while client.write(&[0; 1 << 14]).is_ok() {});
    let machine = Flooded { control, stopped: false };
    let waiting = spawn(move || driver.drive(server, |_now| machine, |never| match never {}));
    soon(&waiting);
    soon(&flood);
}

/// Waits for its deadline, whatever it is told.
struct Stubborn;

impl Machine for Stubborn {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ();

    fn handle(&mut self, _now: Time, _input: Input) {}

    fn poll(&mut self, now: Time) -> Action<Infallible, ()> {
        Action::Wait(Wait { read: 1, commands: 0, deadline: Some(now.after(Duration::from_secs(3600))) })
    }
}

pub fn a_machine_that_goes_on_after_a_failure_is_a_panic_not_a_loop<D: SocketDriver>() {
    if !resets_are_told() {
        return;
    }
    let (client, server) = pair();
    reset(client);
    let driven = spawn(move || D::drive(server.into(), |_now| Stubborn));
    let told = driven.recv_timeout(Duration::from_secs(60));
    assert_eq!(told.map(drop), Err(std::sync::mpsc::RecvTimeoutError::Disconnected), "it panicked");
}

/// Tells of its first byte, answers it, and counts what it is told until the connection fails.
#[cfg(target_os = "linux")]
#[derive(Default)]
struct Answerer {
    received: usize,
    told: bool,
    answered: bool,
    failure: Option<Failure>,
}

#[cfg(target_os = "linux")]
impl Machine for Answerer {
    type Command = Infallible;
    type Event = ();
    type Outcome = (usize, Option<Failure>);

    fn handle(&mut self, _now: Time, input: Input) {
        match input {
            Input::Data(bytes) => self.received += bytes.len(),
            Input::Failed(failure) => self.failure = Some(failure),
            Input::Eof | Input::Wrote(_) | Input::Stop | Input::Abort => {}
            Input::Command(never) => match never {},
        }
    }

    fn poll(&mut self, _now: Time) -> Action<(), Self::Outcome> {
        if self.failure.is_some() {
            return Action::Close { how: Teardown::Reset, outcome: (self.received, self.failure) };
        }
        if self.received > 0 && !std::mem::replace(&mut self.told, true) {
            return Action::Event(());
        }
        if self.told && !std::mem::replace(&mut self.answered, true) {
            return Action::Write(Bytes::from_static(b"an answer"));
        }
        Action::Wait(Wait { read: 100, commands: 0, deadline: None })
    }
}

/// The peer sends more and resets after the driver has read, and before it writes. Linux keeps what came before a reset.
#[cfg(target_os = "linux")]
pub fn what_came_before_a_write_failed_is_read<D: SocketDriver>() {
    let (mut client, server) = pair();
    client.write_all(b"x").unwrap();
    let mut client = Some(client);
    let events = |()| {
        if let Some(mut client) = client.take() {
            client.write_all(b"the last word").unwrap();
            reset(client);
        }
    };
    let driver = Connection::<D, _, _>::new(SystemClock::new());
    let ended = driver.drive(server, |_now| Answerer::default(), events);
    assert_eq!(ended.outcome, (14, Some(Failure::Reset)));
}

pub fn urgent_bytes_are_bytes<D: SocketDriver>() {
    let (mut client, server) = pair();
    let server_config = ServerConfig::default();
    let waiting = spawn(move || D::drive(server.into(), |now| EchoServer::new(server_config.into(), now)));
    client.write_all(b"hello ").unwrap();
    rustix::net::send(&client, b"wor", rustix::net::SendFlags::OOB).unwrap();
    client.write_all(b"ld").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    client.read_to_string(&mut back).unwrap();
    assert_eq!(back, "hello world");
    assert_eq!(soon(&waiting).unwrap().outcome.end, End::Clean);
}

/// Tells of its first byte, and ends with its last.
#[cfg(target_os = "linux")]
struct Collector {
    received: usize,
    expected: usize,
    told: bool,
}

#[cfg(target_os = "linux")]
impl Machine for Collector {
    type Command = Infallible;
    type Event = ();
    type Outcome = usize;

    fn handle(&mut self, _now: Time, input: Input) {
        if let Input::Data(bytes) = input {
            self.received += bytes.len();
        }
    }

    fn poll(&mut self, _now: Time) -> Action<(), usize> {
        if self.received > 0 && !std::mem::replace(&mut self.told, true) {
            return Action::Event(());
        }
        if self.received == self.expected {
            return Action::Close { how: Teardown::Graceful, outcome: self.received };
        }
        Action::Wait(Wait { read: 100, commands: 0, deadline: None })
    }
}

/// A read stops short before them, which says nothing of what is behind; and all of it is told by one event.
#[cfg(target_os = "linux")]
pub fn what_follows_urgent_bytes_is_read<D: SocketDriver>() {
    let (mut client, server) = pair();
    client.write_all(b"x").unwrap();
    let mut writer = client.try_clone().unwrap();
    let events = move |()| {
        writer.write_all(b"hello ").unwrap();
        rustix::net::send(&writer, b"w", rustix::net::SendFlags::OOB).unwrap();
        writer.write_all(b"orld").unwrap();
    };
    let driver = Connection::<D, _, _>::new(SystemClock::new());
    let machine = Collector { received: 0, expected: 12, told: false };
    let waiting = spawn(move || driver.drive(server, |_now| machine, events));
    assert_eq!(soon(&waiting).outcome, 12);
}

/// Windows does not tell how much the peer has acknowledged.
#[cfg(not(windows))]
pub fn what_a_reset_destroys_is_counted<D: SocketDriver>() {
    let (mut client, server) = pair();
    let driver = Connection::<D, _, _>::new(SystemClock::new());
    let control = driver.control();
    let config = ServerConfig::default();
    let waiting = spawn(move || {
        driver.drive(server, |now| EchoServer::new(config.into(), now), |never| match never {})
    });
    // It reads nothing, and writes until the whole way there and back is full.
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    while let Ok(wrote) = client.write(&[0; 1 << 14]) {
        sent += wrote as u64;
    }
    control.abort();
    let ended = soon(&waiting);
    assert!(ended.destroyed > 0, "{ended:?}");
    assert!(ended.outcome.dropped + ended.unread + ended.destroyed <= sent);
}
