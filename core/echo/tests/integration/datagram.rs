//! The echo over datagrams: the server on its own, the client on its own, and both over a network in memory that loses,
//! repeats, delays and damages what it is told to, and knows what the client must have counted.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quickcheck::{Arbitrary, Gen, quickcheck};
use roundtrip_core::bytes::Bytes;
use roundtrip_core::datagram::{Datagram, DatagramAction, DatagramDriven, SendQueue, Unsent};
use roundtrip_core::{Failure, Time};
use roundtrip_echo::{
    DatagramClient, DatagramClientConfig, DatagramCounts, DatagramEcho, DatagramEchoConfig,
    DatagramEchoOutcome, DatagramOutcome, DatagramVerdict, DropReason, End, Schedule,
};

type Server = DatagramDriven<DatagramEcho<SocketAddr>>;
type Client = DatagramDriven<DatagramClient<SocketAddr>>;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const SIZE: usize = 32;

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn datagram(peer: SocketAddr, payload: &'static [u8]) -> Datagram<SocketAddr> {
    Datagram { peer, payload: Bytes::from_static(payload) }
}

fn server(config: DatagramEchoConfig) -> Server {
    DatagramDriven::new(DatagramEcho::new(config.into(), Some(7007), Time::ZERO))
}

/// All that a server does until it waits.
#[derive(Debug, Default, PartialEq)]
struct Did {
    sent: Vec<Datagram<SocketAddr>>,
    left: Vec<DropReason>,
    outcome: Option<DatagramEchoOutcome>,
}

fn step(server: &mut Server, now: Time) -> Did {
    let mut did = Did::default();
    loop {
        match server.step(now) {
            DatagramAction::Send(datagram) => did.sent.push(datagram),
            DatagramAction::Event(unanswered) => did.left.push(unanswered.cause),
            DatagramAction::Wait(_) => return did,
            DatagramAction::Close(outcome) => {
                did.outcome = Some(outcome);
                return did;
            }
        }
    }
}

fn answers(server: &mut Server, now: Time, datagram: Datagram<SocketAddr>) -> Did {
    step(server, now);
    server.received(now, datagram).unwrap();
    step(server, now)
}

#[test]
fn a_datagram_goes_back_to_where_it_came_from() {
    let mut server = server(DatagramEchoConfig::default());
    for (port, payload) in [(50_000, &b"this is a test"[..]), (1024, b""), (65_535, b"x")] {
        let it = datagram(address(port), payload);
        assert_eq!(answers(&mut server, at(1), it.clone()).sent, [it]);
    }
}

#[test]
fn who_would_answer_for_ever_is_not_answered() {
    let mut server = server(DatagramEchoConfig::default());
    for (peer, cause) in [
        (address(0), DropReason::WellKnownPort),
        (address(7), DropReason::WellKnownPort),
        (address(1023), DropReason::WellKnownPort),
        (address(7007), DropReason::OwnPort),
        ("0.0.0.0:5000".parse().unwrap(), DropReason::NoSender),
        ("255.255.255.255:5000".parse().unwrap(), DropReason::NoSender),
        ("239.1.2.3:5000".parse().unwrap(), DropReason::NoSender),
        ("[ff02::1]:5000".parse().unwrap(), DropReason::NoSender),
        ("[::ffff:239.1.2.3]:5000".parse().unwrap(), DropReason::NoSender),
    ] {
        let did = answers(&mut server, at(1), datagram(peer, b"x"));
        assert_eq!(did, Did { left: vec![cause], ..Did::default() }, "{peer}");
    }
    server.too_long(at(2), address(5000));
    assert_eq!(step(&mut server, at(2)).left, [DropReason::TooLong]);
    server.abort(at(3));
    let outcome = step(&mut server, at(3)).outcome.unwrap();
    assert_eq!((outcome.received, outcome.echoed, outcome.unanswered), (10, 0, 10));
}

