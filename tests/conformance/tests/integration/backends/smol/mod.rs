//! The smol driver.

// One source for every driver: their types of streams, endpoints and servers differ, as those of pipes do.
#[path = "../sockets.rs"]
mod sockets;

use std::io;

use roundtrip_smol as driver;
use roundtrip_smol::block_on as wait;
use roundtrip_std::connect;
pub(crate) use sockets::Packets;
pub(crate) use sockets::Sockets;

#[expect(clippy::unnecessary_wraps, reason = "as of the drivers that need a descriptor")]
fn driver_on<C, T: driver::Clock>(clock: T) -> io::Result<driver::Driver<C, T>> {
    Ok(driver::Driver::new(clock))
}

fn backend() -> impl roundtrip_std::Backend {
    roundtrip_smol::Smol::default()
}
