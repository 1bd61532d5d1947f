//! I9: histories as streams that are cut in one way or another.

use bytes::Bytes;
use roundtrip_core::{Action, Failure, Input, Time};
use roundtrip_echo::{ClientOutcome, EchoClient, EchoServer, ServerOutcome, Verdict};

use super::bench::Bench;
use super::op::{ClientSetup, ServerSetup, content};

/// One way to cut a stream into reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slicing {
    pub reads: Vec<usize>,
    pub writes: Vec<usize>,
    pub reads_first: bool,
}

/// What the world does to a server at one time, before it moves on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Bytes that the peer sends.
    pub sent: usize,
    /// Bytes that the transport has room for.
    pub room: usize,
    pub stop: bool,
    pub fin: bool,
    pub pause: u64,
}

/// Runs the rounds; the bytes that had reached the transport after each, and the outcome if there is one.
fn serve(setup: &ServerSetup, rounds: &[Round], slicing: &Slicing) -> (Vec<Vec<u8>>, Option<ServerOutcome>) {
    let now = Time::ZERO;
    let mut bench = Bench::new(EchoServer::new(setup.config(), now), now);
    let mut reads = slicing.reads.iter().copied().cycle();
    let mut writes = slicing.writes.iter().copied().cycle();
    let (mut sent, mut fed, mut fin) = (0, 0, false);
    let mut echoes = Vec::new();
    bench.settle();
    for round in rounds {
        sent += if fin { 0 } else { round.sent as u64 };
        fin |= round.fin;
        let mut room = round.room;
        let mut read = |bench: &mut Bench<EchoServer>| {
            let unread = usize::try_from(sent - fed).expect("small");
            let len = reads.next().unwrap_or(1).min(unread).min(bench.credit);
            if len > 0 {
                bench.tell(Input::Data(content(fed, fed + len as u64)));
                fed += len as u64;
                bench.settle();
            } else if unread == 0 && fin && bench.credit > 0 {
                bench.tell(Input::Eof);
                bench.settle();
                return true;
            }
            len > 0
        };
        let mut write = |bench: &mut Bench<EchoServer>| {
            let len = writes.next().unwrap_or(1).min(room).min(bench.outstanding);
            if len > 0 {
                room -= len;
                bench.tell(Input::Wrote(len));
                bench.settle();
            }
            len > 0
        };
        for _ in 0..10_000 {
            let moved = if slicing.reads_first {
                let read = read(&mut bench);
                write(&mut bench) || read
            } else {
                let wrote = write(&mut bench);
                read(&mut bench) || wrote
            };
            if !moved || bench.closed {
                break;
            }
        }
        if round.stop {
            bench.tell(Input::Stop);
            bench.settle();
        }
        let until = Time::from_nanos(bench.now.as_nanos() + round.pause);
        while let Some(at) = bench.deadline.filter(|&at| at <= until && !bench.closed) {
            assert!(at > bench.now, "a deadline that has passed");
            bench.now = at;
            bench.settle();
        }
        bench.now = until;
        bench.settle();
        let echoed = usize::try_from(bench.machine.echoed()).expect("small");
        echoes.push(bench.written[..echoed].to_vec());
    }
    let outcome = match bench.poll() {
        Action::Close { outcome, .. } => Some(outcome),
        Action::Write(_) | Action::ShutdownWrite | Action::Event(_) | Action::Wait(_) => None,
    };
    (echoes, outcome)
}

/// How a stream departs from what was sent; offsets are taken modulo its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    None,
    Drop(usize, usize),
    Repeat(usize, usize),
    Swap(usize, usize, usize),
    Flip(usize),
    Append(usize),
    Cut(usize),
}

impl Damage {
    pub fn apply(self, stream: &mut Vec<u8>) {
        let len = stream.len();
        let at = |offset: usize| offset % (len + 1);
        match self {
            Self::None => {}
            Self::Drop(from, n) => drop(stream.drain(at(from)..(at(from) + n).min(len))),
            Self::Repeat(from, n) => {
                let (from, to) = (at(from), (at(from) + n).min(len));
                let again = stream[from..to].to_vec();
                drop(stream.splice(to..to, again));
            }
            Self::Swap(from, first, second) => {
                let from = at(from);
                let end = (from + first + second).min(len);
                stream[from..end].rotate_left(first.min(end - from));
            }
            Self::Flip(offset) => {
                if let Some(byte) = stream.get_mut(at(offset)) {
                    *byte ^= 4;
                }
            }
            Self::Append(n) => stream.resize(len + n, 0x5a),
            Self::Cut(to) => stream.truncate(at(to)),
        }
    }
}

