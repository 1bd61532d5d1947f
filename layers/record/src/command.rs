//! Commands as bytes.

use std::convert::Infallible;

/// A command that can be written to a record and read back.
pub trait CommandBytes: Sized {
    /// The command as bytes, at most [`MAX_INPUT`](crate::MAX_INPUT) of them.
    fn to_bytes(&self) -> Vec<u8>;

    /// The command that these bytes are, if they are one.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// There is none.
impl CommandBytes for Infallible {
    fn to_bytes(&self) -> Vec<u8> {
        match *self {}
    }

    fn from_bytes(_bytes: &[u8]) -> Option<Self> {
        None
    }
}
