//! Sessions on executors that know nothing of `async-io`: each wake-up must have a reason.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use roundtrip_echo::{DatagramEcho, DatagramEchoConfig, EchoServer, End, ServerConfig};
use roundtrip_smol::{BindOptions, DatagramDriver, Endpoint, SystemClock, bind_datagram, block_on};

const REQUESTS: usize = 500;

/// Counts how often a future is polled.
struct Counted<F> {
    future: Pin<Box<F>>,
    polls: Arc<AtomicUsize>,
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.future.as_mut().poll(cx)
    }
}

/// One request after the other, each of which needs the answer to the one before.
fn is_woken_for_a_reason(
    executor: impl FnOnce(Pin<Box<dyn Future<Output = End> + Send>>) -> End + Send + 'static,
) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    let server = listener.accept().unwrap().0;
    let polls = Arc::new(AtomicUsize::new(0));
    let echo = |now| EchoServer::new(Arc::new(ServerConfig::default()), now);
    let future = Box::pin(roundtrip_smol::drive(roundtrip_smol::Stream::from(server), echo));
    let counted = Counted { future, polls: Arc::clone(&polls) };
    let ended = thread::spawn(move || executor(Box::pin(async { counted.await.outcome.end })));
    for _ in 0..REQUESTS {
        client.write_all(b"a request").unwrap();
        client.read_exact(&mut [0; 9]).unwrap();
    }
    drop(client);
    assert_eq!(ended.join().unwrap(), End::Clean);
    let polls = polls.load(Ordering::Relaxed);
    // One for each request, one to begin, one for the end, and some that the reactor of another thread came too late for.
    assert!(polls <= 2 * REQUESTS, "{polls} wake-ups for {REQUESTS} requests");
}

#[test]
fn on_a_runtime_of_tokio() {
    is_woken_for_a_reason(|session| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { tokio::spawn(session).await.unwrap() })
    });
}

#[test]
fn on_an_executor_beside_async_io() {
    is_woken_for_a_reason(|session| {
        let executor = smol::Executor::new();
        smol::future::block_on(executor.run(executor.spawn(session)))
    });
}

#[test]
fn on_a_thread_that_blocks() {
    is_woken_for_a_reason(smol::future::block_on);
}

#[test]
fn on_the_thread_of_the_reactor() {
    is_woken_for_a_reason(block_on);
}

/// The same over datagrams: one after the other, each of which needs the answer to the one before.
#[test]
fn datagrams_on_a_runtime_of_tokio() {
    let socket = bind_datagram(&"udp:127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let Endpoint::Udp { port, .. } = socket.local_endpoint().unwrap() else { panic!("no port") };
    let driver = DatagramDriver::new(SystemClock::new()).unwrap();
    let control = driver.control();
    let polls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&polls);
    let served = thread::spawn(move || {
        let echo = |now| DatagramEcho::new(DatagramEchoConfig::default().rate(None).into(), None, now);
        let future = Box::pin(driver.drive(socket, echo, |_unanswered| {}));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(Counted { future, polls: counter }).unwrap()
    });
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    for _ in 0..REQUESTS {
        client.send(b"a request").unwrap();
        assert_eq!(client.recv(&mut [0; 100]).unwrap(), 9);
    }
    control.stop();
    served.join().unwrap();
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls <= 2 * REQUESTS, "{polls} wake-ups for {REQUESTS} requests");
}
