//! The driver as a value.

use std::io;

use roundtrip_core::admission::Limits;
use roundtrip_net::{Accepted, Application, Backend, Clock, Listener, ServerHandle, ServerStats, Stream};

use crate::{clients, server};

/// The blocking driver: a thread for each connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Std;

impl Backend for Std {
    fn serve_with<A: Application<Accepted, Machine: Send>>(
        &self,
        clock: &impl Clock,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        app: &A,
    ) -> io::Result<ServerStats> {
        server::serve(clock, listeners, limits, handle, app)
    }

    fn drive_all_with<A: Application<usize, Machine: Send>>(
        &self,
        clock: &impl Clock,
        streams: impl IntoIterator<Item = Stream>,
        app: &A,
    ) -> io::Result<()> {
        clients::drive_all(clock, streams, app)
    }
}
