//! What a driver implements for the sockets of its runtime.

use std::io;
use std::task::{Context, Poll};

use roundtrip_core::Teardown;
use roundtrip_net::{Peer, TcpInfo, Transport, classify};

use crate::Timer;

/// What the bytes of a connection go over, polled. A call that returns `Pending` has the task woken when it is worth another
/// try.
///
/// Dropped before it was [closed](Self::close), a transport resets the connection, if it can.
pub trait AsyncTransport: Unpin {
    /// The timer of the runtime that polls it.
    type Timer: Timer;

    /// The task was woken: what was known of the transport's readiness may be out of date. If `is_late`, the deadline of the
    /// machine has passed, and what came before must be read now, whether the runtime has seen it or not.
    fn woken(&mut self, is_late: bool) {
        let _ = is_late;
    }

    /// Reads what is there; 0 bytes are the peer's end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes what is taken now.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Passes on what was written and is still held. Bytes count as written once this is ready.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Half-closes: the peer's end follows what was written, and reading goes on.
    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// As [`Transport::must_half_close`].
    fn must_half_close(&self) -> bool {
        false
    }

    /// As [`Transport::may_have_more`].
    fn may_have_more(&self, room: usize, read: usize) -> bool {
        read == room
    }

    /// As [`Transport::unread`].
    fn unread(&self) -> u64 {
        0
    }

    /// As [`Transport::tcp_info`].
    fn tcp_info(&self) -> Option<TcpInfo> {
        None
    }

    /// As [`Transport::close`].
    fn close(&mut self, how: Teardown) -> u64;
}

/// A listening socket, polled.
pub trait AsyncListener {
    /// An accepted connection.
    type Transport: AsyncTransport;

    /// Accepts a connection, or has the task woken when there may be one.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Transport, Peer)>>;

    /// Accepts a connection if one is waiting, whatever is known of the listener's readiness.
    ///
    /// # Errors
    ///
    /// What accept(2) says.
    fn accept_waiting(&mut self) -> io::Result<Option<(Self::Transport, Peer)>>;
}

/// A transport during one wake-up: `Pending` is `WouldBlock`.
#[derive(Debug)]
pub(crate) struct Polled<'a, 'cx, T> {
    pub(crate) transport: &'a mut T,
    /// Of the bytes that are written next, those that the transport holds already.
    pub(crate) unflushed: &'a mut usize,
    pub(crate) cx: &'a mut Context<'cx>,
}

/// What was polled, as [`Transport`] says it: of a stream that is polled, only `Pending` and `Interrupted` mean "look again".
///
/// One that has a timeout of its own says `TimedOut` for ever. One that says `WouldBlock` wakes no task, against its contract.
fn or_would_block<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(Err(error))
            if error.kind() != io::ErrorKind::Interrupted && classify::is_again(&error) =>
        {
            Err(io::Error::other(error))
        }
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<T: AsyncTransport> Transport for Polled<'_, '_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        or_would_block(self.transport.poll_read(self.cx, buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if *self.unflushed == 0 {
            let wrote = or_would_block(self.transport.poll_write(self.cx, bytes))?;
            // As with `Write::write`: nothing will be taken later either.
            if wrote == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::WriteZero.into());
            }
            *self.unflushed = wrote;
        }
        or_would_block(self.transport.poll_flush(self.cx))?;
        Ok(std::mem::take(self.unflushed))
    }

    fn half_close(&mut self) -> io::Result<()> {
        let result = or_would_block(self.transport.poll_half_close(self.cx));
        match &result {
            // As a socket of ours: reading tells how the peer ended.
            Err(error) if classify::is_peer_gone(error) => return Ok(()),
            // It is called again when the task is woken, and nothing else wakes it for that.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.cx.waker().wake_by_ref(),
            _ => {}
        }
        result
    }

    fn must_half_close(&self) -> bool {
        self.transport.must_half_close()
    }

    fn may_have_more(&self, room: usize, read: usize) -> bool {
        self.transport.may_have_more(room, read)
    }

    fn unread(&self) -> u64 {
        self.transport.unread()
    }

    fn tcp_info(&self) -> Option<TcpInfo> {
        self.transport.tcp_info()
    }

    fn close(&mut self, how: Teardown) -> u64 {
        self.transport.close(how)
    }
}
