//! The client: sends datagrams that tell which one each is, and what became of it.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::time::Duration;

use bytes::BytesMut;

use super::super::bounds::Bounded;
use super::super::payload::{PROBE, Payload};
use super::super::pinger::{RoundTrip, Schedule};
use super::BATCH;
use super::config::DatagramClientConfig;
use super::in_flight::{Flights, Seen};
use roundtrip_core::datagram::{
    Datagram, DatagramAction, DatagramInput, DatagramMachine, DatagramWait, Unsent,
};
use roundtrip_core::{Failure, Time};

/// How long a transport that takes nothing is left alone.
const RETRY: Duration = Duration::from_millis(1);

/// An echo client over datagrams: sends some of equal size to one server, by a [`Schedule`], and verifies every byte of
/// what comes back.
///
/// Datagram `k` carries the bytes from `k * size` on of one seeded [payload](Payload), so that any sixteen of them tell
/// which one it is, and nothing is stored. None is sent again: what the path does to them is what is asked for. In the words
/// of the IETF's metrics, what is counted is round-trip loss (RFC 6673), duplication (RFC 5560) and reordering (RFC 4737).
///
/// Each that is back in time and right is told, and each that is given up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatagramClient<A> {
    config: Arc<DatagramClientConfig>,
    schedule: Schedule,
    server: A,
    payload: Payload,
    /// Where datagrams are composed.
    block: BytesMut,
    flights: Flights,
    /// Nothing is sent any more.
    over: bool,
    stopped: bool,
    /// The transport is left alone until then.
    retry: Option<Time>,
    /// Since when none of those that were sent has come back.
    unanswered: Option<Time>,
    /// When something last changed: what is waited for after the last of them.
    latest: Time,
    /// When the last was sent, or came back in time.
    active: Time,
    /// Since when all is accounted for.
    done: Option<Time>,
    trips: VecDeque<RoundTrip>,
    counts: DatagramCounts,
    /// The highest number that came.
    heard: u64,
    /// Of those that were lost one after the other, the last, and how many.
    loss: Option<(u64, u64)>,
    end: Option<DatagramVerdict>,
}

/// What became of the datagrams that were sent, and what else came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct DatagramCounts {
    /// Sent: offered to the transport, and taken.
    pub sent: u64,
    /// Of these, back in time with every byte right.
    pub back: u64,
    /// Not back in time, and not later either.
    pub lost: u64,
    /// Back, but only after they had been given up.
    pub late: u64,
    /// The longest time that one of these took, as far as it is known: the last 1,024 that were given up are remembered.
    pub slowest_late: Option<Duration>,
    /// Came once more.
    pub duplicated: u64,
    /// Of those that are back: came after something of one that was sent later.
    pub reordered: u64,
    /// Came with other bytes than were sent, or with more or less of them.
    pub corrupted: u64,
    /// Of those corrupted: came with their first bytes only, every one of them right.
    pub cut: u64,
    /// The fewest bytes that one of these came with.
    pub shortest_cut: Option<u64>,
    /// Of those cut: what was missing came, too, in further datagrams; the number of these.
    pub split: u64,
    /// Of those corrupted: came whole, and with other bytes behind them.
    pub merged: u64,
    /// Came, and are none that was sent, or are 65,536 datagrams late.
    pub strays: u64,
    /// The most that were lost one after the other.
    pub longest_loss: u64,
    /// The number of the first that was given up, from 0.
    pub first_lost: Option<u64>,
    /// The number of the first of which a byte was wrong.
    pub first_corrupted: Option<u64>,
}

impl DatagramCounts {
    /// Whether all that was sent is back, once, in order, every byte of it, and nothing else came.
    pub const fn is_faithful(&self) -> bool {
        self.back == self.sent
            && self.duplicated == 0
            && self.reordered == 0
            && self.corrupted == 0
            && self.strays == 0
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatagramResult {
    /// It is back in time, every byte of it right.
    Back(RoundTrip),
    /// It is given up; it was due then.
    GivenUp(Time),
}

/// What is to be said of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatagramVerdict {
    /// All that was to be sent is back: once, in order, every byte of it.
    Verified,
    /// It is not: the [counts](DatagramCounts) say how.
    Faulty,
    /// Nothing came back for too long.
    TimedOut,
    /// The system says that nobody is there.
    Refused,
    /// The system does not send datagrams of that size.
    TooLong,
    /// There is no way there, or the system failed otherwise.
    Failed,
    /// Stopped before all was sent; what was sent is back as it should be.
    Stopped,
    /// Aborted before there was a verdict.
    Aborted,
}

/// What came of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DatagramOutcome {
    /// The verdict.
    pub verdict: DatagramVerdict,
    /// What it rests on.
    pub counts: DatagramCounts,
    /// When the last of them was sent, came, or was given up.
    pub latest: Time,
    /// When the last of them was sent, or came back in time.
    pub active: Time,
}

