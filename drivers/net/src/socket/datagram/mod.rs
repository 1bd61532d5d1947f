//! Sockets of datagrams: udp(7), and the datagram sockets of unix(7).

mod address;
mod group;
mod open;

use std::io;
#[cfg(unix)]
use std::io::IoSliceMut;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};

use roundtrip_core::datagram::SendQueue;
#[cfg(unix)]
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendFlags, SocketAddrUnix, recvmsg, send, sendto,
};
use socket2::Socket;

use crate::Endpoint;

pub use address::DatagramAddress;
use address::Kind;
pub use open::{bind_datagram, connect_datagram};

/// A datagram that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes in the buffer; a datagram may be empty.
    pub len: usize,
    /// Who sent it.
    pub from: DatagramAddress,
    /// It was longer than the buffer, and the rest is lost.
    pub cut: bool,
}

/// What is in the kernel's hands, and can be read into memory that is initialised.
#[cfg(unix)]
type Inner = Socket;
#[cfg(windows)]
type Inner = std::net::UdpSocket;

/// A socket of datagrams, non-blocking: [bound](bind_datagram), and hears everybody, or [connected](connect_datagram),
/// and hears its peer alone.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: Inner,
    peer: Option<DatagramAddress>,
    /// What a UDP socket was bound to, but for the port.
    bound: Option<Endpoint>,
    /// What its receivers have not read counts against it: a Unix socket.
    #[cfg(target_os = "linux")]
    keeps_unread: bool,
    #[cfg(windows)]
    received: std::sync::Mutex<Vec<u8>>,
    #[cfg(unix)]
    file: Option<Box<crate::socket::socket_file::SocketFile>>,
}

impl AsRef<Self> for DatagramSocket {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl DatagramSocket {
    fn of(socket: Socket, bound: Option<Endpoint>, peer: Option<DatagramAddress>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        #[cfg(target_vendor = "apple")]
        socket.set_nosigpipe(true)?;
        Ok(Self {
            #[cfg(unix)]
            socket,
            #[cfg(windows)]
            socket: socket.into(),
            peer,
            #[cfg(target_os = "linux")]
            keeps_unread: bound.is_none(),
            bound,
            #[cfg(windows)]
            received: std::sync::Mutex::default(),
            #[cfg(unix)]
            file: None,
        })
    }

