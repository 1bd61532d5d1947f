//! The load's session: message after message, each timed from when it was due to when it was back.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::convert::Infallible;
use core::time::Duration;

use super::bounds::Bounded;
use super::config::PingerConfig;
use super::payload::Payload;
use super::verifier::Verifier;
use super::verifying_client::{ClientOutcome, Next, SendPolicy, VerifyingClient};
use roundtrip_core::{Action, Input, Machine, Time};

/// The largest write of more than one message, bytes.
const BATCH: usize = 64 << 10;

/// One echo session that sends messages of equal size, verifies every byte that comes back, and tells of each message
/// how long it took.
///
/// With a [`period`](Schedule::period) it is an open loop: a message is due whether or not those before it are back, and
/// its time counts from when it was *due*. What it cannot send then, because as many as allowed are in flight or the
/// transport takes nothing, it sends late, and that counts. So a peer that stalls is seen by every message that was due
/// meanwhile, and not only by those that happened to be in flight (coordinated omission; Tene, "How NOT to Measure
/// Latency", 2013). Without a period it is a closed loop: the next message is due when there is room for it.
///
/// Messages have no form: they are so many bytes of one seeded payload, and the peer need not know of them. At the first
/// wrong byte it stops sending, half-closes, and reads on only until the kind of the fault is clear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pinger(VerifyingClient<Timed>);

/// When a [`Pinger`] sends, and how much.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Schedule {
    /// When the first message is due.
    pub first: Time,
    /// From one message to the next, at least 1 ns; none: as soon as there is room.
    pub period: Option<Duration>,
    /// No message is due from then on.
    pub until: Option<Time>,
    /// Maximum number of messages.
    pub messages: u64,
}

impl Schedule {
    roundtrip_core::setters! {
        first: Time,
        period: Option<Duration>,
        until: Option<Time>,
        messages: u64,
    }

    /// Message after message, from `first` on, as fast as they come back, without an end.
    pub const fn closed_loop(first: Time) -> Self {
        Self { first, period: None, until: None, messages: u64::MAX }
    }

    /// A message each `period`, from `first` on, without an end.
    pub const fn open_loop(first: Time, period: Duration) -> Self {
        Self { first, period: Some(period), until: None, messages: u64::MAX }
    }

    /// When message `number`, counted from 0, is due; none in a closed loop, where it is as soon as there is room.
    pub fn due(&self, number: u64) -> Option<Time> {
        let period = u64::try_from(self.period?.as_nanos()).unwrap_or(u64::MAX);
        Some(self.first.after(Duration::from_nanos(period.saturating_mul(number))))
    }

    /// When message `number` is due, if it is to be sent at all: in a closed loop at once, but for the first.
    pub(super) fn next(&self, number: u64, now: Time) -> Option<Time> {
        if number >= self.messages {
            return None;
        }
        let due = self.due(number).unwrap_or(now.max(self.first));
        Some(due).filter(|due| self.until.is_none_or(|until| *due < until))
    }
}

/// A message is back, every byte of it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundTrip {
    /// When it was due: when it should have been sent.
    pub due: Time,
    /// When it was sent: handed to the driver. Later than `due` if it had to wait.
    pub sent: Time,
    /// When its last byte was back.
    pub back: Time,
}

impl RoundTrip {
    /// How long it took, its waiting to be sent included.
    pub const fn took(&self) -> Duration {
        self.back.since(self.due)
    }

    /// How long it had to wait to be sent.
    pub const fn late(&self) -> Duration {
        self.sent.since(self.due)
    }
}

impl Pinger {
    /// A session that begins at `now`, with the payload of this seed.
    pub fn new(config: Arc<PingerConfig>, schedule: Schedule, seed: u64, now: Time) -> Self {
        let config = config.bounded();
        let payload = Payload::seeded(seed, schedule.messages.saturating_mul(config.size as u64));
        let timed = Timed { config, schedule, begun: 0, over: false, flights: VecDeque::new(), back: 0 };
        Self(VerifyingClient::new(timed, payload, now))
    }

    /// Bytes that the transport took so far.
    pub const fn sent(&self) -> u64 {
        self.0.sent()
    }

    /// Bytes that came back so far.
    pub const fn received(&self) -> u64 {
        self.0.received()
    }

    /// Messages that were begun to be sent so far.
    pub const fn begun(&self) -> u64 {
        self.0.pace().begun
    }

    /// Messages that were begun and are not back.
    pub fn in_flight(&self) -> usize {
        self.0.pace().in_flight()
    }
}

impl Machine for Pinger {
    type Command = Infallible;
    type Event = RoundTrip;
    type Outcome = ClientOutcome;

    fn handle(&mut self, now: Time, input: Input) {
        self.0.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> Action<RoundTrip, ClientOutcome> {
        self.0.poll(now)
    }
}

/// Sends each message when it is due, and remembers when that was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Timed {
    config: Arc<PingerConfig>,
    schedule: Schedule,
    /// Messages that were begun to be sent.
    begun: u64,
    /// The time for sending has passed.
    over: bool,
    /// The messages that are not told of yet, oldest first; those that are back come first.
    flights: VecDeque<RoundTrip>,
    /// How many of them are back.
    back: usize,
}

impl Timed {
    fn in_flight(&self) -> usize {
        self.flights.len() - self.back
    }
}

impl SendPolicy for Timed {
    type Event = RoundTrip;

    fn chunk(&self) -> usize {
        self.config.chunk
    }

    fn timeout(&self) -> Option<Duration> {
        self.config.timeout
    }

    fn half_close(&self) -> bool {
        self.config.half_close
    }

    /// As many messages as are due and allowed go out in one write.
    fn next(&mut self, now: Time, _verifier: &Verifier) -> Next {
        let room = self.config.in_flight - self.in_flight();
        let most = room.min((BATCH / self.config.size).max(1));
        let mut count = 0;
        let wake = loop {
            let Some(due) = self.schedule.next(self.begun, now) else {
                self.over = true;
                break None;
            };
            if due > now {
                break Some(due);
            }
            if count == most {
                break None;
            }
            self.flights.push_back(RoundTrip { due, sent: now, back: due });
            self.begun += 1;
            count += 1;
        };
        match count {
            0 if self.over => Next::Done,
            // Without room it is something that comes back that is waited for.
            0 => Next::Nothing(wake.filter(|_| room > 0)),
            count => Next::Send(count * self.config.size),
        }
    }

    fn is_done(&self, _verifier: &Verifier) -> bool {
        self.over || self.begun == self.schedule.messages
    }

    fn back(&mut self, now: Time, received: u64) {
        // What was told of already is back as well.
        let told = self.begun - self.flights.len() as u64;
        let back = received / self.config.size as u64 - told;
        while (self.back as u64) < back {
            self.flights[self.back].back = now;
            self.back += 1;
        }
    }

    fn event(&mut self) -> Option<RoundTrip> {
        self.back = self.back.checked_sub(1)?;
        self.flights.pop_front()
    }
}
