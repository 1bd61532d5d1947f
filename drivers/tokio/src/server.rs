//! The server as a future, and the driver as a value that blocks.

use std::future::Future;
use std::io;
use std::sync::Arc;

use roundtrip_core::admission::Limits;
use roundtrip_net::{Accepted, Application, Listener, ServerHandle, ServerStats};
use roundtrip_task::Spawn;

use crate::TokioClock;
use crate::socket::TokioListener;

/// Serves every connection of `listeners` that `limits` admit, each as a task of the runtime that polls this, until the server
/// is drained: stopped by `handle`, or `limits.total` reached, and every session over.
///
/// For connections that share a [`Hub`](roundtrip_core::hub::Hub), the application is a
/// [`SharedHub::new(hub, TokioClock::new())`](crate::SharedHub).
///
/// Cancel safety: dropped before it is done, the future closes the listeners and aborts every session that it spawned.
///
/// # Errors
///
/// If the listeners cannot be registered.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub async fn serve<A>(
    listeners: Vec<Listener>,
    limits: Limits,
    handle: ServerHandle,
    app: Arc<A>,
) -> io::Result<ServerStats>
where
    A: Application<Accepted, Machine: Send> + Send + 'static,
{
    let listeners = TokioListener::all(listeners)?;
    Ok(roundtrip_task::serve(Current, TokioClock::new(), listeners, limits, &handle, app).await)
}

/// The runtime that polls the server.
struct Current;

impl Spawn<'static> for Current {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(task));
    }
}

#[cfg(feature = "blocking")]
pub use blocking::Tokio;

#[cfg(feature = "blocking")]
mod blocking {
    use std::future::Future;
    use std::io;
    use std::num::NonZeroUsize;

    use roundtrip_core::admission::Limits;
    use roundtrip_net::{Accepted, Application, Backend, Clock, Listener, ServerHandle, ServerStats, Stream};
    use roundtrip_task::blocking::{self, BlockOn};
    use tokio::runtime::{Builder, Runtime};

    use crate::TokioSocket;
    use crate::socket::TokioListener;

    /// The tokio driver as a value, for an application without a runtime: a task for each connection, on threads of its own.
    ///
    /// The runtime provides sockets and timers; the tasks, which borrow from the caller, run on an executor beside it.
    ///
    /// Each field has a method of the same name that sets it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Tokio {
        /// Threads, which share the tasks. One of them waits for the sockets.
        pub threads: NonZeroUsize,
    }

    impl Tokio {
        roundtrip_core::setters! {
            threads: NonZeroUsize,
        }
    }

    impl Default for Tokio {
        /// One thread.
        fn default() -> Self {
            Self { threads: NonZeroUsize::MIN }
        }
    }

    impl Backend for Tokio {
        fn serve_with<A: Application<Accepted, Machine: Send>>(
            &self,
            clock: &impl Clock,
            listeners: Vec<Listener>,
            limits: Limits,
            handle: &ServerHandle,
            app: &A,
        ) -> io::Result<ServerStats> {
            let runtime = Blocking::new()?;
            let listeners = || TokioListener::all(listeners);
            blocking::serve(&runtime, self.threads, clock, listeners, limits, handle, app)
        }

        fn drive_all_with<A: Application<usize, Machine: Send>>(
            &self,
            clock: &impl Clock,
            streams: impl IntoIterator<Item = Stream>,
            app: &A,
        ) -> io::Result<()> {
            let runtime = Blocking::new()?;
            blocking::drive_all(&runtime, self.threads, clock, streams, TokioSocket::new, app)
        }
    }

    struct Blocking(Runtime);

    impl Blocking {
        fn new() -> io::Result<Self> {
            Builder::new_current_thread().enable_io().enable_time().build().map(Self)
        }
    }

    impl BlockOn for Blocking {
        fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
            // The future runs every task of a thread: the budget that tokio has for one task would be used up by the first of
            // them, and the others were polled again and again until the executor yields. It does so by itself.
            self.0.block_on(tokio::task::unconstrained(future))
        }
    }
}
