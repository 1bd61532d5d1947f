//! Who wakes a session, and when: for each reason once, from any thread, and never without one.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use roundtrip_core::{Failure, Time};
use roundtrip_echo::{EchoServer, End, Limit, ServerConfig, ServerOutcome};
use roundtrip_tokio::{ConnectionReport, Control, Driver, IntoTransport, Io, SystemClock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::timeout;

/// A waker that is counted and can be waited for.
#[derive(Default)]
struct Wakes {
    count: AtomicUsize,
    notify: Notify,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.notify.notify_one();
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    async fn woken(&self) {
        timeout(Duration::from_secs(60), self.notify.notified()).await.expect("a lost wake-up");
    }
}

type Driven = Pin<Box<dyn Future<Output = ConnectionReport<ServerOutcome>>>>;

fn poll(driven: &mut Driven, wakes: &Arc<Wakes>) -> Poll<ConnectionReport<ServerOutcome>> {
    driven.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(wakes))))
}

/// Polls the session for as long as it is woken.
async fn settle(driven: &mut Driven, wakes: &Arc<Wakes>) {
    for _ in 0..1000 {
        let before = wakes.count();
        if let Poll::Ready(ended) = poll(driven, wakes) {
            panic!("it ended: {ended:?}");
        }
        // The runtime looks for what the system has to say.
        for _ in 0..200 {
            yield_now().await;
        }
        if wakes.count() == before {
            return;
        }
    }
    panic!("it spins");
}

