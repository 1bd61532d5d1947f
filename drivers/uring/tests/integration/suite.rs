//! The tests that every socket driver must pass.

use std::io;
use std::num::NonZeroUsize;

use roundtrip_core::admission::Limits;
use roundtrip_core::hub::Hub;
use roundtrip_core::{Machine, Time};
use roundtrip_net::SharedHub;
use roundtrip_testkit::suite::SocketDriver;
use roundtrip_uring::{
    Clients, Clock, Control, Driver, Ended, Listener, Served, ServerHandle, Service, Stream, SystemClock,
    drive_all_on, serve_on,
};

/// Sessions on this many threads. One is what the functions without a number of threads use.
pub(crate) struct Uring<const THREADS: usize>;

impl<const THREADS: usize> Uring<THREADS> {
    fn threads() -> NonZeroUsize {
        NonZeroUsize::new(THREADS).unwrap()
    }
}

impl<const THREADS: usize> SocketDriver for Uring<THREADS> {
    type Connection<C: Send + 'static, T: Clock + Send + 'static> = Driver<C, T>;

    fn connection<C: Send + 'static, T: Clock + Send + 'static>(clock: T) -> io::Result<Driver<C, T>> {
        Driver::new(clock)
    }

    fn control<C: Send + 'static, T: Clock + Send + 'static>(connection: &Driver<C, T>) -> Control<C> {
        connection.control()
    }

    fn drive_connection<M: Machine<Command: Send + 'static>, T: Clock + Send + 'static>(
        connection: Driver<M::Command, T>,
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> Ended<M::Outcome> {
        connection.drive(stream, machine, events)
    }

    fn drive<M: Machine>(stream: Stream, machine: impl FnOnce(Time) -> M) -> io::Result<Ended<M::Outcome>> {
        roundtrip_uring::drive(stream, machine)
    }

    fn drive_all<C: Clients<Machine: Send>>(
        clock: &impl Clock,
        streams: impl IntoIterator<Item = Stream>,
        clients: &C,
    ) -> io::Result<()> {
        if THREADS == 1 {
            return roundtrip_uring::drive_all(clock, streams, clients);
        }
        drive_all_on(Self::threads(), clock, streams, clients)
    }

    fn serve<S: Service<Machine: Send>>(
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        service: &S,
    ) -> io::Result<Served> {
        if THREADS == 1 {
            return roundtrip_uring::serve(listeners, limits, handle, service);
        }
        serve_on(Self::threads(), &SystemClock::new(), listeners, limits, handle, service)
    }

    fn serve_hub<H: Hub<Session: Machine<Command: Send> + Send> + Send>(
        clock: &impl Clock,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        hub: H,
    ) -> io::Result<(Served, H)> {
        if THREADS == 1 {
            return roundtrip_uring::serve_hub(clock, listeners, limits, handle, hub);
        }
        let service = SharedHub::new(hub, clock);
        let served = serve_on(Self::threads(), clock, listeners, limits, handle, &service)?;
        Ok((served, service.into_hub()))
    }
}

pub(crate) type OneThread = Uring<1>;

roundtrip_testkit::socket_driver_tests!(OneThread);
