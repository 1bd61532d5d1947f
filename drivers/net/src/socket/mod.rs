//! Sockets with the options that a server and a client want, set the same on every platform.

mod datagram;
mod keepalive;
mod listener;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod packets;
#[cfg(target_os = "linux")]
mod raw_option;
#[cfg(unix)]
mod socket_file;
mod stream;
#[cfg(target_os = "linux")]
mod tcp_info;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use roundtrip_core::Time;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{Clock, Endpoint, FailedAttempt, NetError, Stage, SystemClock};

pub use datagram::{DatagramAddress, DatagramSocket, Received, bind_datagram, connect_datagram};
pub use keepalive::Keepalive;
pub use listener::Listener;
#[cfg(unix)]
pub use listener::passed_listeners;
pub use stream::Stream;

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

/// The address without its port, with its scope if it has one.
fn host_of(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(address) if address.scope_id() != 0 => {
            format!("{}%{}", address.ip(), address.scope_id())
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => address.ip().to_string(),
    }
}

/// How to listen.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BindOptions {
    /// Which of the name's addresses to try.
    pub family: Family,
    /// Bytes that the kernel holds for a connection in each direction, as `SO_SNDBUF` and `SO_RCVBUF` take them
    /// (socket(7): Linux doubles them for its own use); none leaves it to the system, which lets them grow.
    pub socket_buffer: Option<usize>,
    /// Probes on silent TCP connections; none sends none. The default is [`Keepalive::default`].
    pub keepalive: Option<Keepalive>,
}

impl BindOptions {
    roundtrip_core::setters! {
        family: Family,
        socket_buffer: Option<usize>,
        keepalive: Option<Keepalive>,
    }
}

impl Default for BindOptions {
    fn default() -> Self {
        Self { family: Family::Any, socket_buffer: None, keepalive: Some(Keepalive::default()) }
    }
}

/// How to connect.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// Which of the name's addresses to try.
    pub family: Family,
    /// The longest time for one address; none leaves it to the system, minutes for one that does not answer.
    pub timeout: Option<Duration>,
    /// As of [`BindOptions`].
    pub socket_buffer: Option<usize>,
    /// As of [`BindOptions`].
    pub keepalive: Option<Keepalive>,
}

impl ConnectOptions {
    roundtrip_core::setters! {
        family: Family,
        timeout: Option<Duration>,
        socket_buffer: Option<usize>,
        keepalive: Option<Keepalive>,
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        let BindOptions { family, socket_buffer, keepalive } = BindOptions::default();
        Self { family, timeout: None, socket_buffer, keepalive }
    }
}

