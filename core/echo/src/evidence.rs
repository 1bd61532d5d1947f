//! The bytes that a stream departs from its payload with.

use core::fmt;

/// The first wrong bytes of a stream, up to [64](Self::MAX) of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Evidence {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Evidence {
    /// Bytes that are kept.
    pub const MAX: usize = 64;
    /// No byte was wrong.
    pub const NONE: Self = Self { bytes: [0; Self::MAX], len: 0 };

    /// What came, from the first wrong byte on; empty if none was wrong.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Keeps what comes next, as far as there is room.
    pub(super) fn keep(&mut self, data: &[u8]) {
        let from = usize::from(self.len);
        let kept = data.len().min(Self::MAX - from);
        self.bytes[from..from + kept].copy_from_slice(&data[..kept]);
        // At most `MAX`, which a byte counts.
        self.len += u8::try_from(kept).unwrap_or(0);
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes().escape_ascii())
    }
}
