//! Operations on the machines of datagrams: whatever peers, a driver that keeps to nothing, and the clock do.
//!
//! An entry is a version, which machine (0 the echo's server, 1 its client, 2 a listener), a byte of its configuration, and
//! then operations of two bytes: what, and how much of it. Bits 4 and 5 of the configuration say what comes: datagrams so
//! large that a megabyte is soon full, from many sources, and addresses of every kind.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use roundtrip_core::bytes::Bytes;
use roundtrip_core::datagram::{
    Datagram, DatagramAction, DatagramInput, DatagramMachine, DatagramWait, SendQueue, Unsent,
};
use roundtrip_core::{Failure, Time};
use roundtrip_echo::{
    DatagramClient, DatagramClientConfig, DatagramEcho, DatagramEchoConfig, Schedule, WELL_KNOWN_PORTS,
};
use roundtrip_messages::{
    Ending, Listener, ListenerConfig, ListenerReport, Sender, SequenceStatus, Sequenced, Tracker,
};

const VERSION: u8 = 1;
/// Bytes of a client's datagram.
const SIZE: usize = 40;
/// Large datagrams.
const LARGE: [&[u8]; 2] = [&[0; 60_000], &[0; 30_000]];
/// Answers that wait for the rate at most.
const MOST_WAITING: u64 = 64;
/// The server's port.
const PORT: u16 = 7007;
/// Actions that one input may lead to: all that may be in flight is given up, and as much is sent.
const MOST_ACTIONS: usize = 256;

/// Runs the operations.
pub fn datagram_ops(bytes: &[u8]) {
    let [VERSION, machine, config, ops @ ..] = bytes else { return };
    let now = Time::ZERO;
    match machine % 3 {
        0 => {
            let echo = DatagramEchoConfig::default()
                .rate((config & 1 != 0).then_some(100))
                .repeats((config & 2 != 0).then_some(3));
            let (mut answers, mut came, mut others) = (0_u64, 0_u64, 0_u64);
            let echo = DatagramEcho::new(echo.into(), Some(PORT), now);
            let outcome = drive(echo, *config, ops, |moment| match moment {
                Moment::Came => {
                    // What the transport did not take is told twice.
                    assert!(came.saturating_sub(answers + others) <= MOST_WAITING, "more wait than may");
                    came += 1;
                }
                Moment::Sent(Datagram { peer, .. }) => {
                    answers += 1;
                    assert!(answers <= came, "an answer that nobody asked for");
                    assert!(
                        !WELL_KNOWN_PORTS.contains(&peer.port()) && peer.port() != PORT,
                        "{peer} is answered"
                    );
                    let ip = peer.ip().to_canonical();
                    assert!(!ip.is_multicast() && !ip.is_unspecified() && ip != Ipv4Addr::BROADCAST);
                }
                Moment::Unsent => {
                    answers -= 1;
                    others += 1;
                }
                Moment::Event => others += 1,
            });
            assert_eq!(outcome.received, outcome.echoed + outcome.unanswered + outcome.unsent);
            assert_eq!(outcome.echoed, answers);
        }
        1 => {
            let client = DatagramClientConfig::default().size(SIZE).in_flight(usize::from(config % 8) + 1);
            let client = client.wait(Duration::from_millis(20)).settle(Duration::from_millis(5));
            let period = (config & 8 != 0).then_some(Duration::from_millis(3));
            let schedule = Schedule::closed_loop(now).messages(50).period(period);
            let server = address(PORT);
            let mut sent = Vec::new();
            let outcome =
                drive(DatagramClient::new(client.into(), schedule, server, 7, now), *config, ops, |moment| {
                    match moment {
                        Moment::Came | Moment::Event => {}
                        Moment::Sent(Datagram { payload, .. }) => {
                            assert_eq!(payload.len(), SIZE);
                            sent.push(payload.clone());
                        }
                        Moment::Unsent => drop(sent.pop()),
                    }
                });
            let counts = outcome.counts;
            assert_eq!(counts.sent, sent.len() as u64);
            assert!(counts.back + counts.late + counts.lost <= counts.sent, "{counts:?}");
            assert!(counts.longest_loss <= counts.sent && counts.reordered <= counts.back, "{counts:?}");
            let distinct: BTreeSet<_> = sent.iter().collect();
            assert_eq!(distinct.len(), sent.len(), "a datagram is sent twice");
        }
        _ => {
            let traffic = *config;
            let config = ListenerConfig::default()
                .count((config & 1 != 0).then_some(5))
                .limit((config & 2 != 0).then_some(Duration::from_millis(300)))
                .settle((config & 4 != 0).then_some(Duration::from_millis(20)));
            let mut events = 0;
            let (ending, report) = drive(Listener::new(config, now), traffic, ops, |moment| {
                events += u64::from(matches!(moment, Moment::Event));
            });
            let expected = match ending {
                Ending::EndMark => config.settle.is_some(),
                Ending::Count => config.count == Some(report.heard),
                Ending::Limit => config.limit.is_some(),
                Ending::Stopped | Ending::Failed(_) => true,
            };
            assert!(expected, "{ending:?} of {config:?}");
            assert_eq!(report.heard, events);
            assert_report(&report);
            track(config.count.is_some(), ops);
        }
    }
    // What is a message with a number is written as it is read.
    if let Some(numbered) = Sequenced::parse(ops) {
        assert_eq!(numbered.compose(), ops);
    }
}