    /// Where to send to it: what a name and a port of 0 became, with the options that it was bound with.
    ///
    /// # Errors
    ///
    /// What getsockname(2) says; `Unsupported` for a path that is no text, and for a socket of another kind.
    pub fn local_endpoint(&self) -> io::Result<Endpoint> {
        #[cfg(unix)]
        let address = self.socket.local_addr()?;
        #[cfg(unix)]
        let internet = address.as_socket();
        #[cfg(windows)]
        let internet = Some(self.socket.local_addr()?);
        let endpoint = match (internet, &self.bound) {
            // The address is the group's, whatever it took to hear it.
            (Some(address), Some(bound)) => Some(with_port(bound, address.port())),
            (Some(address), None) => Endpoint::udp(&address.ip().to_string(), address.port()).ok(),
            #[cfg(unix)]
            (None, _) => crate::socket::unix::endpoint_of(
                &address,
                self.file.as_deref(),
                |path| Endpoint::UnixDatagram { path, mode: None },
                |name| Endpoint::AbstractDatagram { name },
            ),
            #[cfg(windows)]
            (None, _) => None,
        };
        endpoint.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "the socket's address is no text"))
    }

    /// Whom it is connected to.
    pub const fn peer(&self) -> Option<&DatagramAddress> {
        self.peer.as_ref()
    }

    /// Receives one datagram, without blocking.
    ///
    /// # Errors
    ///
    /// What recv(2) says; [`classify::datagram`](crate::classify::datagram) tells what follows. On a connected socket
    /// this may be what became of one that was sent: `ECONNREFUSED`.
    #[cfg(unix)]
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut parts = [IoSliceMut::new(buffer)];
        let got = recvmsg(&self.socket, &mut parts, &mut RecvAncillaryBuffer::default(), RecvFlags::empty())?;
        let from = self.peer.clone().unwrap_or_else(|| DatagramAddress::of(got.address));
        Ok(Received { len: got.bytes, from, cut: got.flags.contains(ReturnFlags::TRUNC) })
    }

    /// Receives one datagram, without blocking.
    ///
    /// # Errors
    ///
    /// What recvfrom says; [`classify::datagram`](crate::classify::datagram) tells what follows. On a connected socket
    /// this may be what became of one that was sent: `WSAECONNRESET`.
    #[cfg(windows)]
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        // One that does not fit is an error here, which does not say who sent it. So there is room for every one.
        let mut received = self.received.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        received.resize(LONGEST, 0);
        loop {
            match self.socket.recv_from(&mut received) {
                Err(error) if self.peer.is_none() && crate::classify::is_of_another(&error) => {}
                Err(error) => return Err(error),
                Ok((came, from)) => {
                    let len = came.min(buffer.len());
                    buffer[..len].copy_from_slice(&received[..len]);
                    return Ok(Received { len, from: from.into(), cut: came > len });
                }
            }
        }
    }

    /// Sends one datagram, whole, without blocking: to its peer, if that is who is meant, or to anybody.
    ///
    /// # Errors
    ///
    /// What send(2) says; [`classify::datagram`](crate::classify::datagram) tells what follows. `InvalidInput` if nothing
    /// [can be sent](DatagramAddress::can_be_answered) there.
    pub fn send(&self, to: &DatagramAddress, payload: &[u8]) -> io::Result<()> {
        let sent = if self.peer.as_ref() == Some(to) {
            self.send_to_peer(payload)
        } else {
            self.send_to(to, payload)
        };
        // A datagram is sent whole, or not at all.
        sent.map(|_whole| ())
    }

    #[cfg(unix)]
    fn send_to_peer(&self, payload: &[u8]) -> io::Result<usize> {
        Ok(send(&self.socket, payload, flags())?)
    }

    #[cfg(windows)]
    fn send_to_peer(&self, payload: &[u8]) -> io::Result<usize> {
        self.socket.send(payload)
    }

    #[cfg(unix)]
    fn send_to(&self, to: &DatagramAddress, payload: &[u8]) -> io::Result<usize> {
        let sent = match &to.0 {
            Kind::Internet(address) => sendto(&self.socket, payload, flags(), address),
            Kind::Path(path) => sendto(&self.socket, payload, flags(), &SocketAddrUnix::new(path)?),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Kind::Abstract(name) => {
                sendto(&self.socket, payload, flags(), &SocketAddrUnix::new_abstract_name(name)?)
            }
            Kind::Unnamed => {
                let words = "a socket without a name cannot be answered";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
            }
        };
        Ok(sent?)
    }

    #[cfg(windows)]
    fn send_to(&self, to: &DatagramAddress, payload: &[u8]) -> io::Result<usize> {
        let Kind::Internet(address) = to.0 else { return Err(io::ErrorKind::NotConnected.into()) };
        self.socket.send_to(payload, address)
    }

    /// How much of what was sent is unread, where that takes the room of what is sent next: on Linux, of a Unix socket that
    /// is bound and sends to many.
    pub fn send_queue(&self) -> Option<SendQueue> {
        #[cfg(target_os = "linux")]
        if self.keeps_unread && self.peer.is_none() {
            let info = meminfo::of(self.socket.as_fd())?;
            return Some(SendQueue {
                unread: info[meminfo::WMEM_ALLOC].into(),
                size: info[meminfo::SNDBUF].into(),
            });
        }
        None
    }

    /// How many datagrams the kernel dropped because they were not received in time, as far as it tells: on Linux, of a UDP
    /// socket (`SO_MEMINFO`), modulo 2^32 and with those whose checksum was wrong; 0 elsewhere.
    pub fn overflowed(&self) -> u64 {
        #[cfg(target_os = "linux")]
        return meminfo::of(self.socket.as_fd()).map_or(0, |info| info[meminfo::DROPS].into());
        #[cfg(not(target_os = "linux"))]
        return 0;
    }
}

/// The longest datagram that there is, bytes: what a UDP length says (RFC 768).
#[cfg(windows)]
const LONGEST: usize = 1 << 16;

/// A peer that is gone must be an error, whatever the process does about SIGPIPE.
#[cfg(unix)]
const fn flags() -> SendFlags {
    #[cfg(not(target_vendor = "apple"))]
    return SendFlags::NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    return SendFlags::empty();
}

fn with_port(endpoint: &Endpoint, bound: u16) -> Endpoint {
    let mut endpoint = endpoint.clone();
    if let Endpoint::Udp { port, .. } = &mut endpoint {
        *port = bound;
    }
    endpoint
}

/// `SO_MEMINFO`, which has no safe wrapper: socket(7).
#[cfg(target_os = "linux")]
mod meminfo {
    use std::os::fd::BorrowedFd;

    use crate::socket::raw_option;

    /// What it tells, in this order: `SK_MEMINFO_VARS` of `linux/sock_diag.h`.
    const FIELDS: usize = 9;
    /// `SK_MEMINFO_WMEM_ALLOC`: what was sent and is not read.
    pub(super) const WMEM_ALLOC: usize = 2;
    /// `SK_MEMINFO_SNDBUF`: how much of it there may be.
    pub(super) const SNDBUF: usize = 3;
    /// `SK_MEMINFO_DROPS`.
    pub(super) const DROPS: usize = 8;

    pub(super) fn of(socket: BorrowedFd<'_>) -> Option<[u32; FIELDS]> {
        // SAFETY: every bit pattern is a number.
        #[allow(unsafe_code, reason = "see above")]
        let (info, _) = unsafe { raw_option::get(socket, libc::SOL_SOCKET, libc::SO_MEMINFO)? };
        Some(info)
    }
}

#[cfg(unix)]
impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(windows)]
impl AsSocket for DatagramSocket {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}

#[cfg(test)]
mod tests;
