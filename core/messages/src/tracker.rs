//! Which messages of a sender came.
//!
//! ```text
//!      1    2    3    4    5    6    7    8    9    10
//!    came came  ?    ?   came  ?   came             |
//!             [ 3-4 ]        [ 6 ]  ^ highest       ^ total, once the end mark came
//! ```
//!
//! What is kept are the gaps below the highest number, so that it is exact and small as long as little is missing. Gaps
//! are bounded: where there are too many, the lowest is given up. How much was missing in it stays counted, but what comes
//! of it later cannot be told from what comes twice.

use alloc::collections::VecDeque;
use core::num::NonZeroU64;
use core::ops::RangeInclusive;

/// Gaps that are remembered, of each sender: 16 bytes each.
const GAPS: usize = 1024;

/// What is known of a message when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SequenceStatus {
    /// It came for the first time, and its number is the highest so far.
    New,
    /// It came for the first time, after one with a higher number.
    Late,
    /// It came before.
    Twice,
    /// It is of those of which nothing is remembered: late, or twice.
    Forgotten,
}

/// Counts the messages of one sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tracker {
    /// All after this, and below `highest`, either came or are in a gap.
    floor: u64,
    highest: u64,
    /// From the lowest to the highest; none is empty, and none touches another.
    gaps: VecDeque<(u64, u64)>,
    room: usize,
    came: u64,
    late: u64,
    twice: u64,
    forgotten: u64,
    total: Option<u64>,
    contradicts: bool,
}

impl Default for Tracker {
    fn default() -> Self {
        Self::with_room(GAPS)
    }
}

impl Tracker {
    /// One that remembers so many gaps, at least 1.
    pub fn with_room(gaps: usize) -> Self {
        Self {
            floor: 0,
            highest: 0,
            gaps: VecDeque::new(),
            room: gaps.max(1),
            came: 0,
            late: 0,
            twice: 0,
            forgotten: 0,
            total: None,
            contradicts: false,
        }
    }

    /// The message with this number came.
    pub fn seen(&mut self, number: NonZeroU64) -> SequenceStatus {
        let number = number.get();
        self.contradicts |= self.total.is_some_and(|total| number > total);
        if number > self.highest {
            if number - 1 > self.highest {
                self.gaps.push_back((self.highest + 1, number - 1));
            }
            self.highest = number;
            self.came += 1;
            self.give_up();
            return SequenceStatus::New;
        }
        if number <= self.floor {
            self.forgotten += 1;
            return SequenceStatus::Forgotten;
        }
        let at = self.gaps.partition_point(|gap| gap.1 < number);
        match self.gaps.get(at) {
            Some(&(first, last)) if first <= number => {
                self.close(at, first, number, last);
                self.came += 1;
                self.late += 1;
                self.give_up();
                SequenceStatus::Late
            }
            _ => {
                self.twice += 1;
                SequenceStatus::Twice
            }
        }
    }

    /// The end mark came: there were so many messages. It may come again.
    pub fn ended(&mut self, total: u64) {
        let known = *self.total.get_or_insert(total);
        self.contradicts |= known != total || self.highest > known;
    }

    /// Takes a number out of the gap at this place.
    fn close(&mut self, at: usize, first: u64, number: u64, last: u64) {
        match (first < number, number < last) {
            (false, false) => drop(self.gaps.remove(at)),
            (true, false) => self.gaps[at].1 = number - 1,
            (false, true) => self.gaps[at].0 = number + 1,
            (true, true) => {
                self.gaps[at].1 = number - 1;
                self.gaps.insert(at + 1, (number + 1, last));
            }
        }
    }

    /// Gives up the lowest gaps, as far as there are too many.
    fn give_up(&mut self) {
        while self.gaps.len() > self.room
            && let Some((_, last)) = self.gaps.pop_front()
        {
            self.floor = last;
        }
    }

    /// The numbers that are missing, from the lowest to the highest, those after the last that came included once the end
    /// mark came. Those of gaps that were given up are not among them: see [`is_exact`](Self::is_exact).
    pub fn missing(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        let tail = self.total.filter(|total| *total > self.highest).map(|total| self.highest + 1..=total);
        self.gaps.iter().map(|&(first, last)| first..=last).chain(tail)
    }

    /// How many are missing. Where something was [forgotten](Self::forgotten), it may have been one of them.
    pub fn missing_count(&self) -> u64 {
        self.highest.max(self.total.unwrap_or(0)) - self.came
    }

    /// Whether all that is missing is known by its number: no gap was given up.
    pub const fn is_exact(&self) -> bool {
        self.floor == 0
    }

    /// Messages that came, each counted once.
    pub const fn came(&self) -> u64 {
        self.came
    }

    /// Messages that came after one with a higher number; of those that came.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Messages that came once more.
    pub const fn twice(&self) -> u64 {
        self.twice
    }

    /// Messages of which nothing was remembered any more: late or twice.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How many there are, once the end mark came.
    pub const fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether the sender contradicts itself: two end marks, or a message after the last. There may be two senders of
    /// that name.
    pub const fn contradicts(&self) -> bool {
        self.contradicts
    }

