//! Where what was read is kept for a moment.

use bytes::{Bytes, BytesMut};

/// Memory that is taken at a time.
const SIZE: usize = 64 << 10;

/// Memory that small pieces are copied into, one behind the other.
///
/// A piece holds all of the memory around it, so it is for bytes that are given back soon: whoever keeps them copies them.
/// In return a piece is no allocation: the memory is used again once all of it was given back, else left to who holds it.
#[derive(Debug, Default)]
pub(crate) struct Arena(BytesMut);

impl Arena {
    /// A copy.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if self.0.capacity() < bytes.len() {
            self.0.reserve(SIZE.max(bytes.len()));
        }
        self.0.extend_from_slice(bytes);
        self.0.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_held_is_never_overwritten() {
        let mut arena = Arena::default();
        let held: Vec<_> = (0..=u8::MAX).map(|byte| arena.copy(&[byte; 1000])).collect();
        assert!(held.iter().zip(0..=u8::MAX).all(|(bytes, byte)| *bytes == [byte; 1000][..]));
    }

    #[test]
    fn memory_is_used_again_once_it_was_given_back() {
        let mut arena = Arena::default();
        let first = arena.copy(&vec![1; SIZE / 2]).as_ptr();
        let places: Vec<_> = (0..4).map(|_| arena.copy(&vec![2; SIZE / 2]).as_ptr()).collect();
        assert_eq!(places.iter().filter(|place| **place == first).count(), 2);
    }

    #[test]
    fn there_is_room_for_more_than_is_taken_at_a_time() {
        let bytes = vec![7; 3 * SIZE];
        assert_eq!(Arena::default().copy(&bytes), bytes);
    }
}
