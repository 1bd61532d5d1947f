//! Against datagrams that go round between two servers for ever.

use core::hash::{Hash, Hasher};

use super::recent::Recent;

/// Sets of kinds of datagrams that are remembered, four in each: 64 KiB.
const SETS: usize = 1024;
/// After so many looks, 2 to that power, everything is put into other sets: five that go round in one set push each other
/// out of it, and would not be found there.
const SHUFFLE: u32 = 22;

/// Counts equal datagrams of one source. Two servers that answer each other answer the same one for ever, and nothing in it
/// tells (RFC 862 has no way to; CVE-2024-2169). So one of so many equal ones is dropped: that ends the loop, for a loop is
/// one datagram; and a client that repeats itself so often loses one, which is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LoopDetector {
    repeats: u32,
    /// Datagrams that were looked at.
    looked: u64,
    /// How often each was seen.
    seen: Recent<u32, SETS>,
}

impl LoopDetector {
    pub(super) fn new(repeats: u32) -> Self {
        Self { repeats, looked: 0, seen: Recent::new() }
    }

    /// Whether this one is one too many.
    pub(super) fn drops(&mut self, source: &impl Hash, payload: &[u8]) -> bool {
        let mut key = Key(payload.len() as u64);
        key.mix(self.looked >> SHUFFLE);
        self.looked += 1;
        source.hash(&mut key);
        key.write(payload);
        let mut is_over = false;
        self.seen.update(key.finish(), 0, |seen| {
            is_over = seen + 1 >= self.repeats;
            (!is_over).then_some(seen + 1)
        });
        is_over
    }
}

/// What tells one source from another.
pub(super) fn key_of(source: &impl Hash) -> u64 {
    let mut key = Key(1);
    source.hash(&mut key);
    key.finish()
}

/// A quick hash: whoever finds two datagrams of the same one has one of his own dropped.
struct Key(u64);

impl Key {
    fn mix(&mut self, word: u64) {
        // 2^64 divided by the golden ratio; the product's upper half is folded in.
        let product = u128::from(self.0 ^ word) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        #[expect(clippy::cast_possible_truncation, reason = "its two halves")]
        let halves = (product as u64, (product >> 64) as u64);
        self.0 = halves.0 ^ halves.1.rotate_left(23);
    }
}

impl Hasher for Key {
    fn write(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        self.mix(u64::from_le_bytes(last));
    }

    fn finish(&self) -> u64 {
        // Every bit takes part in the choice of a set (Stafford's variant 13 of MurmurHash3's finalizer).
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn every_so_many_equal_ones_one_is_dropped() {
        let mut guard = LoopDetector::new(3);
        let dropped: [bool; 9] = core::array::from_fn(|_| guard.drops(&1, b"round"));
        assert_eq!(dropped, [false, false, true, false, false, true, false, false, true]);
    }

    /// The same on every machine and in every release: what was recorded is replayed.
    #[test]
    fn hashes_are_what_they_were() {
        let hashes = [&b"x"[..], b"round", b"sixteen bytes...", b"seventeen bytes.."].map(|bytes| {
            let mut key = Key(bytes.len() as u64);
            key.write(bytes);
            key.finish()
        });
        assert_eq!(
            hashes,
            [
                2_058_633_320_777_177_585,
                18_038_842_927_078_046_860,
                2_189_301_534_353_922_904,
                6_605_697_069_888_891_632
            ]
        );
    }

    #[test]
    fn different_ones_are_not() {
        let mut guard = LoopDetector::new(2);
        for number in 0..10_000u32 {
            assert!(!guard.drops(&1, &number.to_be_bytes()));
        }
        for source in 0..10_000u32 {
            assert!(!guard.drops(&source, b"the same, of others"));
        }
    }

    /// More of them than there is room for.
    #[test]
    fn many_loops_at_one_time_end() {
        let mut guard = LoopDetector::new(100);
        let mut alive: Vec<u32> = (0..2000).collect();
        let mut looked = 0;
        while !alive.is_empty() {
            looked += alive.len();
            assert!(looked < 20_000_000, "{} go round for ever", alive.len());
            alive.retain(|number| !guard.drops(&7, &number.to_be_bytes()));
        }
    }

    #[test]
    fn one_is_all_of_them() {
        let mut guard = LoopDetector::new(1);
        assert!(guard.drops(&1, b"") && guard.drops(&1, b""));
    }
}
