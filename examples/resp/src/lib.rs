//! A server that speaks the protocol of Redis (RESP2), as a machine: what a protocol of your own looks like.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `parse.rs` | bytes to commands, and replies to bytes |
//! | `keys.rs` | the keys, and what the commands do to them |
//! | `server.rs` | the [`Protocol`](roundtrip_core::protocol::Protocol): which command is which, and what is answered |
//! | `client/` | the other side: a client as a machine, and its callers |
//! | `main.rs` | a driver, and the keys that all connections share |
//!
//! There is no I/O in the first three, and no credit, half-close or time-out: that is the
//! [`Session`](roundtrip_core::protocol::Session)'s.

#![forbid(unsafe_code)]

pub mod client;
mod keys;
mod parse;
mod server;

pub use keys::Keys;
pub use parse::{Command, Malformed, parse};
pub use server::{Resp, SharedKeys, config};
