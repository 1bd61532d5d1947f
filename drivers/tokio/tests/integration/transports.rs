//! Sessions over what a tokio application has: its sockets, a duplex in memory, streams with buffers of their own.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, End, Limit, Payload, ServerConfig, Verdict};
use roundtrip_testkit::pki::Authority;
use roundtrip_tokio::{Driver, IntoTransport, Io, SystemClock, drive};
use tokio::io::{AsyncRead, AsyncWrite, BufStream, DuplexStream, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const BYTES: u64 = 100_000;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn server(now: Time) -> EchoServer {
    EchoServer::new(Arc::new(ServerConfig::default()), now)
}

fn client(now: Time) -> EchoClient {
    EchoClient::new(ClientConfig::default().into(), Payload::seeded(1, BYTES), now)
}

/// Echoes between the two ends of a connection.
async fn echoes(near: impl IntoTransport, far: impl IntoTransport) {
    let (served, ended) = tokio::join!(drive(far, server), drive(near, client));
    assert_eq!(ended.outcome.verdict, Verdict::Verified);
    assert_eq!((served.outcome.end, served.outcome.echoed), (End::Clean, BYTES));
}

#[test]
fn sockets_of_tokio() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        echoes(near, listener.accept().await.unwrap().0).await;
        let (near, far) = UnixStream::pair().unwrap();
        echoes(near, far).await;
    });
}

#[test]
fn a_duplex_however_small() {
    for size in [101, 64 << 10] {
        run(async {
            let (near, far) = duplex(size);
            echoes(Io(near), Io(far)).await;
        });
    }
}

#[test]
fn a_boxed_stream() {
    trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
    impl Stream for DuplexStream {}
    run(async {
        let (near, far) = duplex(100);
        let (near, far): (Box<dyn Stream>, Box<dyn Stream>) = (Box::new(near), Box::new(far));
        echoes(Io(near), Io(far)).await;
    });
}

/// Where a half-close is a `close_notify`, and the other way goes on.
#[test]
fn a_tls_stream_of_tokio_rustls() {
    let authority = Authority::new();
    let (acceptor, connector) = (authority.rustls_server(), authority.rustls_client());
    run(async {
        let (near, far) = duplex(64 << 10);
        let name = "localhost".try_into().unwrap();
        let accepted = TlsAcceptor::from(acceptor).accept(far);
        let connected = TlsConnector::from(connector).connect(name, near);
        let (far, near) = tokio::try_join!(accepted, connected).unwrap();
        echoes(Io(near), Io(far)).await;
    });
}

/// What stays in its buffers would never arrive.
#[test]
fn a_stream_that_must_be_flushed() {
    run(async {
        let (near, far) = duplex(100);
        echoes(Io(BufStream::new(near)), Io(BufStream::new(far))).await;
    });
}

/// Takes several attempts to shut down.
struct Reluctant {
    stream: DuplexStream,
    shutdowns_left: usize,
    /// Wakes the task for each further attempt.
    wakes: bool,
}

impl AsyncRead for Reluctant {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Reluctant {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(left) = self.shutdowns_left.checked_sub(1) else {
            return Pin::new(&mut self.stream).poll_shutdown(cx);
        };
        self.shutdowns_left = left;
        if self.wakes {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

#[test]
fn a_half_close_that_is_pending_is_completed() {
    run(async {
        let (near, far) = duplex(1000);
        let reluctant = |stream| Io(Reluctant { stream, shutdowns_left: 5, wakes: true });
        echoes(reluctant(near), reluctant(far)).await;
    });
}

/// A server whose peer has ended has nothing left to do but to half-close, which this transport never does.
#[test]
fn a_half_close_that_never_ends_is_given_up_after_an_abort() {
    run(async {
        let (near, far) = duplex(1000);
        drop(near);
        let driver = Driver::new(SystemClock::new());
        let control = driver.control();
        let far = Io(Reluctant { stream: far, shutdowns_left: usize::MAX, wakes: false });
        let mut driven = pin!(driver.drive(far, server, |never| match never {}));
        assert!(driven.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        control.abort();
        let ended = driven.await;
        assert_eq!(ended.outcome.end, End::Clean);
    });
}

/// Without an abort, it is given up after a while: in virtual time, so that the test does not wait for it.
#[test]
fn a_half_close_that_never_ends_is_given_up_in_time() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (near, far) = duplex(1000);
        drop(near);
        let far = Io(Reluctant { stream: far, shutdowns_left: usize::MAX, wakes: false });
        assert_eq!(drive(far, server).await.outcome.end, End::Clean);
    });
}

/// Another clock than the one that its timers wait for would end the session later, after many wake-ups that were too early.
#[test]
fn a_session_ends_by_the_paused_clock_of_its_runtime() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let begin = tokio::time::Instant::now();
        let (_near, far) = duplex(1000);
        let idle = Duration::from_millis(100);
        let config = Arc::new(ServerConfig::default().idle(Some(idle)));
        let ended = drive(Io(far), |now| EchoServer::new(config, now)).await;
        assert_eq!((ended.outcome.end, begin.elapsed()), (End::TimedOut(Limit::Idle), idle));
    });
}

#[test]
fn a_session_that_is_dropped_at_any_await_drops_its_stream() {
    for polls in 0..4 {
        run(async {
            let (mut near, far) = duplex(1000);
            {
                let mut driven = pin!(drive(Io(far), server));
                for _ in 0..polls {
                    assert!(driven.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                }
            }
            let read = tokio::io::AsyncReadExt::read(&mut near, &mut [0]).await.unwrap();
            assert_eq!(read, 0, "after {polls} polls");
        });
    }
}
