//! What became of each datagram that was sent.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use core::time::Duration;

use super::super::pinger::RoundTrip;
use roundtrip_core::Time;

/// Datagrams whose fate is remembered: the last 65,536 that were sent.
pub(super) const HISTORY: u64 = 64 * WORDS as u64;
const WORDS: usize = 1 << 10;

/// The datagrams that were sent, by their numbers from 0 on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flights {
    /// From the oldest one that may still come back, to the latest that was sent.
    open: VecDeque<Flight>,
    /// Datagrams that were sent.
    sent: u64,
    /// Of `open`, those that are neither back nor given up.
    in_flight: usize,
    back: Marks,
    /// Of those that were given up and did not come, the latest: their numbers, which rise, and when they were sent.
    given_up: VecDeque<(u64, Time)>,
}

/// Datagrams that were given up of which it is known when they were sent.
const GIVEN_UP: usize = 1 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Flight {
    due: Time,
    sent: Time,
    is_over: bool,
}

/// What a number that came stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was on its way.
    Expected(RoundTrip),
    /// It was given up; and how long it took, if that is still known.
    GivenUp(Option<Duration>),
    /// It is back already.
    Again,
    /// It was never sent, or so long ago that nobody remembers.
    Unknown,
}

impl Flights {
    pub(super) fn new() -> Self {
        Self { open: VecDeque::new(), sent: 0, in_flight: 0, back: Marks::new(), given_up: VecDeque::new() }
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether one more can be remembered.
    pub(super) fn has_room(&self) -> bool {
        (self.open.len() as u64) < HISTORY
    }

    /// The next one is sent.
    pub(super) fn send(&mut self, due: Time, now: Time) {
        self.back.clear(self.sent);
        self.open.push_back(Flight { due, sent: now, is_over: false });
        self.sent += 1;
        self.in_flight += 1;
    }

    /// The last one that was sent was not, after all.
    pub(super) fn unsend(&mut self) {
        if self.open.pop_back().is_some_and(|flight| !flight.is_over) {
            self.sent -= 1;
            self.in_flight -= 1;
        }
    }

    /// This one came.
    pub(super) fn come(&mut self, number: u64, now: Time) -> Seen {
        let first = self.sent - self.open.len() as u64;
        if number >= self.sent || number.saturating_add(HISTORY) < self.sent {
            return Seen::Unknown;
        }
        if self.back.is_set(number) {
            return Seen::Again;
        }
        self.back.set(number);
        let flight = number
            .checked_sub(first)
            .and_then(|index| self.open.get_mut(usize::try_from(index).ok()?))
            .filter(|flight| !flight.is_over);
        let Some(flight) = flight else { return Seen::GivenUp(self.late(number, now)) };
        flight.is_over = true;
        self.in_flight -= 1;
        let Flight { due, sent, .. } = *flight;
        self.forget();
        Seen::Expected(RoundTrip { due, sent, back: now })
    }

    /// How long this one took, which was given up.
    fn late(&mut self, number: u64, now: Time) -> Option<Duration> {
        let index = self.given_up.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.given_up.remove(index).map(|(_, sent)| now.since(sent))
    }

    /// When the oldest one that is on its way was sent.
    pub(super) fn oldest(&self) -> Option<Time> {
        // What is over is forgotten from the front.
        self.open.front().map(|flight| flight.sent)
    }

    /// Gives the oldest one up if it has been on its way for so long: its number, and when it was due.
    pub(super) fn give_up(&mut self, wait: Duration, now: Time) -> Option<(u64, Time)> {
        let front = self.open.front_mut().filter(|front| front.sent.after(wait) <= now)?;
        front.is_over = true;
        let Flight { due, sent, .. } = *front;
        self.in_flight -= 1;
        let number = self.sent - self.open.len() as u64;
        if self.given_up.len() == GIVEN_UP {
            self.given_up.pop_front();
        }
        self.given_up.push_back((number, sent));
        self.forget();
        Some((number, due))
    }

    fn forget(&mut self) {
        while self.open.front().is_some_and(|flight| flight.is_over) {
            self.open.pop_front();
        }
    }
}

/// A mark for each of the last numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Marks(Box<[u64]>);

impl Marks {
    fn new() -> Self {
        Self(vec![0; WORDS].into())
    }

    fn place(number: u64) -> (usize, u64) {
        let slot = number % HISTORY;
        (usize::try_from(slot / 64).unwrap_or_default(), 1 << (slot % 64))
    }

    fn is_set(&self, number: u64) -> bool {
        let (index, bit) = Self::place(number);
        self.0[index] & bit != 0
    }

    fn set(&mut self, number: u64) {
        let (index, bit) = Self::place(number);
        self.0[index] |= bit;
    }

    fn clear(&mut self, number: u64) {
        let (index, bit) = Self::place(number);
        self.0[index] &= !bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_65_536_are_remembered_and_no_others() {
        let (now, mut flights) = (Time::ZERO, Flights::new());
        let back = Seen::Expected(RoundTrip { due: now, sent: now, back: now });
        for _ in 0..65_536 {
            assert!(flights.has_room());
            flights.send(now, now);
        }
        assert!(!flights.has_room(), "the oldest one may still come");
        assert_eq!(flights.come(65_536, now), Seen::Unknown, "it was not sent yet");
        assert_eq!(flights.come(0, now), back);
        assert!(flights.has_room());
        flights.send(now, now);
        assert_eq!(flights.come(0, now), Seen::Unknown, "too long ago");
        assert_eq!(flights.come(1, now), back);
        assert_eq!(flights.come(1, now), Seen::Again);
        assert_eq!(flights.come(65_536, now), back, "not what was known of the first");
    }
}
