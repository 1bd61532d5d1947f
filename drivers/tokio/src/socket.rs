//! Sockets that a tokio runtime watches.

use std::io;
use std::task::{Context, Poll, ready};

use roundtrip_core::Teardown;
use roundtrip_net::{Guarded, Listener, Peer, Stream, TcpInfo, Transport};
use roundtrip_task::{AsyncListener, AsyncTransport};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::{IntoTransport, TokioTimer};

/// What the runtime tells of a socket: on Linux, also that urgent bytes came.
#[cfg(any(target_os = "linux", target_os = "android"))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// A socket that a tokio runtime watches.
#[derive(Debug)]
pub struct TokioSocket {
    socket: AsyncFd<Guarded>,
    /// The next read tries the call, whatever the runtime knows: it may not have seen yet what came before a deadline that
    /// woke the task, or before a write failed.
    tries_read: bool,
}

impl TokioSocket {
    pub(crate) fn new(socket: Guarded) -> io::Result<Self> {
        #[allow(
            deprecated,
            reason = "what replaces it is unsafe; a socket owns its descriptor, and keeps it"
        )]
        let socket = AsyncFd::with_interest(socket, INTEREST)?;
        Ok(Self { socket, tries_read: false })
    }

    fn transport(&self) -> impl Transport + '_ {
        self.socket.get_ref()
    }

    /// Whether urgent bytes came since it was last asked, which a read stops short of.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn take_urgent(&self) -> bool {
        let mut is_urgent = false;
        // "Would block" has tokio forget it.
        let _ = self.socket.try_io(Interest::PRIORITY, |_socket| {
            is_urgent = true;
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
        is_urgent
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const fn take_urgent(&self) -> bool {
        false
    }
}

impl AsyncTransport for TokioSocket {
    type Timer = TokioTimer;

    fn woken(&mut self, is_late: bool) {
        self.tries_read |= is_late;
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let tries_read = std::mem::take(&mut self.tries_read);
        loop {
            let Poll::Ready(guard) = self.socket.poll_read_ready(cx) else {
                if !tries_read {
                    return Poll::Pending;
                }
                let read = self.transport().read(buffer);
                self.tries_read = read.as_ref().is_ok_and(|read| self.may_have_more(buffer.len(), *read));
                return or_pending(read);
            };
            let mut guard = guard?;
            let mut transport = guard.get_inner();
            let read = transport.read(buffer);
            // A read that left room has emptied the socket, unless it stopped short of urgent bytes; tokio goes on remembering
            // an end that it was told of.
            let may_have_more = match &read {
                Ok(read) => transport.may_have_more(buffer.len(), *read) || self.take_urgent(),
                Err(error) => error.kind() == io::ErrorKind::Interrupted,
            };
            if !may_have_more {
                guard.clear_ready();
            }
            if let read @ Poll::Ready(_) = or_pending(read) {
                return read;
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.socket.poll_write_ready(cx))?;
            let mut transport = guard.get_inner();
            let wrote = transport.write(bytes);
            if !wrote.as_ref().is_ok_and(|wrote| *wrote == bytes.len()) && !is_interrupted(&wrote) {
                guard.clear_ready();
            }
            if let wrote @ Poll::Ready(_) = or_pending(wrote) {
                self.tries_read |= matches!(&wrote, Poll::Ready(Err(_)));
                return wrote;
            }
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

fn is_interrupted(result: &io::Result<usize>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::Interrupted)
}

fn or_pending<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// A listening socket that a tokio runtime watches.
#[derive(Debug)]
pub(crate) struct TokioListener(AsyncFd<Listener>);

impl TokioListener {
    /// Registers these listeners.
    pub(crate) fn all(listeners: Vec<Listener>) -> io::Result<Vec<Self>> {
        #[allow(deprecated, reason = "as of `TokioSocket`")]
        let register = |listener| Ok(Self(AsyncFd::with_interest(listener, Interest::READABLE)?));
        listeners.into_iter().map(register).collect()
    }
}

impl AsyncListener for TokioListener {
    type Transport = TokioSocket;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TokioSocket, Peer)>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            match guard.get_inner().accept_waiting()? {
                Some(accepted) => return Poll::Ready(register(accepted)),
                None => guard.clear_ready(),
            }
        }
    }

    fn accept_waiting(&mut self) -> io::Result<Option<(TokioSocket, Peer)>> {
        self.0.get_ref().accept_waiting()?.map(register).transpose()
    }
}

fn register((stream, peer): (Stream, Peer)) -> io::Result<(TokioSocket, Peer)> {
    Ok((TokioSocket::new(Guarded::new(stream))?, peer))
}

impl IntoTransport for Stream {
    type Transport = TokioSocket;

    fn into_transport(self) -> impl FnOnce() -> io::Result<TokioSocket> + Send {
        let socket = Guarded::new(self);
        || TokioSocket::new(socket)
    }
}

impl IntoTransport for tokio::net::TcpStream {
    type Transport = TokioSocket;

    fn into_transport(self) -> impl FnOnce() -> io::Result<TokioSocket> + Send {
        let socket = self.into_std().map(|stream| Guarded::new(stream.into()));
        || TokioSocket::new(socket?)
    }
}

impl IntoTransport for tokio::net::UnixStream {
    type Transport = TokioSocket;

    fn into_transport(self) -> impl FnOnce() -> io::Result<TokioSocket> + Send {
        let socket = self.into_std().map(|stream| Guarded::new(stream.into()));
        || TokioSocket::new(socket?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::task::Waker;

    /// A command or a spurious wake-up costs no call that finds nothing; a deadline that has passed is worth one.
    #[test]
    fn what_the_runtime_has_not_seen_is_looked_for_after_a_deadline_only() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // The runtime looks at no socket before this is over.
        runtime.block_on(async {
            let mut socket = TokioSocket::new(Guarded::new(server.into())).unwrap();
            client.write_all(b"x").unwrap();
            let mut read = |is_late| {
                socket.woken(is_late);
                socket.poll_read(&mut Context::from_waker(Waker::noop()), &mut [0; 100])
            };
            assert!(read(false).is_pending());
            assert!(matches!(read(true), Poll::Ready(Ok(1))));
        });
    }
}
