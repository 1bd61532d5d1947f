//! The server as a future of the application's runtime.

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::admission::Limits;
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, Payload, ServerConfig, ServerOutcome, Verdict};
use roundtrip_testkit::own_loopback;
use roundtrip_tokio::{
    Accepted, Application, Backend, BindOptions, Clock, ConnectOptions, Endpoint, Listener, ServerHandle,
    SharedHub, Tokio, TokioClock, bind, connect, drive, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

fn runtimes() -> [Runtime; 2] {
    let one = Builder::new_current_thread().enable_all().build().unwrap();
    [one, Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()]
}

fn listener() -> (Listener, Endpoint) {
    let any_port = Endpoint::tcp(&own_loopback().to_string(), 0).unwrap();
    let listener = bind(&any_port, &BindOptions::default()).unwrap();
    let endpoint = listener.local_endpoint().unwrap();
    (listener, endpoint)
}

fn echo() -> Arc<impl Application<Accepted, Machine = EchoServer> + Send + 'static> {
    let config = Arc::new(ServerConfig::default());
    Arc::new(move |now, _: &Accepted| EchoServer::new(Arc::clone(&config), now))
}

#[test]
fn clients_on_the_same_runtime_are_served_until_the_server_is_stopped() {
    for runtime in runtimes() {
        let served = runtime.block_on(async {
            let ((listener, endpoint), handle) = (listener(), ServerHandle::new());
            let server = tokio::spawn(serve(vec![listener], Limits::default(), handle.clone(), echo()));
            let clients: Vec<_> = (0..20)
                .map(|seed| {
                    let endpoint = endpoint.clone();
                    tokio::spawn(async move {
                        let stream = connect(endpoint, ConnectOptions::default()).await.unwrap();
                        let payload = Payload::seeded(seed, 100_000);
                        drive(stream, |now| EchoClient::new(ClientConfig::default().into(), payload, now))
                            .await
                    })
                })
                .collect();
            for client in clients {
                assert_eq!(client.await.unwrap().outcome.verdict, Verdict::Verified);
            }
            handle.stop();
            server.await.unwrap().unwrap()
        });
        assert_eq!((served.admission.admitted, served.admission.live, served.panicked), (20, 0, 0));
    }
}

/// Another clock than the one that its timers wait for would end the session later, after many wake-ups that were too early.
#[test]
fn a_server_ends_its_sessions_by_the_paused_clock_of_its_runtime() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (listener, _) = listener();
        let (address, handle) = (listener.local_address().unwrap(), ServerHandle::new());
        let idle = Duration::from_millis(100);
        let config = Arc::new(ServerConfig::default().idle(Some(idle)));
        let app = Arc::new(move |now, _: &Accepted| EchoServer::new(Arc::clone(&config), now));
        let begin = tokio::time::Instant::now();
        let server = tokio::spawn(serve(vec![listener], Limits::default(), handle.clone(), app));
        let mut client = TcpStream::connect(address).await.unwrap();
        let error = client.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), begin.elapsed()), (ErrorKind::UnexpectedEof, idle));
        handle.stop();
        server.await.unwrap().unwrap();
    });
}

/// Counts the sessions that came to their end.
struct Counting(usize);

impl Hub for Counting {
    type Session = EchoServer;

    fn open(&mut self, now: Time, _id: ConnectionId) -> EchoServer {
        EchoServer::new(ServerConfig::default().into(), now)
    }

    fn closed(&mut self, _now: Time, _id: ConnectionId, _: ServerOutcome, _: &mut dyn Mail<Infallible>) {
        self.0 += 1;
    }
}

#[test]
fn a_hub_is_an_application() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let ((listener, endpoint), handle) = (listener(), ServerHandle::new());
            let hub = Arc::new(SharedHub::new(Counting(0), TokioClock::new()));
            let server =
                tokio::spawn(serve(vec![listener], Limits::default(), handle.clone(), Arc::clone(&hub)));
            for seed in 0..3 {
                let stream = connect(endpoint.clone(), ConnectOptions::default()).await.unwrap();
                let payload = Payload::seeded(seed, 1000);
                let client = |now| EchoClient::new(ClientConfig::default().into(), payload, now);
                assert_eq!(drive(stream, client).await.outcome.verdict, Verdict::Verified);
            }
            handle.stop();
            server.await.unwrap().unwrap();
            assert_eq!(Arc::into_inner(hub).unwrap().into_hub().0, 3);
        });
    }
}

#[test]
fn a_server_that_is_dropped_aborts_its_sessions_and_closes_its_listener() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (listener, endpoint) = listener();
            let address = listener.local_address().unwrap();
            let server = tokio::spawn(serve(vec![listener], Limits::default(), ServerHandle::new(), echo()));
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"x").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'x');
            server.abort();
            assert!(server.await.unwrap_err().is_cancelled());
            let error = client.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            let refused = connect(endpoint, ConnectOptions::default()).await.unwrap_err();
            assert_eq!(refused.source.kind(), ErrorKind::ConnectionRefused);
        });
    }
}

