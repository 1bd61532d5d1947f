//! The driver of named pipes.

#[path = "../sockets.rs"]
mod sockets;

use roundtrip_pipe as driver;
#[allow(unused_imports, reason = "each test binary uses its part")]
pub(crate) use sockets::Pipes;

/// A connection is driven when the call returns.
const fn wait<T>(ended: T) -> T {
    ended
}