/// One that leaves at once leaves in the memory that it came in. One that waits must not keep that memory, whatever it
/// waits for.
#[test]
fn an_answer_that_waits_is_copied() {
    let mut server = server(DatagramEchoConfig::default().rate(Some(10)));
    let mut came_in = BTreeMap::new();
    // What leaves at this time, before and after a datagram of this port came: whose it is, and whether it is a copy.
    let mut turn = |millis, port: Option<u16>| {
        let mut sent = step(&mut server, at(millis)).sent;
        if let Some(port) = port {
            let payload = Bytes::from(vec![7; 9]);
            came_in.insert(port, payload.as_ptr());
            server.received(at(millis), Datagram { peer: address(port), payload }).unwrap();
            sent.extend(step(&mut server, at(millis)).sent);
        }
        let is_copy = |port: u16, payload: &Bytes| came_in[&port] != payload.as_ptr();
        sent.iter()
            .map(|sent| (sent.peer.port(), is_copy(sent.peer.port(), &sent.payload)))
            .collect::<Vec<_>>()
    };
    assert_eq!(turn(0, Some(2001)), [(2001, false)]);
    assert_eq!(turn(0, Some(2002)), [], "the rate allows one at a time");
    assert_eq!(turn(100, Some(2003)), [(2002, true)]);
    assert_eq!(turn(200, None), [(2003, true)]);
    // One source alone: after its burst it has to wait, although the rate allows one.
    let mut millis = 200;
    loop {
        millis += 100;
        match *turn(millis, Some(2001)) {
            [(2001, false)] => {}
            [] => break,
            ref sent => panic!("{sent:?}"),
        }
    }
    // Another one overtakes it, and was copied: others waited.
    assert_eq!(turn(millis + 100, Some(2004)), [(2004, true)]);
    let waited = (101..2000).map(|wait| turn(millis + wait, None)).find(|sent| !sent.is_empty());
    assert_eq!(waited.unwrap(), [(2001, true)]);
}

/// While an answer must be read before the next one leaves, datagrams wait in the transport, unless none is to be answered.
#[test]
fn what_comes_is_read_while_no_answer_waits_to_be_read() {
    let mut server = server(DatagramEchoConfig::default());
    step(&mut server, at(0));
    let queue = |unread| SendQueue { unread, size: 200_000 };
    server.send_queue(at(0), queue(110_000));
    let first = answers(&mut server, at(0), datagram(address(2001), b"x"));
    assert_eq!((first.sent.len(), server.credit()), (1, 16));
    server.send_queue(at(0), queue(111_000));
    assert_eq!(
        (answers(&mut server, at(0), datagram(address(2002), b"y")).sent, server.credit()),
        (vec![], 0)
    );
}

/// A stop that takes effect later counts nothing again.
#[test]
fn what_an_abort_drops_is_counted_once() {
    let mut server = server(DatagramEchoConfig::default().rate(Some(1)));
    for port in 2001..2004 {
        answers(&mut server, at(0), datagram(address(port), b"x"));
    }
    server.stop(at(1));
    server.abort(at(2));
    let outcome = step(&mut server, at(60_000)).outcome.unwrap();
    assert_eq!((outcome.end, outcome.echoed, outcome.unsent), (End::Aborted, 1, 2));
}

/// What anybody can start with one forged datagram.
#[test]
fn a_loop_between_two_servers_dies_out() {
    let (here, there) = (address(7007), address(7008));
    let config = Arc::new(DatagramEchoConfig::default().rate(None));
    let echo = |port| DatagramDriven::new(DatagramEcho::new(Arc::clone(&config), Some(port), Time::ZERO));
    let mut servers = [echo(7007), echo(7008)];
    let mut way = VecDeque::from([(0, datagram(there, b"round")), (1, datagram(here, b"and round"))]);
    let mut rounds = 0;
    while let Some((to, datagram)) = way.pop_front() {
        rounds += 1;
        assert!(rounds < 10_000, "it goes on for ever");
        for reply in answers(&mut servers[to], at(rounds), datagram).sent {
            // It bounces, with the port that it was sent from.
            let from = if to == 0 { here } else { there };
            way.push_back((1 - to, Datagram { peer: from, payload: reply.payload }));
        }
    }
    assert!(rounds > 1000, "it was no loop: {rounds}");
}

#[test]
fn without_the_guard_it_would_not() {
    let config = DatagramEchoConfig::default().rate(None).repeats(None);
    let mut server = server(config);
    for round in 0..10_000 {
        assert_eq!(answers(&mut server, at(round), datagram(address(7008), b"round")).sent.len(), 1);
    }
}

