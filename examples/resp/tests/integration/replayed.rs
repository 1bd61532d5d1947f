//! A server whose connections share keys, recorded on real sockets, and replayed from nothing but the record.

use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier, PoisonError};
use std::thread;
use std::time::Duration;

use roundtrip_core::admission::Limits;
use roundtrip_core::protocol::{Io, Need, Protocol, Session};
use roundtrip_core::{Machine, Tap, Time};
use roundtrip_record::{Observer, Record, Recorder, ReplayError, ReplayErrorCause, Replayed};
use roundtrip_resp::{Keys, Resp, SharedKeys, config};
use roundtrip_std::{Accepted, Application, Backend, BindOptions, Control, ServerHandle, bind};

const CLIENTS: usize = 4;
const COUNTS: usize = 50;

/// Makes a session for each connection, with an observer on its line.
struct Recorded {
    keys: SharedKeys,
    recorder: Recorder,
}

impl Application<Accepted> for Recorded {
    type Machine = Tap<Session<Resp>, Observer>;

    fn open(&self, now: Time, accepted: &Accepted, _control: &Control<Infallible>) -> Self::Machine {
        let observer = self.recorder.open(accepted.id, now);
        Tap::new(session(Resp::new(Arc::clone(&self.keys)), now), observer)
    }
}

fn session<P: Protocol>(protocol: P, now: Time) -> Session<P> {
    Session::new(protocol, Arc::new(config()), now)
}

/// Counts up so many times, each after the answer to the one before; the answers are in order.
fn count(address: SocketAddr, all_are_there: &Barrier) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut last = 0;
    all_are_there.wait();
    for _ in 0..COUNTS {
        stream.write_all(b"INCR n\r\n").unwrap();
        let answer: i64 = answers.next().unwrap().unwrap().strip_prefix(':').unwrap().parse().unwrap();
        assert!(answer > last, "{answer} after {last}");
        last = answer;
    }
}

/// A server on the driver of futures, on one thread, and several clients at once: its record.
fn record(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let recorder = Recorder::new(File::create(&path).unwrap(), "resp", "").unwrap();
    let app = Recorded { keys: SharedKeys::default(), recorder: recorder.clone() };
    let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let address = listener.local_endpoint().unwrap().to_string();
    let address = address.strip_prefix("tcp:").unwrap().parse().unwrap();
    let limits = Limits::default().total(Some(CLIENTS as u64));
    let all_are_there = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| count(address, &all_are_there));
        }
        roundtrip_smol::Smol::default().serve(vec![listener], limits, &ServerHandle::new(), &app).unwrap();
    });
    assert_eq!(
        format!("{:?}", app.keys.lock().unwrap()),
        format!("Keys({{b\"n\": b\"{}\"}})", CLIENTS * COUNTS)
    );
    drop(app);
    recorder.finish().unwrap();
    path
}

/// With keys made anew.
fn replay<P: Protocol>(path: &Path, protocol: fn(SharedKeys) -> P) -> Result<Replayed, ReplayError>
where
    Session<P>: Machine<Command = Infallible, Event = Infallible, Outcome: std::fmt::Debug>,
{
    let keys = SharedKeys::default();
    Record::open(File::open(path).unwrap())?.replay(|opened| session(protocol(Arc::clone(&keys)), opened.at))
}

#[test]
fn a_server_with_shared_keys_is_the_same_again() {
    let path = record("resp-same.record");
    let replayed = replay(&path, Resp::new).unwrap();
    assert_eq!((replayed.sessions, replayed.torn), (CLIENTS as u64, None));
    assert_eq!(replayed.bytes, (CLIENTS * COUNTS * "INCR n\r\n".len()) as u64);
}

/// Works on a copy of the keys, and puts it back when the next command comes: an update of somebody else's is lost.
struct Absent {
    shared: SharedKeys,
    copy: Keys,
}

impl Protocol for Absent {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, now: Time, io: &mut Io<'_, Infallible>) -> Need {
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = self.copy.clone();
        let copy = SharedKeys::new(std::mem::take(&mut self.copy).into());
        let need = Resp::new(Arc::clone(&copy)).receive(now, io);
        self.copy = copy.lock().unwrap().clone();
        need
    }
}

#[test]
fn a_lost_update_goes_another_way() {
    let path = record("resp-lost.record");
    let lost = |shared: SharedKeys| {
        let copy = shared.lock().unwrap().clone();
        Absent { shared, copy }
    };
    let error = replay(&path, lost).unwrap_err();
    let ReplayErrorCause::Diverged(divergence) = &error.cause else { panic!("{error}") };
    assert!(
        divergence.recorded.starts_with("write ") && divergence.replayed.starts_with("write "),
        "{error}"
    );
}
