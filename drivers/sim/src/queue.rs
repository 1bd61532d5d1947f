//! What will happen, in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Connections at one time, at the most: what a key has room for.
pub(crate) const MAX_SLOTS: u32 = 1 << 20;
/// Nanoseconds that a run can last, at the most: some 833 days.
pub(crate) const MAX_TIME: u64 = (1 << 56) - 1;
/// Places that an event can be put behind others of its time.
pub(crate) const TIES: u32 = 16;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The next segment to the server arrives.
    Up,
    /// The next segment to the client arrives.
    Down,
    /// The client's driver looks around.
    WakeClient,
    /// The server's driver looks around.
    WakeServer,
    /// The client's timer is due.
    TimerClient,
    /// The server's timer is due.
    TimerServer,
    /// A write of the client completes.
    CompleteClient,
    /// A write of the server completes.
    CompleteServer,
    /// A client's SYN reaches the server.
    Syn,
    /// A client gives up an answer to its SYN.
    Hung,
    /// A client dials; its number is in place of the slot. This and what follows is for no connection.
    Dial,
    /// The server's door is looked after.
    Door,
    /// What was planned at the start of the run; its number is in place of the slot.
    Plan,
}

impl Kind {
    const ALL: [Self; 16] = [
        Self::Up,
        Self::Down,
        Self::WakeClient,
        Self::WakeServer,
        Self::TimerClient,
        Self::TimerServer,
        Self::CompleteClient,
        Self::CompleteServer,
        Self::Syn,
        Self::Hung,
        Self::Dial,
        Self::Door,
        Self::Plan,
        // Never scheduled: they spare the look-up a check.
        Self::Plan,
        Self::Plan,
        Self::Plan,
    ];

    /// Whether it is mostly put behind all that is to come soon; the others are for later, or rare.
    #[inline(always)]
    const fn is_soon(self) -> bool {
        matches!(
            self,
            Self::Up
                | Self::Down
                | Self::WakeClient
                | Self::WakeServer
                | Self::CompleteClient
                | Self::CompleteServer
                | Self::Syn
                | Self::Dial
        )
    }

    /// Whether it happens to a connection, and to no later one in its slot.
    #[inline(always)]
    pub(crate) const fn is_for_connection(self) -> bool {
        (self as u8) < Self::Dial as u8
    }
}

/// A connection's slot and the generation of who is in it, packed as in a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address(u32);

const SLOT_BITS: u32 = MAX_SLOTS.trailing_zeros();

impl Address {
    /// The generation is kept modulo 4096.
    pub(crate) const fn new(slot: u32, generation: u32) -> Self {
        debug_assert!(slot < MAX_SLOTS, "a slot has its bits");
        Self(generation << SLOT_BITS | slot)
    }

    #[inline(always)]
    pub(crate) const fn slot(self) -> u32 {
        self.0 & (MAX_SLOTS - 1)
    }

    /// The same slot, for who comes next.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(MAX_SLOTS))
    }
}

/// One word an event: time, place among the ties, sequence, kind, address.
#[derive(Debug)]
pub(crate) struct Queue {
    /// What is scheduled nearly in the order in which it happens, as most is: no heap is needed for it.
    lane: Lane,
    heap: BinaryHeap<Reverse<u128>>,
    /// The first of the heap; more than any key if there is none.
    top: u128,
    /// The place of an event among those of its time and tie: the order of scheduling, where a key has it.
    sequence: u128,
}

impl Default for Queue {
    fn default() -> Self {
        Self { lane: Lane::default(), heap: BinaryHeap::new(), top: u128::MAX, sequence: 0 }
    }
}

impl Queue {
    #[inline(always)]
    fn key(&mut self, time: u64, tie: u32, kind: Kind, address: Address) -> u128 {
        debug_assert!(tie < TIES, "a tie has its bits");
        self.sequence += 1 << 36;
        let when = time.min(MAX_TIME) << 8 | u64::from(tie) << 4;
        let what = (kind as u64) << 32 | u64::from(address.0);
        self.sequence + (u128::from(when) << 64 | u128::from(what))
    }

    /// Schedules an event.
    #[inline(always)]
    pub(crate) fn push(&mut self, time: u64, tie: u32, kind: Kind, address: Address) {
        let key = self.key(time, tie, kind, address);
        if !(kind.is_soon() && self.lane.push(key)) {
            self.push_on_heap(key);
        }
    }

    #[inline(never)]
    fn push_on_heap(&mut self, key: u128) {
        self.top = self.top.min(key);
        self.heap.push(Reverse(key));
    }

    /// The next event.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the fields of the key")]
    pub(crate) fn pop(&mut self) -> Option<(u64, Kind, Address)> {
        let key = match self.lane.pop_before(self.top) {
            Some(key) => key,
            None => self.pop_from_heap()?,
        };
        let kind = Kind::ALL[(key >> 32) as usize & 0xf];
        Some(((key >> 72) as u64, kind, Address(key as u32)))
    }

