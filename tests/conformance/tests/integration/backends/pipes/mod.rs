//! The driver of named pipes.

// One source for every driver: their types of streams, endpoints and servers differ, as those of pipes do.
#[path = "../sockets.rs"]
mod sockets;

use std::io;

use roundtrip_pipe as driver;
use roundtrip_pipe::connect;
pub(crate) use sockets::Pipes;

/// A connection is driven when the call returns.
const fn wait<T>(ended: T) -> T {
    ended
}

fn driver_on<C, T: driver::Clock>(clock: T) -> io::Result<driver::Driver<C, T>> {
    driver::Driver::new(clock)
}

fn backend() -> Pipe {
    Pipe
}

/// Serves as the other drivers do.
struct Pipe;

impl Pipe {
    #[expect(clippy::unused_self, reason = "as of the other drivers")]
    fn serve_with<S: driver::Application<Accepted, Machine: Send>>(
        &self,
        clock: &impl driver::Clock,
        listeners: Vec<driver::Listener>,
        limits: roundtrip_core::admission::Limits,
        handle: &driver::ServerHandle,
        service: &S,
    ) -> io::Result<driver::ServerStats> {
        driver::serve_by(clock, listeners, limits, handle, service)
    }
}
