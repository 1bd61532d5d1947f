//! The deadlines of a thread's connections.

use std::collections::BTreeSet;

use roundtrip_core::Time;

/// At most one entry for each slot, whatever happens in it.
///
/// The deadline of a busy connection moves with each message. An entry stays where it is when the deadline moves away
/// from it, and when a connection gives its slot to the next one: whoever hears of it looks at the deadline itself.
#[derive(Debug, Default)]
pub struct Timers {
    entries: BTreeSet<(Time, usize)>,
    /// The entry of each slot.
    armed: Vec<Option<Time>>,
}

impl Timers {
    /// Makes sure that the slot is heard of at `deadline`, or before.
    pub fn arm(&mut self, slot: usize, deadline: Time) {
        if self.armed.len() <= slot {
            self.armed.resize(slot + 1, None);
        }
        let armed = &mut self.armed[slot];
        match *armed {
            Some(at) if at <= deadline => return,
            Some(at) => {
                self.entries.remove(&(at, slot));
            }
            None => {}
        }
        *armed = Some(deadline);
        self.entries.insert((deadline, slot));
    }

    /// When to look again.
    pub fn next(&self) -> Option<Time> {
        self.entries.first().map(|(at, _slot)| *at)
    }

    /// Takes the first entry that is due: its slot.
    pub fn expire(&mut self, now: Time) -> Option<usize> {
        self.entries.first().filter(|(at, _slot)| *at <= now)?;
        let (_at, slot) = self.entries.pop_first()?;
        self.armed[slot] = None;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    #[test]
    fn a_deadline_that_moves_with_each_message_is_one_entry() {
        let mut timers = Timers::default();
        for message in 0..1000 {
            timers.arm(3, at(1000 + message));
            timers.arm(4, at(5000 - message));
        }
        assert_eq!(timers.entries.len(), 2);
        assert_eq!(timers.next(), Some(at(1000)), "the earliest that was asked for");
    }

    #[test]
    fn what_is_due_is_taken_in_order_and_once() {
        let mut timers = Timers::default();
        timers.arm(0, at(30));
        timers.arm(1, at(10));
        timers.arm(2, at(40));
        timers.arm(2, at(20));
        assert_eq!(timers.expire(at(9)), None);
        let due: Vec<_> = std::iter::from_fn(|| timers.expire(at(30))).collect();
        assert_eq!((due, timers.next()), (vec![1, 2, 0], None));
        timers.arm(1, at(50));
        assert_eq!(timers.next(), Some(at(50)), "it can be armed again");
    }
}
