//! The blocking driver.

#[path = "../sockets.rs"]
mod sockets;

use roundtrip_std as driver;
#[allow(unused_imports, reason = "each test binary uses its part")]
pub(crate) use sockets::Packets;
pub(crate) use sockets::Sockets;

/// A connection is driven when the call returns.
const fn wait<T>(ended: T) -> T {
    ended
}
