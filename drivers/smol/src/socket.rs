//! Sockets and timers of `async-io`.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_io::Async;
use roundtrip_core::Teardown;
use roundtrip_net::{Guarded, Listener, Peer, Stream, TcpInfo, Transport};
use roundtrip_task::{AsyncListener, AsyncTransport, Timer};

/// A timer of `async-io`.
#[derive(Debug)]
pub struct SmolTimer(async_io::Timer);

impl Timer for SmolTimer {
    fn new() -> Self {
        Self(async_io::Timer::never())
    }

    fn set_after(&mut self, delay: Duration) {
        self.0.set_after(delay);
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_at| ())
    }
}

/// A socket that the reactor of `async-io` watches.
///
/// Its readiness is not trusted: where the reactor runs on another thread, it may say "pending" to an event that it takes for
/// stale. So at each wake-up the call itself is tried first.
#[derive(Debug)]
pub struct SmolSocket {
    socket: Async<Guarded>,
    readable: bool,
    writable: bool,
}

impl SmolSocket {
    pub(crate) fn new(socket: Guarded) -> io::Result<Self> {
        // A peer that has just connected has most often sent something, too.
        Ok(Self { socket: Async::new_nonblocking(socket)?, readable: true, writable: true })
    }

    fn transport(&self) -> impl Transport + '_ {
        self.socket.get_ref()
    }
}

impl AsyncTransport for SmolSocket {
    type Timer = SmolTimer;

    fn woken(&mut self, _is_late: bool) {
        (self.readable, self.writable) = (true, true);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.readable {
                let read = self.transport().read(buffer);
                self.readable = match &read {
                    Ok(read) => self.may_have_more(buffer.len(), *read),
                    Err(error) => error.kind() != io::ErrorKind::WouldBlock,
                };
                if !matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                    return Poll::Ready(read);
                }
            }
            ready!(poll_anew(|| self.socket.poll_readable(cx)))?;
            self.readable = true;
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.writable {
                let wrote = self.transport().write(bytes);
                self.writable = wrote.as_ref().is_ok_and(|wrote| *wrote == bytes.len());
                if !matches!(&wrote, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                    // The reactor may not have seen yet what came before the connection broke.
                    self.readable |= wrote.is_err();
                    return Poll::Ready(wrote);
                }
            }
            ready!(poll_anew(|| self.socket.poll_writable(cx)))?;
            self.writable = true;
        }
    }

    fn poll_half_close(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.transport().half_close())
    }

    fn may_have_more(&self, room: usize, read: usize) -> bool {
        self.transport().may_have_more(room, read)
    }

    fn unread(&self) -> u64 {
        self.transport().unread()
    }

    fn tcp_info(&self) -> Option<TcpInfo> {
        self.transport().tcp_info()
    }

    fn close(&mut self, how: Teardown) -> u64 {
        self.transport().close(how)
    }
}

/// Polls for readiness that was not tried yet.
///
/// The event that woke the task is reported once more when it waits again, and would cost a call that finds nothing. Once that
/// is out of the way, the socket is registered anew, and the poller reports at once what has come in between.
pub(crate) fn poll_anew(mut poll: impl FnMut() -> Poll<io::Result<()>>) -> Poll<io::Result<()>> {
    ready!(poll())?;
    poll()
}

/// A listening socket that the reactor of `async-io` watches.
#[derive(Debug)]
pub(crate) struct SmolListener(Async<Listener>);

impl SmolListener {
    /// Registers these listeners.
    pub(crate) fn all(listeners: Vec<Listener>) -> io::Result<Vec<Self>> {
        listeners.into_iter().map(|listener| Ok(Self(Async::new_nonblocking(listener)?))).collect()
    }
}

impl AsyncListener for SmolListener {
    type Transport = SmolSocket;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(SmolSocket, Peer)>> {
        loop {
            if let Some(accepted) = self.accept_waiting()? {
                return Poll::Ready(Ok(accepted));
            }
            // What is wrong with a listener, accepting tells.
            let _ = ready!(self.0.poll_readable(cx));
        }
    }

    fn accept_waiting(&mut self) -> io::Result<Option<(SmolSocket, Peer)>> {
        let Some((stream, peer)) = self.0.get_ref().accept_waiting()? else { return Ok(None) };
        Ok(Some((SmolSocket::new(Guarded::new(stream))?, peer)))
    }
}

/// What a session can be driven over: a [`Stream`], or anything that implements the traits of `futures_io`, in
/// [`Io`](crate::Io).
pub trait IntoTransport {
    /// What it becomes.
    type Transport: AsyncTransport;

    /// Prepares it; what is returned registers it, and is called when the session begins.
    fn into_transport(self) -> impl FnOnce() -> io::Result<Self::Transport> + Send;
}

impl IntoTransport for Stream {
    type Transport = SmolSocket;

    fn into_transport(self) -> impl FnOnce() -> io::Result<SmolSocket> + Send {
        let socket = Guarded::new(self);
        || SmolSocket::new(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    /// One byte after the other, the second between two calls of one wake-up: none is waited for that is there, and none is
    /// looked for that is not.
    #[test]
    fn the_event_of_a_wake_up_is_tried_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let mut socket = SmolSocket::new(Guarded::new(server.into())).unwrap();
        let mut buffer = [0; 100];
        async_io::block_on(async {
            for _ in 0..100 {
                assert!(poll_fn(|cx| Poll::Ready(socket.poll_read(cx, &mut buffer))).await.is_pending());
                client.write_all(b"x").unwrap();
                let mut polls = 0;
                poll_fn(|cx| {
                    // Once without an event: the future begins with a poll.
                    polls += 1;
                    if polls == 1 {
                        return Poll::Pending;
                    }
                    socket.woken(false);
                    let read = ready!(socket.poll_read(cx, &mut buffer)).unwrap();
                    client.write_all(b"y").unwrap();
                    assert!(socket.poll_read(cx, &mut buffer).is_pending(), "it looked without a reason");
                    assert_eq!(read, 1);
                    Poll::Ready(())
                })
                .await;
                let read = poll_fn(|cx| {
                    socket.woken(false);
                    socket.poll_read(cx, &mut buffer)
                });
                assert_eq!(read.await.unwrap(), 1);
            }
        });
    }
}
