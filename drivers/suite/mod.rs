//! What every socket driver is held to: the same tests, compiled against each of them.
//!
//! A driver's `tests/suite.rs` names itself `driver` and says in `wait` what waits for a connection that is driven, and
//! that is all that differs.

mod clients;
pub(crate) mod common;
mod connection;
mod hub;
mod server;
