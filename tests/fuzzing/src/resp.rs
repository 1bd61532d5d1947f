//! The example that speaks the protocol of Redis: its server and its client, by what is public of them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use roundtrip_core::protocol::{Protocol, Session, SessionConfig, SessionEnd};
use roundtrip_core::{Driven, Failure, Step, Time};
use roundtrip_resp::client::{self, Call, Client, parse_reply};
use roundtrip_resp::{Resp, SharedKeys, config};

/// Bytes that come from the peer, at the most.
const MOST: usize = 512;
const NOW: Time = Time::ZERO;

/// The first byte says how a session is bounded and how many calls are made, the second how the streams are cut; the rest
/// comes from the peer. However it is cut, a server answers the same, and what it answers are replies; and a client tells
/// the same, of every call once. Ended in the middle, it closes all the same.
pub fn resp_ops(bytes: &[u8]) {
    let [setup, cut, stream @ ..] = bytes else { return };
    let stream = Bytes::copy_from_slice(&stream[..stream.len().min(MOST)]);
    let cuts = [Cut::WHOLE, Cut::of(*cut)];

    let end = End::of(*setup, *cut);
    let [whole, cut] = cuts.map(|cut| server(bounded(&config(), *setup), stream.clone(), cut, None));
    assert_eq!(whole, cut, "a server's answers depend on the cuts");
    let mut answers = BytesMut::from(&whole.written[..]);
    while parse_reply(&mut answers, MOST).unwrap_or_else(|bad| panic!("{bad}: {answers:?}")).is_some() {}
    assert!(answers.is_empty(), "no whole reply: {answers:?}");

    let calls = u32::from(setup >> 5);
    let [whole, cut] = cuts.map(|cut| client(*setup, stream.clone(), calls, cut, None));
    assert_eq!(whole, cut, "what a client tells depends on the cuts");
    assert!(whole.events.iter().map(|done| done.token).eq(0..calls), "every call once: {:?}", whole.events);

    // Ended in the middle, however that is: it closes, and no call is forgotten.
    let _ = server(bounded(&config(), *setup), stream.clone(), cuts[1], Some(end));
    let ended = client(*setup, stream, calls, cuts[1], Some(end));
    assert!(ended.events.iter().map(|done| done.token).eq(0..ended.commands), "every call once: {ended:?}");
}

/// Small bounds, or those that are shipped.
fn bounded(shipped: &SessionConfig, setup: u8) -> SessionConfig {
    let inbox = [shipped.inbox, 16, 64, 200][usize::from(setup & 3)];
    let outbox = [shipped.outbox, 1, 20, 300][usize::from(setup >> 2 & 3)];
    shipped.clone().inbox(inbox).outbox(outbox).idle(Some(Duration::from_secs(1)))
}

fn server(config: SessionConfig, stream: Bytes, cut: Cut, end: Option<End>) -> Driving<Infallible> {
    // A reply may exceed its room: it repeats values that came, at most once for each key that came.
    let bound = config.inbox + config.outbox + MOST * MOST;
    let session = Session::new(Resp::new(SharedKeys::default()), Arc::new(config), NOW);
    drive(session, Vec::new(), stream, cut, end, bound)
}

fn client(setup: u8, stream: Bytes, calls: u32, cut: Cut, end: Option<End>) -> Driving<client::Done<u32>> {
    // All calls are made before anything comes: which answer is whose must not depend on the cuts.
    let SessionConfig { outbox, .. } = client::config();
    let config = bounded(&client::config(), setup).outbox(outbox);
    let calls = (0..calls).map(|token| Call::new(&["GET", "k"], token)).collect();
    let bound = config.inbox + 300;
    let session = Session::new(Client::new(), Arc::new(config), NOW);
    drive(session, calls, stream, cut, end, bound)
}

/// How a session is ended from outside, and after how many waits; its peer says nothing more.
#[derive(Clone, Copy)]
struct End {
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
    fn of(setup: u8, cut: u8) -> Self {
        let inputs = [Some(EndInput::Stop), Some(EndInput::Abort), Some(EndInput::Failed), None];
        Self { after: cut % 16, input: inputs[usize::from(setup >> 3 & 3)], taken: cut & 16 != 0 }
    }
}

/// How streams are cut, both ways.
#[derive(Clone, Copy)]
struct Cut {
    reads: [usize; 2],
    write: usize,
    /// The peer's end comes before all is written.
    early: bool,
}

impl Cut {
    const WHOLE: Self = Self { reads: [MOST; 2], write: usize::MAX, early: false };

    fn of(byte: u8) -> Self {
        let byte = usize::from(byte);
        Self { reads: [1 + byte % 4, 1 + byte / 4 % 8], write: 1 + byte / 16 % 8, early: byte >= 128 }
    }
}

/// What came of driving a session: what it wrote, what it told, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Driving<E> {
    written: Vec<u8>,
    events: Vec<E>,
    /// Commands that it took.
    commands: u32,
    end: SessionEnd,
}

/// Commands first, then all that comes from the peer, then its end, unless it is ended before; no more than `bound` bytes
/// may be held.
fn drive<P: Protocol>(
    session: Session<P>,
    commands: Vec<P::Command>,
    mut stream: Bytes,
    cut: Cut,
    end: Option<End>,
    bound: usize,
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
        assert!(held <= bound, "{held} bytes are held, and {bound} may be");
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
