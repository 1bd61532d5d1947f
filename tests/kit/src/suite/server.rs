//! The server over loopback: what one client does never costs another one a byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use roundtrip_core::Failure;
use roundtrip_core::admission::Limits;
use roundtrip_echo::{EchoServer, End, Payload, ServerConfig};
use roundtrip_net::{Accepted, BindOptions, Listener, ServerHandle, bind};

use super::common::{assert_reset, echo, reset, resets_are_told, round_trip, soon};
use super::driver::TestBackend;

fn payload(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Payload::seeded(7, len as u64).fill(0, &mut bytes);
    bytes
}

pub fn everything_comes_back_and_the_end_is_clean(backend: impl TestBackend) {
    let server = echo(backend, ServerConfig::default(), Limits::default());
    for len in [0, 1, 14, 512, 65536, 65537, 1 << 20, 10 << 20] {
        let bytes = payload(len);
        assert!(round_trip(server.address, &bytes) == bytes, "{len} bytes");
        let ended = server.ended.recv().unwrap();
        assert_eq!((ended.outcome.end, ended.outcome.echoed), (End::Clean, len as u64));
        assert_eq!((ended.written, ended.unread), (len as u64, 0));
    }
    assert_eq!(server.stop().admission.admitted, 8);
}

pub fn many_clients_at_once_each_get_their_own_bytes(backend: impl TestBackend) {
    let server = echo(backend, ServerConfig::default(), Limits::default());
    std::thread::scope(|scope| {
        for client in 0..64 {
            let address = server.address;
            scope.spawn(move || {
                let bytes = payload(100_000 + client);
                assert!(round_trip(address, &bytes) == bytes);
            });
        }
    });
    let served = server.stop();
    assert_eq!((served.admission.admitted, served.panicked), (64, 0));
}

pub fn a_client_that_stops_reading_is_held_back_in_bounded_memory(backend: impl TestBackend) {
    let config = ServerConfig::default().buffer(4096);
    let server = echo(backend, config, Limits::default());
    let mut stream = TcpStream::connect(server.address).unwrap();
    // Write until the whole path is full: our send buffer, theirs, and the session's.
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let bytes = payload(1 << 16);
    let mut sent = Vec::new();
    while let Ok(n) = stream.write(&bytes) {
        sent.extend_from_slice(&bytes[..n]);
        assert!(sent.len() < 64 << 20, "nothing holds the client back");
    }
    let other = payload(50_000);
    assert!(round_trip(server.address, &other) == other, "a held client must not hold another");
    let mut reader = stream.try_clone().unwrap();
    let back = std::thread::scope(|scope| {
        let back = scope.spawn(move || {
            let mut back = Vec::new();
            reader.read_to_end(&mut back).unwrap();
            back
        });
        stream.shutdown(Shutdown::Write).unwrap();
        back.join().unwrap()
    });
    assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
    server.stop();
}

pub fn a_reset_ends_one_connection_only(backend: impl TestBackend) {
    let server = echo(backend, ServerConfig::default(), Limits::default());
    let mut well_behaved = TcpStream::connect(server.address).unwrap();
    well_behaved.write_all(b"before").unwrap();
    let mut other = TcpStream::connect(server.address).unwrap();
    other.write_all(b"x").unwrap();
    other.read_exact(&mut [0]).unwrap();
    reset(other);
    let ended = server.ended.recv().unwrap();
    if resets_are_told() {
        assert_eq!(ended.outcome.end, End::Failed(Failure::Reset));
        assert_eq!(ended.failure.unwrap().error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    well_behaved.write_all(b" and after").unwrap();
    well_behaved.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    well_behaved.read_to_string(&mut back).unwrap();
    assert_eq!(back, "before and after");
    server.stop();
}

pub fn a_stop_lets_a_client_finish_and_loses_nothing(backend: impl TestBackend) {
    // Quiet for an hour: only the client's own end can end the session.
    let hour = Duration::from_secs(3600);
    let config = ServerConfig::default().quiet(hour).drain(hour);
    let server = echo(backend, config, Limits::default().drain(hour));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"one").unwrap();
    stream.read_exact(&mut [0; 3]).unwrap();
    server.handle.stop();
    stream.write_all(b"two").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "two");
    let ended = server.ended.recv().unwrap();
    assert_eq!((ended.outcome.end, ended.outcome.dropped, ended.unread), (End::Clean, 0, 0));
    assert_eq!(server.join().admission.live, 0);
}

