//! The server: a task that accepts, a task for each session, and the threads that run them.
//!
//! The accepting task alone obeys the core's admission policy, so what it says is done in order. A session tells the
//! door of its own end, and rings if the policy waits for that.

use std::future::poll_fn;
use std::io;
use std::num::NonZeroUsize;

use std::sync::Arc;
use std::task::Poll;
use std::thread;

use async_executor::Executor;
use async_io::{Async, block_on};
use roundtrip_core::admission::{Accept, Limits};
use roundtrip_core::hub::Hub;
use roundtrip_core::{Machine, Time};
use roundtrip_net::event_loop::{App, Serving, finish};
use roundtrip_net::{
    Caller, Clock, Guarded, Listener, Peer, Served, ServerHandle, Service, SharedHub, SystemClock,
};

use crate::alarm::Alarm;
use crate::connection::Driver;
use crate::ring::Ring;
use crate::workers::Workers;

/// Connections that are accepted one after the other before the sessions have their turn.
const ACCEPTS: usize = 32;

/// Serves every connection of `listeners` that `limits` let in, each as a task, on the calling thread, until the
/// server is drained: stopped by `handle`, or `limits.total` reached, and every session over.
///
/// A connection that fails, a machine that panics and a failed accept each end one connection at the most.
///
/// # Errors
///
/// If the listeners cannot be waited for.
pub fn serve<S: Service<Machine: Send>>(
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    service: &S,
) -> io::Result<Served> {
    serve_by(&SystemClock::new(), listeners, limits, handle, service)
}

/// Does what [`serve`] does, on this clock.
///
/// # Errors
///
/// If the listeners cannot be waited for.
pub fn serve_by<S: Service<Machine: Send>>(
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    service: &S,
) -> io::Result<Served> {
    serve_on(NonZeroUsize::MIN, clock, listeners, limits, handle, service)
}

/// Serves a hub: what its connections share is called by one of them at a time, and reaches the others by mail. Gives
/// the hub back once the server is drained.
///
/// # Errors
///
/// If the listeners cannot be waited for.
pub fn serve_hub<H>(
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    hub: H,
) -> io::Result<(Served, H)>
where
    H: Hub<Session: Machine<Command: Send> + Send> + Send,
{
    let service = SharedHub::new(hub, clock);
    let served = serve_by(clock, listeners, limits, handle, &service)?;
    Ok((served, service.into_hub()))
}

/// Does what [`serve_by`] does, on so many threads, of which the calling one is the first. A session runs on one of
/// them at a time, now on this one and now on that.
///
/// All threads wait in one poller. More than one pays where sessions compute; where they do little but move bytes, the
/// threads mostly wake each other.
///
/// # Errors
///
/// If the listeners cannot be waited for, or a thread cannot be made.
pub fn serve_on<S: Service<Machine: Send>>(
    threads: NonZeroUsize,
    clock: &impl Clock,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: &ServerHandle,
    service: &S,
) -> io::Result<Served> {
    let listeners = listeners.into_iter().map(Async::new_nonblocking).collect::<io::Result<_>>()?;
    let server = Server { app: Serving::new(service, clock, Arc::default(), limits, handle) };
    // Tasks spawn tasks, so they hold it.
    let executor = Arc::new(Executor::new());
    let accepting = executor.spawn(server.accept(Arc::clone(&executor), listeners));
    thread::scope(|scope| {
        let _others = Workers::start(scope, threads.get() - 1, &executor)?;
        block_on(executor.run(accepting));
        Ok::<_, io::Error>(())
    })?;
    Ok(server.app.served())
}

type Command<S> = <<S as Service>::Machine as Machine>::Command;

struct Server<'a, S: Service, T> {
    /// Its bell wakes the task that accepts.
    app: Serving<'a, S, T, Ring>,
}

/// A connection that was let in.
struct Admitted<C, T> {
    caller: Caller,
    stream: Async<Guarded>,
    driver: Driver<C, T>,
}

