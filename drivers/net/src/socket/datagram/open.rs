//! How a socket of datagrams is had: bound or connected.

use std::io;
use std::net::{IpAddr, SocketAddr};

#[cfg(unix)]
use socket2::SockAddr;
use socket2::{Domain, Protocol, Socket, Type};

#[cfg(unix)]
use super::DatagramAddress;
#[cfg(unix)]
use super::address::Kind;
use super::{DatagramSocket, group, with_port};
use crate::socket::{BindOptions, ConnectOptions, Wanted, first_of, resolve, set_buffers, unsupported};
#[cfg(unix)]
use crate::socket::{socket_file::SocketFile, unix};
use crate::{Endpoint, NetError, Stage};

/// What a Unix socket may have sent that is not read yet, bytes, if nothing else is said.
#[cfg(unix)]
const ROOM: usize = 1 << 20;

/// Binds to the first of the endpoint's addresses that can be bound.
///
/// A UDP port has one owner. But where the address is a group's (RFC 5771, RFC 4291 section 2.7), or the endpoint is
/// `broadcast`, several may bind it, and each has every datagram; a group is joined on the interface `if=`, or on the
/// system's choice. A socket of Windows then is bound to all addresses. An IPv6 socket never hears IPv4. A Unix socket's
/// file that no process has open is replaced; a socket removes its own when it is dropped.
///
/// # Errors
///
/// [`NetError`] of the last address, with the step that failed; `Unsupported` for what has no datagrams, or none here;
/// `InvalidInput` for an `if=` that means nothing there.
pub fn bind_datagram(endpoint: &Endpoint, options: &BindOptions) -> Result<DatagramSocket, NetError> {
    let buffer = options.socket_buffer;
    match endpoint {
        Endpoint::Udp { host, port, interface, broadcast, .. } => {
            first_of(resolve(host, *port, options.family)?, Stage::Bind, |address| {
                let socket = udp_socket(address, buffer).map_err(NetError::at(Stage::Socket))?;
                let bound = bind_udp(&socket, address, *interface, *broadcast);
                bound.map_err(NetError::at(Stage::Bind))?;
                let bound = with_address(endpoint, address);
                DatagramSocket::of(socket, Some(bound), None).map_err(NetError::at(Stage::Socket))
            })
        }
        #[cfg(unix)]
        Endpoint::UnixDatagram { path, mode } => {
            let socket = unix_socket(buffer).map_err(NetError::at(Stage::Socket))?;
            let file = SocketFile::bind(&socket, path, *mode).map_err(NetError::at(Stage::Bind))?;
            let socket = DatagramSocket::of(socket, None, None).map_err(NetError::at(Stage::Socket))?;
            Ok(DatagramSocket { file: Some(Box::new(file)), ..socket })
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Endpoint::AbstractDatagram { name } => {
            let socket = unix_socket(buffer).map_err(NetError::at(Stage::Socket))?;
            let bound = SockAddr::unix(unix::abstract_path(name)).and_then(|address| socket.bind(&address));
            bound.map_err(NetError::at(Stage::Bind))?;
            DatagramSocket::of(socket, None, None).map_err(NetError::at(Stage::Socket))
        }
        endpoint => Err(unsupported(endpoint, Stage::Bind, Wanted::Datagrams)),
    }
}

/// Connects to the first of the endpoint's addresses to which there is a way, in the resolver's order. Whether anybody is
/// there, only an answer tells, or a [refusal](roundtrip_core::datagram::Unsent::Refused).
///
/// Where the address is a group's, or the endpoint is `broadcast`, datagrams leave by the interface `if=`, those to a
/// group one hop far and to this machine as well (`IP_MULTICAST_TTL`, `IP_MULTICAST_LOOP`, ip(7)), and nothing is heard
/// back. A Unix socket is given a name, so that it can be answered: by Linux in the abstract namespace, elsewhere that
/// of a file among the temporary ones, which goes with the socket.
///
/// # Errors
///
/// [`NetError`] of the last address, with the step that failed; `Unsupported` for what has no datagrams, or none here;
/// `InvalidInput` for an `if=` that means nothing there, and for port 0.
pub fn connect_datagram(endpoint: &Endpoint, options: &ConnectOptions) -> Result<DatagramSocket, NetError> {
    let buffer = options.socket_buffer;
    match endpoint {
        Endpoint::Udp { host, port, interface, broadcast, .. } => {
            first_of(resolve(host, *port, options.family)?, Stage::Connect, |address| {
                let socket = udp_socket(address, buffer).map_err(NetError::at(Stage::Socket))?;
                let connected = connect_udp(&socket, address, *interface, *broadcast);
                connected.map_err(NetError::at(Stage::Connect))?;
                DatagramSocket::of(socket, None, Some(address.into())).map_err(NetError::at(Stage::Socket))
            })
        }
        #[cfg(unix)]
        Endpoint::UnixDatagram { path, .. } => {
            connect_unix(path.as_ref(), DatagramAddress(Kind::Path(path.into())), buffer)
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Endpoint::AbstractDatagram { name } => {
            let peer = DatagramAddress(Kind::Abstract(name.clone().into()));
            connect_unix(&unix::abstract_path(name), peer, buffer)
        }
        endpoint => Err(unsupported(endpoint, Stage::Connect, Wanted::Datagrams)),
    }
}

/// A Unix socket that answers many. What they have not read counts against it, so it has as much room as the system grants.
#[cfg(unix)]
fn unix_socket(buffer: Option<usize>) -> io::Result<Socket> {
    let socket = unix::socket(Type::DGRAM, buffer)?;
    if buffer.is_none() {
        // Linux cuts it to `net.core.wmem_max`; a system that refuses it keeps its default.
        let _ = socket.set_send_buffer_size(ROOM);
    }
    Ok(socket)
}

fn udp_socket(address: SocketAddr, buffer: Option<usize>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // Defaults differ from system to system.
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    set_buffers(&socket, buffer)?;
    Ok(socket)
}

fn bind_udp(
    socket: &Socket,
    address: SocketAddr,
    interface: Option<IpAddr>,
    broadcast: bool,
) -> io::Result<()> {
    let is_group = address.ip().is_multicast();
    group::check(address, interface, broadcast)?;
    if is_group || broadcast {
        // Each has every datagram. Of those to one address, only one would have each, and nobody knew which.
        socket.set_reuse_address(true)?;
        #[cfg(all(
            unix,
            not(any(
                target_os = "linux",
                target_os = "android",
                target_os = "solaris",
                target_os = "illumos"
            ))
        ))]
        socket.set_reuse_port(true)?;
    }
    if broadcast {
        socket.set_broadcast(true)?;
    }
    let hears = if cfg!(windows) && (is_group || broadcast) { group::everybody(address) } else { address };
    socket.bind(&hears.into())?;
    if is_group { group::join(socket, address, interface) } else { Ok(()) }
}

