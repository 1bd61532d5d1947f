//! Random operations and configurations, such that the states that matter are reached often.

#![allow(dead_code, reason = "each test binary uses its part")]

use quickcheck::{Arbitrary, Gen};
use roundtrip_core::Failure;

use crate::model::op::{ClientSetup, Op, ServerSetup};
use crate::model::peer::PeerOp;

/// Longest list of operations, before the polls between them.
const LONGEST: u64 = 32;

/// A server's configuration and its history.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) setup: ServerSetup,
    pub(crate) ops: Vec<Op>,
}

/// A client's configuration and its history.
#[derive(Clone, Debug)]
pub(crate) struct Visited {
    pub(crate) setup: ClientSetup,
    pub(crate) ops: Vec<PeerOp>,
}

/// A number from 0 to `below - 1`.
pub(crate) fn below(g: &mut Gen, below: u64) -> u64 {
    u64::arbitrary(g) % below
}

/// A length from 1 to `most`; small ones are as likely as large ones.
pub(crate) fn length(g: &mut Gen, most: usize) -> usize {
    let most = if bool::arbitrary(g) { most.min(4) } else { most };
    1 + usize::arbitrary(g) % most
}

fn limit(g: &mut Gen, most: u64) -> Option<u64> {
    bool::arbitrary(g).then(|| 1 + below(g, most))
}

impl Arbitrary for ServerSetup {
    fn arbitrary(g: &mut Gen) -> Self {
        let buffer = length(g, 64);
        Self {
            buffer,
            chunk: length(g, buffer),
            max_chunks: 1 + usize::arbitrary(g) % 4,
            idle: limit(g, 40),
            half_close_idle: limit(g, 12),
            max_age: limit(g, 120),
            quiet: 1 + below(g, 8),
            drain: 1 + below(g, 24),
            linger: 1 + below(g, 12),
        }
    }
}

impl Arbitrary for ClientSetup {
    fn arbitrary(g: &mut Gen) -> Self {
        Self {
            window: length(g, 64),
            chunk: length(g, 48),
            write: length(g, 80),
            timeout: limit(g, 60),
            half_close: below(g, 4) > 0,
            pause: limit(g, 60).filter(|nanos| nanos % 2 == 0),
            stall: limit(g, 60).filter(|nanos| nanos % 2 == 0),
            seed: u64::arbitrary(g),
            len: usize::arbitrary(g) % 120,
            given: below(g, 4) == 0,
        }
    }
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Self {
        match below(g, 100) {
            0..34 => Self::Data(length(g, 64)),
            34..50 => Self::Wrote(length(g, 64)),
            50..57 => Self::WroteAll,
            57..61 => Self::Eof,
            61..69 => Self::Stop,
            69 => Self::Abort,
            70 => Self::Failed([Failure::Reset, Failure::Truncated, Failure::Io][usize::arbitrary(g) % 3]),
            71..82 => Self::Advance(below(g, 6)),
            82..90 => Self::AdvanceToDeadline,
            90..92 => Self::Poll,
            92 | 93 => Self::OverCredit(length(g, 4)),
            94 | 95 => Self::OverWrote(length(g, 4)),
            96 => Self::EmptyData,
            97 => Self::DataAfterEof,
            98 => Self::SecondEof,
            _ => Self::ZeroWrote,
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let smaller = |n: usize, make: fn(usize) -> Self| -> Box<dyn Iterator<Item = Self>> {
            Box::new(n.shrink().filter(|&n| n > 0).map(make))
        };
        match *self {
            Self::Data(n) => smaller(n, Self::Data),
            Self::Wrote(n) => smaller(n, Self::Wrote),
            Self::OverCredit(n) => smaller(n, Self::OverCredit),
            Self::OverWrote(n) => smaller(n, Self::OverWrote),
            Self::Advance(nanos) => Box::new(nanos.shrink().map(Self::Advance)),
            Self::Poll
            | Self::Settle
            | Self::Eof
            | Self::WroteAll
            | Self::Stop
            | Self::Abort
            | Self::Failed(_)
            | Self::AdvanceToDeadline
            | Self::EmptyData
            | Self::DataAfterEof
            | Self::SecondEof
            | Self::ZeroWrote => quickcheck::empty_shrinker(),
        }
    }
}

impl Arbitrary for PeerOp {
    fn arbitrary(g: &mut Gen) -> Self {
        match below(g, 100) {
            0..50 => Self::Echo(length(g, 64)),
            50..53 => Self::Garbage(length(g, 64)),
            53..55 => Self::Again(length(g, 32)),
            55..57 => Self::Skip(length(g, 32)),
            57..75 => Self::Driver(Op::WroteAll),
            _ => Self::Driver(Op::arbitrary(g)),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let smaller = |n: usize, make: fn(usize) -> Self| -> Box<dyn Iterator<Item = Self>> {
            Box::new(n.shrink().filter(|&n| n > 0).map(make))
        };
        match *self {
            Self::Echo(n) => smaller(n, Self::Echo),
            Self::Garbage(n) => smaller(n, Self::Garbage),
            Self::Again(n) => smaller(n, Self::Again),
            Self::Skip(n) => smaller(n, Self::Skip),
            Self::Driver(op) => Box::new(op.shrink().map(Self::Driver)),
        }
    }
}

/// A list of operations; after most of them the driver polls as it should.
fn history<T: Arbitrary>(g: &mut Gen, settle: &T) -> Vec<T> {
    let mut ops = vec![settle.clone()];
    for _ in 0..below(g, LONGEST) {
        ops.push(T::arbitrary(g));
        if below(g, 8) > 0 {
            ops.push(settle.clone());
        }
    }
    ops
}

impl Arbitrary for Served {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut ops = history(g, &Op::Settle);
        if below(g, 6) == 0 {
            // A stop that nobody answers, to its end.
            ops.extend([Op::Stop, Op::Settle]);
            ops.extend([Op::AdvanceToDeadline, Op::Settle].repeat(3));
        }
        Self { setup: ServerSetup::arbitrary(g), ops }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let setup = self.setup;
        Box::new(self.ops.shrink().map(move |ops| Self { setup, ops }))
    }
}

impl Arbitrary for Visited {
    fn arbitrary(g: &mut Gen) -> Self {
        Self { setup: ClientSetup::arbitrary(g), ops: history(g, &PeerOp::Driver(Op::Settle)) }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let setup = self.setup;
        Box::new(self.ops.shrink().map(move |ops| Self { setup, ops }))
    }
}
