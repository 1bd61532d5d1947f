//! The example that speaks the protocol of Redis: its server and its client, by what is public of them.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use roundtrip_core::protocol::{Session, SessionConfig};
use roundtrip_resp::client::{self, Call, CallEvent, Calls, Redis, RedisError, Reply, parse_reply};
use roundtrip_resp::{Resp, SharedKeys, config};

use crate::driving::{Bounds, Cut, Driving, End, MOST, NOW, bounded, drive};

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
    assert!(tokens(&whole).eq(0..calls), "every call once: {:?}", whole.events);

    // Ended in the middle, however that is: it closes, and no call is forgotten.
    let _ = server(bounded(&config(), *setup), stream.clone(), cuts[1], Some(end));
    let ended = client(*setup, stream, calls, cuts[1], Some(end));
    assert!(tokens(&ended).eq(0..ended.commands), "every call once: {ended:?}");
}

type Told = CallEvent<Reply, Infallible, RedisError, u32>;

fn tokens(driving: &Driving<Told>) -> impl Iterator<Item = u32> {
    driving.events.iter().map(|event| match event {
        CallEvent::Done { token, .. } => *token,
        CallEvent::Push(never) => match *never {},
    })
}

fn server(config: SessionConfig, stream: Bytes, cut: Cut, end: Option<End>) -> Driving<Infallible> {
    // A reply may exceed its room: it repeats values that came, at most once for each key that came.
    let bound = config.inbox + config.outbox + MOST * MOST;
    let session = Session::new(Resp::new(SharedKeys::default()), Arc::new(config), NOW);
    drive(session, Vec::new(), stream, cut, end, Bounds::held(bound))
}

fn client(setup: u8, stream: Bytes, calls: u32, cut: Cut, end: Option<End>) -> Driving<Told> {
    // All calls are made before anything comes: which answer is whose must not depend on the cuts.
    let client::ClientConfig { session, in_flight, .. } = client::config();
    let config = bounded(&session, setup).outbox(session.outbox);
    let request = || client::command(&["GET", "k"]);
    let calls = (0..calls).map(|token| Call { request: request(), token }).collect();
    let bound = config.inbox + 300;
    let session = Session::new(Calls::new(Redis, in_flight), Arc::new(config), NOW);
    drive(session, calls, stream, cut, end, Bounds::held(bound))
}
