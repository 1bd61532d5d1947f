//! One machine, as a future.

use std::future::Future;

use roundtrip_core::{Machine, Time};
use roundtrip_net::{Callback, Clock, ConnectionReport, Control, EventSink, SystemClock};

use crate::IntoTransport;

/// Drives one machine over `io` until it closes, on the system's clock, without a [`Control`], and drops its events.
/// [`Driver`] has the rest.
///
/// Cancel safety: dropped before it is done, the future resets the connection.
pub fn drive<M: Machine>(
    io: impl IntoTransport,
    machine: impl FnOnce(Time) -> M,
) -> impl Future<Output = ConnectionReport<M::Outcome>> {
    Driver::new(SystemClock::new()).drive(io, machine, |_event| {})
}

/// Drives one connection: make it, take its [`Control`], then [`drive`](Self::drive).
#[derive(Debug)]
pub struct Driver<C, T>(roundtrip_task::Driver<C, T>);

impl<C, T: Clock> Driver<C, T> {
    /// A driver on this clock.
    pub fn new(clock: T) -> Self {
        Self(roundtrip_task::Driver::new(clock))
    }

    /// Reaches the session from any thread: stops it, aborts it, sends it commands.
    pub fn control(&self) -> Control<C> {
        self.0.control()
    }

    /// Drives one machine over `io` until it closes. The machine is made when the future is first polled.
    ///
    /// Cancel safety: dropped before it is done, the future resets the connection.
    ///
    /// # Panics
    ///
    /// The future does if the machine or `events` does; the connection is reset.
    pub fn drive<M: Machine<Command = C>>(
        self,
        io: impl IntoTransport,
        machine: impl FnOnce(Time) -> M,
        events: impl FnMut(M::Event),
    ) -> impl Future<Output = ConnectionReport<M::Outcome>> {
        self.drive_into(io, machine, Callback(events))
    }

    /// As [`drive`](Self::drive), with events into a channel: while it is full, the session is neither read for nor polled.
    pub fn drive_into<M: Machine<Command = C>>(
        self,
        io: impl IntoTransport,
        machine: impl FnOnce(Time) -> M,
        events: impl EventSink<M::Event>,
    ) -> impl Future<Output = ConnectionReport<M::Outcome>> {
        self.0.drive(io.into_transport(), machine, events)
    }
}
