//! Pure protocol machines: a protocol is a value, I/O is a plug.
//!
//! A [`Machine`] turns inputs (bytes read, bytes written, the peer's end, commands, a stop) into actions
//! (write, half-close, wait, close) and never touches a socket, a clock, a thread or a random source. A driver
//! carries the actions out. Any machine runs on any driver, so what a simulator, a fuzzer and a model checker
//! exercise is the code that ships.
//!
//! # The contract
//!
//! [`Machine::handle`] takes one [`Input`]; [`Machine::poll`] gives one [`Action`] at a time until
//! [`Wait`](Action::Wait) or [`Close`](Action::Close). A [`Wait`] is the only permission to read, to deliver
//! commands and to sleep, so a driver cannot sleep on actions it has not carried out. [`Driven`] is a machine
//! with the bookkeeping that every driver needs.
//!
//! # A driver in ten lines
//!
//! This one lives in memory: it feeds an [`EchoServer`](echo::EchoServer) from a slice and collects what it
//! writes. The socket drivers are this loop made real.
//!
//! ```
//! use bytes::Bytes;
//! use roundtrip_core::echo::{EchoServer, ServerConfig};
//! use roundtrip_core::{Driven, Step, Time};
//!
//! let now = Time::ZERO;
//! let mut session = Driven::new(EchoServer::new(ServerConfig::default().into(), now));
//! let mut unread = Bytes::from_static(b"this is a test");
//! let mut written = Vec::new();
//! let outcome = loop {
//!     match session.step(now) {
//!         Step::Write => {
//!             written.extend_from_slice(session.pending());
//!             session.wrote(now, session.pending().len());
//!         }
//!         Step::ShutdownWrite => {} // a socket would send FIN here
//!         Step::Event(never) => match never {},
//!         Step::Wait(_) if unread.is_empty() => session.eof(now),
//!         Step::Wait(_) => unread = session.data(now, unread),
//!         Step::Close { outcome, .. } => break outcome,
//!     }
//! };
//! assert_eq!(written, b"this is a test");
//! assert_eq!((outcome.received, outcome.echoed), (14, 14));
//! ```
//!
//! # The rooms
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`Time`] | the only notion of time |
//! | [`Machine`], [`Input`], [`Action`], [`Wait`], [`Misuse`] | the contract |
//! | [`Driven`], [`Step`] | what every interpreter of a machine remembers |
//! | [`Tap`], [`Observe`] | a layer that sees every input and action |
//! | [`echo`] | the echo sessions: server, client, payload, verdict |
//! | [`admission`] | how many connections, what after an accept error, how a drain proceeds |

#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod admission;
mod driven;
pub mod echo;
mod layer;
mod machine;
mod time;

pub use bytes;
pub use driven::{Driven, Step};
pub use layer::{Observe, Tap};
pub use machine::{Action, Failure, Input, Machine, Misuse, Teardown, Wait};
pub use time::Time;
