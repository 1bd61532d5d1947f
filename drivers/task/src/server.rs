//! The server: a future that accepts, and a task for each session.
//!
//! The accepting future alone obeys the core's admission policy, so what it says is done in order. A session tells the
//! policy of its own end, and notifies the server if the policy waits for that.

use std::future::{Future, poll_fn};
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll};

use roundtrip_core::admission::{Accept, Limits};
use roundtrip_core::{Teardown, Time};
use roundtrip_net::event_loop::{ServerApp, finish};
use roundtrip_net::{Accepted, Application, Callback, Clock, CommandOf, Peer, ServerHandle, ServerStats};

use crate::{AsyncListener, AsyncTransport, Driver, LazyTimer, Notifier, Spawn};

/// Connections that are accepted one after the other before the sessions have their turn.
const MAX_ACCEPTS: usize = 32;

/// Serves every connection of `listeners` that `limits` admit, each as a task, until the server is drained: stopped by
/// `handle`, or `limits.total` reached, and every session over.
///
/// A connection that fails, a machine that panics and a failed accept each end at most one connection.
///
/// Dropped before that, it closes the listeners and aborts every session that it spawned.
pub async fn serve<'a, L, P>(
    spawner: impl Spawn<'a>,
    clock: impl Clock + Clone + Send + 'a,
    mut listeners: Vec<L>,
    limits: Limits,
    handle: &ServerHandle,
    app: P,
) -> ServerStats
where
    L: AsyncListener<Transport: Send + 'a>,
    P: Deref<Target: Application<Accepted, Machine: Send>> + Send + Sync + 'a,
{
    let app = Arc::new(ServerApp::new(app, clock, Arc::<Notifier>::default(), limits, handle));
    // Declared after the listeners, and so dropped before them.
    let abort = AbortOnDrop(&app);
    let mut timer = LazyTimer::<<L::Transport as AsyncTransport>::Timer>::new();
    let mut accepted = 0;
    loop {
        app.bell().take();
        let now = app.now();
        let Some((accept, deadline)) = app.gate().obey(now) else { break };
        if accept == Accept::Closed {
            listeners.clear();
        }
        let next = next(&app, &mut listeners, accept, &mut timer, (now, deadline)).await;
        // It may have been a long wait.
        let now = app.now();
        match next {
            Some(Ok((transport, peer))) => {
                if let Some(task) = admit(&app, now, transport, peer) {
                    spawner.spawn(task);
                }
                accepted += 1;
                if accepted % MAX_ACCEPTS == 0 {
                    yield_now().await;
                }
            }
            Some(Err(error)) => app.accept_failed(now, &error),
            None if accept == Accept::Sweep => app.gate().swept(now),
            None => {}
        }
    }
    drop(abort);
    app.stats()
}

/// An application behind its admission gate, whose notifier wakes the accepting future.
type Server<P, T> = ServerApp<P, T, Notifier>;

/// Aborts the sessions of a server that is dropped.
struct AbortOnDrop<'a, P: Deref<Target: Application<Accepted>>, T: Clock>(&'a Server<P, T>);

impl<P: Deref<Target: Application<Accepted>>, T: Clock> Drop for AbortOnDrop<'_, P, T> {
    fn drop(&mut self) {
        self.0.gate().abort_all();
    }
}

type AcceptResult<L> = io::Result<(<L as AsyncListener>::Transport, Peer)>;

/// The next connection. None if the policy must be asked again first: there is a notification, the deadline has passed, or
/// during a sweep no connection is waiting.
async fn next<L: AsyncListener, P: Deref<Target: Application<Accepted>>, T: Clock>(
    app: &Server<P, T>,
    listeners: &mut [L],
    accept: Accept,
    timer: &mut LazyTimer<<L::Transport as AsyncTransport>::Timer>,
    (now, deadline): (Time, Option<Time>),
) -> Option<AcceptResult<L>> {
    if accept == Accept::Sweep {
        return listeners.iter_mut().find_map(|listener| listener.accept_waiting().transpose());
    }
    let mut slept = false;
    poll_fn(|cx| {
        if accept == Accept::Open
            && let Poll::Ready(found) = poll_accept(listeners, cx)
        {
            return Poll::Ready(Some(found));
        }
        // Whatever it was woken for: asking again is cheap, and the policy knows what the time means.
        if app.bell().poll_take(cx) || std::mem::replace(&mut slept, true) {
            return Poll::Ready(None);
        }
        if let Some(deadline) = deadline {
            timer.wake_by(cx, now, deadline);
        }
        Poll::Pending
    })
    .await
}

/// Accepts a connection from the first listener that has one. The next search begins behind it: a busy listener must not
/// starve the others.
fn poll_accept<L: AsyncListener>(listeners: &mut [L], cx: &mut Context<'_>) -> Poll<AcceptResult<L>> {
    for index in 0..listeners.len() {
        if let Poll::Ready(found) = listeners[index].poll_accept(cx) {
            listeners.rotate_left(index + 1);
            return Poll::Ready(found);
        }
    }
    Poll::Pending
}

