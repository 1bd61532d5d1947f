//! The driver of named pipes, of messages: for scripts whose clients come one after the other, as a client has no address.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use roundtrip_conformance::sockets::{Sockets, SocketsError};
use roundtrip_core::admission::Limits;
use roundtrip_net::NetError;
use roundtrip_pipe::{
    Accepted, Application, BindOptions, Clock, ConnectOptions, Endpoint, Listener, ServerHandle, ServerStats,
    Stream,
};

/// The driver under test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pipes;

impl Sockets for Pipes {
    type Listener = Listener;
    type Stream = Stream;

    fn bind(&self) -> Result<(Listener, Endpoint), SocketsError> {
        static PIPES: AtomicUsize = AtomicUsize::new(0);
        let number = PIPES.fetch_add(1, Ordering::Relaxed);
        let name = format!("pipe:conformance-{}-{number},type=message", std::process::id());
        let listener =
            roundtrip_pipe::bind(&name.parse().map_err(io::Error::other)?, &BindOptions::default())?;
        let endpoint = listener.local_endpoint()?;
        Ok((listener, endpoint))
    }

    fn connect(&self, endpoint: &Endpoint) -> Result<Stream, NetError> {
        roundtrip_pipe::connect(endpoint, &ConnectOptions::default())
    }

    fn address(_stream: &Stream) -> Option<SocketAddr> {
        None
    }

    fn serve<A: Application<Accepted, Machine: Send>>(
        &self,
        clock: &impl Clock,
        listener: Listener,
        limits: Limits,
        handle: &ServerHandle,
        app: &A,
    ) -> io::Result<ServerStats> {
        roundtrip_pipe::serve_by(clock, vec![listener], limits, handle, app)
    }

    fn drive<A: Application<usize, Machine: Send>>(
        &self,
        clock: &impl Clock,
        stream: Stream,
        app: &A,
    ) -> io::Result<()> {
        roundtrip_pipe::drive_all(clock, [stream], app)
    }
}
