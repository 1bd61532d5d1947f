//! Streams that fail, stall and take their time: each ends one session, with what it said.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use roundtrip_core::{Action, Failure, Input, Machine, Teardown, Time};
use roundtrip_echo::{EchoServer, End, Limit, ServerConfig, ServerOutcome};
use roundtrip_tokio::{Call, Clock, ConnectionReport, Driver, Io, drive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Read,
    Write,
    Flush,
    Shutdown,
}

const OPERATIONS: [Operation; 4] = [Operation::Read, Operation::Write, Operation::Flush, Operation::Shutdown];

/// A stream that does what `fault` says, where it says anything. `Ready(Ok(()))` is an operation on 0 bytes.
struct Faulty<F> {
    stream: DuplexStream,
    fault: F,
}

impl<F: FnMut(Operation) -> Option<Poll<io::Result<()>>> + Send + Unpin> AsyncRead for Faulty<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match (self.fault)(Operation::Read) {
            Some(result) => result,
            None => Pin::new(&mut self.stream).poll_read(cx, buffer),
        }
    }
}

impl<F: FnMut(Operation) -> Option<Poll<io::Result<()>>> + Send + Unpin> AsyncWrite for Faulty<F> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match (self.fault)(Operation::Write) {
            Some(result) => Poll::Ready(ready!(result).map(|()| 0)),
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match (self.fault)(Operation::Flush) {
            Some(result) => result,
            None => Pin::new(&mut self.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match (self.fault)(Operation::Shutdown) {
            Some(result) => result,
            None => Pin::new(&mut self.stream).poll_shutdown(cx),
        }
    }
}

/// The clock of a runtime whose time is paused.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Time {
        Time::ZERO.after(self.0.elapsed())
    }
}

/// In virtual time: whatever waits for ever fails at once.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(86_400), future).await.expect("a lost wake-up") })
}

/// Fails once the future was polled so often: it spins.
async fn without_spinning<T>(future: impl Future<Output = T>) -> T {
    let (mut future, mut polls) = (pin!(future), 0);
    poll_fn(|cx| {
        polls += 1;
        assert!(polls < 100, "it spins");
        future.as_mut().poll(cx)
    })
    .await
}

fn server(now: Time) -> EchoServer {
    EchoServer::new(ServerConfig::default().idle(None).into(), now)
}

/// Serves a client over `duplex` that sends one request and half-closes, on a stream with this fault.
fn serves(
    fault: impl FnMut(Operation) -> Option<Poll<io::Result<()>>> + Send + Unpin,
) -> ConnectionReport<ServerOutcome> {
    run(async {
        let (mut near, stream) = duplex(1000);
        near.write_all(b"a request").await.unwrap();
        near.shutdown().await.unwrap();
        let driver = Driver::new(Virtual(Instant::now()));
        let driven = driver.drive(Io(Faulty { stream, fault }), server, |never| match never {});
        without_spinning(driven).await
    })
}

/// `TimedOut` is what a stream with a timeout of its own says for ever; `WouldBlock` is a bug of a stream, which wakes no task.
#[test]
fn an_error_of_any_call_ends_the_session() {
    for operation in OPERATIONS {
        for kind in [ErrorKind::ConnectionReset, ErrorKind::Other, ErrorKind::TimedOut, ErrorKind::WouldBlock]
        {
            let ended = serves(|called| (called == operation).then(|| Poll::Ready(Err(kind.into()))));
            let end = match (operation, kind) {
                // All is written by then.
                (Operation::Shutdown, _) => End::Clean,
                (_, ErrorKind::ConnectionReset) => End::Failed(Failure::Reset),
                _ => End::Failed(Failure::Io),
            };
            assert_eq!(ended.outcome.end, end, "{operation:?}, {kind:?}");
            let call = match operation {
                Operation::Read => Call::Read,
                Operation::Write | Operation::Flush => Call::Write,
                Operation::Shutdown => Call::HalfClose,
            };
            let failed = ended.failure.unwrap();
            assert_eq!(failed.call, call, "{operation:?}, {kind:?}");
            let said = io::Error::from(kind).to_string();
            assert!(failed.error.to_string().contains(&said), "{operation:?}, {kind:?}: {failed}");
        }
    }
}

#[test]
fn a_call_that_is_interrupted_is_made_again() {
    for operation in OPERATIONS {
        let mut left = 5;
        let ended = serves(|called| {
            let interrupted = called == operation && left > 0;
            left -= usize::from(interrupted);
            interrupted.then(|| Poll::Ready(Err(ErrorKind::Interrupted.into())))
        });
        assert_eq!((ended.outcome.end, left), (End::Clean, 0), "{operation:?}");
    }
}

