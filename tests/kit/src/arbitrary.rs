//! Random operations and configurations, such that the states that matter are reached often.

use quickcheck::{Arbitrary, Gen};
use roundtrip_core::Failure;
use roundtrip_core::admission::{AcceptError, Limits};

use crate::model::door::{self, Day, MS};
use crate::model::op::{ClientSetup, Op, Served, ServerSetup};
use crate::model::peer::{PeerOp, Visited};
use crate::model::slicing::{Damage, Round, Slicing};

/// Longest list of operations, before the polls between them.
const LONGEST: u64 = 32;

/// A number from 0 to `below - 1`.
fn below(g: &mut Gen, below: u64) -> u64 {
    u64::arbitrary(g) % below
}

/// A length from 1 to `most`; small ones are as likely as large ones.
fn length(g: &mut Gen, most: usize) -> usize {
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
            tail_wait: limit(g, 60).filter(|nanos| nanos % 4 == 0),
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
            _ => Self::Poll,
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let smaller = |n: usize, make: fn(usize) -> Self| -> Box<dyn Iterator<Item = Self>> {
            Box::new(n.shrink().filter(|&n| n > 0).map(make))
        };
        match *self {
            Self::Data(n) => smaller(n, Self::Data),
            Self::Wrote(n) => smaller(n, Self::Wrote),
            Self::Advance(nanos) => Box::new(nanos.shrink().map(Self::Advance)),
            Self::Poll
            | Self::Settle
            | Self::Eof
            | Self::WroteAll
            | Self::Stop
            | Self::Abort
            | Self::Failed(_)
            | Self::AdvanceToDeadline => quickcheck::empty_shrinker(),
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

impl Arbitrary for Slicing {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut sizes = || (0..=below(g, 4)).map(|_| length(g, 64)).collect();
        let (reads, writes) = (sizes(), sizes());
        Self { reads, writes, reads_first: bool::arbitrary(g) }
    }
}

impl Arbitrary for Round {
    fn arbitrary(g: &mut Gen) -> Self {
        Self {
            sent: usize::arbitrary(g) % 60,
            room: usize::arbitrary(g) % 60,
            stop: below(g, 8) == 0,
            fin: below(g, 12) == 0,
            pause: below(g, 6),
        }
    }
}

impl Arbitrary for Damage {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut n = || usize::arbitrary(g) % 300;
        let (offset, first, second) = (n(), n() % 40, n() % 40);
        match n() % 7 {
            0 => Self::None,
            1 => Self::Drop(offset, first),
            2 => Self::Repeat(offset, first),
            3 => Self::Swap(offset, first, second),
            4 => Self::Flip(offset),
            5 => Self::Append(offset),
            _ => Self::Cut(offset),
        }
    }
}

impl Arbitrary for door::Op {
    fn arbitrary(g: &mut Gen) -> Self {
        let n = usize::arbitrary(g);
        match n % 64 {
            0..14 => Self::Arrive([1, 2, 3][n / 64 % 3]),
            14..34 => Self::Accept,
            34..36 => Self::AcceptFailed(AcceptError::Connection),
            36..40 => Self::AcceptFailed(AcceptError::Exhausted),
            40..52 => Self::End(n / 64),
            52..54 => Self::Stop,
            54 => Self::Force,
            55..59 => Self::AdvanceMs(u32::arbitrary(g) % 40),
            59..63 => Self::AdvanceToDeadline,
            _ => Self::EndOfNobody,
        }
    }
}

impl Arbitrary for Day {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut some = |most: usize| bool::arbitrary(g).then_some(1 + usize::arbitrary(g) % most);
        let limits = Limits::default()
            .connections(some(4).unwrap_or(usize::MAX))
            .per_source(some(2))
            .total(some(8).map(|total| total as u64 - 1))
            .drain(MS * (1 + u32::arbitrary(g) % 60));
        Self { limits, ops: Arbitrary::arbitrary(g) }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let limits = self.limits.clone();
        Box::new(self.ops.shrink().map(move |ops| Self { limits: limits.clone(), ops }))
    }
}