#[test]
fn a_runtime_that_is_shut_down_resets_its_connections() {
    for runtime in runtimes() {
        let (listener, _endpoint) = listener();
        let address = listener.local_address().unwrap();
        runtime.spawn(serve(vec![listener], Limits::default(), ServerHandle::new(), echo()));
        let client = runtime.block_on(async {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"x").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'x');
            client.into_std().unwrap()
        });
        drop(runtime);
        client.set_nonblocking(false).unwrap();
        let error = Read::read(&mut &client, &mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_server_that_is_dropped_before_its_first_poll_closes_its_listener() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (listener, endpoint) = listener();
            drop(serve(vec![listener], Limits::default(), ServerHandle::new(), echo()));
            let refused = connect(endpoint, ConnectOptions::default()).await.unwrap_err();
            assert_eq!(refused.source.kind(), ErrorKind::ConnectionRefused);
        });
    }
}

#[test]
fn a_stop_before_the_first_poll_drains_the_server() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let ((listener, _endpoint), handle) = (listener(), ServerHandle::new());
            let mut waiting = TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
            handle.stop();
            let server = serve(vec![listener], Limits::default(), handle, echo());
            let client = async {
                waiting.write_all(b"x").await.unwrap();
                waiting.shutdown().await.unwrap();
                waiting.read_u8().await.unwrap()
            };
            let (served, back) = tokio::join!(server, client);
            assert_eq!((served.unwrap().admission.admitted, back), (1, b'x'));
        });
    }
}

#[test]
fn a_panic_of_the_application_is_counted_and_the_others_are_served() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let ((listener, _endpoint), handle) = (listener(), ServerHandle::new());
            let address = listener.local_address().unwrap();
            let first = AtomicBool::new(true);
            let app = Arc::new(move |now, _: &Accepted| {
                assert!(!first.swap(false, Ordering::SeqCst), "planted");
                EchoServer::new(ServerConfig::default().into(), now)
            });
            let server = tokio::spawn(serve(vec![listener], Limits::default(), handle.clone(), app));
            // The reset may come before the runtime says that it is connected.
            let unlucky = async { TcpStream::connect(address).await?.read_u8().await };
            assert_eq!(unlucky.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"x").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'x');
            drop(client);
            handle.stop();
            let served = server.await.unwrap().unwrap();
            assert_eq!((served.admission.admitted, served.panicked), (2, 1));
        });
    }
}

/// One thread for all of it, and one connection that never lets the server come to rest.
#[test]
fn a_connection_that_floods_does_not_starve_the_others() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ((listener, _endpoint), handle) = (listener(), ServerHandle::new());
        let address = listener.local_address().unwrap();
        let server = tokio::spawn(serve(vec![listener], Limits::default(), handle.clone(), echo()));
        let flood = std::net::TcpStream::connect(address).unwrap();
        let mut writer = flood.try_clone().unwrap();
        let writes = std::thread::spawn(move || while writer.write_all(&[0; 1 << 14]).is_ok() {});
        let mut reader = flood.try_clone().unwrap();
        let reads =
            std::thread::spawn(move || while reader.read(&mut [0; 1 << 14]).is_ok_and(|read| read > 0) {});
        for _ in 0..20 {
            let mut client = TcpStream::connect(address).await.unwrap();
            for _ in 0..20 {
                client.write_all(b"x").await.unwrap();
                assert_eq!(client.read_u8().await.unwrap(), b'x');
            }
        }
        flood.shutdown(Shutdown::Both).unwrap();
        writes.join().unwrap();
        reads.join().unwrap();
        handle.force();
        assert_eq!(server.await.unwrap().unwrap().admission.admitted, 21);
    });
}

/// Counts how often it is read: at each wake-up of a session, and before each read but the first in it.
struct CountedClock(AtomicUsize);

impl Clock for CountedClock {
    fn now(&self) -> Time {
        self.0.fetch_add(1, Ordering::Relaxed);
        Time::ZERO
    }
}

/// The driver as a value runs all sessions of a thread in one future, and tokio has a budget for each.
#[test]
fn sessions_that_are_ready_at_once_are_woken_once_a_message() {
    const CLIENTS: usize = 200;
    const ROUNDS: usize = 20;
    let (listener, _endpoint) = listener();
    let address = listener.local_address().unwrap();
    let (clock, handle) = (CountedClock(AtomicUsize::new(0)), ServerHandle::new());
    let app = |now, _: &Accepted| EchoServer::new(ServerConfig::default().into(), now);
    let calls = std::thread::scope(|scope| {
        let server = scope
            .spawn(|| Tokio::default().serve_with(&clock, vec![listener], Limits::default(), &handle, &app));
        let connect = || std::net::TcpStream::connect(address).unwrap();
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect()).collect();
        let mut round = || {
            for client in &mut clients {
                client.write_all(b"x").unwrap();
            }
            for client in &mut clients {
                client.read_exact(&mut [0]).unwrap();
            }
        };
        round();
        let before = clock.0.load(Ordering::Relaxed);
        (0..ROUNDS).for_each(|_| round());
        let calls = clock.0.load(Ordering::Relaxed) - before;
        handle.stop();
        drop(clients);
        assert_eq!(server.join().unwrap().unwrap().admission.admitted, CLIENTS as u64);
        calls
    });
    let messages = CLIENTS * ROUNDS;
    assert!(calls <= 3 * messages, "the clock was read {calls} times for {messages} messages");
}
