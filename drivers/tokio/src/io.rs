//! Anything that implements `AsyncRead` and `AsyncWrite`, as a transport.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use roundtrip_core::Teardown;
use roundtrip_task::AsyncTransport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{IntoTransport, TokioTimer};

/// A byte stream as a transport: a TLS stream, a duplex in memory, a boxed stream.
///
/// Shutting it down ([`AsyncWrite::poll_shutdown`]) is the half-close, and comes before every orderly end. It cannot reset and cannot count: an abort drops it, and
/// a report says 0 bytes unread.
#[derive(Debug)]
pub struct Io<T>(pub T);

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncTransport for Io<T> {
    type Timer = TokioTimer;

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn must_half_close(&self) -> bool {
        true
    }

    fn may_have_more(&self, _room: usize, _read: usize) -> bool {
        // A short read says nothing of a stream that has buffers of its own.
        true
    }

    fn close(&mut self, _how: Teardown) -> u64 {
        0
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> IntoTransport for Io<T> {
    type Transport = Self;

    fn into_transport(self) -> impl FnOnce() -> io::Result<Self> + Send {
        || Ok(self)
    }
}
