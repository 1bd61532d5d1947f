//! Drives a session of a protocol through a stream that is cut in pieces: what the targets of the examples share.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::protocol::{Protocol, Session, SessionConfig, SessionEnd};
use roundtrip_core::{Driven, Failure, Step, Time};

/// Maximum bytes from the peer.
pub(crate) const MOST: usize = 512;
pub(crate) const NOW: Time = Time::ZERO;

/// Small bounds, or those that are shipped.
pub(crate) fn bounded(shipped: &SessionConfig, setup: u8) -> SessionConfig {
    let inbox = [shipped.inbox, 16, 64, 200][usize::from(setup & 3)];
    let outbox = [shipped.outbox, 1, 20, 300][usize::from(setup >> 2 & 3)];
    shipped.clone().inbox(inbox).outbox(outbox).idle(Some(Duration::from_secs(1)))
}

/// How a session is ended from outside, and after how many waits; its peer says nothing more.
#[derive(Clone, Copy)]
pub(crate) struct End {
    after: u8,
    input: Option<EndInput>,
    /// The peer goes on taking what is written.
    taken: bool,
}

#[derive(Clone, Copy)]
enum EndInput {
    Stop,
    Abort,
    Failed,
}

impl End {
    pub(crate) fn of(setup: u8, cut: u8) -> Self {
        let inputs = [Some(EndInput::Stop), Some(EndInput::Abort), Some(EndInput::Failed), None];
        Self { after: cut % 16, input: inputs[usize::from(setup >> 3 & 3)], taken: cut & 16 != 0 }
    }
}

/// How streams are cut, both ways.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    reads: [usize; 2],
    write: usize,
    /// The peer's end comes before all is written.
    early: bool,
}

impl Cut {
    pub(crate) const WHOLE: Self = Self { reads: [MOST; 2], write: usize::MAX, early: false };

    pub(crate) fn of(byte: u8) -> Self {
        let byte = usize::from(byte);
        Self { reads: [1 + byte % 4, 1 + byte / 4 % 8], write: 1 + byte / 16 % 8, early: byte >= 128 }
    }
}

/// What came of driving a session: what it wrote, what it told, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Driving<E> {
    pub(crate) written: Vec<u8>,
    pub(crate) events: Vec<E>,
    /// Commands that it took.
    pub(crate) commands: u32,
    pub(crate) end: SessionEnd,
}

/// What a session may come to.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes held.
    held: usize,
    /// Bytes written: from then on it is aborted.
    written: usize,
}

impl Bounds {
    pub(crate) const fn held(held: usize) -> Self {
        Self { held, written: usize::MAX }
    }

    pub(crate) const fn written(self, written: usize) -> Self {
        Self { written, ..self }
    }
}

/// Commands first, then all that comes from the peer, then its end, unless it is ended before.
pub(crate) fn drive<P: Protocol>(
    session: Session<P>,
    commands: Vec<P::Command>,
    mut stream: Bytes,
    cut: Cut,
    end: Option<End>,
    bounds: Bounds,
) -> Driving<P::Event> {
    let mut driven = Driven::new(session);
    let (mut commands, mut taken, mut ended) = (VecDeque::from(commands), 0, false);
    let (mut now, mut waits) = (NOW, 0);
    let (mut written, mut events) = (Vec::new(), Vec::new());
    let mut reads = cut.reads.into_iter().cycle();
    loop {
        match driven.step(now) {
            // It is written when nothing else can be done.
            Step::Write | Step::ShutdownWrite => continue,
            Step::Event(event) => {
                events.push(event);
                continue;
            }
            Step::Wait(_) => {}
            Step::Close { outcome, .. } => {
                // I3: whatever is still told, it stays closed.
                assert_eq!(driven.data(now, Bytes::from_static(b"x")).len(), 1);
                driven.wrote(now, 1);
                driven.failed(now, Failure::Reset);
                assert!(matches!(driven.step(now), Step::Close { outcome: again, .. } if again == outcome));
                return Driving { written, events, commands: taken, end: outcome.end };
            }
        }
        let held = driven.machine().held();
        assert!(held <= bounds.held, "{held} bytes are held, and {} may be", bounds.held);
        if written.len() >= bounds.written {
            driven.abort(now);
            continue;
        }
        let pending = driven.pending();
        if let Some(end) = end.filter(|end| waits >= end.after) {
            match end.input.filter(|_| waits == end.after) {
                Some(EndInput::Stop) => driven.stop(now),
                Some(EndInput::Abort) => driven.abort(now),
                Some(EndInput::Failed) => driven.failed(now, Failure::Reset),
                None if end.taken && !pending.is_empty() => {
                    written.push(pending[0]);
                    driven.wrote(now, 1);
                }
                None => now = driven.deadline().unwrap_or_else(|| panic!("it waits for ever")),
            }
            waits = end.after.saturating_add(1);
            continue;
        }
        waits = waits.saturating_add(1);
        if driven.command_credit() > 0
            && let Some(command) = commands.pop_front()
        {
            assert!(driven.command(now, command).is_ok(), "there is credit for it");
            taken += 1;
        } else if driven.credit() > 0 && !stream.is_empty() {
            let read = reads.next().unwrap_or(1).min(driven.credit()).min(stream.len());
            assert!(driven.data(now, stream.split_to(read)).is_empty(), "there is credit for it");
        } else if stream.is_empty() && !ended && (pending.is_empty() || cut.early) {
            ended = true;
            driven.eof(now);
        } else {
            let wrote = pending.len().min(cut.write);
            assert!(wrote > 0, "nothing is left to happen, and it waits");
            written.extend_from_slice(&pending[..wrote]);
            driven.wrote(now, wrote);
        }
    }
}
