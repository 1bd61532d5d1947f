//! What the bytes of a connection go over, and what it can do.

use std::io;

use roundtrip_core::Teardown;

use crate::TcpInfo;

/// What the bytes of a connection go over: a socket, a TLS stream, a pipe in memory.
///
/// No call waits. One that cannot go on now fails with [`WouldBlock`](io::ErrorKind::WouldBlock), and is made again later;
/// [`classify::transfer`](crate::classify::transfer) tells what the other errors mean.
pub trait Transport {
    /// Reads what is there; 0 bytes are the peer's end.
    ///
    /// # Errors
    ///
    /// What the system says. `Interrupted` means that there is more to read at once.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes what can be taken now.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Half-closes: the peer's end follows what was written, and reading goes on. A peer that closed first is no error.
    ///
    /// # Errors
    ///
    /// What the system says otherwise. After `WouldBlock` the driver calls it again, until it succeeds or the connection is
    /// closed.
    fn half_close(&mut self) -> io::Result<()>;

    /// Whether the peer takes it for cut off if it is closed without a half-close, as with TLS. Then the driver half-closes it
    /// before it closes it in order.
    fn must_half_close(&self) -> bool {
        false
    }

    /// Whether there may be more to read at once, after a read with room for `room` bytes gave `read`.
    fn may_have_more(&self, room: usize, read: usize) -> bool {
        read == room
    }

    /// Bytes that could be read right now; 0 if it cannot tell.
    fn unread(&self) -> u64 {
        0
    }

    /// What the system's TCP knows of the connection; none if there is no TCP, or it cannot tell.
    fn tcp_info(&self) -> Option<TcpInfo> {
        None
    }

    /// Has it torn down as told when it is dropped, which follows. Bytes that were written and not acknowledged, and that a
    /// reset destroys: an upper bound, and 0 if it cannot tell.
    fn close(&mut self, how: Teardown) -> u64;
}
