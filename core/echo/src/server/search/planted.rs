//! The search can fail, and so can the fuzz target: servers with one bug each, the shortest history that shows it, and
//! what of the fuzzer's corpus does.

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core,
    reason = "source of the test kit, which is public there"
)]
// The source, because a dependency on the test kit would link a second copy of this crate.
#[path = "../../../../../tests/kit/src/model/mod.rs"]
mod model;

use core::convert::Infallible;
use core::time::Duration;

use super::super::{EchoServer, End, Recv, Send, ServerOutcome};
use super::Letter::{Abort, Data, Eof, Failed, Poll, Stop, Tick, WroteAll};
use super::{Bounds, Counterexample, Letter, Subject, search};
use crate::queue::Queue;
use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Bug {
    /// Closes as soon as the peer has ended, whatever is held.
    ClosesOnEof,
    /// Counts a byte too few as written when the buffer is full.
    WroteOffByOneAtFullBuffer,
    /// Gives credit for the byte that is on its way out.
    CreditBeyondTheBuffer,
    /// Writes the newest of two chunks first.
    LastInFirstOut,
    /// Forgets the deadline while nothing else can end the wait.
    NoDeadlineAfterEof,
    /// Gives a deadline that has just passed.
    DeadlineNow,
    /// Begins the next write before the last is covered.
    WritesOverlap,
    /// Gives less credit once it is stopped.
    StopTakesCreditBack,
    /// Goes on waiting after an abort.
    AbortIsOverlooked,
    /// Half-closes once more in every poll after the first.
    HalfClosesTwice,
    /// Takes a stop for the end.
    CutsAtOnce,
    /// An orderly end after an abort of a write.
    GracefulAfterPart,
    /// Shows another end when polled again.
    CloseChanges,
}

