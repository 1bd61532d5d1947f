//! A driver of sockets as a value: how to wait, and its options.

use std::io;

use roundtrip_core::Machine;
use roundtrip_core::admission::Limits;
use roundtrip_core::hub::Hub;

use crate::{
    Accepted, Application, Clock, Listener, ServerHandle, ServerStats, SharedHub, Stream, SystemClock,
};

/// A way of waiting: serves and drives any machine over sockets, on threads of its own. Its options are its fields.
///
/// Every driver has one, and all do the same; an application chooses one as a value. The calls block until the work is done.
/// An application that has an executor uses the futures of an async driver instead.
pub trait Backend {
    /// Serves every connection of `listeners` that `limits` admit, until the server is drained: stopped by `handle`, or
    /// `limits.total` reached, and every session over. Machines see the time of this clock.
    ///
    /// A connection that fails, a machine that panics and a failed accept each end at most one connection.
    ///
    /// # Errors
    ///
    /// If the listeners cannot be waited for, or the system has no thread or descriptor left for the driver itself.
    fn serve_with<A: Application<Accepted, Machine: Send>>(
        &self,
        clock: &impl Clock,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        app: &A,
    ) -> io::Result<ServerStats>;

    /// Drives all of these streams at once, until every session is over. Machines see the time of this clock.
    ///
    /// The streams are taken one after the other on the calling thread: an iterator may connect them, and take its time,
    /// while those before are driven.
    ///
    /// # Errors
    ///
    /// If the system has no thread or descriptor left for the driver itself. No more streams are taken then, and the sessions
    /// that began are driven to their end.
    ///
    /// # Panics
    ///
    /// If a machine or `app` does; the connection is reset, and the others are driven to their end.
    fn drive_all_with<A: Application<usize, Machine: Send>>(
        &self,
        clock: &impl Clock,
        streams: impl IntoIterator<Item = Stream>,
        app: &A,
    ) -> io::Result<()>;

    /// [`serve_with`](Self::serve_with), on the system's clock.
    ///
    /// # Errors
    ///
    /// As `serve_with`.
    fn serve<A: Application<Accepted, Machine: Send>>(
        &self,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        app: &A,
    ) -> io::Result<ServerStats> {
        self.serve_with(&SystemClock::new(), listeners, limits, handle, app)
    }

    /// Serves a hub: what its connections share is called by one of them at a time, and reaches the others by mail. Gives
    /// the hub back once the server is drained.
    ///
    /// # Errors
    ///
    /// As [`serve_with`](Self::serve_with).
    fn serve_hub<H: Hub<Session: Machine<Command: Send> + Send> + Send>(
        &self,
        clock: &impl Clock,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        hub: H,
    ) -> io::Result<(ServerStats, H)> {
        let hub = SharedHub::new(hub, clock);
        let stats = self.serve_with(clock, listeners, limits, handle, &hub)?;
        Ok((stats, hub.into_hub()))
    }

    /// [`drive_all_with`](Self::drive_all_with), on the system's clock.
    ///
    /// # Errors
    ///
    /// As `drive_all_with`.
    ///
    /// # Panics
    ///
    /// As `drive_all_with`.
    fn drive_all<A: Application<usize, Machine: Send>>(
        &self,
        streams: impl IntoIterator<Item = Stream>,
        app: &A,
    ) -> io::Result<()> {
        self.drive_all_with(&SystemClock::new(), streams, app)
    }
}