/// Listens on the first of the endpoint's addresses that can be bound.
///
/// The stale file of a Unix socket is replaced; a listener removes its own when it is dropped. The
/// file has its mode (`mode=`) exactly, whatever the umask, and from its first moment.
/// `systemd:` is the one listener that the service manager passed: [`passed_listeners`] has all of them.
///
/// # Errors
///
/// [`NetError`] of the last address, with the step that failed; `Unsupported` for what cannot be listened on here.
pub fn bind(endpoint: &Endpoint, options: &BindOptions) -> Result<Listener, NetError> {
    match endpoint {
        Endpoint::Tcp { host, port, dual_stack } => {
            first_of(resolve(host, *port, options.family)?, Stage::Bind, |address| {
                let socket =
                    tcp_socket(&address, options.socket_buffer).map_err(NetError::at(Stage::Socket))?;
                prepare_to_bind(&socket, &address, *dual_stack).map_err(NetError::at(Stage::Socket))?;
                socket.bind(&address.into()).map_err(NetError::at(Stage::Bind))?;
                Listener::listen_with(socket, options.keepalive)
            })
        }
        #[cfg(unix)]
        Endpoint::Unix { path, mode, seqpacket } if has(*seqpacket) => {
            unix::bind(path, *mode, unix_type(*seqpacket), options.socket_buffer)
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Endpoint::Abstract { name, seqpacket } => {
            unix::bind_abstract(name, unix_type(*seqpacket), options.socket_buffer)
        }
        #[cfg(unix)]
        Endpoint::Systemd => {
            let mut passed = passed_listeners(options)?;
            match (passed.pop(), passed.is_empty()) {
                (Some(listener), true) => Ok(listener),
                _ => Err(NetError::at(Stage::Passed)(io::Error::other("not exactly one socket was passed"))),
            }
        }
        endpoint => Err(unsupported(endpoint, Stage::Bind, Wanted::Stream)),
    }
}

/// Connects to the first of the endpoint's addresses that answers, in the resolver's order.
///
/// # Errors
///
/// [`NetError`] of the last address, with the step that failed; `Unsupported` for what cannot be connected to here.
pub fn connect(endpoint: &Endpoint, options: &ConnectOptions) -> Result<Stream, NetError> {
    match endpoint {
        Endpoint::Tcp { host, port, .. } => {
            let connected = try_in_turn(resolve(host, *port, options.family)?, Stage::Connect, |address| {
                let socket =
                    tcp_socket(&address, options.socket_buffer).map_err(NetError::at(Stage::Socket))?;
                set_keepalive(&socket, options.keepalive).map_err(NetError::at(Stage::Socket))?;
                let connected = match options.timeout {
                    Some(timeout) => socket.connect_timeout(&address.into(), timeout),
                    None => socket.connect(&address.into()),
                };
                connected.map_err(NetError::at(Stage::Connect))?;
                Stream::of_tcp(socket).map_err(NetError::at(Stage::Socket))
            });
            connected.map(|(stream, failed)| stream.after(failed))
        }
        #[cfg(unix)]
        Endpoint::Unix { path, seqpacket, .. } if has(*seqpacket) => {
            unix::connect(path.as_ref(), unix_type(*seqpacket), options)
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Endpoint::Abstract { name, seqpacket } => {
            unix::connect(&unix::abstract_path(name), unix_type(*seqpacket), options)
        }
        endpoint => Err(unsupported(endpoint, Stage::Connect, Wanted::Stream)),
    }
}

/// Whether Unix sockets come in this type here. One of packets tells how long the next is on Linux alone.
#[cfg(unix)]
const fn has(seqpacket: bool) -> bool {
    !seqpacket || cfg!(any(target_os = "linux", target_os = "android"))
}

#[cfg(unix)]
const fn unix_type(seqpacket: bool) -> Type {
    if seqpacket { Type::SEQPACKET } else { Type::STREAM }
}

/// What a socket is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Stream,
    Datagrams,
}

fn unsupported(endpoint: &Endpoint, stage: Stage, wanted: Wanted) -> NetError {
    let what = if stage == Stage::Bind { "listened on" } else { "connected to" };
    let words = match (wanted, endpoint.is_datagram()) {
        (Wanted::Stream, true) => format!("{endpoint} carries datagrams, and no connections"),
        (Wanted::Datagrams, false) => format!("{endpoint} carries no datagrams"),
        _ => format!("{endpoint} cannot be {what} on this platform, or not at all"),
    };
    NetError::at(stage)(io::Error::new(io::ErrorKind::Unsupported, words))
}

fn resolve(host: &str, port: u16, family: Family) -> Result<Vec<SocketAddr>, NetError> {
    let found = (host, port).to_socket_addrs().map_err(NetError::at(Stage::Resolve))?;
    let mut addresses: Vec<_> = found.filter(|address| family.has(address)).collect();
    addresses.dedup();
    Ok(addresses)
}

fn first_of<T>(
    addresses: Vec<SocketAddr>,
    stage: Stage,
    attempt: impl FnMut(SocketAddr) -> Result<T, NetError>,
) -> Result<T, NetError> {
    try_in_turn(addresses, stage, attempt).map(|(got, _failed)| got)
}

/// What the first address gives that gives something, and those before it.
fn try_in_turn<T>(
    addresses: Vec<SocketAddr>,
    stage: Stage,
    mut attempt: impl FnMut(SocketAddr) -> Result<T, NetError>,
) -> Result<(T, Vec<FailedAttempt>), NetError> {
    let no_address = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address of the family asked for");
    let mut failed = Vec::new();
    let mut of_step = None;
    for address in addresses {
        let clock = SystemClock::new();
        match attempt(address) {
            Ok(got) => return Ok((got, failed)),
            Err(NetError { stage: failed_at, source: error, .. }) => {
                // What the step itself said of one address says more than that another family has no sockets.
                if failed_at == stage || of_step.is_none_or(|(_, at)| at != stage) {
                    of_step = Some((failed.len(), failed_at));
                }
                failed.push(FailedAttempt { address, error, took: clock.now().since(Time::ZERO) });
            }
        }
    }
    let Some((told, stage)) = of_step else { return Err(NetError::new(Stage::Resolve, no_address)) };
    let source = again(&failed[told].error);
    Err(NetError { stage, source, attempts: failed })
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

fn tcp_socket(address: &SocketAddr, buffer: Option<usize>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
    set_buffers(&socket, buffer)?;
    Ok(socket)
}

/// Before listening or connecting: TCP decides then how large a window it can ever offer (RFC 7323, section 2.2).
fn set_buffers(socket: &Socket, buffer: Option<usize>) -> io::Result<()> {
    if let Some(bytes) = buffer {
        socket.set_send_buffer_size(bytes)?;
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(())
}

fn set_keepalive(socket: &Socket, keepalive: Option<Keepalive>) -> io::Result<()> {
    // Probes may have been set on a socket that was inherited.
    keepalive.map_or_else(|| socket.set_keepalive(false), |keepalive| keepalive.apply(socket))
}

fn prepare_to_bind(socket: &Socket, address: &SocketAddr, dual_stack: bool) -> io::Result<()> {
    // On Unix this only lets a server back onto its port while old connections are in TIME_WAIT. On Windows it
    // would let another process take the port, which is kept for this one instead.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(windows)]
    windows::set_exclusive(socket)?;
    // Defaults differ from system to system.
    if address.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Peer;

    fn loopback() -> Listener {
        bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap()
    }

    /// A port without a listener while this is there.
    fn held(address: &str) -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&address.parse::<SocketAddr>().unwrap().into())?;
        Ok(socket)
    }

    fn endpoint(listener: &Listener) -> Endpoint {
        listener.local_endpoint().unwrap()
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
        // No other test is given its port.
        let held = held("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap().as_socket().unwrap();
        let gone = Endpoint::tcp("127.0.0.1", address.port()).unwrap();
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
        let options = ConnectOptions { family: Family::V6, ..Default::default() };
        let error = connect(&"127.0.0.1:1".parse().unwrap(), &options).unwrap_err();
        assert_eq!((error.stage, error.source.kind()), (Stage::Resolve, io::ErrorKind::AddrNotAvailable));
    }

    #[test]
    fn both_sides_send_without_nagles_delay() {
        let listener = loopback();
        let client = connect(&endpoint(&listener), &ConnectOptions::default()).unwrap();
        let (server, _peer) = listener.accept().unwrap();
        assert!(client.socket.tcp_nodelay().unwrap() && server.socket.tcp_nodelay().unwrap());
    }

    /// On Linux they are the listener's, however that was made.
    #[test]
    fn what_is_accepted_has_every_option() {
        let ours = loopback();
        let taken = Listener::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        for listener in [ours, taken] {
            let _client = connect(&endpoint(&listener), &ConnectOptions::default()).unwrap();
            let (Stream { socket, .. }, _peer) = listener.accept().unwrap();
            assert!(socket.tcp_nodelay().unwrap() && socket.out_of_band_inline().unwrap());
            #[cfg(unix)]
            {
                assert!(socket.nonblocking().unwrap());
                assert_eq!(rustix::io::fcntl_getfd(&socket).unwrap(), rustix::io::FdFlags::CLOEXEC);
            }
            // There is no way to ask; one that blocks would wait for ever here.
            #[cfg(windows)]
            assert_eq!(io::Read::read(&mut &socket, &mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
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

    #[test]
    fn a_listener_for_both_families_takes_both() {
        let listener = bind(&"[::]:0,v6only=no".parse().unwrap(), &BindOptions::default()).unwrap();
        let printed = listener.local_endpoint().unwrap().to_string();
        assert!(printed.starts_with("tcp:[::]:") && printed.ends_with(",v6only=no"), "{printed}");
        let port = listener.local_address().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            let _client = connect(&Endpoint::tcp(host, port).unwrap(), &ConnectOptions::default()).unwrap();
            let (_stream, peer) = listener.accept().unwrap();
            assert_eq!(peer.address().unwrap().ip().to_string(), host);
        }
        // Another test may have been given the same port of the other family.
        let (_only, port, _held) = std::iter::repeat_with(|| {
            let only = bind(&"[::]:0".parse().unwrap(), &BindOptions::default()).unwrap();
            let port = only.local_address().unwrap().port();
            Some((only, port, held(&format!("127.0.0.1:{port}")).ok()?))
        })
        .find_map(|found| found)
        .unwrap();
        let refused = connect(&Endpoint::tcp("127.0.0.1", port).unwrap(), &ConnectOptions::default());
        assert_eq!(refused.unwrap_err().source.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn buffers_are_as_large_as_asked_for_at_both_ends() {
        let buffered = BindOptions { socket_buffer: Some(8192), ..Default::default() };
        let listener = bind(&"127.0.0.1:0".parse().unwrap(), &buffered).unwrap();
        let options = ConnectOptions { socket_buffer: Some(8192), ..Default::default() };
        let client = connect(&endpoint(&listener), &options).unwrap();
        let (server, _peer) = listener.accept().unwrap();
        for Stream { socket, .. } in [&client, &server] {
            // Linux doubles them.
            for size in [socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap()] {
                assert!((8192..=16384).contains(&size), "{size}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn our_own_fin_is_not_counted_as_an_unacknowledged_byte() {
        let buffered = BindOptions { socket_buffer: Some(8192), ..Default::default() };
        let listener = bind(&"127.0.0.1:0".parse().unwrap(), &buffered).unwrap();
        let client = connect(&endpoint(&listener), &ConnectOptions::default()).unwrap();
        let (server, _peer) = listener.accept().unwrap();
        // The client's window closes, so that the FIN cannot be sent.
        let mut written = 0;
        while let Ok(wrote) = client.write(&[7; 4096]) {
            written += wrote as u64;
        }
        client.half_close().unwrap();
        // Acknowledgements may still be on their way.
        let counts = || (client.unacknowledged(), server.unread());
        let agrees = (0..100_000).any(|_| {
            let (unacknowledged, unread) = counts();
            unacknowledged > 0 && unacknowledged + unread == written
        });
        assert!(agrees, "{:?} of {written}", counts());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn silent_connections_are_probed_on_both_sides_unless_told_otherwise() {
        for keepalive in [
            Some(Keepalive::default()),
            Some(
                Keepalive::default()
                    .idle(Duration::from_millis(2500))
                    .interval(Duration::from_secs(2))
                    .probes(3),
            ),
            None,
        ] {
            let options = BindOptions { keepalive, ..Default::default() };
            let listener = bind(&"127.0.0.1:0".parse().unwrap(), &options).unwrap();
            let options = ConnectOptions { keepalive, ..Default::default() };
            let client = connect(&endpoint(&listener), &options).unwrap();
            let (server, _peer) = listener.accept().unwrap();
            for Stream { socket, .. } in [&client, &server] {
                assert_eq!(socket.keepalive().unwrap(), keepalive.is_some());
                let Some(expected) = keepalive else { continue };
                let seconds = u64::from(expected.idle.subsec_nanos() > 0) + expected.idle.as_secs();
                assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(seconds));
                assert_eq!(socket.tcp_keepalive_interval().unwrap(), expected.interval);
                assert_eq!(socket.tcp_keepalive_retries().unwrap(), expected.probes);
            }
        }
    }

    #[test]
    fn what_is_no_socket_is_neither_bound_nor_connected_to() {
        let bound = bind(&Endpoint::Stdio, &BindOptions::default()).unwrap_err();
        assert_eq!((bound.stage, bound.source.kind()), (Stage::Bind, io::ErrorKind::Unsupported));
        for endpoint in [Endpoint::Stdio, Endpoint::Systemd] {
            let connected = connect(&endpoint, &ConnectOptions::default()).unwrap_err();
            assert_eq!(
                (connected.stage, connected.source.kind()),
                (Stage::Connect, io::ErrorKind::Unsupported)
            );
        }
    }
}
