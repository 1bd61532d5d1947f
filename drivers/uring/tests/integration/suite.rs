//! The tests that every socket driver must pass.

use std::io;
use std::num::NonZeroUsize;

use roundtrip_core::{Machine, Time};
use roundtrip_testkit::suite::SocketDriver;
use roundtrip_uring::{Backend, Clock, ConnectionReport, Control, Driver, EventSink, Stream};

/// Sessions on this many threads.
pub(crate) struct Uring<const THREADS: usize>;

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
        events: impl EventSink<M::Event>,
    ) -> ConnectionReport<M::Outcome> {
        connection.drive_into(stream, machine, events)
    }

    fn drive<M: Machine>(
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
    ) -> io::Result<ConnectionReport<M::Outcome>> {
        roundtrip_uring::drive(stream, machine)
    }

    fn backend() -> impl Backend {
        roundtrip_uring::Uring::default().threads(NonZeroUsize::new(THREADS).unwrap())
    }
}

pub(crate) type OneThread = Uring<1>;

roundtrip_testkit::socket_driver_tests!(OneThread);
