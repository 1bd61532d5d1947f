//! What connections share: mail from one to the others, in one order.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use roundtrip_core::Time;
use roundtrip_core::admission::Limits;
use roundtrip_core::hub::{ConnectionId, Hub, Mail, SendError};
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig, SessionOutcome};
use roundtrip_net::{BindOptions, ServerHandle, SystemClock};

use super::common::{soon, spawn};
use super::driver::TestBackend;

/// One who is in the room: says lines, and hears those of all.
struct Guest;

impl Protocol for Guest {
    type Command = Bytes;
    type Event = Bytes;

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Bytes>) -> Need {
        while let Some(end) = io.inbox().iter().position(|byte| *byte == b'\n') {
            let line = io.inbox().split_to(end).freeze();
            io.inbox().advance(1);
            io.event(line);
        }
        Need::Bytes
    }

    fn command_capacity(&self) -> usize {
        8
    }

    fn command(&mut self, _now: Time, line: Bytes, io: &mut Io<'_, Bytes>) {
        io.outbox().extend_from_slice(&line);
        io.outbox().extend_from_slice(b"\n");
    }
}

/// Who is there, and what was not heard by whom.
#[derive(Default)]
struct Room {
    present: BTreeSet<ConnectionId>,
    unheard: usize,
    last: Option<Time>,
}

impl Room {
    fn at(&mut self, now: Time) {
        assert!(self.last.is_none_or(|last| last <= now), "the clock went back");
        self.last = Some(now);
    }
}

impl Hub for Room {
    type Session = Session<Guest>;

    fn open(&mut self, now: Time, id: ConnectionId) -> Session<Guest> {
        assert!(self.present.insert(id), "a name that was given before");
        Session::new(Guest, Arc::new(SessionConfig::default()), now)
    }

    fn event(&mut self, now: Time, _from: ConnectionId, line: Bytes, mail: &mut dyn Mail<Bytes>) {
        self.at(now);
        if line == "out" {
            self.present.iter().for_each(|id| mail.abort(*id));
            return;
        }
        for id in &self.present {
            match mail.send(*id, line.clone()) {
                Ok(()) => {}
                Err(SendError::Full(_)) => mail.abort(*id),
                Err(SendError::Gone(_)) => self.unheard += 1,
            }
        }
    }

    fn closed(&mut self, now: Time, id: ConnectionId, _outcome: SessionOutcome, _mail: &mut dyn Mail<Bytes>) {
        self.at(now);
        assert!(self.present.remove(&id));
    }
}

fn room(
    backend: impl TestBackend,
) -> (impl Fn() -> TcpStream, ServerHandle, std::sync::mpsc::Receiver<Room>) {
    let listener = roundtrip_net::bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let address = listener.local_address().unwrap();
    let handle = ServerHandle::new();
    let served = spawn({
        let handle = handle.clone();
        move || {
            let clock = SystemClock::new();
            backend.serve_hub(&clock, vec![listener], Limits::default(), &handle, Room::default()).unwrap().1
        }
    });
    let connect = move || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        stream
    };
    (connect, handle, served)
}

fn hear(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line
}

/// Says something, and hears it: it is in the room.
fn enter(stream: &TcpStream, name: &str) -> BufReader<TcpStream> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    writeln!(&*stream, "{name}").unwrap();
    while hear(&mut reader) != format!("{name}\n") {}
    reader
}

/// All talk at once, and nobody goes on before the last line of each has come: a mailbox is bounded.
pub fn what_one_says_all_hear_in_the_same_order(backend: impl TestBackend) {
    const LINES: usize = 500;
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let (connect, handle, served) = room(backend);
    let streams = NAMES.map(|_| connect());
    let readers: Vec<_> = NAMES.iter().zip(&streams).map(|(name, stream)| enter(stream, name)).collect();
    let talks: Vec<_> = streams
        .into_iter()
        .zip(readers)
        .enumerate()
        .map(|(number, (mut stream, mut reader))| {
            spawn(move || {
                let mut heard = Vec::new();
                for line in 1..=LINES {
                    // One write: a second one would wait for the acknowledgement of the first.
                    stream.write_all(format!("{number} {line}\n").as_bytes()).unwrap();
                    while heard.len() < NAMES.len() * line {
                        // Of the names, who came first hears more than who came last.
                        heard.extend(Some(hear(&mut reader)).filter(|line| line.contains(' ')));
                    }
                }
                heard
            })
        })
        .collect();
    let heard: Vec<_> = talks.iter().map(soon).collect();
    assert!(heard.iter().all(|lines| *lines == heard[0]), "two heard two orders");
    handle.stop();
    let room = soon(&served);
    assert!(room.present.is_empty(), "the hub heard of every end");
}

pub fn a_hub_ends_sessions_and_mail_to_those_that_are_gone_says_so(backend: impl TestBackend) {
    let (connect, handle, served) = room(backend);
    let (first, second) = (connect(), connect());
    let (mut heard_first, mut heard_second) = (enter(&first, "first"), enter(&second, "second"));
    writeln!(&first, "out").unwrap();
    for reader in [&mut heard_first, &mut heard_second] {
        // Reset, after what may have come before.
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) {}
        assert!(line.lines().all(|line| line == "second"), "{line}");
    }
    handle.stop();
    let room = soon(&served);
    assert!(room.present.is_empty());
}

/// The same machine where nothing reaches in: a hub that shares nothing.
pub fn each_is_the_hub_that_shares_nothing(backend: impl TestBackend) {
    use roundtrip_echo::{EchoServer, ServerConfig};
    let listener = roundtrip_net::bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let address = listener.local_address().unwrap();
    let handle = ServerHandle::new();
    let config = Arc::new(ServerConfig::default());
    let echo = roundtrip_core::hub::Each(move |now, _id| EchoServer::new(Arc::clone(&config), now));
    let served = spawn({
        let handle = handle.clone();
        move || {
            backend
                .serve_hub(&SystemClock::new(), vec![listener], Limits::default(), &handle, echo)
                .map(|(served, _)| served)
        }
    });
    let stream = TcpStream::connect(address).unwrap();
    writeln!(&stream, "echo").unwrap();
    assert_eq!(hear(&mut BufReader::new(&stream)), "echo\n");
    drop(stream);
    handle.stop();
    assert_eq!(soon(&served).unwrap().admission.admitted, 1);
}
