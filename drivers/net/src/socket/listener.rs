//! A listening socket.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};

#[cfg(target_os = "linux")]
use rustix::net::SocketFlags;
use socket2::{SockAddr, Socket};

use super::keepalive::Keepalive;
#[cfg(unix)]
use crate::BindOptions;
use crate::{Endpoint, NetError, Peer, Stage, Stream, classify};

/// A listening socket: non-blocking, with the longest backlog that the system gives.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// Of what it accepts, where that does not inherit it.
    keepalive: Option<Keepalive>,
    /// It listened before it had these options, and what connected until then inherits none: the first client of a service that
    /// is started for it.
    #[cfg(unix)]
    late: Option<BindOptions>,
    /// It is one of packets: `SOCK_SEQPACKET`.
    #[cfg(unix)]
    packets: bool,
    #[cfg(unix)]
    file: Option<Box<super::socket_file::SocketFile>>,
}

impl Listener {
    /// Listens on a socket that is bound, with these probes on what it accepts.
    pub(super) fn listen_with(socket: Socket, keepalive: Option<Keepalive>) -> Result<Self, NetError> {
        Self::listen(socket)?.with_keepalive(keepalive).map_err(NetError::at(Stage::Socket))
    }

    /// With these probes on the TCP connections that it accepts.
    fn with_keepalive(self, keepalive: Option<Keepalive>) -> io::Result<Self> {
        if Stream::INHERITS && self.socket.local_addr()?.as_socket().is_some() {
            super::set_keepalive(&self.socket, keepalive)?;
        }
        Ok(Self { keepalive, ..self })
    }

    /// One that listens already, set up by a program that knew nothing of these options.
    #[cfg(unix)]
    fn inherit(socket: Socket, options: &BindOptions) -> io::Result<Self> {
        super::set_buffers(&socket, options.socket_buffer)?;
        let listener = Self::of(socket)?.with_keepalive(options.keepalive)?;
        Ok(Self { late: Some(*options), ..listener })
    }

    /// Listens on a socket that is bound.
    pub(super) fn listen(socket: Socket) -> Result<Self, NetError> {
        // Every system cuts this to its own maximum; the standard library's 128 makes a burst of 2,000
        // clients wait for retransmitted SYNs.
        socket.listen(i32::MAX).map_err(NetError::at(Stage::Listen))?;
        Self::of(socket).map_err(NetError::at(Stage::Socket))
    }

    fn of(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        if Stream::INHERITS && socket.local_addr()?.as_socket().is_some() {
            Stream::set_tcp_options(&socket)?;
        }
        Ok(Self {
            #[cfg(unix)]
            packets: socket.r#type()? == socket2::Type::SEQPACKET,
            keepalive: None,
            #[cfg(unix)]
            late: None,
            socket,
            #[cfg(unix)]
            file: None,
        })
    }

    /// Removes that file once it is dropped.
    #[cfg(unix)]
    pub(super) fn with_file(self, file: Option<Box<super::socket_file::SocketFile>>) -> Self {
        Self { file, ..self }
    }