/// Sends it all, then delivers `damage` to what was sent, then an end.
fn visit(setup: &ClientSetup, damage: Damage, reset: bool, slicing: &Slicing) -> (Vec<u8>, ClientOutcome) {
    let mut bench = Bench::new(EchoClient::new(setup.config(), setup.payload(), Time::ZERO), Time::ZERO);
    let mut reads = slicing.reads.iter().copied().cycle();
    let mut writes = slicing.writes.iter().copied().cycle();
    bench.settle();
    for _ in 0..1000 {
        let len = writes.next().unwrap_or(1).min(bench.outstanding);
        if len == 0 {
            break;
        }
        bench.tell(Input::Wrote(len));
        bench.settle();
    }
    let mut stream = bench.written.clone();
    damage.apply(&mut stream);
    let mut stream = Bytes::from(stream);
    while !stream.is_empty() && !bench.closed {
        if bench.credit == 0 {
            pass(&mut bench);
        }
        let len = reads.next().unwrap_or(1).min(stream.len()).min(bench.credit);
        bench.tell(Input::Data(stream.split_to(len)));
        bench.settle();
    }
    let end = if reset { Input::Failed(Failure::Reset) } else { Input::Eof };
    bench.tell(end);
    bench.settle();
    let action = bench.poll();
    let Action::Close { outcome, .. } = action else { panic!("{action:?} after the end") };
    (bench.written, outcome)
}

/// Time passes until the client goes on: a stall or a pause is over.
fn pass(bench: &mut Bench<EchoClient>) {
    bench.now = bench.deadline.expect("a client that waits for the time");
    bench.settle();
}

/// An honest peer and a window smaller than the payload.
fn echo(setup: &ClientSetup, slicing: &Slicing) -> (Vec<u8>, ClientOutcome) {
    let mut bench = Bench::new(EchoClient::new(setup.config(), setup.payload(), Time::ZERO), Time::ZERO);
    let mut reads = slicing.reads.iter().copied().cycle();
    let mut writes = slicing.writes.iter().copied().cycle();
    let mut echoed = 0;
    bench.settle();
    for _ in 0..10_000 {
        let len = writes.next().unwrap_or(1).min(bench.outstanding);
        if len > 0 {
            bench.tell(Input::Wrote(len));
            bench.settle();
        }
        let taken = bench.written.len() - bench.outstanding;
        assert!(taken - echoed <= setup.window, "the window");
        let len = reads.next().unwrap_or(1).min(taken - echoed).min(bench.credit);
        if len > 0 {
            let bytes = Bytes::copy_from_slice(&bench.written[echoed..echoed + len]);
            echoed += len;
            bench.tell(Input::Data(bytes));
            bench.settle();
        } else if taken > echoed {
            pass(&mut bench);
        } else if echoed < setup.len {
            assert!(setup.pause.is_some(), "nothing is sent though all is back");
            pass(&mut bench);
        } else if bench.outstanding == 0 {
            if let Action::Wait(_) = bench.poll() {
                // The pause of a single byte comes after it.
                if setup.pause.is_some() && setup.len < 2 {
                    pass(&mut bench);
                }
                bench.tell(Input::Eof);
            }
            if let Action::Close { outcome, .. } = bench.poll() {
                return (bench.written, outcome);
            }
        }
    }
    panic!("{echoed} of {} bytes came back, and no more", setup.len);
}

/// A server does not care how its streams are sliced.
pub fn assert_served_alike(setup: &ServerSetup, rounds: &[Round], one: &Slicing, other: &Slicing) {
    assert_eq!(serve(setup, rounds, one), serve(setup, rounds, other), "I9: {one:?}, {other:?}");
}

/// A client gives the same verdict however its streams are sliced.
pub fn assert_judged_alike(setup: ClientSetup, damage: Damage, reset: bool, one: &Slicing, other: &Slicing) {
    // All is sent before anything comes back: what a peer may do depends on what it has got. Without a
    // half-close, what follows the last byte is seen if it comes with it, and not if it comes later.
    // How long it takes depends on the slicing, and so would what counts as withheld.
    let setup = ClientSetup { window: setup.len.max(1), half_close: true, tail_wait: None, ..setup };
    let (sent, outcome) = visit(&setup, damage, reset, one);
    let (sent_too, other) = visit(&setup, damage, reset, other);
    assert_eq!((&sent, outcome.verdict, outcome.sent), (&sent_too, other.verdict, other.sent), "I9");
}

/// An honest echo is verified however it is sliced.
pub fn assert_verified(setup: &ClientSetup, slicing: &Slicing) {
    // What is slow to come back is withheld, if the client waits for it.
    let setup = &ClientSetup { tail_wait: None, ..*setup };
    let (sent, outcome) = echo(setup, slicing);
    let len = setup.len as u64;
    let mut payload = vec![0; setup.len];
    setup.payload().fill(0, &mut payload);
    assert_eq!(sent, payload);
    assert_eq!((outcome.verdict, outcome.sent, outcome.received), (Verdict::Verified, len, len));
}
