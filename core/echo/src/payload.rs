//! What the client sends: bytes that anyone can compute again from where they stand.

use bytes::{Bytes, BytesMut};

/// 2^64 divided by the golden ratio, made odd: the step of the sequence.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
/// `GAMMA * GAMMA_INVERSE == 1` modulo 2^64.
const GAMMA_INVERSE: u64 = inverse(GAMMA);

/// What a seed is multiplied with, so that the payloads of neighbouring seeds differ in every byte of a word.
const SPREAD: u64 = 0xbf58_476d_1ce4_e5b9;
/// How far a word's upper bits are folded into its lower ones.
const FOLD: u32 = 32;

/// So many bytes of a seeded payload tell where in it they belong.
pub(super) const PROBE: usize = 16;

/// The bytes that a client sends and expects back.
///
/// A seeded payload is a function of the offset: its eight-byte words, little-endian, are a Weyl sequence, each word's upper
/// half folded into its lower one (Knuth, *The Art of Computer Programming* 3.3.3; Marsaglia, *Xorshift RNGs*, 2003).
/// Nothing is stored, any byte can be computed again, and because that function can be inverted, sixteen bytes found
/// anywhere tell where they belong. It need not look random, and so costs a few vector instructions a word: what is
/// measured is the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payload(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Seeded { seed: u64, len: u64 },
    Given(Bytes),
}

impl Payload {
    /// `len` bytes from `seed`.
    pub const fn seeded(seed: u64, len: u64) -> Self {
        Self(Kind::Seeded { seed, len })
    }

    /// These very bytes. What kind a fault is cannot be told from them, only where it is.
    pub const fn given(bytes: Bytes) -> Self {
        Self(Kind::Given(bytes))
    }

    /// Its length in bytes.
    pub const fn len(&self) -> u64 {
        match &self.0 {
            Kind::Seeded { len, .. } => *len,
            Kind::Given(bytes) => bytes.len() as u64,
        }
    }

    /// The first `len` bytes of it, or all if there are no more.
    pub(super) fn first(&self, len: u64) -> Self {
        let len = len.min(self.len());
        Self(match &self.0 {
            Kind::Seeded { seed, .. } => Kind::Seeded { seed: *seed, len },
            Kind::Given(bytes) => Kind::Given(bytes.slice(..in_memory(len))),
        })
    }

    /// Whether there is nothing to send.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the bytes tell where they belong: seeded, and of 32 bytes or more.
    pub(super) const fn is_located(&self) -> bool {
        matches!(self.0, Kind::Seeded { len, .. } if len >= 2 * PROBE as u64)
    }

    /// The byte at `offset`, if the payload reaches so far.
    pub fn byte(&self, offset: u64) -> Option<u8> {
        if offset >= self.len() {
            return None;
        }
        let mut byte = [0];
        self.fill(offset, &mut byte);
        Some(byte[0])
    }

    /// Writes the bytes from `offset` on into `out`.
    ///
    /// # Panics
    ///
    /// If that reaches past the end.
    pub fn fill(&self, offset: u64, out: &mut [u8]) {
        assert!(offset.saturating_add(out.len() as u64) <= self.len(), "past the payload's end");
        match &self.0 {
            Kind::Seeded { seed, .. } => {
                let (head, rest) = out.split_at_mut(head_len(offset, out.len()));
                if !head.is_empty() {
                    let word = word(*seed, offset / 8).to_le_bytes();
                    let from = in_word(offset);
                    head.copy_from_slice(&word[from..from + head.len()]);
                }
                let (words, tail) = rest.as_chunks_mut();
                let mut due = state(*seed, offset.div_ceil(8));
                for out in words {
                    *out = folded(due).to_le_bytes();
                    due = due.wrapping_add(GAMMA);
                }
                tail.copy_from_slice(&folded(due).to_le_bytes()[..tail.len()]);
            }
            Kind::Given(bytes) => {
                let from = in_memory(offset);
                out.copy_from_slice(&bytes[from..from + out.len()]);
            }
        }
    }

    /// The `len` bytes from `offset` on, composed in `block` if they are not in memory already.
    pub(super) fn compose(&self, offset: u64, len: usize, block: &mut BytesMut) -> Bytes {
        match &self.0 {
            Kind::Seeded { .. } => {
                // Takes the block's memory back once the driver has dropped what was composed in it before.
                block.reserve(len);
                block.resize(len, 0);
                self.fill(offset, block);
                block.split().freeze()
            }
            Kind::Given(bytes) => {
                let from = in_memory(offset);
                bytes.slice(from..from + len)
            }
        }
    }

