//! The server and the reference, step by step side by side.

use std::convert::Infallible;

use roundtrip_core::{Action, Input, Machine, Teardown, Time};
use roundtrip_echo::{EchoServer, ServerOutcome};

use super::bench::{BURST, Bench};
use super::op::{Op, ServerSetup, content};
use super::peer::START;
use super::reference::{Expected, Reference};

/// The shipped server, or one with a bug in it.
pub trait Subject:
    Machine<Command = Infallible, Event = Infallible, Outcome = ServerOutcome> + Clone
{
    fn server(&self) -> &EchoServer;
}

impl Subject for EchoServer {
    fn server(&self) -> &EchoServer {
        self
    }
}

/// A server on its bench and the reference, in the same history.
#[derive(Clone)]
pub struct Twin<M: Machine = EchoServer> {
    pub bench: Bench<M>,
    pub reference: Reference,
    /// Bytes that the peer has sent.
    pub fed: u64,
}

impl Twin {
    pub fn new(setup: &ServerSetup) -> Self {
        Self::of(setup, EchoServer::new(setup.config(), START))
    }

    /// Carries out all of `ops`; panics where server and reference part.
    pub fn run(setup: &ServerSetup, ops: &[Op]) -> Self {
        let mut twin = Self::new(setup);
        twin.pass(ops);
        twin
    }
}

impl<M: Subject> Twin<M> {
    /// `machine`, which begins at [`START`] with this setup, and the reference.
    pub fn of(setup: &ServerSetup, machine: M) -> Self {
        Self {
            bench: Bench::new(machine, START),
            reference: Reference::new(*setup, START.as_nanos()),
            fed: 0,
        }
    }

    pub fn pass(&mut self, ops: &[Op]) {
        for &op in ops {
            self.apply(op);
        }
    }

    pub fn apply(&mut self, op: Op) {
        self.bench.pass(op);
        let fed = self.fed;
        if let Some(input) = self.bench.input(op, |len| content(fed, fed + len as u64)) {
            self.reference.handle(self.bench.now.as_nanos(), &input);
            if let (Op::Data(_), Input::Data(bytes)) = (op, &input) {
                self.fed += bytes.len() as u64;
            }
            self.bench.tell(input);
            self.compare();
        }
        if op == Op::Poll {
            self.poll();
        } else if op == Op::Settle {
            let settled = (0..BURST).any(|_| self.poll());
            assert!(settled, "I5: no rest after {BURST} actions");
        }
    }

    /// Polls both; whether they are at rest.
    fn poll(&mut self) -> bool {
        let expected = self.reference.poll(self.bench.now.as_nanos());
        let action = self.bench.poll();
        match (&action, &expected) {
            (Action::Write(bytes), Expected::Write(range)) => {
                assert_eq!(*bytes, content(range.start, range.end), "what is written");
            }
            (Action::ShutdownWrite, Expected::ShutdownWrite) => {}
            (Action::Wait(wait), Expected::Wait { read, deadline }) => {
                assert_eq!(wait.read, *read, "the read credit");
                assert_eq!(wait.commands, 0);
                assert_eq!(wait.deadline.map(Time::as_nanos), *deadline, "the deadline");
            }
            (
                Action::Close { how, outcome },
                Expected::Close { reset, end, received, echoed, dropped, refused },
            ) => {
                assert_eq!(*how == Teardown::Reset, *reset, "the teardown of {outcome:?}");
                assert_eq!(outcome.end, *end);
                let counts = [outcome.received, outcome.echoed, outcome.dropped, outcome.refused];
                assert_eq!(
                    counts,
                    [*received, *echoed, *dropped, *refused],
                    "received, echoed, dropped, refused"
                );
            }
            (action, expected) => panic!("{action:?} where {expected:?} was expected"),
        }
        self.compare();
        matches!(action, Action::Wait(_) | Action::Close { .. })
    }

    fn compare(&self) {
        let (server, reference) = (self.bench.machine.server(), &self.reference);
        assert_eq!(server.phase(), reference.phase(), "the phase");
        assert_eq!(server.received(), reference.received(), "bytes received");
        assert_eq!(server.echoed(), reference.echoed(), "bytes echoed");
        assert_eq!(server.held() as u64, reference.held(), "bytes held");
        assert_eq!(server.chunks(), reference.chunks(), "chunks queued");
    }
}
