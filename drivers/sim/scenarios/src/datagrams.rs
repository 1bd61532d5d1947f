//! `datagrams`: the echo over datagrams, and what its clients say of a network that is known.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::bytes::Bytes;
use roundtrip_core::datagram::Datagram;
use roundtrip_echo::{
    DatagramClient, DatagramClientConfig, DatagramEcho, DatagramEchoConfig, DatagramEchoOutcome,
    DatagramOutcome, DatagramVerdict, End, Schedule, WELL_KNOWN_PORTS,
};

use roundtrip_sim::choose::mix;
use roundtrip_sim::{Clients, DatagramScenario, DatagramSetup, Passed};
use roundtrip_sim::{Draw, Reached, Violation};

/// One to three clients of one echo server. What each says of its datagrams is held against what the network did to them;
/// one of them may be on a well-known port, and must get nothing; one may never read, and must leave the others room.
#[derive(Clone, Copy, Debug, Default)]
pub struct Datagrams;

/// So many bytes of a datagram tell which one it is: one bit that is wrong leaves some, if there are twice as many.
const TOLD: usize = 32;
const SERVER_PORT: u16 = 7007;
/// Fewer than the datagrams that a client sends fill it, bytes.
const SEND_QUEUE: u64 = 24 << 10;

const GOALS: &[&str] = &[
    "verified",
    "lost",
    "late",
    "duplicated",
    "reordered",
    "corrupted",
    "strays",
    "timed out",
    "stopped",
    "aborted",
    "too long",
    "not read in time",
    "not answered",
    "a well-known port",
    "the server is stopped early",
    "half of the send queue is unread",
];

/// Their numbers.
mod goal {
    pub(super) const VERIFIED: u32 = 0;
    pub(super) const LOST: u32 = 1;
    pub(super) const LATE: u32 = 2;
    pub(super) const DUPLICATED: u32 = 3;
    pub(super) const REORDERED: u32 = 4;
    pub(super) const CORRUPTED: u32 = 5;
    pub(super) const STRAYS: u32 = 6;
    pub(super) const TIMED_OUT: u32 = 7;
    pub(super) const STOPPED: u32 = 8;
    pub(super) const ABORTED: u32 = 9;
    pub(super) const TOO_LONG: u32 = 10;
    pub(super) const UNREAD: u32 = 11;
    pub(super) const UNANSWERED: u32 = 12;
    pub(super) const WELL_KNOWN: u32 = 13;
    pub(super) const SERVER_FIRST: u32 = 14;
    pub(super) const HALF_UNREAD: u32 = 15;
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}

impl DatagramScenario for Datagrams {
    type Server = DatagramEcho<SocketAddr>;
    type Client = DatagramClient<SocketAddr>;

    fn name(&self) -> &'static str {
        "datagrams"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (DatagramSetup, Self::Server, Clients<Self::Client>) {
        let setup = DatagramSetup::new(address(1, SERVER_PORT))
            .queue(draw.one_of(0, &[64, 4]))
            .mtu(draw.one_of(1, &[1232, 48]))
            .send_queue(draw.one_of(14, &[None, Some(SEND_QUEUE)]))
            .deaf(draw.below(15, 2) as usize);
        let echo = DatagramEchoConfig::default()
            .rate(draw.one_of(2, &[None, Some(10_000), Some(100)]))
            .repeats(draw.one_of(3, &[None, Some(1000), Some(2)]));
        let client = DatagramClientConfig::default()
            .size(draw.one_of(4, &[64, 16, 1200, 1400]))
            .in_flight(1 + draw.below(5, 16) as usize)
            .wait(draw.one_of(6, &[ms(1000), ms(8)]))
            .timeout(Some(draw.one_of(7, &[ms(30_000), ms(40)])))
            .settle(draw.one_of(8, &[ms(100), ms(1)]));
        let client = Arc::new(client);
        let (messages, period) = (u64::from(1 + draw.below(9, 40)), draw.one_of(10, &[None, Some(ms(3))]));
        let seed = u64::from(draw.below(11, 1 << 16));
        let schedule = Schedule::closed_loop(Time::ZERO).messages(messages).period(period);
        let well_known = draw.below(12, 4) == 3;
        let clients = (0..=draw.below(13, 3)).map(|number| {
            let port = if well_known && number == 0 { 7 } else { 50_000 };
            let from = address(u8::try_from(number).unwrap_or_default() + 2, port);
            let seed = mix(seed ^ u64::from(number));
            let server = setup.server;
            (from, DatagramClient::new(Arc::clone(&client), schedule, server, seed, Time::ZERO))
        });
        let clients = clients.collect();
        (setup, DatagramEcho::new(Arc::new(echo), Some(SERVER_PORT), Time::ZERO), clients)
    }

    fn client_closed(
        &self,
        outcome: &DatagramOutcome,
        passed: &Passed,
        reached: &mut Reached,
    ) -> Result<(), Violation> {
        let is_well_known = passed.address.is_some_and(|address| WELL_KNOWN_PORTS.contains(&address.port()));
        if is_well_known && !passed.came.is_empty() {
            return Err(Violation::new("well-known-port", format!("{} answers", passed.came.len())));
        }
        judge(outcome, &Known::of(passed))?;
        let DatagramOutcome { verdict, counts, .. } = outcome;
        for (goal, is_reached) in [
            (goal::VERIFIED, *verdict == DatagramVerdict::Verified),
            (goal::LOST, counts.lost > 0),
            (goal::LATE, counts.late > 0),
            (goal::DUPLICATED, counts.duplicated > 0),
            (goal::REORDERED, counts.reordered > 0),
            (goal::CORRUPTED, counts.corrupted > 0),
            (goal::STRAYS, counts.strays > 0),
            (goal::TIMED_OUT, *verdict == DatagramVerdict::TimedOut),
            (goal::STOPPED, *verdict == DatagramVerdict::Stopped),
            (goal::ABORTED, *verdict == DatagramVerdict::Aborted),
            (goal::TOO_LONG, *verdict == DatagramVerdict::TooLong),
            (goal::UNREAD, passed.overflowed > 0),
            (goal::WELL_KNOWN, is_well_known),
        ] {
            reached.reach_if(goal, is_reached);
        }
        Ok(())
    }

