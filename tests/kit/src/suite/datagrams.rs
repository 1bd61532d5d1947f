//! The loop over datagrams, for the drivers that have it.

use std::net::UdpSocket;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::datagram::DatagramMachine;
use roundtrip_echo::{
    DatagramClient, DatagramClientConfig, DatagramEcho, DatagramEchoConfig, DatagramEchoOutcome,
    DatagramOutcome, DatagramVerdict, End, Schedule,
};
use roundtrip_net::{
    BindOptions, ConnectOptions, Control, DatagramAddress, DatagramsEnded, Endpoint, SystemClock,
    bind_datagram, connect_datagram,
};

use super::common::{Script, soon, spawn};
use super::driver::{DatagramDriver, Datagrams};

type Ended<M> = DatagramsEnded<<M as DatagramMachine>::Outcome>;

/// An echo server on a thread of its own.
struct Echo {
    endpoint: Endpoint,
    control: Control<std::convert::Infallible>,
    ended: Receiver<Ended<DatagramEcho<DatagramAddress>>>,
}

impl Echo {
    fn on<D: DatagramDriver>(endpoint: &str) -> Self {
        Self::with::<D>(endpoint, &BindOptions::default())
    }

    fn with<D: DatagramDriver>(endpoint: &str, options: &BindOptions) -> Self {
        let socket = bind_datagram(&endpoint.parse().unwrap(), options).unwrap();
        let endpoint = socket.local_endpoint().unwrap();
        let driver = Datagrams::<D, _>::new(SystemClock::new());
        let control = driver.control();
        let config = DatagramEchoConfig::default().rate(None);
        let ended = spawn(move || {
            let echo = |now| DatagramEcho::new(config.into(), None, now);
            driver.drive(socket, echo, |_unanswered| {})
        });
        Self { endpoint, control, ended }
    }

    fn stop(self) -> DatagramEchoOutcome {
        self.control.stop();
        soon(&self.ended).outcome
    }
}

fn client<D: DatagramDriver>(
    endpoint: &Endpoint,
    count: u64,
    in_flight: usize,
) -> DatagramsEnded<DatagramOutcome> {
    let socket = connect_datagram(endpoint, &ConnectOptions::default()).unwrap();
    let server = socket.peer().unwrap().clone();
    let config = DatagramClientConfig::default().in_flight(in_flight);
    let driver = Datagrams::<D, _>::new(SystemClock::new());
    let machine = |now| {
        let schedule = Schedule::closed_loop(now).messages(count);
        DatagramClient::new(config.into(), schedule, server, 7, now)
    };
    driver.drive(socket, machine, |_trip| {})
}

fn carries<D: DatagramDriver>(endpoint: &str) {
    let echo = Echo::on::<D>(endpoint);
    let ended = client::<D>(&echo.endpoint, 2000, 8);
    assert_eq!(ended.outcome.verdict, DatagramVerdict::Verified, "{ended:?}");
    let DatagramEchoOutcome { end, received, echoed, unanswered, unsent, .. } = echo.stop();
    assert_eq!(end, End::Stopped);
    assert_eq!((received, echoed, unanswered, unsent), (2000, 2000, 0, 0));
}

pub fn every_datagram_comes_back_over_udp<D: DatagramDriver>() {
    carries::<D>("udp:127.0.0.1:0");
}

pub fn every_datagram_comes_back_over_udp_on_ipv6<D: DatagramDriver>() {
    if UdpSocket::bind("[::1]:0").is_ok() {
        carries::<D>("udp:[::1]:0");
    }
}

#[cfg(unix)]
pub fn every_datagram_comes_back_over_a_unix_socket<D: DatagramDriver>() {
    let path = std::env::temp_dir().join(format!("roundtrip-datagrams-{}", std::process::id()));
    carries::<D>(&format!("unix-dgram:{}", path.display()));
    assert!(!path.exists());
}

#[cfg(target_os = "linux")]
pub fn a_unix_socket_whose_queue_is_full_keeps_nobody_waiting<D: DatagramDriver>() {
    use std::os::unix::net::UnixDatagram;
    let folder = std::env::temp_dir();
    let name = |what: &str| folder.join(format!("roundtrip-{what}-{}", std::process::id()));
    let (here, deaf) = (name("full-server"), name("full-client"));
    let echo = Echo::on::<D>(&format!("unix-dgram:{}", here.display()));
    let _ = std::fs::remove_file(&deaf);
    let socket = UnixDatagram::bind(&deaf).unwrap();
    // More than the queue of one that never reads has room for (net.unix.max_dgram_qlen).
    for number in 0..1000u32 {
        socket.send_to(&number.to_be_bytes(), &here).unwrap();
    }
    assert_eq!(client::<D>(&echo.endpoint, 100, 1).outcome.verdict, DatagramVerdict::Verified);
    let outcome = echo.stop();
    assert_eq!(outcome.received, 1100);
    assert!(outcome.unsent > 0 && outcome.echoed + outcome.unsent == 1100, "{outcome:?}");
    std::fs::remove_file(&deaf).unwrap();
}

