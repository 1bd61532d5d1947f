//! What a few datagrams tell of a peer from which nothing came: whether it answers from another address, and how large they
//! may be.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_std::{Clock, SystemClock};

/// Bytes of a datagram that every path carries which carries QUIC (RFC 9000 section 14).
const SMALL: usize = 1200;
/// How long one is waited for.
const WAIT: Duration = Duration::from_millis(300);
/// How many times one is sent.
const TRIES: u8 = 2;
/// The longest payload that Ethernet carries in one packet over IPv4, bytes: 1,500 less the headers of IP and UDP.
const ONE_PACKET: usize = 1472;

/// The cause, if the probes tell one. Takes some seconds at most.
pub(super) fn likely(peer: SocketAddr, size: usize) -> Option<String> {
    let answered = |size| answer(peer, size).ok().flatten();
    let from = answered(size.min(SMALL))?;
    if from != peer {
        return Some(format!(
            "answers come from {from}, not from {peer}: the server answers from a socket of another address or port"
        ));
    }
    if size <= SMALL {
        return None;
    }
    let longest = longest(size, |size| answered(size).is_some())?;
    let path = if longest == ONE_PACKET {
        "the path carries no fragments".to_owned()
    } else {
        format!("the path drops larger packets (MTU); --write {longest} passes")
    };
    Some(format!("datagrams of up to {longest} bytes come back: {path}"))
}

/// The longest that passes, if one of `size` bytes does not.
fn longest(size: usize, passes: impl Fn(usize) -> bool) -> Option<usize> {
    if passes(size) {
        return None;
    }
    let (mut passed, mut lost) = (SMALL, size);
    while lost - passed > 1 {
        let middle = passed.midpoint(lost);
        if passes(middle) { passed = middle } else { lost = middle }
    }
    Some(passed)
}

/// From where the echo of a datagram of this size comes, if one does.
fn answer(peer: SocketAddr, size: usize) -> io::Result<Option<SocketAddr>> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // It is not connected: the system would drop what comes from elsewhere.
    let socket = UdpSocket::bind(any)?;
    let sent: Vec<u8> = (0..=250).cycle().take(size).collect();
    let mut buffer = vec![0; size + 1];
    for _ in 0..TRIES {
        socket.send_to(&sent, peer)?;
        let clock = SystemClock::new();
        loop {
            let left = WAIT.saturating_sub(clock.now().since(Time::ZERO));
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            match socket.recv_from(&mut buffer) {
                Ok((len, from)) if buffer[..len] == *sent => return Ok(Some(from)),
                // From another program that knows the port.
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_that_passes_is_found() {
        for limit in [1200, 1201, 1272, 1472, 8972, 65_506] {
            assert_eq!(longest(65_507, |size| size <= limit), Some(limit));
        }
        assert_eq!(longest(1300, |_| true), None);
        assert_eq!(longest(1201, |size| size <= 1200), Some(1200));
    }
}
