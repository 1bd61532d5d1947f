//! The driver as a value.

use std::io;

use roundtrip_core::admission::Limits;
use roundtrip_net::{Backend, Clients, Clock, Listener, Served, ServerHandle, Service, Stream};

use crate::options::Uring;
use crate::{clients, server};

impl Backend for Uring {
    fn serve_with<S: Service<Machine: Send>>(
        &self,
        clock: &impl Clock,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        service: &S,
    ) -> io::Result<Served> {
        server::serve(*self, clock, listeners, limits, handle, service)
    }

    fn drive_all_with<C: Clients<Machine: Send>>(
        &self,
        clock: &impl Clock,
        streams: impl IntoIterator<Item = Stream>,
        clients: &C,
    ) -> io::Result<()> {
        clients::drive_all(*self, clock, streams, clients)
    }
}