/// They are connected, so that their own queues have no bound (unix(7)), and what they leave unread fills the server's.
#[cfg(target_os = "linux")]
pub fn unix_peers_that_never_read_silence_nobody<D: DatagramDriver>() {
    use std::os::unix::net::UnixDatagram;
    let folder = std::env::temp_dir();
    let name = |what: &str| folder.join(format!("roundtrip-{what}-{}", std::process::id()));
    let here = name("unread-server");
    let options = BindOptions::default().socket_buffer(Some(64 << 10));
    let echo = Echo::with::<D>(&format!("unix-dgram:{}", here.display()), &options);
    let deaf = ["unread-one", "unread-two", "unread-three"].map(|what| {
        let _ = std::fs::remove_file(name(what));
        let socket = UnixDatagram::bind(name(what)).unwrap();
        socket.connect(&here).unwrap();
        socket
    });
    for number in 0..300u32 {
        for socket in &deaf {
            socket.send(&number.to_be_bytes()).unwrap();
        }
    }
    assert_eq!(client::<D>(&echo.endpoint, 1000, 1).outcome.verdict, DatagramVerdict::Verified);
    // One that reads again is answered again.
    let mut buffer = [0; 4];
    let [one, ..] = &deaf;
    one.set_nonblocking(true).unwrap();
    while one.recv(&mut buffer).is_ok() {}
    one.set_nonblocking(false).unwrap();
    one.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    one.send(b"more").unwrap();
    assert_eq!((one.recv(&mut buffer).unwrap(), &buffer), (4, b"more"));
    let outcome = echo.stop();
    assert_eq!((outcome.received, outcome.unsent), (1901, 0), "{outcome:?}");
    assert!(outcome.unanswered > 500, "{outcome:?}");
    for what in ["unread-one", "unread-two", "unread-three"] {
        std::fs::remove_file(name(what)).unwrap();
    }
}

pub fn an_empty_datagram_is_one<D: DatagramDriver>() {
    let echo = Echo::on::<D>("udp:127.0.0.1:0");
    let Endpoint::Udp { port, .. } = echo.endpoint else { panic!("{}", echo.endpoint) };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for payload in [&b""[..], b"x", &vec![7; 65_507]] {
        socket.send_to(payload, ("127.0.0.1", port)).unwrap();
        let mut buffer = vec![0; 65_536];
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], from.port()), (payload, port));
    }
    assert_eq!(echo.stop().echoed, 3);
}

/// What an ICMP message told the system is told at once, not after a time-out.
#[cfg(target_os = "linux")]
pub fn that_nobody_is_there_is_told_at_once<D: DatagramDriver>() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    // It takes nothing but what it sends itself, and no other test is given its port.
    held.connect(address).unwrap();
    let ended = client::<D>(&format!("udp:{address}").parse().unwrap(), 10, 1);
    assert_eq!(ended.outcome.verdict, DatagramVerdict::Refused);
    assert!(ended.failure.is_some());
}

pub fn an_abort_reaches_it_while_it_waits<D: DatagramDriver>() {
    let echo = Echo::on::<D>("udp:127.0.0.1:0");
    echo.control.abort();
    assert_eq!(soon(&echo.ended).outcome.end, End::Aborted);
}

/// The process is suspended while it waits: the deadline has passed when it wakes, and the answer has come.
pub fn what_is_there_is_received_before_a_passed_deadline_takes_effect<D: DatagramDriver>() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::udp("127.0.0.1", server.local_addr().unwrap().port()).unwrap();
    let socket = connect_datagram(&endpoint, &ConnectOptions::default()).unwrap();
    let peer = socket.peer().unwrap().clone();
    server.set_nonblocking(true).unwrap();
    let mut calls = 0;
    // It waits for as long as the clock says, and that is a millisecond. The answer comes after it has asked the
    // system for one, and then the clock is a minute later.
    let clock = Script(Mutex::new(move || {
        calls += 1;
        let mut buffer = [0; 2048];
        match server.recv_from(&mut buffer) {
            Ok((len, from)) => {
                server.send_to(&buffer[..len], from).unwrap();
                Time::ZERO.after(Duration::from_secs(60))
            }
            Err(_) if calls < 3 => Time::ZERO,
            Err(_) => Time::ZERO.after(Duration::from_secs(60 * (1 + calls))),
        }
    }));
    let config = DatagramClientConfig::default().wait(Duration::from_millis(1));
    let driver = Datagrams::<D, _>::new(clock);
    let machine = |now| {
        let schedule = Schedule::closed_loop(now).messages(1);
        DatagramClient::new(config.into(), schedule, peer, 7, now)
    };
    let ended = driver.drive(socket, machine, |_trip| {});
    assert_eq!(ended.outcome.verdict, DatagramVerdict::Verified, "{ended:?}");
}
