use super::*;
use crate::classify;
use crate::{BindOptions, ConnectOptions, NetError, Stage};
use roundtrip_core::datagram::Unsent;
use std::net::SocketAddr;
use std::thread;

fn open(text: &str) -> Result<DatagramSocket, NetError> {
    bind_datagram(&text.parse().unwrap(), &BindOptions::default())
}

fn dial(endpoint: &Endpoint) -> Result<DatagramSocket, NetError> {
    connect_datagram(endpoint, &ConnectOptions::default())
}

/// Receives the one that was sent, or an error that was: on this machine both are there soon.
fn receive(socket: &DatagramSocket, buffer: &mut [u8]) -> io::Result<Received> {
    loop {
        match socket.receive(buffer) {
            Err(error) if classify::datagram(&error) == Unsent::Full => thread::yield_now(),
            received => return received,
        }
    }
}

fn assert_answers(server: &DatagramSocket) {
    let client = dial(&server.local_endpoint().unwrap()).unwrap();
    let peer = client.peer().unwrap();
    let mut buffer = [0; 16];
    for payload in [&b"hello"[..], b"", &[7; 16]] {
        client.send(peer, payload).unwrap();
        let Received { len, from, cut } = receive(server, &mut buffer).unwrap();
        assert_eq!((&buffer[..len], cut), (payload, false));
        server.send(&from, &buffer[..len]).unwrap();
        let back = receive(&client, &mut buffer).unwrap();
        assert_eq!((&buffer[..back.len], &back.from, back.cut), (payload, peer, false));
    }
    client.send(peer, &[7; 17]).unwrap();
    let cut = receive(server, &mut buffer).unwrap();
    assert_eq!((cut.len, cut.cut), (16, true));
    assert_eq!(server.receive(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn whoever_sends_can_be_answered() {
    let server = open("udp:127.0.0.1:0").unwrap();
    assert_answers(&server);
    let Ok(server) = open("udp:[::1]:0") else { return };
    assert_answers(&server);
}

#[test]
fn a_connected_socket_hears_its_peer_alone_and_sends_to_anybody() {
    let (one, other) = (open("udp:127.0.0.1:0").unwrap(), open("udp:127.0.0.1:0").unwrap());
    let client = dial(&one.local_endpoint().unwrap()).unwrap();
    let other_address = dial(&other.local_endpoint().unwrap()).unwrap().peer().unwrap().clone();
    client.send(&other_address, b"to you").unwrap();
    let mut buffer = [0; 16];
    let from = receive(&other, &mut buffer).unwrap().from;
    other.send(&from, b"unheard").unwrap();
    one.send(&from, b"heard").unwrap();
    let heard = receive(&client, &mut buffer).unwrap();
    assert_eq!((&buffer[..heard.len], &heard.from), (&b"heard"[..], client.peer().unwrap()));
}

/// Windows tells it of the next receive.
#[cfg(target_os = "linux")]
#[test]
fn nobody_there_is_told_to_a_connected_socket() {
    let held = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    // It takes nothing but what it sends itself, and no other test is given its port.
    held.connect(address).unwrap();
    let client = dial(&format!("udp:{address}").parse().unwrap()).unwrap();
    let _sent = client.send(client.peer().unwrap(), b"x");
    let refused = receive(&client, &mut [0; 1]).unwrap_err();
    assert_eq!(classify::datagram(&refused), Unsent::Refused);
}

#[test]
fn what_is_too_large_is_not_sent() {
    let server = open("udp:127.0.0.1:0").unwrap();
    let client = dial(&server.local_endpoint().unwrap()).unwrap();
    let to = client.peer().unwrap();
    assert_eq!(classify::datagram(&client.send(to, &vec![0; 65_508]).unwrap_err()), Unsent::TooLong);
    client.send(to, &vec![7; 65_507]).unwrap();
    assert_eq!(receive(&server, &mut vec![0; 65_507]).unwrap().len, 65_507);
}

#[test]
fn one_port_has_one_owner() {
    let first = open("udp:127.0.0.1:0").unwrap();
    let second = bind_datagram(&first.local_endpoint().unwrap(), &BindOptions::default()).unwrap_err();
    assert_eq!((second.stage, second.source.kind()), (Stage::Bind, io::ErrorKind::AddrInUse));
}

/// On the loopback, which is an interface like another if it is named.
#[test]
fn each_member_of_a_group_has_each_datagram() {
    let first = open("udp:239.255.27.15:0,if=127.0.0.1,max=424").unwrap();
    let endpoint = first.local_endpoint().unwrap();
    let printed = endpoint.to_string();
    assert!(
        printed.starts_with("udp:239.255.27.15:") && printed.ends_with(",if=127.0.0.1,max=424"),
        "{printed}"
    );
    let second = bind_datagram(&endpoint, &BindOptions::default()).unwrap();
    let sender = dial(&endpoint).unwrap();
    sender.send(sender.peer().unwrap(), b"all").unwrap();
    let mut buffer = [0; 4];
    for member in [&first, &second] {
        assert_eq!(receive(member, &mut buffer).unwrap().len, 3);
    }
}

/// A loopback has no way to groups of IPv6 on most systems, but they can be joined on it.
#[cfg(target_os = "linux")]
#[test]
fn a_group_of_ipv6_is_joined_on_the_interface_with_that_address() {
    let Ok(member) = open("udp:[ff15::2715]:0,if=::1") else { return };
    assert!(member.local_endpoint().unwrap().to_string().ends_with(",if=::1"));
    let joined = std::fs::read_to_string("/proc/net/igmp6").unwrap();
    let mut lines = joined.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert!(lines.any(|line| line[1..3] == ["lo", "ff150000000000000000000000002715"]), "{joined}");
    let nowhere = open("udp:[ff15::2715]:0,if=2001:db8::1").unwrap_err();
    assert_eq!(nowhere.source.kind(), io::ErrorKind::AddrNotAvailable);
}

#[test]
fn an_interface_that_means_nothing_is_refused() {
    for text in ["udp:127.0.0.1:1,if=127.0.0.1", "udp:239.255.27.15:1,if=::1", "udp:[ff15::1]:1,if=127.0.0.1"]
    {
        for error in [open(text).unwrap_err(), dial(&text.parse().unwrap()).unwrap_err()] {
            // Where there is no IPv6, that is said instead.
            assert!(
                error.source.kind() == io::ErrorKind::InvalidInput || error.stage == Stage::Socket,
                "{text}: {error}"
            );
        }
    }
    let nowhere = dial(&"udp:127.0.0.1:0".parse().unwrap()).unwrap_err();
    assert_eq!((nowhere.stage, nowhere.source.kind()), (Stage::Connect, io::ErrorKind::InvalidInput));
}

#[test]
fn streams_and_datagrams_are_not_taken_for_one_another() {
    for text in ["udp:127.0.0.1:7", "unix-dgram:/tmp/x", "unix-dgram:@x", "mailslot:x"] {
        let endpoint = text.parse().unwrap();
        let bound = crate::bind(&endpoint, &BindOptions::default()).unwrap_err();
        assert!(
            bound.to_string().ends_with(&format!("{text} carries datagrams, and no connections")),
            "{bound}"
        );
        let connected = crate::connect(&endpoint, &ConnectOptions::default()).unwrap_err();
        assert_eq!((connected.stage, connected.source.kind()), (Stage::Connect, io::ErrorKind::Unsupported));
    }
    for text in ["tcp:127.0.0.1:7", "unix:/tmp/x", "unix:@x", "pipe:x", "stdio:", "systemd:"] {
        let error = open(text).unwrap_err();
        assert!(error.to_string().ends_with(&format!("{text} carries no datagrams")), "{error}");
        assert_eq!(dial(&text.parse().unwrap()).unwrap_err().source.kind(), io::ErrorKind::Unsupported);
    }
}

/// A buffer that is full, and a reader that comes too late.
#[cfg(target_os = "linux")]
#[test]
fn what_nobody_read_in_time_is_counted() {
    let options = BindOptions::default().socket_buffer(Some(1));
    let server = bind_datagram(&"udp:127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let client = dial(&server.local_endpoint().unwrap()).unwrap();
    assert_eq!(server.overflowed(), 0);
    (0..100).for_each(|_| client.send(client.peer().unwrap(), &[0; 500]).unwrap());
    let mut came = 0;
    while server.receive(&mut [0; 500]).is_ok() {
        came += 1;
    }
    assert!(came > 0);
    assert_eq!(came + server.overflowed(), 100);
}

#[test]
fn an_address_is_shown_as_it_is_written() {
    let address = |text: &str| DatagramAddress::from(text.parse::<SocketAddr>().unwrap());
    for (text, shown) in [
        ("192.0.2.1:7", "192.0.2.1:7"),
        ("[::ffff:192.0.2.1]:7", "192.0.2.1:7"),
        ("[2001:db8::1]:7", "[2001:db8::1]:7"),
    ] {
        assert_eq!(address(text).to_string(), shown);
        assert!(address(text).can_be_answered());
    }
    assert_eq!(address("[::ffff:192.0.2.1]:7"), address("192.0.2.1:7"));
    assert_eq!(address("[fe80::1%2]:7").internet(), "[fe80::1%2]:7".parse().ok());
}

#[cfg(target_os = "linux")]
mod of_unix {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::UnixDatagram;

    fn name(test: &str) -> String {
        format!("unix-dgram:@roundtrip-net-{}-{test}", std::process::id())
    }

    #[test]
    fn whoever_sends_can_be_answered() {
        let server = open(&name("answered")).unwrap();
        assert_eq!(server.local_endpoint().unwrap().to_string(), name("answered"));
        assert_answers(&server);
    }

    #[test]
    fn a_file_is_restricted_replaced_and_removed_like_a_listeners() {
        let folder = std::env::temp_dir().join(format!("roundtrip-net-{}-datagram", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("echo.sock");
        drop(UnixDatagram::bind(&file).unwrap());
        let endpoint = format!("unix-dgram:{},mode=0600", file.display());
        let server = open(&endpoint).unwrap();
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        assert_answers(&server);
        assert_eq!(open(&endpoint).unwrap_err().source.kind(), io::ErrorKind::AddrInUse);
        assert_answers(&server);
        let client = dial(&endpoint.parse().unwrap()).unwrap();
        drop(server);
        assert!(!file.exists());
        for _ in 0..2 {
            let gone = client.send(client.peer().unwrap(), b"x").unwrap_err();
            assert_eq!(classify::datagram(&gone), Unsent::Refused);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_socket_without_a_name_is_heard_and_cannot_be_answered() {
        let server = open(&name("unnamed")).unwrap();
        let client = UnixDatagram::unbound().unwrap();
        let name = format!("roundtrip-net-{}-unnamed", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
        client.send_to_addr(b"x", &address).unwrap();
        let from = receive(&server, &mut [0; 1]).unwrap().from;
        assert!(!from.can_be_answered() && from.internet().is_none());
        assert_eq!(server.send(&from, b"y").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_receiver_that_is_full_says_so_and_loses_nothing() {
        let server = open(&name("full")).unwrap();
        let client = dial(&server.local_endpoint().unwrap()).unwrap();
        let mut sent = 0;
        let full = loop {
            match client.send(client.peer().unwrap(), &[0; 100]) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(classify::datagram(&full), Unsent::Full);
        (0..sent).for_each(|_| assert_eq!(server.receive(&mut [0; 100]).unwrap().len, 100));
        assert_eq!(server.receive(&mut [0; 100]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
