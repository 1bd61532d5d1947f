//! Sockets with the options that a server and a client want, set the same on every platform.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::classify;
use crate::{Endpoint, NetError, Peer, Stage};

/// Which of a name's addresses to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// All of them.
    #[default]
    Any,
    /// IPv4 addresses only.
    V4,
    /// IPv6 addresses only.
    V6,
}

impl Family {
    const fn has(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// How to listen.
#[derive(Clone, Copy, Debug, Default)]
pub struct BindOptions {
    /// Which of the name's addresses to try.
    pub family: Family,
}

/// How to connect.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectOptions {
    /// Which of the name's addresses to try.
    pub family: Family,
    /// The longest time for one address; none leaves it to the system, minutes for one that does not answer.
    pub timeout: Option<Duration>,
}

/// A listening socket: non-blocking, with the longest backlog that the system gives.
#[derive(Debug)]
pub struct Listener(Socket);

/// A connected stream socket: non-blocking, and without Nagle's delay (RFC 896), which holds back the second
/// piece of an echoed message until the peer's delayed acknowledgement.
#[derive(Debug)]
pub struct Stream(Socket);

/// Listens on the first of the endpoint's addresses that can be bound.
///
/// # Errors
///
/// [`NetError`] of the last address, with the step that failed.
pub fn bind(endpoint: &Endpoint, options: &BindOptions) -> Result<Listener, NetError> {
    first_of(resolve(endpoint, options.family)?, Stage::Bind, |address| {
        let socket = stream_socket(&address).map_err(NetError::at(Stage::Socket))?;
        prepare_to_bind(&socket, &address).map_err(NetError::at(Stage::Socket))?;
        socket.bind(&address.into()).map_err(NetError::at(Stage::Bind))?;
        // Every system cuts this to its own maximum; the standard library's 128 makes a burst of 2,000
        // clients wait for retransmitted SYNs.
        socket.listen(i32::MAX).map_err(NetError::at(Stage::Listen))?;
        socket.set_nonblocking(true).map_err(NetError::at(Stage::Socket))?;
        Ok(Listener(socket))
    })
}

/// Connects to the first of the endpoint's addresses that answers, in the resolver's order.
///
/// # Errors
///
/// [`NetError`] of the last address, with the step that failed.
pub fn connect(endpoint: &Endpoint, options: &ConnectOptions) -> Result<Stream, NetError> {
    first_of(resolve(endpoint, options.family)?, Stage::Connect, |address| {
        let socket = stream_socket(&address).map_err(NetError::at(Stage::Socket))?;
        let connected = match options.timeout {
            Some(timeout) => socket.connect_timeout(&address.into(), timeout),
            None => socket.connect(&address.into()),
        };
        connected.map_err(NetError::at(Stage::Connect))?;
        Stream::new(socket).map_err(NetError::at(Stage::Socket))
    })
}

fn resolve(endpoint: &Endpoint, family: Family) -> Result<Vec<SocketAddr>, NetError> {
    let Endpoint::Tcp { host, port } = endpoint;
    let found = (host.as_str(), *port).to_socket_addrs().map_err(NetError::at(Stage::Resolve))?;
    let mut addresses: Vec<_> = found.filter(|address| family.has(address)).collect();
    addresses.dedup();
    Ok(addresses)
}

fn first_of<T>(
    addresses: Vec<SocketAddr>,
    stage: Stage,
    mut attempt: impl FnMut(SocketAddr) -> Result<T, NetError>,
) -> Result<T, NetError> {
    let mut last = NetError {
        stage: Stage::Resolve,
        source: io::Error::new(io::ErrorKind::AddrNotAvailable, "no address of the family asked for"),
    };
    for address in addresses {
        match attempt(address) {
            Ok(got) => return Ok(got),
            // What the step itself said of one address says more than that another family has no sockets.
            Err(error) if error.stage == stage || last.stage != stage => last = error,
            Err(_) => {}
        }
    }
    Err(last)
}

fn stream_socket(address: &SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))
}

fn prepare_to_bind(socket: &Socket, address: &SocketAddr) -> io::Result<()> {
    // On Unix this only lets a server back onto its port while old connections are in TIME_WAIT. On Windows it
    // would let another process take the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // Defaults differ from system to system.
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(())
}

