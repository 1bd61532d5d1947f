//! The tests that every socket driver is held to, with sessions that move between threads.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails its test")]

#[path = "../../suite/mod.rs"]
mod suite;

use roundtrip_smol::block_on as wait;

mod driver {
    use std::io;
    use std::num::NonZeroUsize;

    use roundtrip_core::admission::Limits;
    use roundtrip_smol::{Clients, Listener, Served, ServerHandle, Service, Stream, drive_all_on, serve_on};
    pub(crate) use roundtrip_smol::{Clock, Driver, SystemClock, drive, serve_hub};

    pub(crate) fn serve<S: Service<Machine: Send>>(
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        service: &S,
    ) -> io::Result<Served> {
        let threads = NonZeroUsize::new(3).unwrap();
        serve_on(threads, &SystemClock::new(), listeners, limits, handle, service)
    }

    pub(crate) fn drive_all<C: Clients<Machine: Send>>(
        clock: &impl Clock,
        streams: impl IntoIterator<Item = Stream>,
        clients: &C,
    ) -> io::Result<()> {
        drive_all_on(NonZeroUsize::new(3).unwrap(), clock, streams, clients)
    }
}