/// Asks the policy about a connection. Its session, if it is admitted; else it is closed.
fn admit<P, T, IO>(
    app: &Arc<Server<P, T>>,
    now: Time,
    mut transport: IO,
    peer: Peer,
) -> Option<impl Future<Output = ()> + use<P, T, IO>>
where
    P: Deref<Target: Application<Accepted, Machine: Send>> + Sync,
    T: Clock + Clone,
    IO: AsyncTransport,
{
    let driver = Driver::new(app.clock().clone());
    let Some(accepted) = app.gate().admit(now, peer, &driver.control()) else {
        transport.close(Teardown::Graceful);
        app.refused(&peer);
        return None;
    };
    Some(run(Arc::clone(app), accepted, transport, driver))
}

async fn run<P, T, IO>(
    app: Arc<Server<P, T>>,
    accepted: Accepted,
    transport: IO,
    driver: Driver<CommandOf<P::Target, Accepted>, T>,
) where
    P: Deref<Target: Application<Accepted, Machine: Send>> + Sync,
    T: Clock,
    IO: AsyncTransport,
{
    let control = driver.control();
    let machine = |now| app.open(now, &accepted, &control);
    let driven = driver
        .try_drive(|| Ok(transport), machine, Callback(|event| app.event(&accepted, &control, event)))
        .await;
    finish(&*app, &accepted, (), driven);
}

/// Lets the other tasks of this thread run.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timer;
    use roundtrip_core::hub::ConnectionId;
    use roundtrip_echo::{EchoServer, ServerConfig};
    use roundtrip_net::SystemClock;
    use std::pin::pin;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Waker;
    use std::time::Duration;

    struct Never;

    impl Timer for Never {
        fn new() -> Self {
            Self
        }

        fn set_after(&mut self, _delay: Duration) {}

        fn poll_expired(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }

    /// As large as a socket.
    struct Silent(#[allow(dead_code, reason = "for its size")] [u64; 8]);

    impl AsyncTransport for Silent {
        type Timer = Never;

        fn poll_read(&mut self, _cx: &mut Context<'_>, _buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_write(&mut self, _cx: &mut Context<'_>, _bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_half_close(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn close(&mut self, _how: Teardown) -> u64 {
            0
        }
    }

    /// Ten thousand idle connections are ten thousand of these.
    #[test]
    fn the_task_of_a_connection_is_small() {
        let config = Arc::new(ServerConfig::default());
        let echo = Arc::new(move |now, _: &Accepted| EchoServer::new(Arc::clone(&config), now));
        let (limits, handle) = (Limits::default(), ServerHandle::new());
        let app = Arc::new(ServerApp::new(echo, SystemClock::new(), Arc::default(), limits, &handle));
        let peer = Peer::new(std::net::SocketAddr::from(([127, 0, 0, 1], 7)));
        let accepted = Accepted::new(ConnectionId::new(0), peer);
        let task = run(app, accepted, Silent([0; 8]), Driver::new(SystemClock::new()));
        let (machine, task) = (size_of::<EchoServer>(), size_of_val(&task));
        assert!(task <= machine + 768, "machine {machine} bytes, task {task} bytes");
    }

    #[derive(Clone, Default)]
    struct SharedClock(Arc<AtomicU64>);

    impl Clock for SharedClock {
        fn now(&self) -> Time {
            Time::from_nanos(self.0.load(Ordering::Relaxed))
        }
    }

    /// Waits until a day has passed, and fails then.
    struct Failing {
        clock: SharedClock,
        polls: Arc<AtomicU64>,
    }

    impl AsyncListener for Failing {
        type Transport = Silent;

        fn poll_accept(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<(Silent, Peer)>> {
            match self.polls.fetch_add(1, Ordering::Relaxed) {
                0 => {
                    self.clock.0.store(86_400_000_000_000, Ordering::Relaxed);
                    Poll::Pending
                }
                _ => Poll::Ready(Err(io::ErrorKind::OutOfMemory.into())),
            }
        }

        fn accept_waiting(&mut self) -> io::Result<Option<(Silent, Peer)>> {
            Ok(None)
        }
    }

    struct Nowhere;

    impl Spawn<'static> for Nowhere {
        fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            drop(task);
        }
    }

    #[test]
    fn a_failure_after_a_long_wait_pauses_from_then_on() {
        let (clock, polls) = (SharedClock::default(), Arc::new(AtomicU64::new(0)));
        let echo = Arc::new(move |now, _: &Accepted| EchoServer::new(ServerConfig::default().into(), now));
        let listeners = vec![Failing { clock: clock.clone(), polls: Arc::clone(&polls) }];
        let handle = ServerHandle::new();
        let mut server = pin!(serve(Nowhere, clock, listeners, Limits::default(), &handle, echo));
        for _ in 0..2 {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(server.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 2, "it does not try again at once");
    }
}