impl Listener {
    /// The address that was bound: what a port of 0 became.
    ///
    /// # Errors
    ///
    /// What getsockname(2) says.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        address_of(&self.0.local_addr()?)
    }

    /// Accepts one connection, without blocking.
    ///
    /// # Errors
    ///
    /// What accept(2) says; [`classify::accept`] tells what follows.
    pub fn accept(&self) -> io::Result<(Stream, Peer)> {
        let (socket, address) = self.0.accept()?;
        Ok((Stream::new(socket)?, Peer::new(address_of(&address)?)))
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

impl Stream {
    fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let stream = Self(socket);
        // Some systems refuse options on a connection that was reset already: reading it will say so.
        match stream.set_options() {
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
            _ => Ok(stream),
        }
    }

    fn set_options(&self) -> io::Result<()> {
        self.0.set_tcp_nodelay(true)?;
        // Urgent bytes are bytes (RFC 6093 section 4): left out of line, they would be lost unseen.
        self.0.set_out_of_band_inline(true)?;
        #[cfg(target_vendor = "apple")]
        self.0.set_nosigpipe(true)?;
        Ok(())
    }

    /// Reads what is there, without blocking; 0 is the peer's end.
    ///
    /// # Errors
    ///
    /// What recv(2) says; [`classify::transfer`] tells what follows.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut &self.0, buffer)
    }

    /// Writes what the kernel takes, without blocking.
    ///
    /// # Errors
    ///
    /// What send(2) says; [`classify::transfer`] tells what follows.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        // A peer that is gone must be an error, whatever the process does about SIGPIPE.
        #[cfg(all(unix, not(target_vendor = "apple")))]
        return Ok(rustix::net::send(&self.0, bytes, rustix::net::SendFlags::NOSIGNAL)?);
        #[cfg(not(all(unix, not(target_vendor = "apple"))))]
        return io::Write::write(&mut &self.0, bytes);
    }

    /// Half-closes: FIN follows what was written, and reading goes on. A peer that closed first is no error.
    ///
    /// # Errors
    ///
    /// What shutdown(2) says otherwise.
    pub fn half_close(&self) -> io::Result<()> {
        match self.0.shutdown(std::net::Shutdown::Write) {
            Err(error) if !classify::is_peer_gone(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// From here on, closing (dropping it) sends RST: what the kernel still holds is dropped, and the peer
    /// knows that this was not the end.
    pub fn reset_on_close(&self) {
        // Where that cannot be set, the connection is gone already.
        let _ = self.0.set_linger(Some(Duration::ZERO));
    }

    /// Bytes that could be read right now.
    pub fn unread(&self) -> u64 {
        #[cfg(unix)]
        return rustix::io::ioctl_fionread(&self.0).unwrap_or(0);
        #[cfg(not(unix))]
        return 0;
    }

    /// Bytes that were written and that the peer's TCP has not acknowledged yet: what a reset now would destroy,
    /// at the most.
    pub fn unacknowledged(&self) -> u64 {
        #[cfg(unix)]
        return outq::bytes(&self.0).unwrap_or(0);
        #[cfg(not(unix))]
        return 0;
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

fn address_of(address: &socket2::SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| io::Error::other("the socket has no internet address"))
}

impl From<std::net::TcpListener> for Listener {
    /// Takes a listening socket as it is, such as one that a supervisor passed on, made non-blocking.
    fn from(listener: std::net::TcpListener) -> Self {
        // It fails for no descriptor that is open.
        let _ = listener.set_nonblocking(true);
        Self(listener.into())
    }
}

#[cfg(unix)]
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(unix)]
impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(windows)]
impl AsSocket for Listener {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

#[cfg(windows)]
impl AsSocket for Stream {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

impl From<std::net::TcpStream> for Stream {
    /// Takes a connected stream as it is, made non-blocking.
    fn from(stream: std::net::TcpStream) -> Self {
        let stream = Self(stream.into());
        // A stream that cannot be set up is one that was reset: reading it will say so.
        let _ = stream.0.set_nonblocking(true);
        let _ = stream.set_options();
        stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> Listener {
        bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap()
    }

    fn endpoint(listener: &Listener) -> Endpoint {
        listener.local_address().unwrap().to_string().parse().unwrap()
    }

    #[test]
    fn a_port_in_use_is_refused_at_bind() {
        let taken = loopback();
        let error = bind(&endpoint(&taken), &BindOptions::default()).unwrap_err();
        assert_eq!(error.stage, Stage::Bind);
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn nobody_listening_is_refused_at_connect() {
        let gone = endpoint(&loopback());
        let error = connect(&gone, &ConnectOptions::default()).unwrap_err();
        assert_eq!(error.stage, Stage::Connect);
        assert_eq!(error.source.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn every_address_is_tried_in_turn() {
        let tried = std::cell::RefCell::new(Vec::new());
        let addresses: Vec<SocketAddr> = vec!["[::1]:1".parse().unwrap(), "127.0.0.1:1".parse().unwrap()];
        let got = first_of(addresses, Stage::Connect, |address| {
            tried.borrow_mut().push(address);
            if address.is_ipv4() {
                Ok(())
            } else {
                Err(NetError::at(Stage::Connect)(io::ErrorKind::Other.into()))
            }
        });
        assert!(got.is_ok());
        assert_eq!(tried.borrow().len(), 2);
    }

    #[test]
    fn a_family_without_addresses_says_so() {
        let options = ConnectOptions { family: Family::V6, timeout: None };
        let error = connect(&"127.0.0.1:1".parse().unwrap(), &options).unwrap_err();
        assert_eq!((error.stage, error.source.kind()), (Stage::Resolve, io::ErrorKind::AddrNotAvailable));
    }

    #[test]
    fn both_sides_send_without_nagles_delay() {
        let listener = loopback();
        let client = connect(&endpoint(&listener), &ConnectOptions::default()).unwrap();
        let (server, _peer) = listener.accept().unwrap();
        assert!(client.0.tcp_nodelay().unwrap() && server.0.tcp_nodelay().unwrap());
    }

    /// With the standard library's backlog of 128 the last of these would wait for a SYN sent again.
    #[test]
    fn a_burst_of_two_hundred_fits_the_backlog() {
        let listener = loopback();
        let options = ConnectOptions { timeout: Some(Duration::from_millis(500)), ..Default::default() };
        let clients: Vec<_> = (0..200).map(|_| connect(&endpoint(&listener), &options)).collect();
        assert!(clients.iter().all(Result::is_ok));
    }

    #[test]
    fn a_mapped_peer_is_shown_as_ipv4() {
        let mapped = Peer::new("[::ffff:192.0.2.1]:80".parse().unwrap());
        assert_eq!(mapped.to_string(), "192.0.2.1:80");
    }
}
