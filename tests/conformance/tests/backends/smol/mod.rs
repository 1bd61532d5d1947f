//! The smol driver.

#[path = "../sockets.rs"]
mod sockets;

use roundtrip_smol as driver;
use roundtrip_smol::block_on as wait;
#[allow(unused_imports, reason = "each test binary uses its part")]
pub(crate) use sockets::Packets;
pub(crate) use sockets::Sockets;