/// Sends what each source sends in each millisecond, for so long; how many answers each has, by its port.
fn answered(server: &mut Server, millis: u64, sends: impl Fn(u64) -> Vec<u16>) -> BTreeMap<u16, u64> {
    let mut count = BTreeMap::new();
    for now in (0..millis).map(at) {
        let mut did = step(server, now).sent;
        for (number, port) in sends(now.as_nanos() / 1_000_000).into_iter().enumerate() {
            let payload = Bytes::from(format!("{now:?} {number}"));
            server.received(now, Datagram { peer: address(port), payload }).unwrap();
            did.extend(step(server, now).sent);
        }
        for datagram in did {
            *count.entry(datagram.peer.port()).or_default() += 1;
        }
    }
    count
}

#[test]
fn no_more_is_answered_than_the_rate_allows() {
    let config = DatagramEchoConfig::default().rate(Some(100));
    let count = answered(&mut server(config), 1000, |_| vec![5000, 5001, 5002]);
    let all: u64 = count.values().sum();
    assert!((100..=111).contains(&all), "{count:?}");
    assert!(count.values().all(|each| each.abs_diff(all / 3) <= 2), "they share it: {count:?}");
}

/// One floods the server; another asks twenty times a second.
#[test]
fn a_source_that_floods_starves_no_other() {
    let config = DatagramEchoConfig::default().rate(Some(100));
    let mut server = server(config);
    let count = answered(&mut server, 10_000, |now| {
        let mut ports = vec![5000; 10];
        ports.extend((now % 50 == 0).then_some(6000));
        ports
    });
    assert!(count[&6000] >= 199, "{count:?}");
    assert!(count[&5000] > 150, "it has what is left: {count:?}");
    server.abort(at(10_000));
    let outcome = step(&mut server, at(10_000)).outcome.unwrap();
    assert_eq!(outcome.received, 100_200);
    assert_eq!(outcome.received, outcome.echoed + outcome.unanswered + outcome.unsent);
}

/// What goes round between two servers, and is another datagram each time.
#[test]
fn a_source_that_never_stops_is_answered_slowly() {
    let config = DatagramEchoConfig::default().rate(Some(1000));
    let mut server = server(config);
    let count = answered(&mut server, 60_000, |_| vec![5000]);
    assert!((6900..=7200).contains(&count[&5000]), "1,000 at once, and 100 a second: {count:?}");
}

/// A client that awaits its answers loses none, however slow they are.
#[test]
fn one_that_waits_for_its_answers_loses_none() {
    let config = DatagramEchoConfig::default().rate(Some(100));
    let (mut server, mut now) = (server(config), at(0));
    let (mut in_flight, mut sent, mut back) = (0, 0u32, 0);
    while back < 1000 {
        let mut did = step(&mut server, now);
        while in_flight < 64 && sent < 1000 {
            let payload = Bytes::copy_from_slice(&sent.to_be_bytes());
            server.received(now, Datagram { peer: address(5000), payload }).unwrap();
            let more = step(&mut server, now);
            did.sent.extend(more.sent);
            assert_eq!(more.left, []);
            (in_flight, sent) = (in_flight + 1, sent + 1);
        }
        (back, in_flight) = (back + did.sent.len(), in_flight - did.sent.len());
        now = server.deadline().unwrap_or(now);
    }
    assert_eq!(back, 1000);
}

#[test]
fn after_a_stop_what_was_on_its_way_is_answered() {
    let mut server = server(DatagramEchoConfig::default());
    step(&mut server, at(0));
    server.stop(at(10));
    for now in [10, 100, 209] {
        assert_eq!(answers(&mut server, at(now), datagram(address(5000), b"x")).sent.len(), 1);
        assert_eq!(server.deadline(), Some(at(210)));
    }
    let outcome = step(&mut server, at(210)).outcome.unwrap();
    assert_eq!((outcome.end, outcome.echoed), (End::Stopped, 3));
}

