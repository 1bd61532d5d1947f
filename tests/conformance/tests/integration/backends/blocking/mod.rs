//! The blocking driver.

// One source for every driver: their types of streams, endpoints and servers differ, as those of pipes do.
#[path = "../sockets.rs"]
mod sockets;

use std::io;

use roundtrip_std as driver;
use roundtrip_std::connect;
pub(crate) use sockets::Packets;
pub(crate) use sockets::Sockets;

/// A connection is driven when the call returns.
const fn wait<T>(ended: T) -> T {
    ended
}

fn driver_on<C, T: driver::Clock>(clock: T) -> io::Result<driver::Driver<C, T>> {
    driver::Driver::new(clock)
}

fn backend() -> impl roundtrip_std::Backend {
    roundtrip_std::Std
}
