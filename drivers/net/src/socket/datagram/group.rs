//! Groups of receivers, and the interfaces that they are reached through: multicast, ip(7) and ipv6(7).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::Socket;

/// How far datagrams to a group go, hops: not past a router.
const HOPS: u32 = 1;

/// Whether `if=` means something with this address.
pub(super) fn check(address: SocketAddr, interface: Option<IpAddr>, broadcast: bool) -> io::Result<()> {
    let Some(interface) = interface else { return Ok(()) };
    let words = if !address.ip().is_multicast() && !broadcast {
        "if= is for a group or with broadcast, and this address is one host's"
    } else if interface.is_ipv4() != address.is_ipv4() {
        "if= is an address of the other family, IPv4 or IPv6"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, words))
}

/// Joins the group at this address.
pub(super) fn join(socket: &Socket, address: SocketAddr, interface: Option<IpAddr>) -> io::Result<()> {
    match address {
        SocketAddr::V4(group) => {
            // Not what others on this machine joined on other interfaces.
            #[cfg(any(target_os = "linux", target_os = "android"))]
            socket.set_multicast_all_v4(false)?;
            socket.set_multicast_loop_v4(true)?;
            socket.join_multicast_v4(group.ip(), &v4(interface))
        }
        SocketAddr::V6(group) => {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            socket.set_multicast_all_v6(false)?;
            socket.set_multicast_loop_v6(true)?;
            socket.join_multicast_v6(group.ip(), index(interface, group.scope_id())?)
        }
    }
}

/// Has what is sent to the group at this address leave by that interface.
pub(super) fn send_through(
    socket: &Socket,
    address: SocketAddr,
    interface: Option<IpAddr>,
) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => {
            socket.set_multicast_loop_v4(true)?;
            socket.set_multicast_ttl_v4(HOPS)?;
            if interface.is_some() { socket.set_multicast_if_v4(&v4(interface)) } else { Ok(()) }
        }
        SocketAddr::V6(group) => {
            socket.set_multicast_loop_v6(true)?;
            socket.set_multicast_hops_v6(HOPS)?;
            match index(interface, group.scope_id())? {
                0 => Ok(()),
                index => socket.set_multicast_if_v6(index),
            }
        }
    }
}

fn v4(interface: Option<IpAddr>) -> Ipv4Addr {
    match interface {
        Some(IpAddr::V4(address)) => address,
        _ => Ipv4Addr::UNSPECIFIED,
    }
}

/// The number of the interface with this address, or that of the scope; 0 is the system's choice.
fn index(interface: Option<IpAddr>, scope: u32) -> io::Result<u32> {
    match interface {
        Some(IpAddr::V6(address)) => index_of(address),
        _ => Ok(scope),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn index_of(address: Ipv6Addr) -> io::Result<u32> {
    let table = std::fs::read_to_string("/proc/net/if_inet6")?;
    find(&table, address).ok_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, format!("no interface has the address {address}"))
    })
}

/// A line of `/proc/net/if_inet6` begins with an address and the number of its interface, in hexadecimal.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn find(table: &str, address: Ipv6Addr) -> Option<u32> {
    let address = format!("{:032x}", u128::from(address));
    let index = table.lines().find_map(|line| line.strip_prefix(&*address)?.split_whitespace().next())?;
    u32::from_str_radix(index, 16).ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn index_of(_: Ipv6Addr) -> io::Result<u32> {
    let words =
        "if= with an IPv6 group is for Linux; elsewhere write the interface behind the group: ff02::1%en0";
    Err(io::Error::new(io::ErrorKind::Unsupported, words))
}

/// Any address of this machine, with this port.
pub(super) const fn everybody(address: SocketAddr) -> SocketAddr {
    let any =
        if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    SocketAddr::new(any, address.port())
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_found_by_its_address() {
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fe80000000000000021122fffe334455 1f 40 20 80     eth0\n";
        assert_eq!(find(table, Ipv6Addr::LOCALHOST), Some(1));
        assert_eq!(find(table, "fe80::211:22ff:fe33:4455".parse().unwrap()), Some(31));
        assert_eq!(find(table, "fe80::1".parse().unwrap()), None);
        assert_eq!(find("", Ipv6Addr::LOCALHOST), None);
        assert_eq!(find("00000000000000000000000000000001", Ipv6Addr::LOCALHOST), None);
    }
}