    /// Whether nothing is wrong so far: none is missing, and each came once and in order.
    pub fn is_whole(&self) -> bool {
        self.missing_count() == 0 && (self.late, self.twice, self.forgotten) == (0, 0, 0) && !self.contradicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;
    use quickcheck::quickcheck;

    fn number(number: u64) -> NonZeroU64 {
        NonZeroU64::new(number).unwrap()
    }

    fn missing(tracker: &Tracker) -> Vec<(u64, u64)> {
        tracker.missing().map(RangeInclusive::into_inner).collect()
    }

    #[test]
    fn gaps_late_ones_and_the_tail_are_told_by_number() {
        let mut tracker = Tracker::default();
        let seen: Vec<_> = [1, 2, 5, 3, 5, 7, 2].into_iter().map(|n| tracker.seen(number(n))).collect();
        let told = [
            SequenceStatus::New,
            SequenceStatus::New,
            SequenceStatus::New,
            SequenceStatus::Late,
            SequenceStatus::Twice,
            SequenceStatus::New,
            SequenceStatus::Twice,
        ];
        assert_eq!(seen, told);
        assert_eq!(missing(&tracker), [(4, 4), (6, 6)]);
        tracker.ended(10);
        tracker.ended(10);
        assert_eq!(missing(&tracker), [(4, 4), (6, 6), (8, 10)]);
        assert_eq!((tracker.missing_count(), tracker.came(), tracker.late(), tracker.twice()), (5, 5, 1, 2));
        assert!(tracker.is_exact() && !tracker.contradicts() && !tracker.is_whole());
        assert_eq!(tracker.total(), Some(10));
    }

    #[test]
    fn a_sender_that_contradicts_itself_is_noticed() {
        let mut none = Tracker::default();
        none.ended(3);
        none.seen(number(3));
        assert_eq!((none.contradicts(), none.late()), (false, 0), "the last one comes after the end mark");
        let mut one = Tracker::default();
        one.ended(3);
        one.ended(4);
        let mut other = Tracker::default();
        other.seen(number(1));
        other.ended(0);
        let mut third = Tracker::default();
        third.ended(0);
        assert!(third.is_whole());
        third.seen(number(1));
        assert!(one.contradicts() && other.contradicts() && third.contradicts() && !third.is_whole());
    }

    #[test]
    fn numbers_at_the_end_of_their_range_are_numbers() {
        let mut tracker = Tracker::default();
        tracker.seen(number(u64::MAX));
        tracker.ended(u64::MAX);
        assert_eq!(tracker.missing_count(), u64::MAX - 1);
        tracker.seen(number(u64::MAX - 1));
        assert_eq!(missing(&tracker), [(1, u64::MAX - 2)]);
    }

    #[test]
    fn where_too_much_is_missing_the_oldest_is_counted_and_forgotten() {
        let mut tracker = Tracker::with_room(2);
        for n in [2, 4, 6, 8] {
            tracker.seen(number(n));
        }
        // 1 and 3 were given up.
        assert_eq!((missing(&tracker), tracker.missing_count()), ([(5, 5), (7, 7)].into(), 4));
        assert!(!tracker.is_exact());
        assert_eq!(tracker.seen(number(3)), SequenceStatus::Forgotten);
        assert_eq!(tracker.seen(number(2)), SequenceStatus::Forgotten);
        assert_eq!(tracker.seen(number(4)), SequenceStatus::Twice);
        assert_eq!(tracker.seen(number(5)), SequenceStatus::Late);
        assert_eq!(tracker.forgotten(), 2);
    }

    quickcheck! {
        fn it_says_what_a_set_says(numbers: Vec<u8>, total: Option<u8>) -> bool {
            let (mut tracker, mut came, mut highest) = (Tracker::default(), BTreeSet::new(), 0);
            let agrees = numbers.iter().all(|n| {
                let n = u64::from(*n) % 60 + 1;
                let is_first = came.insert(n);
                let expected = match (is_first, n > highest) {
                    (true, true) => SequenceStatus::New,
                    (true, false) => SequenceStatus::Late,
                    (false, _) => SequenceStatus::Twice,
                };
                highest = highest.max(n);
                tracker.seen(number(n)) == expected
            });
            if let Some(total) = total {
                tracker.ended(total.into());
            }
            let end = highest.max(total.unwrap_or(0).into());
            let expected: Vec<u64> = (1..=end).filter(|n| !came.contains(n)).collect();
            let missing: Vec<u64> = tracker.missing().flatten().collect();
            agrees
                && missing == expected
                && tracker.missing_count() == expected.len() as u64
                && tracker.came() == came.len() as u64
                && tracker.came() + tracker.twice() == numbers.len() as u64
                && tracker.is_exact()
        }

        /// With less room it knows less, and never says what is not so.
        fn with_little_room_it_is_never_wrong(numbers: Vec<u8>, room: u8) -> bool {
            let room = usize::from(room % 4) + 1;
            let (mut tracker, mut came) = (Tracker::with_room(room), BTreeSet::new());
            let agrees = numbers.iter().all(|n| {
                let n = u64::from(*n) + 1;
                let is_first = came.insert(n);
                match tracker.seen(number(n)) {
                    SequenceStatus::New | SequenceStatus::Late => is_first,
                    SequenceStatus::Twice => !is_first,
                    SequenceStatus::Forgotten => !tracker.is_exact(),
                }
            });
            let highest = came.last().copied().unwrap_or(0);
            let lost = (1..=highest).filter(|n| !came.contains(n)).count() as u64;
            let counted = tracker.missing_count();
            agrees
                && tracker.missing().count() <= room
                && tracker.missing().flatten().all(|n| !came.contains(&n))
                && (lost..=lost + tracker.forgotten()).contains(&counted)
        }
    }
}
