//! Servers and clients on threads of their own, for applications without an executor: what the other drivers do.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use async_executor::Executor;
use roundtrip_core::admission::Limits;
use roundtrip_net::{
    Accepted, Application, Callback, Clock, Guarded, Panic, ServerHandle, ServerStats, Stream, catch,
};

use crate::{AsyncListener, AsyncTransport, Driver, Notifier, Spawn};

/// A runtime that can be waited on by threads without one.
pub trait BlockOn: Sync {
    /// Runs this future on the calling thread. Several threads may do so at once.
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T;
}

impl<'a> Spawn<'a> for Arc<Executor<'a>> {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'a) {
        Executor::spawn(self, task).detach();
    }
}

/// Runs [`serve`](crate::serve) on `threads` threads, of which the calling one is the first. A session runs on one of them at a
/// time, now on this one and now on that.
///
/// # Errors
///
/// If a listener cannot be registered, or a thread cannot be made.
pub fn serve<L, A>(
    runtime: &impl BlockOn,
    threads: NonZeroUsize,
    clock: &impl Clock,
    listeners: impl FnOnce() -> io::Result<Vec<L>> + Send,
    limits: Limits,
    handle: &ServerHandle,
    app: &A,
) -> io::Result<ServerStats>
where
    L: AsyncListener<Transport: Send> + Send,
    A: Application<Accepted, Machine: Send>,
{
    let executor = Arc::new(Executor::new());
    thread::scope(|scope| {
        let _workers = Workers::start(scope, runtime, threads.get() - 1, &executor)?;
        let spawner = Arc::clone(&executor);
        // A task like its sessions, so that it has its turn as often as each of them.
        let serving = Executor::spawn(&executor, async {
            let listeners = listeners()?;
            Ok(crate::serve(spawner, clock, listeners, limits, handle, app).await)
        });
        runtime.block_on(executor.run(serving))
    })
}

/// Drives all of these streams at once, each as a task, on `threads` threads besides the calling one, until every session is
/// over. `register` makes a transport of a stream.
///
/// The streams are taken one after the other on the calling thread: an iterator may connect them, and take its time,
/// while those before are driven.
///
/// # Errors
///
/// If a thread cannot be made.
///
/// # Panics
///
/// If a machine or `app` does; the connection is reset, and the others are driven to their end.
pub fn drive_all<IO: AsyncTransport + Send, A: Application<usize, Machine: Send>>(
    runtime: &impl BlockOn,
    threads: NonZeroUsize,
    clock: &impl Clock,
    streams: impl IntoIterator<Item = Stream>,
    register: impl Fn(Guarded) -> io::Result<IO> + Sync,
    app: &A,
) -> io::Result<()> {
    let (executor, register) = (Arc::new(Executor::new()), &register);
    thread::scope(|scope| {
        let _workers = Workers::start(scope, runtime, threads.get(), &executor)?;
        let tasks: Vec<_> = streams
            .into_iter()
            .enumerate()
            .map(|(index, stream)| {
                let stream = Guarded::new(stream);
                Executor::spawn(&executor, async move {
                    let driver = Driver::new(clock);
                    let control = driver.control();
                    let machine = |now| app.open(now, &index, &control);
                    let register = || register(stream);
                    let driven = driver
                        .try_drive(register, machine, Callback(|event| app.event(&index, &control, event)))
                        .await;
                    driven.and_then(|ended| catch(|| app.ended(&index, ended)))
                })
            })
            .collect();
        Ok(runtime.block_on(async {
            let mut ended = Ok(());
            for task in tasks {
                ended = ended.and(task.await);
            }
            ended
        }))
    })
    .map(|ended| ended.unwrap_or_else(|panic: Panic| panic.resume()))
}

/// Threads that run an executor's tasks. They end when this is dropped.
#[derive(Default)]
struct Workers(Vec<Arc<Notifier>>);

impl Workers {
    fn start<'scope, 'task: 'scope>(
        scope: &'scope thread::Scope<'scope, '_>,
        runtime: &'scope impl BlockOn,
        count: usize,
        executor: &Arc<Executor<'task>>,
    ) -> io::Result<Self> {
        // However this ends, no thread is left waiting.
        let mut workers = Self::default();
        for _ in 0..count {
            let end = Arc::new(Notifier::default());
            let work = {
                let (executor, end) = (Arc::clone(executor), Arc::clone(&end));
                move || runtime.block_on(executor.run(end.notified()))
            };
            thread::Builder::new().name("roundtrip".into()).spawn_scoped(scope, work)?;
            workers.0.push(end);
        }
        Ok(workers)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.iter().for_each(|end| roundtrip_net::Bell::ring(&**end));
    }
}