pub fn clients_in_the_backlog_are_served_before_a_drain_closes_the_listener(backend: impl TestBackend) {
    let hour = Duration::from_secs(3600);
    let limits = Limits::default().connections(1).drain(hour);
    let server = echo(backend, ServerConfig::default(), limits);
    let mut first = TcpStream::connect(server.address).unwrap();
    first.write_all(b"1").unwrap();
    first.read_exact(&mut [0]).unwrap();
    // There is room for one: these wait in the backlog.
    let mut waiting: Vec<_> = (0..3).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    for stream in &mut waiting {
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    server.handle.stop();
    first.shutdown(Shutdown::Write).unwrap();
    for mut stream in waiting {
        let mut back = String::new();
        stream.read_to_string(&mut back).unwrap();
        assert_eq!(back, "hello");
    }
    let address = server.address;
    let served = server.join();
    assert_eq!((served.admission.admitted, served.admission.peak), (4, 1));
    assert!(TcpStream::connect(address).is_err(), "the listener is closed");
}

pub fn a_client_that_is_admitted_during_a_drain_is_stopped_like_the_others(backend: impl TestBackend) {
    let config = ServerConfig::default().quiet(Duration::from_millis(1));
    let server = echo(backend, config, Limits::default().connections(1));
    let mut first = TcpStream::connect(server.address).unwrap();
    first.write_all(b"1").unwrap();
    first.read_exact(&mut [0]).unwrap();
    let mut second = TcpStream::connect(server.address).unwrap();
    second.write_all(b"hello").unwrap();
    second.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    server.handle.stop();
    first.shutdown(Shutdown::Write).unwrap();
    // It never half-closes: only the stop, and then its silence, can end it.
    let mut back = String::new();
    second.read_to_string(&mut back).unwrap();
    assert_eq!(back, "hello");
    drop(second);
    let first_two: Vec<_> = server.ended.iter().take(2).map(|ended| ended.outcome.end).collect();
    assert!(!first_two.contains(&End::Aborted), "{first_two:?}");
    server.join();
}

pub fn force_ends_a_drain_at_once(backend: impl TestBackend) {
    let hour = Duration::from_secs(3600);
    let config = ServerConfig::default().quiet(hour).drain(hour);
    let server = echo(backend, config, Limits::default().drain(hour));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    server.handle.stop();
    server.handle.force();
    let ended = server.ended.recv().unwrap();
    assert_eq!(ended.outcome.end, End::Aborted);
    server.join();
    assert_reset(&mut stream);
}

/// Asking a second time is heard, too: nothing else happens in between that would wake the server.
pub fn force_is_heard_after_a_stop_was(backend: impl TestBackend) {
    let hour = Duration::from_secs(3600);
    let config = ServerConfig::default().quiet(Duration::from_millis(1)).linger(hour);
    let server = echo(backend, config, Limits::default().drain(hour));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    server.handle.stop();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the session was stopped, and lingers for our end");
    server.handle.force();
    assert_eq!(soon(&server.ended).outcome.end, End::Aborted);
    server.join();
}

pub fn a_server_for_one_client_closes_its_listener_after_the_accept(backend: impl TestBackend) {
    let server = echo(backend, ServerConfig::default(), Limits::default().total(Some(1)));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    // It is closed once the policy was asked again; who got in between is reset.
    let refused = (0..1000).any(|_| TcpStream::connect(server.address).is_err());
    assert!(refused, "the listener is still open");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(server.join().admission.admitted, 1);
}

pub fn more_than_a_sources_share_is_refused(backend: impl TestBackend) {
    let server = echo(backend, ServerConfig::default(), Limits::default().per_source(Some(1)));
    let mut first = TcpStream::connect(server.address).unwrap();
    first.write_all(b"x").unwrap();
    first.read_exact(&mut [0]).unwrap();
    let mut second = TcpStream::connect(server.address).unwrap();
    assert_eq!(second.read(&mut [0]).unwrap(), 0, "refused with an orderly end");
    first.shutdown(Shutdown::Write).unwrap();
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    assert_eq!(server.stop().admission.refused, 1);
}

pub fn a_panicking_application_resets_its_connection_and_the_others_go_on(backend: impl TestBackend) {
    let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let address = listener.local_address().unwrap();
    let handle = ServerHandle::new();
    let first = AtomicBool::new(true);
    let app = |now, _: &Accepted| {
        assert!(!first.swap(false, Ordering::SeqCst), "planted");
        EchoServer::new(ServerConfig::default().into(), now)
    };
    std::thread::scope(|scope| {
        let server = scope.spawn(|| backend.serve(vec![listener], Limits::default(), &handle, &app));
        let mut unlucky = TcpStream::connect(address).unwrap();
        assert_reset(&mut unlucky);
        assert_eq!(round_trip(address, b"fine"), b"fine");
        handle.stop();
        let served = server.join().unwrap().unwrap();
        assert_eq!((served.admission.admitted, served.panicked), (2, 1));
    });
}

pub fn a_busy_listener_does_not_starve_the_others(backend: impl TestBackend) {
    let listen = || bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let (busy, other) = (listen(), listen());
    let connect = |listener: &Listener| {
        let stream = TcpStream::connect(listener.local_address().unwrap()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream
    };
    // All of them wait before the server looks for the first time.
    let _clients: Vec<_> = (0..5).map(|_| connect(&busy)).collect();
    let lonely = connect(&other);
    let order = std::sync::Mutex::new(Vec::new());
    let app = |now, accepted: &Accepted| {
        order.lock().unwrap().push(accepted.peer.address());
        EchoServer::new(ServerConfig::default().into(), now)
    };
    let limits = Limits::default().connections(1).total(Some(6));
    backend.serve(vec![busy, other], limits, &ServerHandle::new(), &app).unwrap();
    let order = order.into_inner().unwrap();
    let place = order.iter().position(|&address| address == lonely.local_addr().ok());
    assert!(place.unwrap() <= 1, "{order:?}");
}
