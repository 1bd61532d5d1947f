//! A peer of a client that does as it likes with the bytes it gets.

use std::convert::Infallible;

use bytes::Bytes;
use roundtrip_core::{Input, Machine, Time};
use roundtrip_echo::EchoClient;

use super::bench::Bench;
use super::op::{ClientSetup, Op};

/// What the peer does, or the client's driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerOp {
    /// Sends back at most so many of the bytes that are due.
    Echo(usize),
    /// Sends bytes that nobody sent.
    Garbage(usize),
    /// Goes back by so many bytes in what it echoes next.
    Again(usize),
    /// Leaves out so many bytes.
    Skip(usize),
    /// What a driver does; `Data` echoes.
    Driver(Op),
}

/// A client's configuration and its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visited {
    pub setup: ClientSetup,
    pub ops: Vec<PeerOp>,
}

/// A client on its bench, and where its peer stands.
#[derive(Clone)]
pub struct Session<M: Machine = EchoClient> {
    pub bench: Bench<M>,
    /// Offset of the byte that is echoed next.
    next: usize,
}

/// When a session begins: not the epoch, so that a time that is taken from nowhere shows.
pub const START: Time = Time::from_nanos(1000);

impl Session {
    pub fn run(setup: &ClientSetup, ops: &[PeerOp]) -> Self {
        Self::with(EchoClient::new(setup.config(), setup.payload(), START), ops)
    }
}

impl<M> Session<M>
where
    M: Machine<Command = Infallible, Event = Infallible> + Clone,
{
    /// Carries out all of `ops` on a machine that begins at [`START`].
    pub fn with(machine: M, ops: &[PeerOp]) -> Self {
        let mut session = Self { bench: Bench::new(machine, START), next: 0 };
        for &op in ops {
            session.apply(op);
        }
        session
    }

    pub fn apply(&mut self, op: PeerOp) {
        match op {
            PeerOp::Echo(most) | PeerOp::Driver(Op::Data(most)) => {
                let taken = self.bench.written.len() - self.bench.outstanding;
                let from = self.next.min(taken);
                let len = most.min(self.bench.credit).min(taken - from);
                self.next = from + len;
                self.deliver(Bytes::copy_from_slice(&self.bench.written[from..from + len]));
            }
            PeerOp::Garbage(most) => {
                let len = most.min(self.bench.credit);
                self.deliver(vec![0xa5; len].into());
            }
            PeerOp::Again(by) => self.next = self.next.saturating_sub(by),
            PeerOp::Skip(by) => self.next += by,
            PeerOp::Driver(op) => {
                self.bench.pass(op);
                if let Some(input) = self.bench.input(op, |_| Bytes::new()) {
                    self.bench.tell(input);
                }
                if op == Op::Poll {
                    let _ = self.bench.poll();
                } else if op == Op::Settle {
                    self.bench.settle();
                }
            }
        }
    }

    fn deliver(&mut self, bytes: Bytes) {
        if !bytes.is_empty() && !self.bench.ended {
            self.bench.tell(Input::Data(bytes));
        }
    }
}