    /// How many of `data`'s first bytes are the payload's from `offset` on.
    pub fn matching(&self, offset: u64, data: &[u8]) -> usize {
        let left = self.len().saturating_sub(offset);
        let data = &data[..data.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        match &self.0 {
            Kind::Seeded { seed, .. } => {
                let (head, rest) = data.split_at(head_len(offset, data.len()));
                if !head.is_empty() {
                    let same = common(head, &word(*seed, offset / 8).to_le_bytes()[in_word(offset)..]);
                    if same < head.len() {
                        return same;
                    }
                }
                let first = offset.div_ceil(8);
                let (words, tail) = rest.as_chunks();
                let same = matching_words(*seed, first, words);
                let expected = word(*seed, first + same as u64).to_le_bytes();
                head.len() + same * 8 + common(words.get(same).map_or(tail, |data| data), &expected)
            }
            Kind::Given(bytes) => bytes.get(in_memory(offset)..).map_or(0, |bytes| common(data, bytes)),
        }
    }

    /// Where in a seeded payload these bytes begin, if their first sixteen are somewhere in it.
    pub fn find(&self, bytes: &[u8]) -> Option<u64> {
        self.locate(bytes.first_chunk()?)
    }

    /// Where in a seeded payload these bytes belong, if anywhere.
    pub(super) fn locate(&self, probe: &[u8; PROBE]) -> Option<u64> {
        let Kind::Seeded { seed, len } = self.0 else { return None };
        (0..8).find_map(|skip| {
            let mut aligned = [0; 8];
            aligned.copy_from_slice(&probe[skip..skip + 8]);
            let offset = index_of(seed, u64::from_le_bytes(aligned)).checked_mul(8)?;
            let start = offset.checked_sub(skip as u64)?;
            let fits = start.checked_add(PROBE as u64)? <= len;
            (fits && self.matching(start, probe) == PROBE).then_some(start)
        })
    }
}

/// Bytes of a stretch of `len` from `offset` on that stand before the first whole word.
fn head_len(offset: u64, len: usize) -> usize {
    ((8 - in_word(offset)) % 8).min(len)
}

const fn in_word(offset: u64) -> usize {
    (offset % 8) as usize
}

#[expect(clippy::cast_possible_truncation, reason = "within a buffer that is in memory")]
const fn in_memory(offset: u64) -> usize {
    offset as usize
}

/// How many of the first `words` are those from `index` on.
fn matching_words(seed: u64, index: u64, words: &[[u8; 8]]) -> usize {
    /// Words that are compared at one go, because a branch for each costs more than the word itself.
    const BLOCK: usize = 8;
    let (blocks, _) = words.as_chunks::<BLOCK>();
    let mut due = state(seed, index);
    let same_blocks = blocks
        .iter()
        .take_while(|block| {
            let mut differences = 0;
            for data in *block {
                differences |= u64::from_le_bytes(*data) ^ folded(due);
                due = due.wrapping_add(GAMMA);
            }
            differences == 0
        })
        .count();
    let same = same_blocks * BLOCK;
    let rest = (index + same as u64..).zip(&words[same..]);
    same + rest.take_while(|(index, data)| u64::from_le_bytes(**data) == word(seed, *index)).count()
}

/// Length of the common prefix.
fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The word at `index` of the payload of `seed`.
pub(super) const fn word(seed: u64, index: u64) -> u64 {
    folded(state(seed, index))
}

/// What the word at `index` is folded from; that of the next one is larger by [`GAMMA`].
const fn state(seed: u64, index: u64) -> u64 {
    seed.wrapping_mul(SPREAD).wrapping_add(GAMMA.wrapping_mul(index.wrapping_add(1)))
}

const fn folded(state: u64) -> u64 {
    state ^ (state >> FOLD)
}

/// The index that gives `word`: the inverse of [`word()`], which is a bijection.
const fn index_of(seed: u64, word: u64) -> u64 {
    // Half a word is folded into the other half: the same again undoes it.
    folded(word).wrapping_sub(seed.wrapping_mul(SPREAD)).wrapping_mul(GAMMA_INVERSE).wrapping_sub(1)
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the bits that are right.
const fn inverse(odd: u64) -> u64 {
    let mut x = odd; // right to 3 bits
    let mut bits = 3;
    while bits < 64 {
        x = x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x)));
        bits *= 2;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn whole(payload: &Payload) -> Vec<u8> {
        let mut bytes = vec![0; in_memory(payload.len())];
        payload.fill(0, &mut bytes);
        bytes
    }

