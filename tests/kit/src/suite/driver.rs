//! What a driver's tests implement to run the suite.

use std::convert::Infallible;
use std::io;

use roundtrip_core::datagram::DatagramMachine;
use roundtrip_core::{Machine, Time};
use roundtrip_net::{
    Backend, Callback, Clock, ConnectionReport, Control, DatagramAddress, DatagramSocket, DatagramsEnded,
    EventSink, Stream,
};

/// A [`Backend`] that threads of a test share.
pub trait TestBackend: Backend + Copy + Send + Sync + 'static {}

impl<B: Backend + Copy + Send + Sync + 'static> TestBackend for B {}

/// A driver of one connection over a socket. Every call blocks until the work is done.
pub trait SocketDriver: 'static {
    /// The driver of one connection.
    type Connection<C: Send + 'static, T: Clock + Send + 'static>: Send + 'static;

    fn connection<C: Send + 'static, T: Clock + Send + 'static>(
        clock: T,
    ) -> io::Result<Self::Connection<C, T>>;

    fn control<C: Send + 'static, T: Clock + Send + 'static>(
        connection: &Self::Connection<C, T>,
    ) -> Control<C>;

    fn drive_connection<M: Machine<Command: Send + 'static>, T: Clock + Send + 'static>(
        connection: Self::Connection<M::Command, T>,
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
        events: impl EventSink<M::Event>,
    ) -> ConnectionReport<M::Outcome>;

    fn drive<M: Machine>(
        stream: Stream,
        machine: impl FnOnce(Time) -> M,
    ) -> io::Result<ConnectionReport<M::Outcome>>;
}

/// A driver of datagram sockets. Every call blocks until the work is done.
pub trait DatagramDriver: 'static {
    /// The driver of one socket.
    type Socket<T: Clock + Send + 'static>: Send + 'static;

    fn socket<T: Clock + Send + 'static>(clock: T) -> io::Result<Self::Socket<T>>;

    fn control<T: Clock + Send + 'static>(driver: &Self::Socket<T>) -> Control<Infallible>;

    fn drive<M: DatagramMachine<Address = DatagramAddress>, T: Clock + Send + 'static>(
        driver: Self::Socket<T>,
        socket: DatagramSocket,
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> io::Result<DatagramsEnded<M::Outcome>>;
}

/// A [`SocketDriver::Connection`], with its driver as a parameter of the type.
pub(crate) struct Connection<D: SocketDriver, C: Send + 'static, T: Clock + Send + 'static>(
    D::Connection<C, T>,
);

impl<D: SocketDriver, C: Send, T: Clock + Send + 'static> Connection<D, C, T> {
    pub(crate) fn new(clock: T) -> Self {
        Self(D::connection(clock).unwrap())
    }

    pub(crate) fn control(&self) -> Control<C> {
        D::control(&self.0)
    }

    pub(crate) fn drive<M: Machine<Command = C>>(
        self,
        stream: impl Into<Stream>,
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> ConnectionReport<M::Outcome> {
        self.drive_into(stream, machine, Callback(events))
    }

    pub(crate) fn drive_into<M: Machine<Command = C>>(
        self,
        stream: impl Into<Stream>,
        machine: impl FnOnce(Time) -> M,
        events: impl EventSink<M::Event>,
    ) -> ConnectionReport<M::Outcome> {
        D::drive_connection(self.0, stream.into(), machine, events)
    }
}

/// A [`DatagramDriver::Socket`], with its driver as a parameter of the type.
pub(crate) struct Datagrams<D: DatagramDriver, T: Clock + Send + 'static>(D::Socket<T>);

impl<D: DatagramDriver, T: Clock + Send + 'static> Datagrams<D, T> {
    pub(crate) fn new(clock: T) -> Self {
        Self(D::socket(clock).unwrap())
    }

    pub(crate) fn control(&self) -> Control<Infallible> {
        D::control(&self.0)
    }

    pub(crate) fn drive<M: DatagramMachine<Address = DatagramAddress>>(
        self,
        socket: DatagramSocket,
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> DatagramsEnded<M::Outcome> {
        D::drive(self.0, socket, machine, events).unwrap()
    }
}
