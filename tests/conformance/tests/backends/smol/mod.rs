//! The smol driver.

#[path = "../sockets.rs"]
mod sockets;

use roundtrip_smol as driver;
use roundtrip_smol::block_on as wait;
pub(crate) use sockets::Sockets;
