//! The tokio driver.

// One source for every driver: their types of streams, endpoints and servers differ, as those of pipes do.
#[path = "../sockets.rs"]
mod sockets;

use std::future::Future;
use std::io;

use roundtrip_std::connect;
use roundtrip_tokio as driver;
pub(crate) use sockets::Packets;
pub(crate) use sockets::Sockets;

fn wait<T>(driven: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(driven)
}

#[expect(clippy::unnecessary_wraps, reason = "as of the drivers that need a descriptor")]
fn driver_on<C, T: driver::Clock>(clock: T) -> io::Result<driver::Driver<C, T>> {
    Ok(driver::Driver::new(clock))
}

fn backend() -> impl roundtrip_std::Backend {
    roundtrip_tokio::Tokio::default()
}