fn connect_udp(
    socket: &Socket,
    address: SocketAddr,
    interface: Option<IpAddr>,
    broadcast: bool,
) -> io::Result<()> {
    if address.port() == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "nothing can be sent to port 0"));
    }
    group::check(address, interface, broadcast)?;
    if address.ip().is_multicast() {
        group::send_through(socket, address, interface)?;
    }
    if broadcast {
        socket.set_broadcast(true)?;
        if let Some(interface) = interface {
            // By the address of the sender the system picks the interface.
            socket.bind(&SocketAddr::new(interface, 0).into())?;
        }
    }
    socket.connect(&address.into())
}

#[cfg(unix)]
fn connect_unix(
    path: &std::path::Path,
    peer: DatagramAddress,
    buffer: Option<usize>,
) -> Result<DatagramSocket, NetError> {
    let socket = unix::socket(Type::DGRAM, buffer).map_err(NetError::at(Stage::Socket))?;
    let file = unix::bind_to_any(&socket).map_err(NetError::at(Stage::Bind))?;
    let connected = SockAddr::unix(path).and_then(|address| socket.connect(&address));
    connected.map_err(NetError::at(Stage::Connect))?;
    let socket = DatagramSocket::of(socket, None, Some(peer)).map_err(NetError::at(Stage::Socket))?;
    Ok(DatagramSocket { file: file.map(Box::new), ..socket })
}

/// The UDP endpoint with this address instead of its host and port.
fn with_address(endpoint: &Endpoint, address: SocketAddr) -> Endpoint {
    let mut endpoint = with_port(endpoint, address.port());
    if let Endpoint::Udp { host, .. } = &mut endpoint {
        *host = crate::socket::host_of(address);
    }
    endpoint
}