impl<S: Service<Machine: Send>, T: Clock> Server<'_, S, T> {
    /// Obeys the policy until the server is drained.
    async fn accept<'s>(&'s self, executor: Arc<Executor<'s>>, mut listeners: Vec<Async<Listener>>) {
        let mut alarm = Alarm::new();
        let mut accepted = 0;
        loop {
            self.app.bell().hear();
            let now = self.app.now();
            let Some((accept, deadline)) = self.app.door().obey(now) else { return };
            let found = match accept {
                Accept::Open | Accept::Sweep => next(&mut listeners),
                Accept::Paused => Ok(None),
                Accept::Closed => {
                    listeners.clear();
                    Ok(None)
                }
            };
            let found = found.and_then(|found| {
                let Some((stream, peer)) = found else { return Ok(None) };
                Ok(Some((Async::new_nonblocking(Guarded::new(stream))?, peer)))
            });
            match found {
                Ok(Some((stream, peer))) => {
                    if let Some(admitted) = self.decide(now, stream, peer) {
                        executor.spawn(self.serve_one(admitted)).detach();
                    }
                    accepted += 1;
                    if accepted % ACCEPTS == 0 {
                        pause().await;
                    }
                }
                Ok(None) if accept == Accept::Sweep => self.app.door().swept(now),
                Ok(None) => {
                    let open = if accept == Accept::Open { &*listeners } else { &[] };
                    self.sleep(open, &mut alarm, now, deadline).await;
                }
                Err(error) => self.app.accept_failed(now, &error),
            }
        }
    }

    /// Waits until there is a connection, the bell rings, or the deadline has passed.
    async fn sleep(
        &self,
        listeners: &[Async<Listener>],
        alarm: &mut Alarm,
        now: Time,
        deadline: Option<Time>,
    ) {
        let mut slept = false;
        poll_fn(|cx| {
            // All of them are asked, so that each wakes the task. What is wrong with one, accepting tells.
            let mut connection = false;
            for listener in listeners {
                connection |= listener.poll_readable(cx).is_ready();
            }
            // Whatever it was woken for: looking again is cheap, and the policy knows what the time means.
            if self.app.bell().poll(cx) || connection || std::mem::replace(&mut slept, true) {
                return Poll::Ready(());
            }
            if let Some(deadline) = deadline {
                alarm.wake_by(cx, now, deadline);
            }
            Poll::Pending
        })
        .await;
    }

    /// Asks the policy about a connection; none if it is refused, and closed.
    fn decide(&self, now: Time, stream: Async<Guarded>, peer: Peer) -> Option<Admitted<Command<S>, &T>> {
        let driver = Driver::on(self.app.clock());
        let Some(caller) = self.app.door().admit(now, peer, &driver.control()) else {
            stream.get_ref().disarm();
            self.app.refused(&peer);
            return None;
        };
        Some(Admitted { caller, stream, driver })
    }

    async fn serve_one(&self, admitted: Admitted<Command<S>, &T>) {
        let Admitted { caller, stream, driver } = admitted;
        let control = driver.control();
        let machine = |now| self.app.open(now, &caller, &control);
        let driven = driver.drive_on(stream, machine, |event| self.app.event(&caller, event)).await;
        finish(&self.app, &caller, (), driven);
    }
}

/// Accepts a connection from the first backlog that is not empty. The next look begins behind it: a busy listener
/// must not starve the others.
fn next(listeners: &mut [Async<Listener>]) -> io::Result<Option<(roundtrip_net::Stream, Peer)>> {
    for looked in 0..listeners.len() {
        if let Some(found) = listeners[looked].get_ref().accept_waiting()? {
            listeners.rotate_left(looked + 1);
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Gives the other tasks of this thread their turn.
async fn pause() {
    let mut paused = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut paused, true) {
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
    use roundtrip_core::hub::ConnectionId;
    use roundtrip_echo::{EchoServer, ServerConfig};
    use std::net::{TcpListener, TcpStream};

    /// Ten thousand idle connections are ten thousand of these. What an `async` block lends costs nothing, what it hands
    /// over is held twice.
    #[test]
    fn the_task_of_a_connection_is_small() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let clock = SystemClock::new();
        let service = |now, _peer: &Peer| EchoServer::new(ServerConfig::default().into(), now);
        let (limits, handle) = (Limits::default(), ServerHandle::new());
        let server = Server { app: Serving::new(&service, &clock, Arc::default(), limits, &handle) };
        let peer = Peer::new(client.peer_addr().unwrap());
        let caller = Caller { id: ConnectionId::new(0), peer };
        let stream = Async::new_nonblocking(Guarded::new(client.into())).unwrap();
        let task = server.serve_one(Admitted { caller, stream, driver: Driver::on(&clock) });
        let (machine, task) = (size_of::<EchoServer>(), size_of_val(&task));
        assert!(task <= machine + 768, "machine {machine} bytes, task {task} bytes");
    }
}