    /// The internet address that was bound: what a port of 0 became.
    ///
    /// # Errors
    ///
    /// What getsockname(2) says; `Unsupported` if it has none.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let no_address = || io::Error::new(io::ErrorKind::Unsupported, "the socket has no internet address");
        self.socket.local_addr()?.as_socket().ok_or_else(no_address)
    }

    /// Where to connect to it: what a name and a port of 0 became. As a `SocketAddr`, it is
    /// [`local_address`](Self::local_address).
    ///
    /// # Errors
    ///
    /// What getsockname(2) says; `Unsupported` for a path that is no text, and for a socket of another kind.
    pub fn local_endpoint(&self) -> io::Result<Endpoint> {
        let endpoint = match self.socket.local_addr()? {
            #[cfg(unix)]
            address if address.is_unix() => {
                let seqpacket = self.packets;
                super::unix::endpoint_of(
                    &address,
                    self.file.as_deref(),
                    |path| Endpoint::Unix { path, mode: None, seqpacket },
                    |name| Endpoint::Abstract { name, seqpacket },
                )
            }
            address => address.as_socket().map(|address| Endpoint::Tcp {
                host: super::host_of(address),
                port: address.port(),
                dual_stack: address.is_ipv6() && self.socket.only_v6().is_ok_and(|only| !only),
            }),
        };
        endpoint.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "the socket's address is no text"))
    }

    /// Whether what it accepts is [of packets](Stream::is_of_packets).
    pub const fn is_of_packets(&self) -> bool {
        #[cfg(unix)]
        return self.packets;
        #[cfg(not(unix))]
        return false;
    }

    /// Accepts one connection, without blocking.
    ///
    /// # Errors
    ///
    /// What accept(2) says; [`classify::accept`] tells what follows.
    pub fn accept(&self) -> io::Result<(Stream, Peer)> {
        let (socket, address) = self.accept_socket()?;
        let peer = Peer::of(&socket, &address)?;
        #[cfg(unix)]
        if peer.address().is_none() {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if self.packets {
                return Ok((Stream::of_packets(socket)?, peer));
            }
            return Ok((Stream::accepted_unix(socket)?, peer));
        }
        #[cfg(unix)]
        if let Some(options) = &self.late {
            return Ok((Stream::inherited_tcp(socket, options)?, peer));
        }
        if !Stream::INHERITS {
            // A connection that was reset already says so when it is read.
            let _ = super::set_keepalive(&socket, self.keepalive);
        }
        Ok((Stream::accepted_tcp(socket)?, peer))
    }

    /// Where one call does all, it does: `accept4(2)`.
    fn accept_socket(&self) -> io::Result<(Socket, SockAddr)> {
        #[cfg(target_os = "linux")]
        return self.socket.accept4((SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).bits().cast_signed());
        #[cfg(not(target_os = "linux"))]
        return self.socket.accept();
    }

    /// Accepts the connection that waits first, if there is one, without blocking.
    ///
    /// # Errors
    ///
    /// What accept(2) says, other than that there is none.
    pub fn accept_waiting(&self) -> io::Result<Option<(Stream, Peer)>> {
        match self.accept() {
            Err(error) if classify::is_again(&error) => Ok(None),
            accepted => accepted.map(Some),
        }
    }
}

#[cfg(windows)]
impl AsSocket for Listener {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}

impl From<std::net::TcpListener> for Listener {
    /// Takes a listening socket as it is, made non-blocking.
    fn from(listener: std::net::TcpListener) -> Self {
        let socket = Socket::from(listener);
        // They fail for no socket of this kind that is open.
        let _ = socket.set_nonblocking(true);
        if Stream::INHERITS {
            let _ = Stream::set_tcp_options(&socket);
        }
        Self {
            socket,
            keepalive: None,
            #[cfg(unix)]
            late: None,
            #[cfg(unix)]
            packets: false,
            #[cfg(unix)]
            file: None,
        }
    }
}

#[cfg(unix)]
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(unix)]
impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// The listeners that the service manager passed to this process, in its order (`sd_listen_fds(3)`). They are handed out
/// once. Of `options`, all but the family apply to what they accept.
///
/// # Errors
///
/// [`NetError`] at [`Stage::Passed`] if there are none, if there are fewer than `LISTEN_FDS` says, or if one of them is no
/// listening stream socket.
#[cfg(unix)]
pub fn passed_listeners(options: &BindOptions) -> Result<Vec<Listener>, NetError> {
    let fail =
        |words: String| NetError::at(Stage::Passed)(io::Error::new(io::ErrorKind::InvalidInput, words));
    check_count().map_err(fail)?;
    let mut passed = listenfd::ListenFd::from_env();
    if passed.len() == 0 {
        return Err(fail("no socket was passed".to_owned()));
    }
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        let tcp = passed.take_tcp_listener(index).ok().flatten().map(OwnedFd::from);
        let unix = || passed.take_unix_listener(index).ok().flatten().map(OwnedFd::from);
        // Both check family and type; a connection that was passed is of the right ones as well.
        let socket = tcp.or_else(unix).map(Socket::from).filter(listens);
        let Some(socket) = socket else {
            return Err(fail(format!(
                "descriptor {} is no listening stream socket",
                usize::from(FIRST_PASSED) + index
            )));
        };
        listeners.push(Listener::inherit(socket, options).map_err(NetError::at(Stage::Passed))?);
    }
    Ok(listeners)
}