/// A source that goes on sending does not hold it up, and what waits for the rate leaves first.
#[test]
fn after_a_stop_nobody_keeps_it() {
    let config = DatagramEchoConfig::default().rate(Some(100));
    let mut server = server(config);
    let mut echoed = step(&mut server, at(0)).sent.len();
    for _ in 0..60 {
        server.received(at(0), datagram(address(5000), b"x")).unwrap();
        echoed += step(&mut server, at(0)).sent.len();
    }
    server.stop(at(0));
    let (mut now, mut late) = (at(0), vec![at(190), at(100)]);
    let outcome = loop {
        let did = step(&mut server, now);
        echoed += did.sent.len();
        if let Some(outcome) = did.outcome {
            break outcome;
        }
        assert_eq!(server.credit() > 0, now < at(200));
        if late.last().is_some_and(|at| *at <= now) {
            late.pop();
            server.received(now, datagram(address(5001), b"y")).unwrap();
        } else {
            now = late.last().copied().into_iter().chain(server.deadline()).min().unwrap();
        }
    };
    assert_eq!((outcome.end, outcome.echoed, outcome.unsent, echoed), (End::Stopped, 62, 0, 62));
    assert!(now <= at(600), "{now:?}");
}

#[test]
fn after_a_stop_nothing_waits_longer_than_the_drain() {
    let config = DatagramEchoConfig::default().rate(Some(1));
    let mut server = server(config);
    step(&mut server, at(0));
    for _ in 0..60 {
        server.received(at(0), datagram(address(5000), b"x")).unwrap();
        step(&mut server, at(0));
    }
    server.stop(at(0));
    assert_eq!(step(&mut server, at(4999)).outcome, None);
    let outcome = step(&mut server, at(5000)).outcome.unwrap();
    assert_eq!((outcome.end, outcome.echoed + outcome.unsent), (End::Stopped, 60));
}

#[test]
fn what_does_not_leave_is_counted() {
    let mut server = server(DatagramEchoConfig::default());
    step(&mut server, at(0));
    server.received(at(0), datagram(address(5000), b"x")).unwrap();
    assert!(matches!(server.step(at(0)), DatagramAction::Send(_)));
    server.unsent(at(0), Unsent::Full);
    assert_eq!(step(&mut server, at(0)).left, [DropReason::Full]);
    server.received(at(0), datagram(address(5000), b"y")).unwrap();
    server.failed(at(0), Failure::Io);
    let outcome = step(&mut server, at(0)).outcome.unwrap();
    let DatagramEchoOutcome { end, received, echoed, unanswered, unsent, .. } = outcome;
    assert_eq!(end, End::Failed(Failure::Io));
    assert_eq!((received, echoed, unanswered, unsent), (2, 0, 0, 2));
}

fn client(count: u64, in_flight: usize) -> Client {
    let config = DatagramClientConfig::default().size(SIZE).in_flight(in_flight);
    let schedule = Schedule::closed_loop(Time::ZERO).messages(count);
    DatagramDriven::new(DatagramClient::new(config.into(), schedule, address(7007), 7, Time::ZERO))
}

/// What a client sends until it waits, and its outcome if it does not.
fn sends(client: &mut Client, now: Time) -> (Vec<Bytes>, Option<DatagramOutcome>) {
    let mut sent = Vec::new();
    loop {
        match client.step(now) {
            DatagramAction::Send(datagram) => sent.push(datagram.payload),
            DatagramAction::Event(_) => {}
            DatagramAction::Wait(_) => return (sent, None),
            DatagramAction::Close(outcome) => return (sent, Some(outcome)),
        }
    }
}

fn comes(client: &mut Client, now: Time, payload: &[u8]) {
    client.received(now, Datagram { peer: address(7007), payload: Bytes::copy_from_slice(payload) }).unwrap();
}

#[test]
fn what_the_transport_does_not_take_is_sent_later() {
    let mut client = client(1, 1);
    let DatagramAction::Send(first) = client.step(at(0)) else { panic!() };
    client.unsent(at(0), Unsent::Full);
    assert!(matches!(client.step(at(0)), DatagramAction::Wait(_)));
    assert_eq!((client.deadline(), client.machine().counts().sent), (Some(at(1)), 0));
    let (again, _) = sends(&mut client, at(1));
    assert_eq!(again, [first.payload]);
}

