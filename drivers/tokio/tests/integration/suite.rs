//! The tests that every socket driver must pass.

use std::io;
use std::num::NonZeroUsize;

use roundtrip_core::{Machine, Time};
use roundtrip_testkit::suite::SocketDriver;
use roundtrip_tokio::{Backend, Clock, ConnectionReport, Control, Driver, EventSink, Stream};

/// Sessions on this many threads.
pub(crate) struct Tokio<const THREADS: usize>;

impl<const THREADS: usize> SocketDriver for Tokio<THREADS> {
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
        Ok(block_on(roundtrip_tokio::drive(stream, machine)))
    }

    fn backend() -> impl Backend {
        roundtrip_tokio::Tokio::default().threads(NonZeroUsize::new(THREADS).unwrap())
    }
}

pub(crate) type OneThread = Tokio<1>;

fn block_on<T>(driven: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(driven)
}

roundtrip_testkit::socket_driver_tests!(OneThread);
