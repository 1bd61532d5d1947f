//! `--max-per-source`: a network that is given to one customer counts as one source.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::client::{STALLED, ping};
use crate::namespace::{self, isolated};
use crate::server::serve;
use crate::{Cell, Failed, Scale};

const LIMIT: usize = 5;

pub(crate) fn trial(driver: &'static str, scale: Scale) -> Result<Cell, Failed> {
    isolated(|| inside(driver, scale))
}

fn inside(driver: &str, scale: Scale) -> Result<Cell, Failed> {
    if Socket::new(Domain::IPV6, Type::STREAM, None).is_err() {
        return Ok(Cell::not_possible("no IPv6"));
    }
    // Every address of the network is this host's, and sockets may be bound to each.
    namespace::run("ip -6 route add local 2001:db8::/64 dev lo")?;
    std::fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1")?;
    let options = ["--max-per-source", &LIMIT.to_string(), "--max-conns", "2000"];
    let (process, endpoint) = serve(driver, "[::]:0,v6only=no", &options)?;
    let port = endpoint.split(',').next().and_then(|address| address.rsplit(':').next());
    let port: u16 = port.ok_or("no port is announced")?.parse()?;

    let v6 = scale.of(600).max(4 * LIMIT);
    let v6_addresses = (1..=v6).map(|host| IpAddr::V6(Ipv6Addr::from((0x2001_0db8 << 96) + host as u128)));
    let v4: u8 = if scale.is_whole() { 20 } else { 2 };
    let v4_addresses = (1..=v4).map(|host| IpAddr::V4(Ipv4Addr::new(127, 0, 1, host)));
    // All stay connected.
    let v6_streams = admitted(v6_addresses, SocketAddr::from((Ipv6Addr::LOCALHOST, port)))?;
    let twice_the_limit = v4_addresses.flat_map(|address| std::iter::repeat_n(address, 2 * LIMIT));
    let v4_streams = admitted(twice_the_limit, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let (v6_admitted, v4_admitted) = (v6_streams.len(), v4_streams.len());
    drop((v6_streams, v4_streams));
    let finished = process.stop()?;

    let is_good = v6_admitted == LIMIT && v4_admitted == usize::from(v4) * LIMIT && finished.code == Some(0);
    let text = format!(
        "{v6_admitted} of {v6} admitted; IPv4-mapped: {v4_admitted} of {} from {v4} addresses",
        usize::from(v4) * 2 * LIMIT
    );
    Ok(Cell::new(is_good, text))
}

/// Connects from each of these addresses; the connections that are served. The others must have been closed.
fn admitted(from: impl Iterator<Item = IpAddr>, server: SocketAddr) -> Result<Vec<TcpStream>, Failed> {
    let mut admitted = Vec::new();
    for address in from {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(address, 0).into())?;
        socket.connect_timeout(&server.into(), STALLED)?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(STALLED))?;
        match ping(&mut stream) {
            Ok(()) => admitted.push(stream),
            Err(error) if is_timeout(&error) => return Err("neither served nor closed".into()),
            Err(_) => {}
        }
    }
    Ok(admitted)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
