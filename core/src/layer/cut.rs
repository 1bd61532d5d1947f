//! Where a machine began to discard, in the bytes that the transport gave.

/// Tells what came before a machine began to discard from what came after, when what it discards is decoded first.
///
/// What is encoded has no place in what is decoded, but for the ends of what a codec takes as a whole: so positions are
/// counted in the bytes that the transport gave, and what is decoded came with the last one that was passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Cut {
    /// Bytes that were passed: the codec took them, or they will not be decoded.
    passed: u64,
    /// The position of the cut; none before there is one.
    at: Option<u64>,
}

impl Cut {
    /// The machine discards; `received` bytes that were not passed have come. The first call counts.
    pub(super) fn note(&mut self, received: usize) {
        self.at.get_or_insert(self.passed + received as u64);
    }

    /// `bytes` more came before the cut.
    pub(super) const fn extend(&mut self, bytes: u64) {
        if let Some(at) = &mut self.at {
            *at = at.saturating_add(bytes);
        }
    }

    pub(super) const fn is_noted(&self) -> bool {
        self.at.is_some()
    }

    /// Passes `bytes` bytes; how many of them came before the cut.
    pub(super) fn pass(&mut self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        let before = self.at.map_or(bytes, |at| at.saturating_sub(self.passed).min(bytes));
        self.passed += bytes;
        before
    }

    /// Of the first `bytes` of `held` that are decoded: how many came before the cut. If the last that was passed goes
    /// beyond it, so do as many of the last that are held.
    pub(super) fn decoded_before(&self, bytes: usize, held: usize) -> u64 {
        let beyond = self.at.map_or(0, |at| self.passed.saturating_sub(at));
        (held as u64).saturating_sub(beyond).min(bytes as u64)
    }

    /// Bytes before the cut that were not passed.
    pub(super) fn left_before(&self) -> u64 {
        self.at.map_or(0, |at| at.saturating_sub(self.passed))
    }
}

#[cfg(test)]
mod tests {
    use super::Cut;

    /// A unit of 10 bytes with an overhead of 2, of which 6 bytes had come: at least 4 of its 8.
    #[test]
    fn of_a_unit_that_had_come_in_part_the_first_bytes_came_before() {
        let mut cut = Cut::default();
        assert_eq!((cut.pass(3), cut.left_before(), cut.decoded_before(3, 3)), (3, 0, 3), "no cut yet");
        cut.note(2);
        cut.extend(4);
        assert_eq!((cut.pass(10), cut.left_before()), (6, 0));
        for pieces in [&[8][..], &[3, 5], &[4, 4], &[1, 1, 1, 1, 1, 1, 1, 1]] {
            let mut held = 8;
            let mut before = 0;
            for piece in pieces {
                before += cut.decoded_before(*piece, held);
                held -= piece;
            }
            assert_eq!(before, 4, "{pieces:?}");
        }
        assert_eq!((cut.pass(10), cut.decoded_before(8, 8)), (0, 0));
    }

    #[test]
    fn the_first_note_counts_and_what_is_left_before_is_told() {
        let mut cut = Cut::default();
        cut.extend(9);
        assert_eq!(cut.left_before(), 0, "nothing was cut");
        cut.note(2);
        cut.note(7);
        cut.extend(4);
        cut.extend(1);
        assert_eq!((cut.pass(3), cut.left_before()), (3, 4));
    }
}
