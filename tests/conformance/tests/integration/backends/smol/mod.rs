//! The smol driver.

// One source for every driver: their types of streams, endpoints and servers differ, as those of pipes do.
#[path = "../sockets.rs"]
mod sockets;

use roundtrip_smol as driver;
use roundtrip_smol::block_on as wait;
pub(crate) use sockets::Packets;
pub(crate) use sockets::Sockets;
