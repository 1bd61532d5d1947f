//! The server as a future, and the driver as a value that blocks.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use roundtrip_core::admission::Limits;
use roundtrip_net::{
    Accepted, Application, Backend, Clock, Listener, ServerHandle, ServerStats, Stream, SystemClock,
};
use roundtrip_task::Spawn;
use roundtrip_task::blocking::{self, BlockOn};

use crate::socket::{SmolListener, SmolSocket};

/// Serves every connection of `listeners` that `limits` admit, each as a task of `spawner`, until the server is drained:
/// stopped by `handle`, or `limits.total` reached, and every session over.
///
/// `spawner` is an `Arc<smol::Executor>`, or [`Global`].
///
/// For connections that share a [`Hub`](roundtrip_core::hub::Hub), the application is a
/// [`SharedHub::new(hub, SystemClock::new())`](crate::SharedHub).
///
/// Cancel safety: dropped before it is done, the future closes the listeners and aborts every session that it spawned.
///
/// # Errors
///
/// If the listeners cannot be registered.
pub async fn serve<A>(
    spawner: impl Spawn<'static>,
    listeners: Vec<Listener>,
    limits: Limits,
    handle: ServerHandle,
    app: Arc<A>,
) -> io::Result<ServerStats>
where
    A: Application<Accepted, Machine: Send> + Send + 'static,
{
    let listeners = SmolListener::all(listeners)?;
    Ok(roundtrip_task::serve(spawner, SystemClock::new(), listeners, limits, &handle, app).await)
}

/// Runs tasks on the global executor of `smol`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

impl Spawn<'static> for Global {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }
}

/// The smol driver as a value, for an application without an executor: a task for each connection, on threads of its own.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Smol {
    /// Threads, which share the tasks. All wait in one poller. More than one pays where sessions compute; where they do little
    /// but move bytes, the threads mostly wake each other.
    pub threads: NonZeroUsize,
}

impl Smol {
    roundtrip_core::setters! {
        threads: NonZeroUsize,
    }
}

impl Default for Smol {
    /// One thread.
    fn default() -> Self {
        Self { threads: NonZeroUsize::MIN }
    }
}

impl Backend for Smol {
    fn serve_with<A: Application<Accepted, Machine: Send>>(
        &self,
        clock: &impl Clock,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        app: &A,
    ) -> io::Result<ServerStats> {
        let listeners = || SmolListener::all(listeners);
        blocking::serve(&Reactor, self.threads, clock, listeners, limits, handle, app)
    }

    fn drive_all_with<A: Application<usize, Machine: Send>>(
        &self,
        clock: &impl Clock,
        streams: impl IntoIterator<Item = Stream>,
        app: &A,
    ) -> io::Result<()> {
        blocking::drive_all(&Reactor, self.threads, clock, streams, SmolSocket::new, app)
    }
}

/// The one of the process, which any thread that blocks on a future runs.
struct Reactor;

impl BlockOn for Reactor {
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        async_io::block_on(future)
    }
}
