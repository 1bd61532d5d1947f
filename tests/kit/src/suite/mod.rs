//! The tests that every socket driver must pass.
//!
//! [`backend_tests`](crate::backend_tests) declares the tests of a server and of clients, for a `Backend`. For one connection, and
//! for datagrams, the tests of a driver implement [`SocketDriver`] and [`DatagramDriver`];
//! [`socket_driver_tests`](crate::socket_driver_tests) and [`datagram_driver_tests`](crate::datagram_driver_tests) then declare
//! theirs.

mod application;
mod clients;
mod common;
mod connection;
mod datagrams;
mod driver;
mod duplex;
mod events;
mod hub;
mod interrupts;
mod misbehaving;
mod server;
#[doc(hidden)]
pub mod tests;

pub use driver::{DatagramDriver, SocketDriver, TestBackend};