#[test]
fn what_the_system_says_ends_it_at_once() {
    for (why, verdict) in [
        (Unsent::TooLong, DatagramVerdict::TooLong),
        (Unsent::Refused, DatagramVerdict::Refused),
        (Unsent::Unreachable, DatagramVerdict::Failed),
        (Unsent::Io, DatagramVerdict::Failed),
    ] {
        let mut client = client(1, 1);
        assert!(matches!(client.step(at(0)), DatagramAction::Send(_)));
        client.unsent(at(0), why);
        assert_eq!(sends(&mut client, at(0)).1.unwrap().verdict, verdict);
    }
    let mut client = client(1, 1);
    sends(&mut client, at(0));
    client.failed(at(0), Failure::Reset);
    assert_eq!(sends(&mut client, at(0)).1.unwrap().verdict, DatagramVerdict::Refused);
}

#[test]
fn a_path_that_answers_nothing_is_given_up() {
    let mut client = client(u64::MAX, 10);
    let mut now = at(0);
    let outcome = loop {
        match sends(&mut client, now) {
            (_, Some(outcome)) => break outcome,
            (_, None) => now = client.deadline().unwrap(),
        }
    };
    assert_eq!((now, outcome.verdict), (at(30_000), DatagramVerdict::TimedOut));
    assert_eq!((outcome.counts.sent, outcome.counts.lost), (300, 300));
    assert_eq!((outcome.counts.longest_loss, outcome.counts.first_lost), (300, Some(0)));
}

#[test]
fn a_stop_awaits_what_is_on_its_way() {
    let mut client = client(100, 2);
    let (sent, _) = sends(&mut client, at(0));
    client.stop(at(1));
    assert_eq!(sends(&mut client, at(1)), (vec![], None));
    for payload in &sent {
        comes(&mut client, at(2), payload);
    }
    assert_eq!(sends(&mut client, at(2)).1, None);
    let outcome = sends(&mut client, at(102)).1.unwrap();
    assert_eq!((outcome.verdict, outcome.counts.back), (DatagramVerdict::Stopped, 2));
}

/// Sends all of its messages at once, and waits five seconds more for those that it gave up.
fn patient_client(messages: usize) -> Client {
    let config = DatagramClientConfig::default().size(SIZE).in_flight(messages).settle_late(5 * SECOND);
    let schedule = Schedule::closed_loop(Time::ZERO).messages(messages as u64);
    DatagramDriven::new(DatagramClient::new(config.into(), schedule, address(7007), 7, Time::ZERO))
}

/// One of two is given up. Until `settle_late` has passed it may still come.
#[test]
fn what_was_given_up_is_waited_for_at_the_end() {
    for (comes_at, ends_at, lost) in [(Some(3000), 3100, 0), (None, 6000, 1)] {
        let mut client = patient_client(2);
        let (sent, _) = sends(&mut client, at(0));
        comes(&mut client, at(1), &sent[1]);
        assert_eq!(sends(&mut client, at(1000)).1, None);
        if let Some(comes_at) = comes_at {
            comes(&mut client, at(comes_at), &sent[0]);
            assert_eq!(sends(&mut client, at(comes_at)).1, None);
        }
        assert_eq!(client.deadline(), Some(at(ends_at)));
        let counts = sends(&mut client, at(ends_at)).1.unwrap().counts;
        assert_eq!((counts.lost, counts.late), (lost, 1 - lost));
        assert_eq!(counts.slowest_late, comes_at.map(Duration::from_millis));
    }
}

/// How long a datagram took is known of the last 1,024 that were given up.
#[test]
fn of_many_that_were_given_up_the_latest_are_remembered() {
    let mut client = patient_client(1100);
    let (sent, _) = sends(&mut client, at(0));
    sends(&mut client, at(1000));
    for (index, millis, slowest) in [(75, 1001, None), (76, 2000, Some(2000)), (1099, 3000, Some(3000))] {
        sends(&mut client, at(millis));
        comes(&mut client, at(millis), &sent[index]);
        assert_eq!(client.machine().counts().slowest_late, slowest.map(Duration::from_millis), "{index}");
    }
    assert_eq!(client.machine().counts().late, 3);
}

