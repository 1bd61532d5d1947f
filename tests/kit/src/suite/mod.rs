//! The tests that every socket driver must pass.
//!
//! A driver's tests implement [`SocketDriver`] and, where it drives datagrams, [`DatagramDriver`];
//! [`socket_driver_tests`](crate::socket_driver_tests) and [`datagram_driver_tests`](crate::datagram_driver_tests) then
//! declare a `#[test]` of each function here.

mod application;
mod clients;
mod common;
mod connection;
mod datagrams;
mod driver;
mod duplex;
mod events;
mod hub;
mod misbehaving;
mod server;
#[doc(hidden)]
pub mod tests;

pub use driver::{DatagramDriver, SocketDriver};