/// Every count of a report agrees with the others.
fn assert_report(report: &ListenerReport<SocketAddr>) {
    let mut heard = report.plain;
    let mut is_whole = report.too_long == 0;
    for (sender, followed) in &report.senders {
        let tracker = &followed.tracker;
        assert_eq!(Sender::new(sender.to_string().as_bytes()), Some(*sender));
        assert_eq!(format!("{sender:?}"), format!("Sender({sender})"));
        heard += tracker.came() + tracker.forgotten();
        let missing = tracker.missing().map(|range| range.end() - range.start() + 1).sum::<u64>();
        assert_eq!(missing, tracker.missing_count(), "{tracker:?}");
        assert!(tracker.late() <= tracker.came(), "{tracker:?}");
        if let (Some(total), false) = (tracker.total(), tracker.contradicts()) {
            assert_eq!(tracker.came() + tracker.missing_count(), total, "{tracker:?}");
        }
        is_whole &= tracker.is_whole();
    }
    assert_eq!(report.is_whole(), is_whole);
    // End marks of senders that are not followed count there, but are no message.
    assert!((heard..=heard + report.unfollowed).contains(&report.heard), "{report:?}");
}

/// A tracker with room for few gaps never claims what is not so; with room for all of them it knows what a set knows.
fn track(has_room: bool, ops: &[u8]) {
    let mut tracker = if has_room { Tracker::default() } else { Tracker::with_room(2) };
    let mut came = BTreeSet::new();
    for number in ops.iter().filter_map(|op| NonZeroU64::new((*op).into())) {
        let is_first = came.insert(number.get());
        match tracker.seen(number) {
            SequenceStatus::New | SequenceStatus::Late => assert!(is_first),
            SequenceStatus::Twice => assert!(!is_first),
            SequenceStatus::Forgotten => assert!(!tracker.is_exact()),
        }
    }
    assert!(!has_room || tracker.is_exact());
    assert!(tracker.missing().flatten().all(|number| !came.contains(&number)));
    let numbers = ops.iter().filter(|op| **op > 0).count() as u64;
    assert_eq!(tracker.came() + tracker.twice() + tracker.forgotten(), numbers);
    if tracker.is_exact() {
        assert_eq!(tracker.came(), came.len() as u64);
        assert_eq!(tracker.missing_count(), came.last().copied().unwrap_or(0) - tracker.came());
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

const LARGE_BIT: u8 = 16;
const ADDRESSES_BIT: u8 = 32;

/// Where a datagram says that it comes from.
fn source(traffic: u8, n: usize) -> SocketAddr {
    if traffic & ADDRESSES_BIT != 0 {
        let all = [
            IpAddr::from(Ipv4Addr::BROADCAST),
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(224, 0, 0, 1).into(),
            Ipv6Addr::LOCALHOST.into(),
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
            Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
        ];
        SocketAddr::new(all[n % all.len()], 50_000)
    } else if traffic & LARGE_BIT != 0 {
        address(50_000 + u16::try_from(n % 32).unwrap_or_default())
    } else {
        address([50_000, 50_001, 7, PORT, 0][n % 5])
    }
}

/// Something that was sent: whole, cut, or with a wrong bit.
fn arriving(sent: &[Bytes], what: u8, n: usize) -> Bytes {
    let mut payload = match sent.len() {
        0 => format!("@name#{} text", n + 1).into_bytes(),
        len => sent[n % len].to_vec(),
    };
    if what == 1 {
        payload.truncate(n);
    } else if what == 2 && !payload.is_empty() {
        let index = n % payload.len();
        payload[index] ^= 1;
    }
    payload.into()
}

const FAILURES: [Failure; 3] = [Failure::Reset, Failure::Truncated, Failure::Io];

/// What passes.
enum Moment<'a> {
    Came,
    Sent(&'a Datagram<SocketAddr>),
    Unsent,
    Event,
}

/// Does all operations; what came of the machine. In the end it is asked to stop, and must.
fn drive<M: DatagramMachine<Address = SocketAddr>>(
    mut machine: M,
    traffic: u8,
    ops: &[u8],
    mut saw: impl FnMut(Moment<'_>),
) -> M::Outcome {
    let (mut now, mut sent, mut over) = (Time::ZERO, Vec::<Bytes>::new(), false);
    // The credit is what a driver goes by: none of it is spent twice.
    let mut credit = 0;
    let mut named = 0;
    let finish = [(6, 0); 1].into_iter().chain([(8, 255); 400]);
    let ops = ops.chunks_exact(2).map(|op| (op[0] % 9, op[1]));
    for (what, much) in ops.chain(finish) {
        let n = usize::from(much);
        match what {
            // Something that was sent comes, whole, damaged, or from somewhere else.
            0..=2 if credit > 0 => {
                let payload = if what == 0 && traffic & LARGE_BIT != 0 {
                    Bytes::from_static(LARGE[n / 128])
                } else {
                    arriving(&sent, what, n)
                };
                let datagram = Datagram { peer: source(traffic, n), payload };
                credit -= 1;
                if !over {
                    saw(Moment::Came);
                }
                machine.handle(now, DatagramInput::Received(datagram));
            }
            3 if credit > 0 => {
                named += 1;
                let text = match n {
                    128.. if n % 2 == 1 => format!("@{}#{n} x", Sender::with_number(named)),
                    _ if n % 2 == 1 => format!("@other#{n} x"),
                    _ => format!("@name!{n}"),
                };
                let datagram = Datagram { peer: address(50_000), payload: text.into() };
                credit -= 1;
                if !over {
                    saw(Moment::Came);
                }
                machine.handle(now, DatagramInput::Received(datagram));
            }
            4 if credit > 0 => {
                credit -= 1;
                let peer = address(50_000);
                if !over {
                    saw(Moment::Came);
                }
                machine.handle(now, DatagramInput::TooLong { from: peer });
            }
            5 if n > 250 => machine.handle(now, DatagramInput::Failed(FAILURES[n % 3])),
            6 if n == 0 => machine.handle(now, DatagramInput::Stop),
            6 if n > 250 => machine.handle(now, DatagramInput::Abort),
            6 => machine.handle(now, DatagramInput::SendQueue(SendQueue { unread: n as u64, size: 250 })),
            7 | 8 => now = now.after(Duration::from_millis(u64::from(much))),
            _ => {}
        }
        let mut actions = 0;
        loop {
            actions += 1;
            assert!(actions < MOST_ACTIONS, "it does not come to rest");
            match machine.poll(now) {
                DatagramAction::Send(datagram) => {
                    assert!(!over, "I3: a datagram after the end");
                    saw(Moment::Sent(&datagram));
                    if what == 5 && n < 5 {
                        saw(Moment::Unsent);
                        let all =
                            [Unsent::Full, Unsent::TooLong, Unsent::Refused, Unsent::Unreachable, Unsent::Io];
                        machine.handle(now, DatagramInput::Unsent(all[n]));
                        if n == 0 {
                            break;
                        }
                    } else {
                        sent.push(datagram.payload);
                    }
                }
                DatagramAction::Event(_) => saw(Moment::Event),
                DatagramAction::Wait(DatagramWait { read, deadline }) => {
                    assert!(!over, "I3: a wait after the end");
                    assert!(read > 0 || deadline.is_some(), "I4: waits for nothing");
                    assert!(deadline.is_none_or(|deadline| deadline > now), "I5: a deadline that has passed");
                    credit = read;
                    break;
                }
                DatagramAction::Close(outcome) => {
                    if over {
                        return outcome;
                    }
                    // Nothing changes it, and what comes is ignored.
                    over = true;
                    machine.handle(now, DatagramInput::Stop);
                    credit = 1;
                }
            }
        }
    }
    panic!("it does not end, {now:?} after it was stopped");
}

/// What a corpus begins with.
#[cfg(feature = "seeds")]
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let script = |machine: u8, config: u8, ops: &[(u8, u8)]| {
        let ops = ops.iter().flat_map(|(what, much)| [*what, *much]);
        [VERSION, machine, config].into_iter().chain(ops).collect::<Vec<u8>>()
    };
    let mut all = Vec::new();
    for machine in 0..3 {
        for config in [0, 1, 2, 3, 4, 7, 8, 9] {
            let calm: Vec<_> = (0..40).map(|n| (0, n)).collect();
            all.push(script(machine, config, &calm));
            let wild: Vec<_> = (0..60u8).map(|n| (n % 9, n.wrapping_mul(37))).collect();
            all.push(script(machine, config, &wild));
            let late: Vec<_> = (0..60u8).map(|n| if n % 2 == 0 { (7, 30) } else { (0, n / 4) }).collect();
            all.push(script(machine, config, &late));
        }
    }
    // More than waits for a rate: of one source and then of others, by count and by bytes, and then all of it leaves.
    let flood = |own: &[(u8, u8)], others: &[(u8, u8)]| [own, others, &[(8, 255); 4]].concat();
    all.push(script(0, 1, &flood(&[(0, 0); 80], &[(0, 1); 20])));
    all.push(script(0, 1, &flood(&[(0, 0); 80], &[(0, 1), (0, 0), (0, 1)])));
    let others: Vec<_> = (0..24).chain(128..152).map(|n| (0, n)).collect();
    all.push(script(0, 1 | LARGE_BIT, &flood(&[(0, 0); 40], &others)));
    all.push(script(0, 1 | LARGE_BIT, &flood(&others, &others)));
    all.push(script(0, 1 | LARGE_BIT, &flood(&[(1, 0); 80], &[(0, 1); 20])));
    // From addresses that are no single socket, and from those of IPv6.
    let addresses: Vec<_> = (0..14).map(|n| (0, n)).collect();
    all.push(script(0, ADDRESSES_BIT, &addresses));
    for n in 251..254 {
        all.push(script(1, 0, &[(0, 0), (5, n)]));
    }
    // In order up to the end mark, with one missing and then late, and with more senders than are followed.
    let in_order: Vec<_> = (0..5).map(|n| (0, n)).chain([(3, 6), (0, 5), (3, 6)]).collect();
    all.push(script(2, 4, &in_order));
    all.push(script(2, 4, &[(0, 0), (0, 3), (3, 4), (7, 5), (0, 1), (7, 5), (0, 1), (0, 2)]));
    all.push(script(2, 4, &[(0, 0), (0, 3), (3, 4), (7, 30), (0, 1)]));
    all.push(script(2, 0, &[(3, 255); 300]));
    all.push(b"\x01\x02\x00@name#17 text".to_vec());
    all.push(b"\x01\x02\x00@name!1000".to_vec());
    all
}