/// A peer that never stops sending what was never asked for.
#[test]
fn what_never_stops_coming_does_not_hold_the_verdict() {
    let mut client = client(1, 1);
    let (sent, _) = sends(&mut client, at(0));
    comes(&mut client, at(1), &sent[0]);
    let mut now = 1;
    let outcome = loop {
        now += 50;
        assert!(now < 31_100, "there is no verdict after {now} ms");
        match sends(&mut client, at(now)) {
            (_, Some(outcome)) => break outcome,
            (_, None) => comes(&mut client, at(now), b"never asked for"),
        }
    };
    assert_eq!((outcome.verdict, outcome.counts.back), (DatagramVerdict::Faulty, 1));
    assert!(now >= 30_000, "{now}");
}

/// A damaged datagram is told from a stray: some of its bytes still say which one it was.
#[test]
fn whatever_is_wrong_with_a_datagram_is_found() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage, bool); 9] = [
        ("the first byte", |data| data[0] ^= 1, true),
        ("the last byte", |data| data[SIZE - 1] ^= 1, true),
        ("cut", |data| data.truncate(SIZE - 1), true),
        ("longer", |data| data.push(0), true),
        (
            "cut and changed",
            |data| {
                data.truncate(SIZE - 1);
                data[SIZE - 2] ^= 1;
            },
            true,
        ),
        ("two as one", |data| data.extend_from_within(..), true),
        (
            "longer and changed",
            |data| {
                data.push(0);
                data[SIZE - 1] ^= 1;
            },
            true,
        ),
        ("all of it", |data| data.iter_mut().for_each(|byte| *byte ^= 1), false),
        ("gone", Vec::clear, false),
    ];
    for (what, damage, is_told) in damages {
        let mut client = client(2, 2);
        let (sent, _) = sends(&mut client, at(0));
        let mut data = sent[1].to_vec();
        damage(&mut data);
        comes(&mut client, at(1), &data);
        let counts = client.machine().counts();
        assert_eq!((counts.corrupted, counts.strays), (u64::from(is_told), u64::from(!is_told)), "{what}");
        assert_eq!(counts.first_corrupted, is_told.then_some(1), "{what}");
        assert_eq!(counts.cut, u64::from(what == "cut"), "{what}");
        assert_eq!(counts.shortest_cut, (what == "cut").then_some(SIZE as u64 - 1), "{what}");
        assert_eq!(counts.merged, u64::from(matches!(what, "longer" | "two as one")), "{what}");
    }
}

/// The end of one datagram and the beginning of the next are in one: no rest of the first.
#[test]
fn a_piece_across_two_datagrams_is_corrupted() {
    let mut client = client(2, 2);
    let (sent, _) = sends(&mut client, at(0));
    comes(&mut client, at(1), &sent[0][..SIZE / 2]);
    comes(&mut client, at(1), &[&sent[0][SIZE / 2..], &sent[1][..SIZE / 2]].concat());
    let counts = client.machine().counts();
    assert_eq!((counts.corrupted, counts.cut, counts.split), (2, 1, 0));
}

#[test]
fn what_was_not_sent_yet_is_a_stray() {
    let mut first = client(2, 1);
    let mut second = client(2, 2);
    sends(&mut first, at(0));
    let (both, _) = sends(&mut second, at(0));
    comes(&mut first, at(1), &both[1]);
    assert_eq!(first.machine().counts().strays, 1);
}

/// It is one of those that there is credit for, as any other.
#[test]
fn one_that_is_too_long_is_a_stray() {
    let mut client = client(1, 1);
    client.too_long(at(0), address(7007));
    assert_eq!(
        (client.machine().counts().strays, client.machine().in_flight()),
        (0, 0),
        "there is no credit"
    );
    sends(&mut client, at(0));
    let credit = client.credit();
    client.too_long(at(1), address(7007));
    assert_eq!((client.machine().counts().strays, client.machine().in_flight()), (1, 1));
    assert_eq!(client.credit(), credit - 1);
    let refused = (0..credit).filter(|_| client.received(at(1), datagram(address(7007), b"stray")).is_err());
    assert_eq!(refused.count(), 1);
    let error = client.received(at(1), datagram(address(7007), b"stray")).unwrap_err();
    assert_eq!(error.to_string(), "no credit for a datagram of 5 bytes");
}

