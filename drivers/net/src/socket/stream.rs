//! A connected stream.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::Socket;

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::packets::Packets;
#[cfg(unix)]
use crate::BindOptions;
use crate::{FailedAttempt, Peer, TcpInfo, classify};

/// A connected stream socket: non-blocking, and over TCP without Nagle's delay (RFC 896), which holds back the second
/// piece of an echoed message until the peer's delayed acknowledgement.
#[derive(Debug)]
pub struct Stream {
    pub(super) socket: Socket,
    kind: Kind,
    /// Our FIN follows what was written.
    half_closed: AtomicBool,
    /// Addresses that were connected to in vain.
    failed_attempts: Box<[FailedAttempt]>,
}

/// What it is made of.
#[derive(Debug)]
enum Kind {
    Tcp,
    #[cfg(unix)]
    Unix,
    /// It has packets, of which nothing is to be seen here.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Packets(Box<Packets>),
}

impl Stream {
    /// Whether an accepted socket has the options of its listener, and does not block because `accept4(2)` was told so.
    /// Linux has always done so (a test holds it to that); elsewhere each is set for itself.
    pub(super) const INHERITS: bool = cfg!(target_os = "linux");

    fn new(socket: Socket, kind: Kind) -> Self {
        Self { socket, kind, half_closed: AtomicBool::new(false), failed_attempts: Box::default() }
    }

    /// The same, connected after these addresses had failed.
    pub(super) fn after(self, failed: Vec<FailedAttempt>) -> Self {
        Self { failed_attempts: failed.into(), ..self }
    }

    /// The addresses that were connected to in vain before this one, in order.
    pub const fn failed_attempts(&self) -> &[FailedAttempt] {
        &self.failed_attempts
    }

    /// A connection from a listener that has the [options](Self::set_tcp_options), where they are inherited.
    pub(super) fn accepted_tcp(socket: Socket) -> io::Result<Self> {
        if Self::INHERITS { Ok(Self::new(socket, Kind::Tcp)) } else { Self::of_tcp(socket) }
    }

    /// A connection that was made before anybody knew of these options.
    #[cfg(unix)]
    pub(super) fn inherited_tcp(socket: Socket, options: &BindOptions) -> io::Result<Self> {
        // One that was reset already says so when it is read.
        let _ = super::set_buffers(&socket, options.socket_buffer);
        let _ = super::set_keepalive(&socket, options.keepalive);
        Self::of_tcp(socket)
    }

    #[cfg(unix)]
    pub(super) fn accepted_unix(socket: Socket) -> io::Result<Self> {
        if Self::INHERITS { Ok(Self::new(socket, Kind::Unix)) } else { Self::of_unix(socket) }
    }

    pub(super) fn of_tcp(socket: Socket) -> io::Result<Self> {
        let stream = Self::new(socket, Kind::Tcp);
        // Some systems refuse options on a connection that was reset already: reading it will say so.
        match stream.set_options() {
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
            _ => Ok(stream),
        }
    }

    #[cfg(unix)]
    pub(super) fn of_unix(socket: Socket) -> io::Result<Self> {
        let stream = Self::new(socket, Kind::Unix);
        stream.set_options()?;
        Ok(stream)
    }

