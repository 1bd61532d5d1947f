//! The example that speaks the protocol of Redis: its server and its client, by what is public of them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use roundtrip_core::protocol::{Protocol, Session, SessionConfig, SessionEnd};
use roundtrip_core::{Driven, Step, Time};
use roundtrip_resp::client::{self, Call, Client, parse_reply};
use roundtrip_resp::{Resp, SharedKeys, config};

/// Bytes that come from the peer, at the most.
const MOST: usize = 512;
const NOW: Time = Time::ZERO;

/// The first byte says how a session is bounded and how many calls are made, the second how the streams are cut; the rest
/// comes from the peer. However it is cut, a server answers the same, and what it answers are replies; and a client tells
/// the same, of every call once.
pub fn resp_ops(bytes: &[u8]) {
    let [setup, cut, stream @ ..] = bytes else { return };
    let stream = Bytes::copy_from_slice(&stream[..stream.len().min(MOST)]);
    let cuts = [Cut::WHOLE, Cut::of(*cut)];

    let [whole, cut] = cuts.map(|cut| server(bounded(&config(), *setup), stream.clone(), cut));
    assert_eq!(whole, cut, "a server's answers depend on the cuts");
    let mut answers = BytesMut::from(&whole.written[..]);
    while parse_reply(&mut answers, MOST).unwrap_or_else(|bad| panic!("{bad}: {answers:?}")).is_some() {}
    assert!(answers.is_empty(), "no whole reply: {answers:?}");

    let calls = u32::from(setup >> 5);
    let [whole, cut] = cuts.map(|cut| client(*setup, stream.clone(), calls, cut));
    assert_eq!(whole, cut, "what a client tells depends on the cuts");
    assert!(whole.events.iter().map(|done| done.token).eq(0..calls), "every call once: {:?}", whole.events);
}

/// Small bounds, or those that are shipped.
fn bounded(shipped: &SessionConfig, setup: u8) -> SessionConfig {
    let inbox = [shipped.inbox, 16, 64, 200][usize::from(setup & 3)];
    let outbox = [shipped.outbox, 1, 20, 300][usize::from(setup >> 2 & 3)];
    SessionConfig { inbox, outbox, ..shipped.clone() }
}

fn server(config: SessionConfig, stream: Bytes, cut: Cut) -> Driving<Infallible> {
    // A reply may exceed its room: it repeats values that came, at most once for each key that came.
    let bound = config.inbox + config.outbox + MOST * MOST;
    let session = Session::new(Resp::new(SharedKeys::default()), Arc::new(config), NOW);
    drive(session, Vec::new(), stream, cut, bound)
}

fn client(setup: u8, stream: Bytes, calls: u32, cut: Cut) -> Driving<client::Done<u32>> {
    // All calls are made before anything comes: which answer is whose must not depend on the cuts.
    let SessionConfig { outbox, .. } = client::config();
    let config = SessionConfig { outbox, ..bounded(&client::config(), setup) };
    let calls = (0..calls).map(|token| Call::new(&["GET", "k"], token)).collect();
    let bound = config.inbox + 300;
    drive(Session::new(Client::new(), Arc::new(config), NOW), calls, stream, cut, bound)
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
    end: SessionEnd,
}

/// Commands first, then all that comes from the peer, then its end; no more than `bound` bytes may be held.
fn drive<P: Protocol>(
    session: Session<P>,
    commands: Vec<P::Command>,
    mut stream: Bytes,
    cut: Cut,
    bound: usize,
) -> Driving<P::Event> {
    let mut driven = Driven::new(session);
    let (mut commands, mut ended) = (VecDeque::from(commands), false);
    let (mut written, mut events) = (Vec::new(), Vec::new());
    let mut reads = cut.reads.into_iter().cycle();
    loop {
        match driven.step(NOW) {
            // It is written when nothing else can be done.
            Step::Write | Step::ShutdownWrite => continue,
            Step::Event(event) => {
                events.push(event);
                continue;
            }
            Step::Wait(_) => {}
            Step::Close { outcome, .. } => return Driving { written, events, end: outcome.end },
        }
        let held = driven.machine().held();
        assert!(held <= bound, "{held} bytes are held, and {bound} may be");
        let pending = driven.pending();
        if driven.command_credit() > 0
            && let Some(command) = commands.pop_front()
        {
            assert!(driven.command(NOW, command).is_ok(), "there is credit for it");
        } else if driven.credit() > 0 && !stream.is_empty() {
            let read = reads.next().unwrap_or(1).min(driven.credit()).min(stream.len());
            assert!(driven.data(NOW, stream.split_to(read)).is_empty(), "there is credit for it");
        } else if stream.is_empty() && !ended && (pending.is_empty() || cut.early) {
            ended = true;
            driven.eof(NOW);
        } else {
            let wrote = pending.len().min(cut.write);
            assert!(wrote > 0, "nothing is left to happen, and it waits");
            written.extend_from_slice(&pending[..wrote]);
            driven.wrote(NOW, wrote);
        }
    }
}
