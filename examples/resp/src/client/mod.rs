//! A client: the machine, and thin callers for threads and for futures.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `reply.rs` | bytes to replies |
//! | `protocol.rs` | the machine: calls go in, each comes out once |
//! | `blocking.rs` | threads that share a connection of the blocking driver |
//! | `futures.rs` | futures that share a connection of the smol driver |
//!
//! No caller waits for ever: each call is answered, or [`Lost`] when the connection ends, however that comes. Where more
//! wait than a [mailbox](roundtrip_core::hub::MAILBOX) holds, further calls are [`Lost::Busy`] at once.

#[cfg(feature = "drivers")]
pub mod blocking;
#[cfg(feature = "drivers")]
pub mod futures;
mod protocol;
mod reply;

pub use protocol::{Call, Client, Done, IN_FLIGHT, Lost, config};
pub use reply::{BadReply, Reply, parse_reply};