    /// The same on every machine and in every release: what was recorded is replayed.
    #[test]
    fn words_are_what_they_were() {
        let words = [0, 1, 2, 1 << 40].map(|index| word(1_234_567, index));
        assert_eq!(
            words,
            [
                6_279_815_047_009_805_351,
                17_680_529_863_708_581_509,
                10_634_500_613_008_419_640,
                11_647_002_993_452_658_983
            ]
        );
    }

    #[test]
    fn the_index_of_a_word_is_found_again() {
        for seed in [0, 1, 24301, u64::MAX] {
            for index in [0, 1, 2, 1000, 1 << 40, u64::MAX - 1] {
                assert_eq!(index_of(seed, word(seed, index)), index);
            }
        }
    }

    #[test]
    fn any_stretch_is_the_same_as_in_the_whole() {
        let payload = Payload::seeded(7, 61);
        let whole = whole(&payload);
        for from in 0..61 {
            assert_eq!(payload.byte(from as u64), Some(whole[from]));
            for to in from..=61 {
                let mut part = vec![0; to - from];
                payload.fill(from as u64, &mut part);
                assert_eq!(part, whole[from..to]);
                assert_eq!(payload.matching(from as u64, &part), part.len());
            }
        }
        assert_eq!(payload.byte(61), None);
    }

    /// Of many words, some are compared at one go.
    #[test]
    fn matching_stops_at_the_first_other_byte_of_many() {
        let payload = Payload::seeded(7, 300);
        let whole = whole(&payload);
        for bad in 0..300 {
            let mut other = whole.clone();
            other[bad] ^= 0x80;
            assert_eq!(payload.matching(0, &other), bad);
        }
        assert_eq!(payload.matching(0, &whole), 300);
    }

    #[test]
    fn matching_stops_at_the_first_other_byte_and_at_the_end() {
        for payload in [Payload::seeded(7, 61), Payload::given(whole(&Payload::seeded(9, 61)).into())] {
            let whole = whole(&payload);
            for from in 0..61 {
                for bad in from..61 {
                    let mut part = whole[from..].to_vec();
                    part[bad - from] ^= 1;
                    assert_eq!(payload.matching(from as u64, &part), bad - from);
                }
                let mut long = whole[from..].to_vec();
                long.push(0);
                assert_eq!(payload.matching(from as u64, &long), 61 - from);
            }
            assert_eq!(payload.matching(61, &[1]), 0);
            assert_eq!(payload.matching(1000, &[1]), 0);
        }
    }

    #[test]
    fn a_payload_without_bytes_is_empty() {
        assert!(Payload::seeded(7, 0).is_empty());
        assert!(!Payload::seeded(7, 1).is_empty());
    }

    #[test]
    fn the_first_bytes_are_a_payload() {
        for payload in [Payload::seeded(7, 61), Payload::given(whole(&Payload::seeded(9, 61)).into())] {
            assert_eq!(whole(&payload.first(33)), whole(&payload)[..33]);
            assert_eq!(payload.first(61), payload);
            assert_eq!(payload.first(62), payload);
        }
    }

    #[test]
    fn sixteen_bytes_tell_where_they_belong() {
        let payload = Payload::seeded(42, 100);
        let whole = whole(&payload);
        for (offset, probe) in whole.windows(PROBE).enumerate() {
            assert_eq!(payload.locate(probe.try_into().unwrap()), Some(offset as u64));
        }
        assert_eq!(payload.locate(b"this is no part."), None);
        assert_eq!(payload.find(&whole[33..60]), Some(33));
        assert_eq!(payload.find(b"this is no part of it"), None);
        assert_eq!(payload.find(&whole[33..48]), None, "too few to tell");
        let mut damaged: [u8; PROBE] = whole[20..36].try_into().unwrap();
        damaged[15] ^= 1;
        assert_eq!(payload.locate(&damaged), None);
    }

    #[test]
    fn what_lies_past_the_end_is_not_located() {
        let longer = whole(&Payload::seeded(42, 116));
        let payload = Payload::seeded(42, 100);
        assert_eq!(payload.locate(longer[84..100].try_into().unwrap()), Some(84));
        assert_eq!(payload.locate(longer[85..101].try_into().unwrap()), None);
    }

    #[test]
    fn only_seeded_payloads_of_two_probes_are_located() {
        assert!(Payload::seeded(1, 32).is_located());
        assert!(!Payload::seeded(1, 31).is_located());
        assert!(!Payload::given(vec![0; 64].into()).is_located());
        assert_eq!(Payload::given(vec![0; 64].into()).locate(&[0; PROBE]), None);
    }
}