/// Which datagram something is.
enum Found {
    Right(u64),
    Wrong(u64, Damage),
    None,
}

/// What is wrong with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// Its end is missing.
    Cut,
    /// Its beginning is missing.
    Rest,
    /// Something follows it.
    Merged,
    /// Its bytes are others.
    Changed,
}

impl<A: Clone> DatagramClient<A> {
    /// A client of `server` that begins at `now`, with the payload of this seed.
    pub fn new(
        config: Arc<DatagramClientConfig>,
        schedule: Schedule,
        server: A,
        seed: u64,
        now: Time,
    ) -> Self {
        let config = config.bounded();
        let payload = Payload::seeded(seed, schedule.messages.saturating_mul(config.size as u64));
        Self {
            config,
            schedule,
            server,
            payload,
            block: BytesMut::new(),
            flights: Flights::new(),
            over: false,
            stopped: false,
            retry: None,
            unanswered: None,
            latest: now,
            active: now,
            done: None,
            trips: VecDeque::new(),
            counts: DatagramCounts::default(),
            heard: 0,
            loss: None,
            end: None,
        }
    }

    /// What became of those that were sent so far.
    pub fn counts(&self) -> DatagramCounts {
        DatagramCounts { sent: self.flights.sent(), ..self.counts }
    }

    /// Datagrams that were sent and are neither back nor given up.
    pub const fn in_flight(&self) -> usize {
        self.flights.in_flight()
    }

    /// Which one of those that were sent this is.
    fn find(&self, data: &[u8]) -> Found {
        let size = self.config.size as u64;
        // The first sixteen bytes tell, or, if they are wrong, some others.
        let located = data.chunks_exact(PROBE).find_map(|chunk| self.payload.locate(chunk.try_into().ok()?));
        let Some(start) = located else { return Found::None };
        let (number, right) = (start / size, self.payload.matching(start, data));
        if !start.is_multiple_of(size) {
            let is_rest = right == data.len() && start % size + right as u64 <= size;
            return Found::Wrong(number, if is_rest { Damage::Rest } else { Damage::Changed });
        }
        let is_whole = right >= self.config.size;
        match data.len().cmp(&self.config.size) {
            Ordering::Equal if is_whole => Found::Right(number),
            Ordering::Less if right == data.len() => Found::Wrong(number, Damage::Cut),
            Ordering::Greater if is_whole => Found::Wrong(number, Damage::Merged),
            Ordering::Less | Ordering::Equal | Ordering::Greater => Found::Wrong(number, Damage::Changed),
        }
    }

    fn receive(&mut self, now: Time, data: &[u8]) {
        self.latest = now;
        let (number, damage) = match self.find(data) {
            Found::Right(number) => (number, None),
            Found::Wrong(number, damage) => (number, Some(damage)),
            Found::None => {
                self.counts.strays += 1;
                return;
            }
        };
        let seen = self.flights.come(number, now);
        if seen == Seen::Unknown {
            self.counts.strays += 1;
            return;
        }
        self.unanswered = (self.flights.in_flight() > 0).then_some(now);
        let is_reordered = number < self.heard;
        self.heard = self.heard.max(number);
        // One that was given up and comes all the same is not lost.
        self.counts.lost -= u64::from(matches!(seen, Seen::GivenUp(_)));
        if seen == Seen::Again && matches!(damage, Some(Damage::Cut | Damage::Rest)) {
            self.counts.split += 1;
            return;
        }
        if let Some(damage) = damage {
            self.counts.corrupted += 1;
            self.counts.first_corrupted.get_or_insert(number);
            self.counts.merged += u64::from(damage == Damage::Merged);
            if damage == Damage::Cut {
                self.counts.cut += 1;
                let len = data.len() as u64;
                self.counts.shortest_cut = Some(self.counts.shortest_cut.map_or(len, |least| least.min(len)));
            }
            return;
        }
        match seen {
            Seen::Expected(trip) => {
                self.counts.back += 1;
                self.active = now;
                self.counts.reordered += u64::from(is_reordered);
                self.trips.push_back(trip);
            }
            Seen::GivenUp(took) => {
                self.counts.late += 1;
                self.counts.slowest_late = self.counts.slowest_late.max(took);
            }
            Seen::Again | Seen::Unknown => self.counts.duplicated += 1,
        }
    }

    /// Gives up the oldest one if it has been on its way for too long: when it was due.
    fn give_up(&mut self, now: Time) -> Option<Time> {
        let (number, due) = self.flights.give_up(self.config.wait, now)?;
        let run = match self.loss {
            Some((last, run)) if last + 1 == number => run + 1,
            _ => 1,
        };
        self.loss = Some((number, run));
        self.counts.lost += 1;
        self.counts.longest_loss = self.counts.longest_loss.max(run);
        self.counts.first_lost.get_or_insert(number);
        self.latest = now;
        Some(due)
    }

