//! The tests that every socket driver must pass.

use std::convert::Infallible;
use std::io;

use roundtrip_core::datagram::DatagramMachine;
use roundtrip_core::{Machine, Time};
use roundtrip_std::{
    Clock, ConnectionReport, Control, DatagramAddress, DatagramSocket, DatagramsEnded, Driver, EventSink,
    Std, Stream,
};
use roundtrip_testkit::suite::{DatagramDriver, SocketDriver};

/// One thread a connection.
pub(crate) struct Blocking;

impl SocketDriver for Blocking {
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
        events: impl EventSink<M::Event>,
    ) -> ConnectionReport<M::Outcome> {
        connection.drive_into(stream, machine, events)
    }

    fn drive<M: Machine>(
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
    ) -> io::Result<ConnectionReport<M::Outcome>> {
        roundtrip_std::drive(stream, machine)
    }
}

impl DatagramDriver for Blocking {
    type Socket<T: Clock + Send + 'static> = roundtrip_std::DatagramDriver<T>;

    fn socket<T: Clock + Send + 'static>(clock: T) -> io::Result<Self::Socket<T>> {
        roundtrip_std::DatagramDriver::new(clock)
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
        driver.drive(socket, machine, events)
    }
}

roundtrip_testkit::socket_driver_tests!(Blocking);
roundtrip_testkit::datagram_driver_tests!(Blocking);

fn backend() -> Std {
    Std
}

roundtrip_testkit::backend_tests!(backend);
