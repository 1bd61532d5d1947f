//! A rolling hash of all that happens: two runs are the same if and only if it is.

/// 64 bits over a sequence of numbers and bytes. Not for tables and not against an adversary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rolling(u64);

const START: u64 = 0xa076_1d64_78bd_642f;
const ODD: u64 = 0xe703_7ed1_a0b4_28db;

impl Default for Rolling {
    fn default() -> Self {
        Self(START)
    }
}

impl Rolling {
    /// The hash so far.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Takes in a number.
    #[inline(always)]
    pub const fn number(&mut self, number: u64) {
        self.0 = fold(self.0 ^ number, ODD);
    }

    /// Takes in two numbers.
    #[inline(always)]
    pub const fn pair(&mut self, first: u64, second: u64) {
        self.0 = fold(self.0 ^ first, second ^ ODD);
    }

    /// Takes in two numbers that more follows: they are mixed with that. Cheaper than [`pair`](Self::pair).
    #[inline(always)]
    pub(crate) const fn ahead(&mut self, first: u64, second: u64) {
        self.0 = (self.0 ^ first).rotate_left(23).wrapping_add(second);
    }

    /// Takes in bytes, and how many there are.
    #[inline(always)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let mut state = self.0 ^ bytes.len() as u64;
        let (pairs, rest) = bytes.as_chunks::<16>();
        for pair in pairs {
            let (low, high) = pair.split_at(8);
            state = fold(state ^ word(low), word(high) ^ ODD);
        }
        if !rest.is_empty() {
            let (low, high) = ends(rest);
            state = fold(state ^ low, high ^ ODD);
        }
        self.0 = state;
    }
}

/// The first and the last of these bytes, which are fewer than 16: all of them, some of them twice.
#[inline(always)]
fn ends(bytes: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into());
    }
    (0, bytes.iter().fold(0, |few, byte| few << 8 | u64::from(*byte)))
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Both halves of the product, as in wyhash. A factor of 0 swallows the other: once in 2^63 times.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut hash = Rolling::default();
        hash.bytes(bytes);
        hash.value()
    }

    #[test]
    fn every_byte_and_the_length_count() {
        let bytes: Vec<u8> = (0..70).collect();
        let mut seen = std::collections::BTreeSet::new();
        for len in 0..=bytes.len() {
            assert!(seen.insert(of(&bytes[..len])));
            for at in 0..len {
                let mut flipped = bytes[..len].to_vec();
                flipped[at] ^= 1;
                assert!(seen.insert(of(&flipped)), "{len} {at}");
            }
        }
        assert_ne!(of(&[0]), of(&[0, 0]));
    }

    #[test]
    fn order_counts() {
        let (mut one, mut other) = (Rolling::default(), Rolling::default());
        one.number(1);
        one.number(2);
        other.number(2);
        other.number(1);
        assert_ne!(one, other);
    }
}
