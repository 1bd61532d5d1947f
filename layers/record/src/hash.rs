//! The hash of lines, writes, events and outcomes: 64 bits, for accidents.

/// Goes on from `sum` with these bytes.
///
/// Each step is a bijection of the sum and of the word: bytes of one length that differ within one aligned word of eight
/// never have the same hash, and the same bytes after different sums never do.
pub fn mix(mut sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        sum = step(sum, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    step(step(sum, u64::from_le_bytes(last)), bytes.len() as u64)
}

/// Multiplying brings what differs up, the shift brings it down again. The number is 2^64 divided by the golden ratio.
const fn step(sum: u64, word: u64) -> u64 {
    let mixed = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::mix;

    /// It is part of the format.
    #[test]
    fn it_stays_what_it_is() {
        assert_eq!(mix(0, b""), 0);
        assert_eq!(mix(1, b"this is a test"), 0xf72f_4f4a_0185_0bf9);
    }
}
