//! The bytes a session holds, in bounded memory and bounded bookkeeping.

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A queue of byte chunks, whole as they came until there are too many of them.
///
/// The first chunk is held inline, so that the common case (one message in, one message out) allocates
/// nothing. Once `max_chunks` are held, what follows is copied into one growing tail: a peer that sends single
/// bytes costs a byte a byte, amortised, not a chunk a byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    first: Option<Bytes>,
    rest: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
}

impl Queue {
    /// Bytes held.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Chunks held, the coalesced tail included: at most `max_chunks + 1`.
    pub(super) fn chunks(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len() + usize::from(!self.tail.is_empty())
    }

    /// Adds `chunk`, which is not empty.
    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver or two")]
    #[inline(always)]
    pub(super) fn push(&mut self, chunk: Bytes, max_chunks: usize) {
        self.bytes += chunk.len();
        if self.first.is_none() {
            self.first = Some(chunk);
        } else {
            self.push_behind(chunk, max_chunks);
        }
    }

    #[inline(never)]
    fn push_behind(&mut self, chunk: Bytes, max_chunks: usize) {
        if self.tail.is_empty() && 1 + self.rest.len() < max_chunks {
            self.rest.push_back(chunk);
        } else {
            self.tail.extend_from_slice(&chunk);
        }
    }

    /// Takes the oldest chunk.
    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver or two")]
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let chunk = self.first.take()?;
        self.bytes -= chunk.len();
        if self.bytes > 0 {
            self.advance();
        }
        Some(chunk)
    }

    #[inline(never)]
    fn advance(&mut self) {
        self.first = self.rest.pop_front().or_else(|| Some(core::mem::take(&mut self.tail).freeze()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn chunks_of(queue: &mut Queue) -> Vec<Bytes> {
        core::iter::from_fn(|| queue.pop()).take(20).collect()
    }

    #[test]
    fn chunks_leave_whole_and_in_order() {
        let mut queue = Queue::default();
        for text in ["ab", "c", "def"] {
            queue.push(Bytes::from_static(text.as_bytes()), 3);
        }
        assert_eq!((queue.bytes(), queue.chunks()), (6, 3));
        assert_eq!(chunks_of(&mut queue), ["ab", "c", "def"]);
        assert_eq!((queue.bytes(), queue.chunks()), (0, 0));
    }

    #[test]
    fn chunks_over_the_bound_are_coalesced() {
        let mut queue = Queue::default();
        for text in ["a", "b", "c", "d", "e"] {
            queue.push(Bytes::from_static(text.as_bytes()), 2);
        }
        assert_eq!((queue.bytes(), queue.chunks()), (5, 3));
        assert_eq!(queue.pop().unwrap(), "a");
        // A free place in front of a tail is not taken: the order would be lost.
        queue.push(Bytes::from_static(b"f"), 2);
        assert_eq!(queue.chunks(), 2);
        assert_eq!(chunks_of(&mut queue), ["b", "cdef"]);
    }

    #[test]
    fn one_chunk_at_a_time_allocates_no_bookkeeping() {
        let mut queue = Queue::default();
        for _ in 0..3 {
            queue.push(Bytes::from_static(b"x"), 1);
            assert_eq!(chunks_of(&mut queue), ["x"]);
        }
        assert_eq!((queue.rest.capacity(), queue.tail.capacity()), (0, 0));
    }
}