const BUGS: [Bug; 13] = [
    Bug::ClosesOnEof,
    Bug::WroteOffByOneAtFullBuffer,
    Bug::CreditBeyondTheBuffer,
    Bug::LastInFirstOut,
    Bug::NoDeadlineAfterEof,
    Bug::DeadlineNow,
    Bug::WritesOverlap,
    Bug::StopTakesCreditBack,
    Bug::AbortIsOverlooked,
    Bug::HalfClosesTwice,
    Bug::CutsAtOnce,
    Bug::GracefulAfterPart,
    Bug::CloseChanges,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Planted {
    bug: Bug,
    server: EchoServer,
}

impl Subject for Planted {
    fn server(&self) -> &EchoServer {
        &self.server
    }

    fn aged(&self, now: Time, oldest: Duration) -> Self {
        Self { bug: self.bug, server: self.server.aged(now, oldest) }
    }
}

impl Machine for Planted {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ServerOutcome;

    fn handle(&mut self, now: Time, input: Input) {
        let server = &mut self.server;
        match (self.bug, &input) {
            (Bug::ClosesOnEof, Input::Eof) if server.end.is_none() && server.recv == Recv::Open => {
                server.recv = Recv::Eof;
                server.end(End::Clean);
            }
            (Bug::WroteOffByOneAtFullBuffer, Input::Wrote(n @ 1..))
                if server.held() == server.config.buffer && *n <= server.outstanding =>
            {
                server.handle(now, input);
                server.echoed -= 1;
            }
            (Bug::LastInFirstOut, Input::Data(bytes)) if server.queue.chunks() == 1 => {
                let bytes = bytes.clone();
                server.handle(now, input);
                let mut swapped = Queue::default();
                let oldest = server.queue.pop();
                swapped.push(bytes, 9);
                swapped.push(oldest.unwrap_or_default(), 9);
                server.queue = swapped;
            }
            (Bug::AbortIsOverlooked, Input::Abort) => {}
            _ => server.handle(now, input),
        }
    }

    fn poll(&mut self, now: Time) -> Action<Infallible, ServerOutcome> {
        let server = &mut self.server;
        if self.bug == Bug::WritesOverlap && server.queue.bytes() > 0 {
            server.outstanding = 0;
        }
        let action = server.poll(now);
        match (self.bug, action) {
            (Bug::CreditBeyondTheBuffer, Action::Wait(wait)) if server.recv == Recv::Open => {
                Action::Wait(Wait { read: wait.read + server.outstanding, ..wait })
            }
            (Bug::NoDeadlineAfterEof, Action::Wait(wait)) if server.recv != Recv::Open => {
                Action::Wait(Wait { read: 0, deadline: None, ..wait })
            }
            (Bug::DeadlineNow, Action::Wait(wait)) => {
                Action::Wait(Wait { deadline: wait.deadline.map(|_| now), ..wait })
            }
            (Bug::HalfClosesTwice, Action::Wait(_)) if server.send == Send::Shut => Action::ShutdownWrite,
            (Bug::StopTakesCreditBack, Action::Wait(wait)) if server.stopped.is_some() => {
                Action::Wait(Wait { read: wait.read.min(1), ..wait })
            }
            (Bug::CutsAtOnce, Action::Wait(_)) if server.stopped.is_some() && server.send == Send::Open => {
                server.queue = Queue::default();
                server.send = Send::Shut;
                server.recv = Recv::Discard;
                Action::ShutdownWrite
            }
            (Bug::GracefulAfterPart, Action::Close { outcome, .. }) => {
                Action::Close { how: Teardown::Graceful, outcome }
            }
            (Bug::CloseChanges, Action::Close { how, outcome }) => {
                server.end = Some(End::Aborted);
                Action::Close { how, outcome }
            }
            (_, action) => action,
        }
    }
}

fn shortest(bug: Bug, bounds: &Bounds) -> Counterexample {
    let planted = Planted { bug, server: bounds.start() };
    search(planted, bounds.oldest()).expect_err("the bug was not found")
}

#[test]
fn every_planted_bug_is_found_by_a_shortest_history() {
    let bounds = &Bounds::WITHOUT_LIMITS;
    let cases: [(Bug, &str, &[Letter]); 13] = [
        (Bug::ClosesOnEof, "I1", &[Eof, Poll]),
        (Bug::WroteOffByOneAtFullBuffer, "I1", &[Poll, Data(1), Poll, Poll, Data(2), WroteAll]),
        (Bug::CreditBeyondTheBuffer, "I2", &[Poll, Data(2), Poll, Poll, Data(2)]),
        (Bug::LastInFirstOut, "I1", &[Poll, Data(1), Data(1), Poll]),
        (Bug::NoDeadlineAfterEof, "I4", &[Stop, Tick, Poll, Poll]),
        (Bug::DeadlineNow, "I5", &[Stop, Poll]),
        (Bug::WritesOverlap, "I7", &[Poll, Data(1), Poll, Data(1), Poll]),
        (Bug::StopTakesCreditBack, "I6", &[Poll, Stop, Poll]),
        (Bug::AbortIsOverlooked, "I3", &[Abort]),
        (Bug::HalfClosesTwice, "I5", &[Stop, Tick]),
        (Bug::CutsAtOnce, "I7", &[Poll, Data(1), Poll, Stop, Poll]),
        (Bug::GracefulAfterPart, "a graceful end", &[Poll, Data(1), Poll, Abort, Poll]),
        (Bug::CloseChanges, "I3", &[Failed, Poll]),
    ];
    for (bug, rule, letters) in cases {
        let counterexample = shortest(bug, bounds);
        std::println!("{bug:?}: {counterexample}");
        assert!(counterexample.broken.starts_with(rule), "{bug:?}: {counterexample}");
        assert_eq!(counterexample.letters, letters, "{bug:?}: {counterexample}");
    }
}

impl model::twin::Subject for Planted {
    fn server(&self) -> &EchoServer {
        &self.server
    }
}

/// Whether this entry of the fuzzer's corpus shows the bug, as `server_ops` would: server and reference part.
fn falls_to(bug: Bug, entry: &[u8]) -> bool {
    use model::wire::Wire;
    let served = model::op::Served::decode(entry);
    let planted = Planted { bug, server: EchoServer::new(served.setup.config(), model::peer::START) };
    let mut twin = model::twin::Twin::of(&served.setup, planted);
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| twin.pass(&served.ops))).is_err()
}

#[test]
fn every_planted_bug_falls_to_the_corpus_of_server_ops() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    if !folder.exists() {
        std::println!("skipped: this copy of the crate has no {}", folder.display());
        return;
    }
    let archive = std::fs::read(folder.join("corpora/server_ops.tar")).expect("the corpus of server_ops");
    let mut archive = tar::Archive::new(&archive[..]);
    let entries: Vec<Vec<u8>> = archive
        .entries()
        .unwrap()
        .map(|entry| std::io::Read::bytes(entry.unwrap()).collect::<Result<_, _>>().unwrap())
        .collect();
    for bug in BUGS {
        let falls = entries.iter().position(|entry| falls_to(bug, entry));
        assert!(falls.is_some(), "{bug:?} passes all of {} entries", entries.len());
        std::println!("{bug:?}: entry {} of {}", falls.unwrap_or_default() + 1, entries.len());
    }
}