#[test]
fn a_stream_that_takes_no_byte_is_a_failure() {
    let ended = serves(|called| (called == Operation::Write).then_some(Poll::Ready(Ok(()))));
    assert_eq!(ended.outcome.end, End::Failed(Failure::Io));
    assert_eq!(ended.failure.unwrap().error.kind(), ErrorKind::WriteZero);
}

/// As with a socket, whose shutdown(2) says so after a reset.
#[test]
fn a_peer_that_closed_before_the_half_close_is_no_error() {
    let gone = || Poll::Ready(Err(ErrorKind::NotConnected.into()));
    let ended = serves(|called| (called == Operation::Shutdown).then(gone));
    assert_eq!(ended.outcome.end, End::Clean);
    assert!(ended.failure.is_none());
}

/// The machine has closed; only the transport has something left to do.
#[test]
fn a_half_close_that_fails_after_the_end_is_told() {
    let mut calls = 0;
    let ended = serves(|called| {
        (called == Operation::Shutdown).then(|| {
            calls += 1;
            // Nothing wakes it but the time limit of the half-close.
            if calls < 3 { Poll::Pending } else { Poll::Ready(Err(ErrorKind::Other.into())) }
        })
    });
    assert_eq!(ended.outcome.end, End::Clean);
    assert_eq!(ended.failure.unwrap().call, Call::HalfClose);
}

#[test]
fn a_flush_that_never_ends_is_ended_by_a_limit_and_by_an_abort() {
    for aborts in [false, true] {
        let end = run(async {
            let (mut near, stream) = duplex(1000);
            near.write_all(b"a request").await.unwrap();
            let fault = |called: Operation| (called == Operation::Flush).then_some(Poll::Pending);
            let config = ServerConfig::default().idle(Some(Duration::from_secs(10)));
            let driver = Driver::new(Virtual(Instant::now()));
            let control = driver.control();
            let driven = driver.drive(
                Io(Faulty { stream, fault }),
                |now| EchoServer::new(config.into(), now),
                |never| match never {},
            );
            let abort = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if aborts {
                    control.abort();
                }
            };
            tokio::join!(without_spinning(driven), abort).0.outcome.end
        });
        assert_eq!(end, if aborts { End::Aborted } else { End::TimedOut(Limit::Idle) });
    }
}

#[test]
fn a_stream_of_single_bytes() {
    run(async {
        let (mut near, far) = duplex(1);
        let client = async {
            let (mut reader, mut writer) = tokio::io::split(&mut near);
            let send = async {
                writer.write_all(b"byte by byte").await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let mut back = String::new();
            let (read, ()) = tokio::join!(reader.read_to_string(&mut back), send);
            assert_eq!((read.unwrap(), back.as_str()), (12, "byte by byte"));
        };
        let (ended, ()) = tokio::join!(drive(Io(far), server), client);
        assert_eq!(ended.outcome.end, End::Clean);
    });
}

/// Closes in order, without a half-close.
struct Leaver;

impl Machine for Leaver {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ();

    fn handle(&mut self, _now: Time, _input: Input) {}

    fn poll(&mut self, _now: Time) -> Action<Infallible, ()> {
        Action::Close { how: Teardown::Graceful, outcome: () }
    }
}

/// The peer of a TLS stream takes it for cut off otherwise.
#[test]
fn a_stream_is_shut_down_before_an_orderly_end() {
    for waits in [false, true] {
        run(async {
            let (_near, stream) = duplex(1000);
            let mut shutdowns = 0;
            let fault = |called| {
                shutdowns += usize::from(called == Operation::Shutdown);
                (waits && called == Operation::Shutdown).then_some(Poll::Pending)
            };
            let driver = Driver::new(Virtual(Instant::now()));
            let driven = driver.drive(Io(Faulty { stream, fault }), |_now| Leaver, |never| match never {});
            let ended = without_spinning(driven).await;
            assert!(ended.failure.is_none());
            assert!(shutdowns > 0, "the peer was not told");
        });
    }
}

#[test]
fn a_stream_that_was_cut_is_told_as_truncated() {
    let cut = || Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
    let ended = serves(|called| (called == Operation::Read).then(cut));
    assert_eq!(ended.outcome.end, End::Failed(Failure::Truncated));
}
