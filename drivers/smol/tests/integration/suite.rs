//! The tests that every socket driver must pass.

use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;

use roundtrip_core::admission::Limits;
use roundtrip_core::datagram::DatagramMachine;
use roundtrip_core::hub::Hub;
use roundtrip_core::{Machine, Time};
use roundtrip_smol::{
    Clients, Clock, Control, DatagramAddress, DatagramSocket, DatagramsEnded, Driver, Ended, Listener,
    Served, ServerHandle, Service, Stream, SystemClock, block_on, drive_all_on, serve_on,
};
use roundtrip_testkit::suite::{DatagramDriver, SocketDriver};

/// Sessions on this many threads. One is what the functions without a number of threads use.
pub(crate) struct Smol<const THREADS: usize>;

impl<const THREADS: usize> Smol<THREADS> {
    fn threads() -> NonZeroUsize {
        NonZeroUsize::new(THREADS).unwrap()
    }
}

impl<const THREADS: usize> SocketDriver for Smol<THREADS> {
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
        block_on(connection.drive(stream, machine, events))
    }

    fn drive<M: Machine>(stream: Stream, machine: impl FnOnce(Time) -> M) -> io::Result<Ended<M::Outcome>> {
        block_on(roundtrip_smol::drive(stream, machine))
    }

    fn drive_all<C: Clients<Machine: Send>>(
        clock: &impl Clock,
        streams: impl IntoIterator<Item = Stream>,
        clients: &C,
    ) -> io::Result<()> {
        if THREADS == 1 {
            return roundtrip_smol::drive_all(clock, streams, clients);
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
            return roundtrip_smol::serve(listeners, limits, handle, service);
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
        roundtrip_smol::serve_hub(clock, listeners, limits, handle, hub)
    }
}

impl DatagramDriver for OneThread {
    type Socket<T: Clock + Send + 'static> = roundtrip_smol::DatagramDriver<T>;

    fn socket<T: Clock + Send + 'static>(clock: T) -> io::Result<Self::Socket<T>> {
        roundtrip_smol::DatagramDriver::new(clock)
    }

    fn control<T: Clock + Send + 'static>(driver: &Self::Socket<T>) -> Control<Infallible> {
        driver.control()
    }

    fn drive<M: DatagramMachine<Address = DatagramAddress>, T: Clock + Send + 'static>(
        driver: Self::Socket<T>,
        socket: DatagramSocket,
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> io::Result<DatagramsEnded<M::Outcome>> {
        block_on(driver.drive(socket, machine, events))
    }
}

pub(crate) type OneThread = Smol<1>;

roundtrip_testkit::socket_driver_tests!(OneThread);
roundtrip_testkit::datagram_driver_tests!(OneThread);