    /// The next datagram, if it may be sent now; else when that may be, unless something else must happen before.
    fn next(&mut self, now: Time) -> Result<Datagram<A>, Option<Time>> {
        if self.over {
            return Err(None);
        }
        let number = self.flights.sent();
        let Some(due) = self.schedule.next(number, now) else {
            self.over = true;
            return Err(None);
        };
        if self.flights.in_flight() >= self.config.in_flight || !self.flights.has_room() {
            return Err(None);
        }
        let at = self.retry.map_or(due, |retry| retry.max(due));
        if at > now {
            return Err(Some(at));
        }
        self.retry = None;
        self.flights.send(due, now);
        self.unanswered.get_or_insert(now);
        (self.latest, self.active) = (now, now);
        let size = self.config.size;
        let payload = self.payload.compose(number * size as u64, size, &mut self.block);
        Ok(Datagram { peer: self.server.clone(), payload })
    }

    /// When it is given up, if nothing comes.
    fn times_out(&self) -> Option<Time> {
        Some(self.unanswered?.after(self.config.timeout?))
    }

    /// When there is a verdict: all is accounted for, and nothing comes any more, or something comes for as long as the
    /// time-out.
    fn settles(&mut self, now: Time) -> Option<Time> {
        if !self.over || self.flights.in_flight() > 0 {
            return None;
        }
        let done = *self.done.get_or_insert(now);
        let DatagramClientConfig { settle, settle_late, timeout, .. } = *self.config;
        let settle = if self.counts.lost > 0 { settle.max(settle_late) } else { settle };
        let quiet = self.latest.after(settle);
        Some(timeout.map_or(quiet, |timeout| quiet.min(done.after(timeout).after(settle))))
    }

    fn judge(&self) -> DatagramVerdict {
        if !self.counts().is_faithful() {
            DatagramVerdict::Faulty
        } else if self.stopped {
            DatagramVerdict::Stopped
        } else {
            DatagramVerdict::Verified
        }
    }

    fn unsent(&mut self, now: Time, why: Unsent) {
        self.flights.unsend();
        match why {
            Unsent::Full => self.retry = Some(now.after(RETRY)),
            Unsent::TooLong => self.finish(DatagramVerdict::TooLong),
            Unsent::Refused => self.finish(DatagramVerdict::Refused),
            Unsent::Unreachable | Unsent::Io => self.finish(DatagramVerdict::Failed),
        }
    }

    fn finish(&mut self, verdict: DatagramVerdict) {
        self.end.get_or_insert(verdict);
    }
}

impl<A: Clone> DatagramMachine for DatagramClient<A> {
    type Address = A;
    type Event = DatagramResult;
    type Outcome = DatagramOutcome;

    fn handle(&mut self, now: Time, input: DatagramInput<A>) {
        if self.end.is_some() {
            return;
        }
        match input {
            DatagramInput::Received(Datagram { payload, .. }) => self.receive(now, &payload),
            // None that was sent is so long.
            DatagramInput::TooLong { .. } => self.counts.strays += 1,
            DatagramInput::Unsent(why) => self.unsent(now, why),
            // It has one receiver: a full queue harms no other.
            DatagramInput::SendQueue(_) => {}
            DatagramInput::Stop => {
                self.stopped |= !self.over;
                self.over = true;
            }
            DatagramInput::Abort => self.finish(DatagramVerdict::Aborted),
            DatagramInput::Failed(Failure::Reset) => self.finish(DatagramVerdict::Refused),
            DatagramInput::Failed(Failure::Truncated | Failure::Io) => self.finish(DatagramVerdict::Failed),
        }
    }

    fn poll(&mut self, now: Time) -> DatagramAction<A, DatagramResult, DatagramOutcome> {
        if let Some(trip) = self.trips.pop_front() {
            return DatagramAction::Event(DatagramResult::Back(trip));
        }
        if self.end.is_none() {
            if let Some(due) = self.give_up(now) {
                return DatagramAction::Event(DatagramResult::GivenUp(due));
            }
            if self.times_out().is_some_and(|at| at <= now) {
                self.finish(DatagramVerdict::TimedOut);
            }
        }
        if self.end.is_none() {
            let sends_at = match self.next(now) {
                Ok(datagram) => return DatagramAction::Send(datagram),
                Err(at) => at,
            };
            let settles = self.settles(now);
            if settles.is_none_or(|at| at > now) {
                let gives_up = self.flights.oldest().map(|sent| sent.after(self.config.wait));
                let deadline = [sends_at, self.times_out(), settles, gives_up].into_iter().flatten().min();
                return DatagramAction::Wait(DatagramWait { read: BATCH, deadline });
            }
            self.finish(self.judge());
        }
        let verdict = self.end.unwrap_or(DatagramVerdict::Failed);
        DatagramAction::Close(DatagramOutcome {
            verdict,
            counts: self.counts(),
            latest: self.latest,
            active: self.active,
        })
    }
}
