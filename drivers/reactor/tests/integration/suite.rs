//! The tests that every socket driver must pass.

use std::io;

use roundtrip_core::{Machine, Time};
use roundtrip_reactor::{Clock, ConnectionReport, Control, Driver, EventSink, Stream};
use roundtrip_testkit::suite::SocketDriver;

struct Driven;

impl SocketDriver for Driven {
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
        roundtrip_reactor::drive(stream, machine)
    }
}

roundtrip_testkit::socket_driver_tests!(Driven);

mod one_thread {
    use roundtrip_reactor::Reactor;

    fn backend() -> Reactor {
        Reactor::default()
    }

    roundtrip_testkit::backend_tests!(backend);
}

mod three_threads {
    use std::num::NonZeroUsize;

    use roundtrip_reactor::Reactor;

    fn backend() -> Reactor {
        Reactor::default().threads(NonZeroUsize::new(3).unwrap())
    }

    roundtrip_testkit::backend_tests!(backend);
}