/// All that are said to be passed are open: a count that is wrong is refused before memory is taken for it.
#[cfg(unix)]
fn check_count() -> Result<(), String> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<i64>().ok());
    let is_for_us = number("LISTEN_PID").is_none_or(|process| process == i64::from(std::process::id()));
    let Some(count) = number("LISTEN_FDS").filter(|count| *count > 0 && is_for_us) else { return Ok(()) };
    let first = number("LISTEN_FDS_FIRST_FD").unwrap_or(i64::from(FIRST_PASSED));
    let last = first.saturating_add(count - 1);
    if may_be_open(last) {
        Ok(())
    } else {
        Err(format!("LISTEN_FDS={count}, and descriptor {last} is not open"))
    }
}

/// Where the system does not list what is open, as far as the limit goes.
#[cfg(unix)]
fn may_be_open(descriptor: i64) -> bool {
    let listed = std::path::Path::new("/proc/self/fd");
    if listed.exists() {
        return listed.join(descriptor.to_string()).symlink_metadata().is_ok();
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    u64::try_from(descriptor).is_ok_and(|descriptor| descriptor < limit.unwrap_or(MOST_PASSED))
}

/// Descriptors that are looked at where there is neither a list nor a limit.
#[cfg(unix)]
const MOST_PASSED: u64 = 1 << 20;

#[cfg(all(unix, not(target_vendor = "apple")))]
fn listens(socket: &Socket) -> bool {
    rustix::net::sockopt::socket_acceptconn(socket).is_ok_and(|is_listening| is_listening)
}

/// Nothing here reads `SO_ACCEPTCONN` on Apple's systems. A connection has a peer.
#[cfg(target_vendor = "apple")]
fn listens(socket: &Socket) -> bool {
    socket.peer_addr().is_err()
}

/// The first descriptor that is passed: `SD_LISTEN_FDS_START`.
#[cfg(unix)]
const FIRST_PASSED: u8 = 3;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The service manager may have set probes and sizes, too.
    #[test]
    fn a_listener_that_is_inherited_has_the_options_that_are_asked_for() {
        let probes =
            Keepalive::default().idle(Duration::from_secs(7)).interval(Duration::from_secs(2)).probes(3);
        for (before, keepalive) in [(None, Some(probes)), (Some(probes), None)] {
            let inherited = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = inherited.local_addr().unwrap();
            let inherited = Socket::from(inherited);
            super::super::set_keepalive(&inherited, before).unwrap();
            let options = BindOptions::default().keepalive(keepalive).socket_buffer(Some(10_000));
            let connect = || std::net::TcpStream::connect(address).unwrap();
            let first = connect();
            let listener = Listener::inherit(inherited, &options).unwrap();
            for _client in [first, connect()] {
                let Stream { socket, .. } = listener.accept().unwrap().0;
                assert!(socket.tcp_nodelay().unwrap() && socket.nonblocking().unwrap());
                assert_eq!(socket.keepalive().unwrap(), keepalive.is_some());
                if keepalive.is_some() {
                    assert_eq!(socket.tcp_keepalive_time().unwrap(), probes.idle);
                    assert_eq!(socket.tcp_keepalive_interval().unwrap(), probes.interval);
                    assert_eq!(socket.tcp_keepalive_retries().unwrap(), probes.probes);
                }
                // Linux doubles it.
                assert_eq!(socket.send_buffer_size().unwrap(), 20_000);
            }
        }
        let folder = std::env::temp_dir().join(format!("roundtrip-inherit-{}", std::process::id()));
        let unix = std::os::unix::net::UnixListener::bind(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        Listener::inherit(Socket::from(OwnedFd::from(unix)), &BindOptions::default()).unwrap();
    }
}