/// Polls the session whenever it is woken, to its end.
async fn finish(mut driven: Driven, wakes: &Arc<Wakes>) -> ConnectionReport<ServerOutcome> {
    loop {
        wakes.woken().await;
        if let Poll::Ready(ended) = poll(&mut driven, wakes) {
            return ended;
        }
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn served(
    io: impl IntoTransport + 'static,
    config: ServerConfig,
) -> (Driven, Control<std::convert::Infallible>) {
    let driver = Driver::new(SystemClock::new());
    let control = driver.control();
    let machine = |now: Time| EchoServer::new(config.into(), now);
    (Box::pin(driver.drive(io, machine, |never| match never {})), control)
}

trait Client: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Client for T {}

/// A client, and a session that serves it, over each kind of stream.
async fn each_kind(
    config: impl Fn() -> ServerConfig,
) -> Vec<(Box<dyn Client>, Driven, Control<std::convert::Infallible>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (driven, control) = served(listener.accept().await.unwrap().0, config());
    let mut kinds: Vec<(Box<dyn Client>, Driven, _)> = vec![(Box::new(tcp), driven, control)];
    let (unix, server) = UnixStream::pair().unwrap();
    let (driven, control) = served(server, config());
    kinds.push((Box::new(unix), driven, control));
    let (memory, server) = duplex(10_000);
    let (driven, control) = served(Io(server), config());
    kinds.push((Box::new(memory), driven, control));
    kinds
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Data,
    Eof,
    Stop,
    Abort,
    Deadline,
}

#[test]
fn a_session_wakes_the_task_that_polled_it_last() {
    for reason in [Reason::Data, Reason::Eof, Reason::Stop, Reason::Abort, Reason::Deadline] {
        run(async {
            let second = Duration::from_secs(1);
            let idle = if reason == Reason::Deadline { second } else { 3600 * second };
            let config = || ServerConfig::default().idle(Some(idle)).quiet(Duration::from_nanos(1));
            for (mut client, mut driven, control) in each_kind(config).await {
                let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
                settle(&mut driven, &first).await;
                let before = first.count();
                assert!(poll(&mut driven, &last).is_pending());
                match reason {
                    Reason::Data => client.write_all(b"x").await.unwrap(),
                    Reason::Eof => client.shutdown().await.unwrap(),
                    Reason::Stop => std::thread::spawn(move || control.stop()).join().unwrap(),
                    Reason::Abort => std::thread::spawn(move || control.abort()).join().unwrap(),
                    Reason::Deadline => {}
                }
                if reason == Reason::Data {
                    last.woken().await;
                    assert!(poll(&mut driven, &last).is_pending());
                    let mut back = [0];
                    timeout(60 * second, client.read_exact(&mut back)).await.unwrap().unwrap();
                    client.shutdown().await.unwrap();
                }
                if reason == Reason::Stop {
                    drop(client);
                }
                let end = finish(driven, &last).await.outcome.end;
                let expected = match reason {
                    Reason::Data | Reason::Eof => End::Clean,
                    Reason::Stop => end,
                    Reason::Abort => End::Aborted,
                    Reason::Deadline => End::TimedOut(Limit::Idle),
                };
                assert_eq!((end, first.count()), (expected, before), "{reason:?}");
            }
        });
    }
}

/// Writes until the whole way there and back is full: the session has no credit left, and something to write.
async fn fill(client: &mut Box<dyn Client>, driven: &mut Driven, wakes: &Arc<Wakes>) -> usize {
    let (mut sent, mut before) = (0, 1);
    while sent != before {
        before = sent;
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(wrote) = Pin::new(&mut *client).poll_write(&mut cx, &[7; 1000]) {
            sent += wrote.unwrap();
        }
        settle(driven, wakes).await;
    }
    sent
}

#[test]
fn a_reset_wakes_a_session_that_waits_to_write() {
    run(async {
        for (mut client, mut driven, _control) in each_kind(ServerConfig::default).await {
            let wakes = Arc::new(Wakes::default());
            settle(&mut driven, &wakes).await;
            fill(&mut client, &mut driven, &wakes).await;
            // What it has not read makes a reset of it.
            drop(client);
            assert_eq!(finish(driven, &wakes).await.outcome.end, End::Failed(Failure::Reset));
        }
    });
}

/// Spurious wake-ups lead to nothing, whatever a session waits for; and once the peer reads, nothing is missing.
#[test]
fn a_session_that_waits_does_not_wake_itself() {
    for ends in [false, true] {
        run(async {
            for (mut client, mut driven, _control) in each_kind(ServerConfig::default).await {
                let wakes = Arc::new(Wakes::default());
                settle(&mut driven, &wakes).await;
                let sent = fill(&mut client, &mut driven, &wakes).await;
                if ends {
                    client.shutdown().await.unwrap();
                    settle(&mut driven, &wakes).await;
                }
                let before = wakes.count();
                for _ in 0..50 {
                    assert!(poll(&mut driven, &wakes).is_pending());
                    yield_now().await;
                }
                assert_eq!(wakes.count(), before, "it woke itself");
                let reads = async {
                    let mut back = vec![0; sent];
                    timeout(Duration::from_secs(60), client.read_exact(&mut back)).await.unwrap().unwrap();
                    client.shutdown().await.unwrap();
                };
                let (ended, ()) = tokio::join!(finish(driven, &wakes), reads);
                assert_eq!((ended.outcome.end, ended.outcome.echoed), (End::Clean, sent as u64));
            }
        });
    }
}

/// Each time a little later, or earlier, than the session is polled.
#[test]
fn a_request_from_another_thread_is_heard_at_any_moment() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for aborts in [false, true] {
        for spins in 0..1000_usize {
            let (_client, server) = duplex(10);
            let driver = Driver::new(SystemClock::new());
            let control = driver.control();
            let config =
                ServerConfig::default().quiet(Duration::from_nanos(1)).linger(Duration::from_nanos(1));
            let machine = |now| EchoServer::new(config.into(), now);
            let session = runtime.spawn(driver.drive(Io(server), machine, |never| match never {}));
            for _ in 0..(spins * 7) % 1009 {
                std::hint::spin_loop();
            }
            if aborts {
                control.abort();
            } else {
                control.stop();
            }
            runtime.block_on(async {
                let ended = timeout(Duration::from_secs(60), session).await.expect("a lost wake-up");
                let end = ended.unwrap().outcome.end;
                assert_eq!(end == End::Aborted, aborts, "{end:?}");
            });
        }
    }
}
