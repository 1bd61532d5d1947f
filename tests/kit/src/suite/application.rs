//! What an application is given: a session's events with the way to answer them, panics, and live counters.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use roundtrip_core::Time;
use roundtrip_core::admission::Limits;
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig};
use roundtrip_echo::ServerConfig;
use roundtrip_net::{
    Accepted, Application, BindOptions, CommandOf, ConnectOptions, Control, EventOf, Panic, ServerHandle,
    bind,
};

use super::common::{echo, soon, spawn};
use super::driver::TestBackend;

/// Asks the application for the answer to each byte, one after the other.
struct Asking;

impl Protocol for Asking {
    type Command = u8;
    type Event = u8;

    fn receive(&mut self, _now: Time, io: &mut Io<'_, u8>) -> Need {
        if io.inbox().is_empty() {
            return Need::Bytes;
        }
        let question = io.inbox().split_to(1)[0];
        io.event(question);
        Need::Command
    }

    fn command_capacity(&self) -> usize {
        1
    }

    fn command(&mut self, _now: Time, answer: u8, io: &mut Io<'_, u8>) {
        io.outbox().extend_from_slice(&[answer]);
    }
}

/// Answers each byte with the next one: on both sides of a connection.
struct Successor;

impl<K> Application<K> for Successor {
    type Machine = Session<Asking>;

    fn open(&self, now: Time, _key: &K, _control: &Control<u8>) -> Session<Asking> {
        Session::new(Asking, SessionConfig::default().into(), now)
    }

    fn event(&self, _key: &K, control: &Control<CommandOf<Self, K>>, question: EventOf<Self, K>) {
        control.try_send(question + 1).unwrap();
    }
}

pub fn a_server_answers_the_events_of_a_session_by_command(backend: impl TestBackend) {
    let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let mut client = TcpStream::connect(listener.local_address().unwrap()).unwrap();
    let limits = Limits::default().total(Some(1));
    let served = spawn(move || backend.serve(vec![listener], limits, &ServerHandle::new(), &Successor));
    client.write_all(b"HAL").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).unwrap();
    assert_eq!(answers, b"IBM");
    soon(&served).unwrap();
}

pub fn a_client_answers_the_events_of_a_session_by_command(backend: impl TestBackend) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp:{}", listener.local_addr().unwrap()).parse().unwrap();
    let stream = roundtrip_net::connect(&endpoint, &ConnectOptions::default()).unwrap();
    let driven = spawn(move || backend.drive_all([stream], &Successor));
    let mut server = listener.accept().unwrap().0;
    server.write_all(b"HAL").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    let mut answers = Vec::new();
    server.read_to_end(&mut answers).unwrap();
    assert_eq!(answers, b"IBM");
    soon(&driven).unwrap();
}

/// Panics when a connection is opened, and keeps the message.
struct Refusing(Arc<Mutex<Vec<String>>>);

impl Application<Accepted> for Refusing {
    type Machine = Session<Asking>;

    fn open(&self, _now: Time, accepted: &Accepted, _control: &Control<u8>) -> Session<Asking> {
        panic!("planted in {}", accepted.id.number());
    }

    fn panicked(&self, accepted: &Accepted, panic: Panic) {
        let message = format!("{}: {}", accepted.id.number(), panic.message().unwrap());
        self.0.lock().unwrap().push(message);
    }
}

pub fn a_server_is_given_the_message_of_a_panic(backend: impl TestBackend) {
    let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let _client = TcpStream::connect(listener.local_address().unwrap()).unwrap();
    let messages = Arc::default();
    let app = Refusing(Arc::clone(&messages));
    let limits = Limits::default().total(Some(1));
    let served = spawn(move || backend.serve(vec![listener], limits, &ServerHandle::new(), &app));
    assert_eq!(soon(&served).unwrap().panicked, 1);
    assert_eq!(*messages.lock().unwrap(), ["0: planted in 0"]);
}

pub fn counters_of_a_server_are_read_while_it_runs(backend: impl TestBackend) {
    let server = echo(backend, ServerConfig::default(), Limits::default());
    assert_eq!(server.handle.stats().admission.admitted, 0);
    let mut clients: Vec<_> = (0..2).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    for client in &mut clients {
        client.write_all(b"!").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    let stats = server.handle.stats().admission;
    assert_eq!((stats.admitted, stats.live, stats.peak), (2, 2, 2));
    drop(clients);
    let handle = server.handle.clone();
    assert_eq!(server.stop(), handle.stats());
    assert_eq!(handle.stats().admission.live, 0);
}
