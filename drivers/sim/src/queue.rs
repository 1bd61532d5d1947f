//! What will happen, in order of time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

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
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Events that were scheduled in the order in which they happen, as most are: no heap is needed for them.
    lane: VecDeque<u128>,
    heap: BinaryHeap<Reverse<u128>>,
    sequence: u32,
}

impl Queue {
    #[inline(always)]
    fn key(&mut self, time: u64, tie: u32, kind: Kind, address: Address) -> u128 {
        debug_assert!(tie < TIES, "a tie has its bits");
        self.sequence = self.sequence.wrapping_add(1);
        let high = time.min(MAX_TIME) << 8 | u64::from(tie) << 4;
        let low = u64::from(self.sequence & 0x0fff_ffff) << 36 | (kind as u64) << 32 | u64::from(address.0);
        u128::from(high | u64::from(self.sequence >> 28)) << 64 | u128::from(low)
    }

    /// Schedules what is likely to happen later than what was scheduled so before.
    #[inline(always)]
    pub(crate) fn push_in_order(&mut self, time: u64, tie: u32, kind: Kind, address: Address) {
        let key = self.key(time, tie, kind, address);
        if self.lane.back().is_none_or(|last| *last < key) {
            self.lane.push_back(key);
        } else {
            self.heap.push(Reverse(key));
        }
    }

    /// Schedules anything else.
    pub(crate) fn push(&mut self, time: u64, tie: u32, kind: Kind, address: Address) {
        let key = self.key(time, tie, kind, address);
        self.heap.push(Reverse(key));
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the fields of the key")]
    pub(crate) fn pop(&mut self) -> Option<(u64, Kind, Address)> {
        let key = match (self.lane.front(), self.heap.peek()) {
            (Some(first), Some(Reverse(other))) if other < first => self.heap.pop()?.0,
            (Some(_), _) => self.lane.pop_front()?,
            (None, _) => self.heap.pop()?.0,
        };
        let kind = Kind::ALL[(key >> 32) as usize & 0xf];
        Some(((key >> 72) as u64, kind, Address(key as u32)))
    }

    pub(crate) fn clear(&mut self) {
        self.lane.clear();
        self.heap.clear();
        self.sequence = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_tie_then_sequence() {
        let at = |slot| Address::new(slot, 4095);
        let pushes = [
            (5, 0, Kind::Door, at(1)),
            (4, 1, Kind::Up, at(2)),
            (4, 0, Kind::Hung, at(MAX_SLOTS - 1)),
            (4, 0, Kind::Up, at(0)),
            (9, 15, Kind::Dial, at(4)),
            (u64::MAX, 15, Kind::Dial, at(4)),
        ];
        let mut queue = Queue::default();
        for lanes in 0_u32..64 {
            for (index, (time, tie, kind, address)) in pushes.into_iter().enumerate() {
                if lanes >> index & 1 == 1 {
                    queue.push_in_order(time, tie, kind, address);
                } else {
                    queue.push(time, tie, kind, address);
                }
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
                    (MAX_TIME, Kind::Dial, at(4)),
                ]
            );
        }
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