    fn server_closed(
        &self,
        outcome: &DatagramEchoOutcome,
        passed: &Passed,
        reached: &mut Reached,
    ) -> Result<(), Violation> {
        let DatagramEchoOutcome { end, received, echoed, unanswered, unsent, .. } = *outcome;
        let counted = (received, echoed, received);
        let known = (passed.came.len() as u64, passed.sent.len() as u64, echoed + unanswered + unsent);
        if counted != known {
            return Err(Violation::new("server-counts", format!("{outcome:?}, and {known:?} passed")));
        }
        if passed.crowded > 0 {
            let found = format!("{} answers, at {} bytes unread", passed.crowded, passed.most_unread);
            return Err(Violation::new("crowded", found));
        }
        // What was answered came, and no more often than it was answered.
        let mut came = sorted(&passed.came);
        for reply in sorted(&passed.sent) {
            let Ok(index) = came.binary_search(&reply) else {
                let found = format!("{} bytes to {}", reply.1.len(), reply.0);
                return Err(Violation::new("made-up", found));
            };
            came.remove(index);
        }
        reached.reach_if(goal::UNANSWERED, unanswered > 0);
        reached.reach_if(goal::UNREAD, passed.overflowed > 0);
        reached.reach_if(goal::HALF_UNREAD, passed.most_unread > SEND_QUEUE / 2);
        reached.reach_if(goal::SERVER_FIRST, passed.interrupted && end == End::Stopped);
        Ok(())
    }

    fn goals(&self) -> &'static [&'static str] {
        GOALS
    }
}

fn sorted(datagrams: &[Datagram<SocketAddr>]) -> Vec<(SocketAddr, Bytes)> {
    let mut all: Vec<_> = datagrams.iter().map(|one| (one.peer, one.payload.clone())).collect();
    all.sort_unstable();
    all
}

/// What a client must have counted.
#[derive(Debug, Default)]
struct Known {
    sent: u64,
    /// Came for the first time, every bit of it right.
    back: u64,
    duplicated: u64,
    corrupted: u64,
    strays: u64,
    /// Nothing of it came.
    missing: u64,
    /// The most that can have been out of order.
    reordered: u64,
    interrupted: bool,
}

impl Known {
    fn of(passed: &Passed) -> Self {
        let mut known =
            Self { sent: passed.sent.len() as u64, interrupted: passed.interrupted, ..Self::default() };
        let (mut seen, mut highest) = (BTreeSet::new(), None);
        for Datagram { payload, .. } in &passed.came {
            let whole = passed.sent.iter().position(|sent| sent.payload == *payload);
            let Some(number) =
                whole.or_else(|| passed.sent.iter().position(|sent| is_like(&sent.payload, payload)))
            else {
                known.strays += 1;
                continue;
            };
            let is_first = seen.insert(number);
            if whole.is_none() {
                known.corrupted += 1;
            } else if is_first {
                known.back += 1;
                known.reordered += u64::from(highest > Some(number));
            } else {
                known.duplicated += 1;
            }
            highest = highest.max(Some(number));
        }
        known.missing = known.sent - seen.len() as u64;
        known
    }
}

/// Whether it is the other with a bit or two changed, and enough of it left to tell.
fn is_like(sent: &[u8], came: &[u8]) -> bool {
    let differs = sent.iter().zip(came).filter(|(a, b)| a != b).count();
    sent.len() == came.len() && sent.len() >= 2 * TOLD && (1..=2).contains(&differs)
}

fn judge(outcome: &DatagramOutcome, known: &Known) -> Result<(), Violation> {
    let DatagramOutcome { verdict, counts, .. } = outcome;
    let wrong = |id| Err(Violation::new(id, format!("{counts:?} where {known:?}")));
    if counts.sent != known.sent {
        return wrong("sent");
    }
    if counts.back + counts.late != known.back {
        return wrong("back");
    }
    if counts.duplicated != known.duplicated {
        return wrong("duplicated");
    }
    if (counts.corrupted, counts.strays) != (known.corrupted, known.strays) {
        return wrong("damaged");
    }
    if counts.reordered > known.reordered || (counts.late == 0 && counts.reordered != known.reordered) {
        return wrong("reordered");
    }
    let is_accounted = match verdict {
        DatagramVerdict::Verified | DatagramVerdict::Faulty | DatagramVerdict::Stopped => {
            counts.lost == known.missing
        }
        DatagramVerdict::TimedOut
        | DatagramVerdict::Refused
        | DatagramVerdict::TooLong
        | DatagramVerdict::Failed
        | DatagramVerdict::Aborted => counts.lost <= known.missing,
    };
    if !is_accounted {
        return wrong("lost");
    }
    let is_right = match verdict {
        DatagramVerdict::Verified => counts.is_faithful(),
        DatagramVerdict::Faulty => !counts.is_faithful(),
        DatagramVerdict::Stopped => counts.is_faithful() && known.interrupted,
        DatagramVerdict::Aborted => known.interrupted,
        DatagramVerdict::TimedOut
        | DatagramVerdict::Refused
        | DatagramVerdict::TooLong
        | DatagramVerdict::Failed => true,
    };
    if is_right { Ok(()) } else { wrong("verdict") }
}
