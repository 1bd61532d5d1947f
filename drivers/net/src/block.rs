//! Where a thread reads into.

use bytes::{Bytes, BytesMut};

/// The largest read.
const SIZE: usize = 64 << 10;

/// A block of memory that is read into again and again.
///
/// It stays initialised and at its full length, and in the shared form of `Bytes`, so that handing out a part
/// and taking the whole back allocates nothing. If something still holds a part when the next read comes, the
/// block is left to it and a new one is made.
#[derive(Debug, Default)]
pub struct Block(Bytes);

impl Block {
    /// Lets `read` fill at most `most` bytes, and 64 KiB, and returns what it filled.
    ///
    /// `keep` says that the bytes will be held for a while: then they are copied out, exactly, instead of
    /// keeping the whole block from its next read.
    ///
    /// # Errors
    ///
    /// What `read` says; then nothing was filled.
    pub fn fill<E>(
        &mut self,
        most: usize,
        keep: bool,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Bytes, E> {
        let mut block = match std::mem::take(&mut self.0).try_into_mut() {
            Ok(block) if !block.is_empty() => block,
            _ => Self::fresh(),
        };
        let read = read(&mut block[..most.min(SIZE)]);
        self.0 = block.freeze();
        let read = read?;
        Ok(if keep { Bytes::copy_from_slice(&self.0[..read]) } else { self.0.slice(..read) })
    }

    fn fresh() -> BytesMut {
        let mut block = BytesMut::zeroed(SIZE + 1);
        // A vector that was never split allocates its reference count at each `freeze`; one that was split has
        // it for good.
        let _ = block.split_off(SIZE);
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn fill(block: &mut Block, keep: bool, byte: u8) -> Bytes {
        let write = |buffer: &mut [u8]| {
            buffer[..3].fill(byte);
            Ok::<_, Infallible>(3)
        };
        block.fill(10, keep, write).unwrap()
    }

    #[test]
    fn memory_is_used_again_once_it_is_free() {
        let mut block = Block::default();
        let first = fill(&mut block, false, 1).as_ptr();
        assert_eq!(fill(&mut block, false, 2).as_ptr(), first);
    }

    #[test]
    fn what_is_still_held_is_never_overwritten() {
        let mut block = Block::default();
        let held = fill(&mut block, false, 1);
        let next = fill(&mut block, false, 2);
        assert_eq!((&held[..], &next[..]), (&[1; 3][..], &[2; 3][..]));
    }

    #[test]
    fn what_will_be_held_does_not_keep_the_block() {
        let mut block = Block::default();
        let first = fill(&mut block, false, 1).as_ptr();
        let held = fill(&mut block, true, 2);
        assert_ne!(held.as_ptr(), first);
        assert_eq!(fill(&mut block, false, 3).as_ptr(), first);
        assert_eq!(held, [2; 3][..]);
    }

    #[test]
    fn a_read_is_offered_no_more_than_was_asked_for() {
        let mut block = Block::default();
        for most in [1, SIZE, SIZE + 1] {
            let offered = block.fill(most, false, |buffer| Ok::<_, Infallible>(buffer.len()));
            assert_eq!(offered.unwrap().len(), most.min(SIZE));
        }
    }
}
