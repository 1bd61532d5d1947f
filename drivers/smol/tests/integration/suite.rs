//! The tests that every socket driver must pass.

use std::convert::Infallible;
use std::io;

use roundtrip_core::datagram::DatagramMachine;
use roundtrip_core::{Machine, Time};
use roundtrip_smol::{
    Clock, ConnectionReport, Control, DatagramAddress, DatagramSocket, DatagramsEnded, Driver, EventSink,
    Stream, block_on,
};
use roundtrip_testkit::suite::{DatagramDriver, SocketDriver};

struct Driven;

impl SocketDriver for Driven {
    type Connection<C: Send + 'static, T: Clock + Send + 'static> = Driver<C, T>;

    fn connection<C: Send + 'static, T: Clock + Send + 'static>(clock: T) -> io::Result<Driver<C, T>> {
        Ok(Driver::new(clock))
    }

    fn control<C: Send + 'static, T: Clock + Send + 'static>(connection: &Driver<C, T>) -> Control<C> {
        connection.control()
    }

    fn drive_connection<M: Machine<Command: Send + 'static>, T: Clock + Send + 'static>(
        connection: Driver<M::Command, T>,
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
        events: impl EventSink<M::Event>,
    ) -> ConnectionReport<M::Outcome> {
        block_on(connection.drive_into(stream, machine, events))
    }

    fn drive<M: Machine>(
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
    ) -> io::Result<ConnectionReport<M::Outcome>> {
        Ok(block_on(roundtrip_smol::drive(stream, machine)))
    }
}

impl DatagramDriver for Driven {
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

roundtrip_testkit::socket_driver_tests!(Driven);
roundtrip_testkit::datagram_driver_tests!(Driven);

mod one_thread {
    use roundtrip_smol::Smol;

    fn backend() -> Smol {
        Smol::default()
    }

    roundtrip_testkit::backend_tests!(backend);
}

mod three_threads {
    use std::num::NonZeroUsize;

    use roundtrip_smol::Smol;

    fn backend() -> Smol {
        Smol::default().threads(NonZeroUsize::new(3).unwrap())
    }

    roundtrip_testkit::backend_tests!(backend);
}
