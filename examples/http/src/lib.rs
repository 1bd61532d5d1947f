//! An HTTP/1.1 server as a machine: what a protocol that streams looks like.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `request.rs` | the head of a request: its line and its fields |
//! | `body.rs` | the body of a request, by its length or in chunks, as it comes |
//! | `response.rs` | the statuses, and the head of a response |
//! | `server.rs` | the [`Protocol`](roundtrip_core::protocol::Protocol): what is answered, and when |
//! | `main.rs` | a driver |
//!
//! No body is ever whole in memory, in either direction. Input, output, half-closes and the limits of what is held are the
//! [`Session`](roundtrip_core::protocol::Session)'s.
//!
//! Responses have no `Date`: the wall clock is the application's, and a server without a clock may leave the field out
//! (RFC 9110 section 6.6.1).

#![forbid(unsafe_code)]

mod body;
mod request;
mod response;
mod server;

pub use body::{Body, MAX_BODY, Part};
pub use request::{Framing, MAX_HEAD, Method, Persistence, Request};
pub use response::Status;
pub use server::{HEAD_TIMEOUT, Http, KEEP_ALIVE, config};