    #[inline(never)]
    fn pop_from_heap(&mut self) -> Option<u128> {
        let Reverse(key) = self.heap.pop()?;
        self.top = self.heap.peek().map_or(u128::MAX, |first| first.0);
        Some(key)
    }

    pub(crate) fn clear(&mut self) {
        self.lane.clear();
        self.heap.clear();
        self.top = u128::MAX;
        self.sequence = 0;
    }
}

/// Time and tie of a key: all that a new one has to be compared by, because its sequence is the highest.
#[inline(always)]
const fn when(key: u128) -> u64 {
    (key >> 64) as u64
}

/// Keys in order: taken at the front, put in at the back or not far from it.
#[derive(Debug, Default)]
struct Lane {
    keys: Vec<u128>,
    /// Those before it were taken.
    first: usize,
}

/// Keys that a new one may be put in front of. Beyond that a heap is faster.
const REACH: usize = 16;

/// Taken keys that are kept until they are cleared away together.
const GAP: usize = 512;

impl Lane {
    /// Puts a key where it belongs; false if that is too far from the back.
    #[inline(always)]
    fn push(&mut self, key: u128) -> bool {
        if self.keys.last().is_some_and(|last| when(*last) > when(key)) {
            return self.insert(key);
        }
        self.keys.push(key);
        true
    }

    #[inline(never)]
    fn insert(&mut self, key: u128) -> bool {
        let reach = self.first.max(self.keys.len().saturating_sub(REACH));
        if reach > self.first && when(self.keys[reach]) > when(key) {
            return false;
        }
        self.keys.push(key);
        let Some((mut hole, earlier)) = self.keys[reach..].split_last_mut() else { return true };
        for other in earlier.iter_mut().rev() {
            if when(*other) <= when(key) {
                break;
            }
            *hole = *other;
            hole = other;
        }
        *hole = key;
        true
    }

    /// Takes the first key, if it is less than `other`.
    #[inline(always)]
    fn pop_before(&mut self, other: u128) -> Option<u128> {
        let key = *self.keys.get(self.first)?;
        if key > other {
            return None;
        }
        self.first += 1;
        if self.first == GAP {
            self.close_gap();
        }
        Some(key)
    }

    #[inline(never)]
    fn close_gap(&mut self) {
        self.keys.drain(..GAP);
        self.first = 0;
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.first = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_tie_then_sequence() {
        let at = |slot| Address::new(slot, 4095);
        let mut queue = Queue::default();
        // Some of these are put into the lane and some on the heap, in every order of pushing.
        let mut pushes = [
            (4, 0, Kind::Hung, at(MAX_SLOTS - 1)),
            (4, 0, Kind::Up, at(0)),
            (4, 1, Kind::Up, at(2)),
            (5, 0, Kind::Door, at(1)),
            (9, 15, Kind::Dial, at(4)),
            (u64::MAX, 15, Kind::Plan, at(4)),
        ];
        for turn in 0..pushes.len() {
            pushes[2..].rotate_left(turn % 3);
            for (time, tie, kind, address) in pushes {
                queue.push(time, tie, kind, address);
            }
            let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            assert_eq!(
                order,
                [
                    (4, Kind::Hung, at(MAX_SLOTS - 1)),
                    (4, Kind::Up, at(0)),
                    (4, Kind::Up, at(2)),
                    (5, Kind::Door, at(1)),
                    (9, Kind::Dial, at(4)),
                    (MAX_TIME, Kind::Plan, at(4)),
                ]
            );
        }
    }

    #[test]
    fn many_events_come_in_order() {
        let mut queue = Queue::default();
        let mut state = 1_u64;
        let mut now = 0;
        let mut ahead = 0;
        for step in 0..10_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let kind = if (state >> 40).is_multiple_of(8) { Kind::TimerServer } else { Kind::Up };
            queue.push(now + (state >> 50), 0, kind, Address::new(step, 0));
            ahead += 1;
            if state >> 33 & 3 != 0 || ahead > 100 {
                let (time, ..) = queue.pop().unwrap();
                assert!(time >= now, "{time} after {now}");
                now = time;
                ahead -= 1;
            }
        }
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), ahead);
    }

    #[test]
    fn kinds_and_addresses_are_read_back() {
        let mut queue = Queue::default();
        let mut address = Address::new(7, 4094);
        let kinds = &Kind::ALL[..=Kind::Plan as usize];
        for kind in kinds {
            queue.push(0, 0, *kind, address);
            address = address.next();
        }
        let mut address = Address::new(7, 4094);
        for kind in kinds {
            assert_eq!(queue.pop(), Some((0, *kind, address)));
            assert_eq!(address.slot(), 7);
            address = address.next();
        }
    }
}
