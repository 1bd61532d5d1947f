//! A client: how commands become bytes, and bytes replies. The rest is `roundtrip-client`'s.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `reply.rs` | bytes to replies |
//! | `codec.rs` | the codec, for commands that are answered once each |

mod codec;
mod reply;

pub use codec::{Redis, RedisError, command, config};
pub use reply::{BadReply, Reply, parse_reply};
pub use roundtrip_client::{Call, CallError, CallEvent, Calls, ClientConfig};
#[cfg(feature = "drivers")]
pub use roundtrip_client::{Client, client};
