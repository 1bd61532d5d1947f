//! The driver as a value.

use std::io;

use roundtrip_core::admission::Limits;
use roundtrip_net::{Accepted, Application, Backend, Clock, Listener, ServerHandle, ServerStats, Stream};

use crate::options::Reactor;
use crate::{clients, server};

impl Backend for Reactor {
    fn serve_with<A: Application<Accepted, Machine: Send>>(
        &self,
        clock: &impl Clock,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        app: &A,
    ) -> io::Result<ServerStats> {
        server::serve(*self, clock, listeners, limits, handle, app)
    }

    fn drive_all_with<A: Application<usize, Machine: Send>>(
        &self,
        clock: &impl Clock,
        streams: impl IntoIterator<Item = Stream>,
        app: &A,
    ) -> io::Result<()> {
        clients::drive_all(*self, clock, streams, app)
    }
}