#[test]
fn after_its_end_there_is_no_credit() {
    let ends: [fn(&mut Client); 2] =
        [|client| client.abort(at(1)), |client| client.failed(at(1), Failure::Io)];
    for end in ends {
        let mut client = client(1, 1);
        sends(&mut client, at(0));
        assert!(client.credit() > 0);
        end(&mut client);
        assert_eq!(client.credit(), 0);
    }
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "the clock went back")]
fn a_clock_that_goes_back_is_a_bug() {
    let mut client = client(1, 1);
    sends(&mut client, at(2));
    client.stop(at(1));
}

/// Nothing of what was sent before comes, and nothing is sent any more.
#[test]
fn silence_after_an_answer_counts_from_that_answer() {
    let config = DatagramClientConfig::default().size(SIZE).in_flight(2).wait(60 * SECOND);
    let schedule = Schedule::closed_loop(Time::ZERO).messages(2);
    let client = DatagramClient::new(config.into(), schedule, address(7007), 7, Time::ZERO);
    let mut client = DatagramDriven::new(client);
    let (sent, _) = sends(&mut client, at(0));
    comes(&mut client, at(500), &sent[1]);
    assert_eq!(sends(&mut client, at(500)).1, None);
    assert_eq!(client.deadline(), Some(at(30_500)));
    let outcome = sends(&mut client, at(30_500)).1.unwrap();
    assert_eq!(outcome.verdict, DatagramVerdict::TimedOut);
}

/// A client that is stopped waits for what is on its way, and one with a rate for what is due.
#[test]
fn there_is_no_verdict_while_something_is_to_come() {
    let mut stopped = client(100, 2);
    sends(&mut stopped, at(0));
    stopped.stop(at(1));
    sends(&mut stopped, at(1));
    assert_eq!(stopped.deadline(), Some(at(1000)), "when they are given up");
    let config = DatagramClientConfig::default().size(SIZE);
    let schedule = Schedule::open_loop(Time::ZERO, 2 * SECOND).messages(2);
    let client = DatagramClient::new(config.into(), schedule, address(7007), 7, Time::ZERO);
    let mut paced = DatagramDriven::new(client);
    let (sent, _) = sends(&mut paced, at(0));
    comes(&mut paced, at(1), &sent[0]);
    assert_eq!(sends(&mut paced, at(1)).1, None);
    assert_eq!(paced.deadline(), Some(at(2000)), "when the next is due");
}

/// What the network does with a datagram on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Passes,
    Lost,
    Twice,
    /// Comes so many milliseconds later.
    Delayed(u16),
    Damaged,
    /// Comes as two.
    Split,
    /// What nobody sent comes as well.
    WithStray,
}

impl Arbitrary for Fate {
    fn arbitrary(g: &mut Gen) -> Self {
        match u8::arbitrary(g) % 12 {
            0 => Self::Lost,
            1 => Self::Twice,
            2 => Self::Delayed(u16::arbitrary(g) % 3000),
            3 => Self::Damaged,
            4 => Self::WithStray,
            5 => Self::Split,
            _ => Self::Passes,
        }
    }
}

/// Something on its way to the client.
struct Arrival {
    data: Bytes,
    number: u64,
    sent: Time,
    what: What,
}

enum What {
    First,
    Again,
    Damaged,
    Cut,
    Rest,
    Stray,
}