    /// A connected `SOCK_SEQPACKET`.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn of_packets(socket: Socket) -> io::Result<Self> {
        let kind = Kind::Packets(Box::new(Packets::of(&socket)?));
        let stream = Self::new(socket, kind);
        stream.set_options()?;
        Ok(stream)
    }

    /// The connection that a super-server passed as standard input (inetd(8)); none if that is no socket. Of `options`, all
    /// but the family apply to it.
    ///
    /// # Errors
    ///
    /// If it is a socket, but no stream socket of a kind that is known.
    #[cfg(unix)]
    pub fn of_stdin(options: &BindOptions) -> io::Result<Option<Self>> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        let Ok(kind) = rustix::net::sockopt::socket_type(&fd) else { return Ok(None) };
        let socket = Socket::from(fd);
        match (kind, socket.local_addr()?) {
            (rustix::net::SocketType::STREAM, address) if address.as_socket().is_some() => {
                Self::inherited_tcp(socket, options).map(Some)
            }
            (rustix::net::SocketType::STREAM, address) if address.is_unix() => {
                super::set_buffers(&socket, options.socket_buffer)?;
                Self::of_unix(socket).map(Some)
            }
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "standard input is no stream socket")),
        }
    }

    fn set_options(&self) -> io::Result<()> {
        self.socket.set_nonblocking(true)?;
        #[cfg(target_vendor = "apple")]
        self.socket.set_nosigpipe(true)?;
        if self.is_tcp() { Self::set_tcp_options(&self.socket) } else { Ok(()) }
    }

    /// What a connection wants of TCP.
    pub(super) fn set_tcp_options(socket: &Socket) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        // Urgent bytes are bytes (RFC 6093 section 4): left out of line, they would be lost unseen.
        socket.set_out_of_band_inline(true)
    }

    const fn is_tcp(&self) -> bool {
        matches!(self.kind, Kind::Tcp)
    }

    /// Whether it is a Unix socket of packets (`type=seqpacket`), which [`read`](Self::read) and [`write`](Self::write)
    /// make a stream of bytes of: a driver that makes these calls in another way cannot drive it.
    pub const fn is_of_packets(&self) -> bool {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return matches!(self.kind, Kind::Packets(_));
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return false;
    }

    /// Whether there may be more to read at once, when a read that had room for so many bytes gave so many. A read of
    /// packets gives one of them.
    pub(crate) const fn may_have_more(&self, room: usize, read: usize) -> bool {
        read == room || self.is_of_packets()
    }

    /// The address at this end.
    ///
    /// # Errors
    ///
    /// What getsockname(2) says; `Unsupported` if it has none, as a Unix socket.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let no_address = || io::Error::new(io::ErrorKind::Unsupported, "the socket has no internet address");
        self.socket.local_addr()?.as_socket().ok_or_else(no_address)
    }

    /// Who is at the other end.
    ///
    /// # Errors
    ///
    /// What getpeername(2) says: a connection that was reset has nobody there.
    pub fn peer(&self) -> io::Result<Peer> {
        Peer::of(&self.socket, &self.socket.peer_addr()?)
    }

    /// Reads what is there, without blocking; 0 is the peer's end. Of packets it reads one, or a part of one.
    ///
    /// # Errors
    ///
    /// What recv(2) says; [`classify::transfer`] tells what follows. `Interrupted` says that there is more to read at
    /// once.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Kind::Packets(packets) = &self.kind {
            return packets.read(&self.socket, buffer);
        }
        io::Read::read(&mut &self.socket, buffer)
    }

    /// Writes what the kernel takes, without blocking.
    ///
    /// # Errors
    ///
    /// What send(2) says; [`classify::transfer`] tells what follows.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Kind::Packets(packets) = &self.kind {
            return packets.write(&self.socket, bytes);
        }
        // A peer that is gone must be an error, whatever the process does about SIGPIPE.
        #[cfg(all(unix, not(target_vendor = "apple")))]
        return Ok(rustix::net::send(&self.socket, bytes, rustix::net::SendFlags::NOSIGNAL)?);
        #[cfg(not(all(unix, not(target_vendor = "apple"))))]
        return io::Write::write(&mut &self.socket, bytes);
    }

    /// Half-closes: FIN follows what was written, and reading goes on. A peer that closed first is no error.
    ///
    /// # Errors
    ///
    /// What shutdown(2) says otherwise.
    pub fn half_close(&self) -> io::Result<()> {
        match self.socket.shutdown(std::net::Shutdown::Write) {
            Err(error) if !classify::is_peer_gone(&error) => Err(error),
            Err(_) => Ok(()),
            Ok(()) => {
                self.half_closed.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// From here on, closing (dropping it) sends RST: what the kernel still holds is dropped, and the peer
    /// knows that this was not the end. A Unix socket has no such thing: what was written stays readable, and the peer
    /// is told of a reset only if there was something left to read here (unix(7)).
    pub fn reset_on_close(&self) {
        // Where that cannot be set, the connection is gone already.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Bytes that could be read right now.
    pub fn unread(&self) -> u64 {
        #[cfg(any(unix, windows))]
        return rustix::io::ioctl_fionread(&self.socket).unwrap_or(0).saturating_sub(self.taken());
        #[cfg(not(any(unix, windows)))]
        return 0;
    }

    /// Bytes that were read, of those that the kernel counts as unread.
    fn taken(&self) -> u64 {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Kind::Packets(packets) = &self.kind {
            return packets.taken();
        }
        0
    }

    /// Bytes that were written and that the peer's TCP has not acknowledged yet: what a reset now would destroy,
    /// at the most. 0 on a Unix socket, where it destroys nothing.
    ///
    /// Our own FIN is no byte. Linux counts it as one until it is acknowledged, because it takes a sequence number (RFC 9293
    /// section 3.4).
    pub fn unacknowledged(&self) -> u64 {
        #[cfg(unix)]
        if self.is_tcp() {
            let counts_fin = cfg!(any(target_os = "linux", target_os = "android"));
            let fin = u64::from(counts_fin && self.half_closed.load(Ordering::Relaxed));
            return outq::bytes(&self.socket).unwrap_or(0).saturating_sub(fin);
        }
        0
    }

    /// What the system's TCP knows of the connection; none of a socket that is not TCP, and of one of a system that does not
    /// tell.
    pub fn tcp_info(&self) -> Option<TcpInfo> {
        #[cfg(target_os = "linux")]
        if self.is_tcp() {
            return TcpInfo::of(self.socket.as_fd());
        }
        None
    }
}

/// `TIOCOUTQ`, which has no safe wrapper: tcp(7), `SIOCOUTQ`.
#[cfg(unix)]
mod outq {
    use std::os::fd::AsFd;

    use rustix::ioctl::{Getter, Opcode, ioctl};

    /// Its number differs between systems and between processors, and so does the type of the number.
    #[allow(
        trivial_numeric_casts,
        clippy::cast_possible_truncation,
        clippy::cast_lossless,
        reason = "see above"
    )]
    const TIOCOUTQ: Opcode = libc::TIOCOUTQ as Opcode;

    #[allow(unsafe_code, reason = "the one system call that rustix leaves to its users")]
    pub(super) fn bytes(socket: impl AsFd) -> rustix::io::Result<u64> {
        // SAFETY: the operation writes one C `int`, which is what the getter provides.
        let queued = unsafe { ioctl(socket, Getter::<TIOCOUTQ, i32>::new())? };
        Ok(u64::try_from(queued).unwrap_or(0))
    }
}

#[cfg(unix)]
impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(windows)]
impl AsSocket for Stream {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}

impl From<std::net::TcpStream> for Stream {
    /// Takes a connected stream as it is, made non-blocking.
    fn from(stream: std::net::TcpStream) -> Self {
        let stream = Self::new(stream.into(), Kind::Tcp);
        // A stream that cannot be set up is one that was reset: reading it will say so.
        let _ = stream.set_options();
        stream
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixStream> for Stream {
    /// Takes a connected stream as it is, made non-blocking.
    fn from(stream: std::os::unix::net::UnixStream) -> Self {
        let stream = Self::new(OwnedFd::from(stream).into(), Kind::Unix);
        // It fails for no descriptor that is open.
        let _ = stream.set_options();
        stream
    }
}
