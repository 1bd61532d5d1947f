//! The tests that every socket driver is held to, with sessions on several threads.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails its test")]

#[path = "../../suite/mod.rs"]
mod suite;

/// A connection is driven when the call returns.
const fn wait<T>(ended: T) -> T {
    ended
}

mod driver {
    use std::io;
    use std::num::NonZeroUsize;

    use roundtrip_core::Machine;
    use roundtrip_core::admission::Limits;
    use roundtrip_core::hub::Hub;
    use roundtrip_net::SharedHub;
    use roundtrip_reactor::{
        Clients, Listener, Served, ServerHandle, Service, Stream, drive_all_on, serve_on,
    };
    pub(crate) use roundtrip_reactor::{Clock, Driver, SystemClock, drive};

    const THREADS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

    pub(crate) fn serve<S: Service>(
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        service: &S,
    ) -> io::Result<Served> {
        serve_on(THREADS, &SystemClock::new(), listeners, limits, handle, service)
    }

    pub(crate) fn serve_hub<H: Hub<Session: Machine<Command: Send>> + Send>(
        clock: &impl Clock,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        hub: H,
    ) -> io::Result<(Served, H)> {
        let service = SharedHub::new(hub, clock);
        let served = serve_on(THREADS, clock, listeners, limits, handle, &service)?;
        Ok((served, service.into_hub()))
    }

    pub(crate) fn drive_all<C: Clients>(
        clock: &impl Clock,
        streams: impl IntoIterator<Item = Stream>,
        clients: &C,
    ) -> io::Result<()> {
        drive_all_on(THREADS, clock, streams, clients)
    }
}
