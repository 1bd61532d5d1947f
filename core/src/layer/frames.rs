//! The smallest codec: pieces with their lengths.

use core::convert::Infallible;

use bytes::{Buf, BufMut, BytesMut};

use super::{Codec, Decoded};

/// Sends bytes in frames: a length (two bytes, the higher one first, as RFC 1035 section 4.2.2 has it) and so many bytes.
/// A length of 0 is the end.
///
/// So an end can be told from a connection that was cut, on any transport, also on one that has no half-close. Where the
/// frames begin means nothing to the machine in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frames {
    /// Bytes of the frame that is being read that have not come.
    left: usize,
}

impl Codec for Frames {
    type Fault = Infallible;

    fn decode(&mut self, received: &mut BytesMut, max: usize) -> Result<Decoded, Infallible> {
        if self.left == 0 {
            if received.len() < 2 {
                return Ok(Decoded::More);
            }
            self.left = usize::from(received.get_u16());
            if self.left == 0 {
                return Ok(Decoded::End);
            }
        }
        let taken = self.left.min(max).min(received.len());
        if taken == 0 {
            return Ok(Decoded::More);
        }
        self.left -= taken;
        Ok(Decoded::Data(received.split_to(taken).freeze()))
    }

    fn encode(&mut self, plain: &[u8], out: &mut BytesMut) -> Result<usize, Infallible> {
        let length = u16::try_from(plain.len()).unwrap_or(u16::MAX);
        let taken = usize::from(length);
        out.put_u16(length);
        out.put_slice(&plain[..taken]);
        Ok(taken)
    }

    fn finish(&mut self, out: &mut BytesMut) {
        out.put_u16(0);
    }
}