/// Runs a client against a server until it closes; what it says, and what the network knows.
fn run(fates: &[Fate], in_flight: usize, period: Option<Duration>) -> (DatagramOutcome, DatagramCounts) {
    let config = DatagramClientConfig::default().size(SIZE).in_flight(in_flight).settle(10 * SECOND);
    let wait = config.wait;
    let schedule = Schedule::closed_loop(Time::ZERO).messages(fates.len() as u64).period(period);
    let client = DatagramClient::new(config.into(), schedule, address(7007), 7, Time::ZERO);
    let (mut client, mut server) = (DatagramDriven::new(client), server(DatagramEchoConfig::default()));
    let mut way: BTreeMap<Time, Arrival> = BTreeMap::new();
    let mut known = DatagramCounts::default();
    let (mut now, mut heard, mut given_up) = (Time::ZERO, 0, Vec::new());
    loop {
        let (payloads, outcome) = sends(&mut client, now);
        if let Some(outcome) = outcome {
            let runs = given_up.chunk_by(|a, b| a + 1 == *b).map(|run| run.len() as u64);
            known.longest_loss = runs.max().unwrap_or(0);
            known.first_lost = given_up.first().copied();
            return (outcome, known);
        }
        for payload in payloads {
            let number = known.sent;
            known.sent += 1;
            let peer = address(50_000);
            assert_eq!(answers(&mut server, now, Datagram { peer, payload: payload.clone() }).sent.len(), 1);
            let mut arrive = |delay: Duration, data: Bytes, what| {
                // No two at one time: which is first would be anybody's guess.
                let mut at = now.after(2 * MS + delay);
                while way.contains_key(&at) {
                    at = at.after(Duration::from_nanos(1));
                }
                if at.since(now) > wait && matches!(what, What::First) {
                    given_up.push(number);
                }
                way.insert(at, Arrival { data, number, sent: now, what });
            };
            match fates[usize::try_from(number).unwrap()] {
                Fate::Passes => arrive(Duration::ZERO, payload, What::First),
                Fate::Lost => given_up.push(number),
                Fate::Twice => {
                    arrive(Duration::ZERO, payload.clone(), What::First);
                    arrive(MS, payload, What::Again);
                }
                Fate::Delayed(by) => arrive(MS * u32::from(by), payload, What::First),
                Fate::Damaged => {
                    let mut data = payload.to_vec();
                    data[usize::try_from(number).unwrap() % SIZE] ^= 0x40;
                    arrive(Duration::ZERO, data.into(), What::Damaged);
                }
                Fate::Split => {
                    arrive(Duration::ZERO, payload.slice(..SIZE / 2), What::Cut);
                    arrive(MS, payload.slice(SIZE / 2..), What::Rest);
                }
                Fate::WithStray => {
                    arrive(Duration::ZERO, payload, What::First);
                    arrive(MS, Bytes::from_static(b"nobody sent this, did they?"), What::Stray);
                }
            }
        }
        let arrives = way.first_key_value().map(|(at, _)| *at);
        now = arrives.into_iter().chain(client.deadline()).min().unwrap();
        // What is there is read before a deadline takes effect.
        while let Some(next) = way.first_entry().filter(|next| *next.key() <= now && client.credit() > 0) {
            let Arrival { data, number, sent, what } = next.remove();
            comes(&mut client, now, &data);
            match what {
                What::First if now.since(sent) > wait => {
                    known.late += 1;
                    known.slowest_late = known.slowest_late.max(Some(now.since(sent)));
                }
                What::First => {
                    known.back += 1;
                    known.reordered += u64::from(number < heard);
                }
                What::Again => known.duplicated += 1,
                What::Stray => known.strays += 1,
                What::Damaged => {
                    known.corrupted += 1;
                    known.first_corrupted.get_or_insert(number);
                }
                What::Cut => {
                    known.corrupted += 1;
                    known.cut += 1;
                    known.shortest_cut = Some(SIZE as u64 / 2);
                    known.first_corrupted.get_or_insert(number);
                }
                What::Rest => known.split += 1,
            }
            if !matches!(what, What::Stray) {
                heard = heard.max(number + 1);
            }
        }
    }
}

quickcheck! {
    /// Nothing that the network does goes unseen, and nothing is seen that it did not do.
    fn the_counts_are_what_the_network_did(fates: Vec<Fate>, in_flight: u8, millis: Option<u8>) -> bool {
        if fates.is_empty() {
            return true;
        }
        let period = millis.map(|millis| MS * u32::from(millis) + MS);
        let (outcome, mut known) = run(&fates, usize::from(in_flight) + 1, period);
        known.lost = fates.iter().filter(|fate| **fate == Fate::Lost).count() as u64;
        let verdict = if known.is_faithful() { DatagramVerdict::Verified } else { DatagramVerdict::Faulty };
        assert_eq!((outcome.verdict, outcome.counts), (verdict, known));
        true
    }
}
