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
//! # A machine
//!
//! This one counts what its peer sends, and tells it the sum at the end. What a machine owes is listed on [`Machine`].
//!
//! ```
//! use roundtrip_core::bytes::Bytes;
//! use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};
//! use std::convert::Infallible;
//!
//! enum Count {
//!     Counting(u64),
//!     Telling(u64),
//!     Told { unwritten: usize, sum: u64 },
//!     Over(Option<u64>),
//! }
//!
//! impl Machine for Count {
//!     type Command = Infallible; // nothing reaches in
//!     type Event = Infallible; // nothing leaves, but
//!     type Outcome = Option<u64>; // the sum, if the peer was told
//!
//!     fn handle(&mut self, _now: Time, input: Input) {
//!         match (&mut *self, input) {
//!             (Self::Counting(sum), Input::Data(bytes)) => *sum += bytes.len() as u64,
//!             (Self::Counting(sum), Input::Eof | Input::Stop) => *self = Self::Telling(*sum),
//!             (Self::Told { unwritten, .. }, Input::Wrote(n)) => *unwritten -= n,
//!             (_, Input::Abort | Input::Failed(_)) => *self = Self::Over(None),
//!             _ => {} // nothing else matters to it
//!         }
//!     }
//!
//!     fn poll(&mut self, now: Time) -> Action<Infallible, Option<u64>> {
//!         match *self {
//!             Self::Counting(_) => Action::Wait(Wait { read: 4096, commands: 0, deadline: None }),
//!             Self::Telling(sum) => {
//!                 let line = Bytes::from(format!("{sum}\n"));
//!                 *self = Self::Told { unwritten: line.len(), sum };
//!                 Action::Write(line)
//!             }
//!             Self::Told { unwritten: 0, sum } => {
//!                 *self = Self::Over(Some(sum));
//!                 self.poll(now)
//!             }
//!             Self::Told { .. } => Action::Wait(Wait { read: 0, commands: 0, deadline: None }),
//!             Self::Over(outcome) => Action::Close { how: Teardown::Graceful, outcome },
//!         }
//!     }
//! }
//! #
//! # use roundtrip_core::{Driven, Step};
//! # let now = Time::ZERO;
//! # let mut session = Driven::new(Count::Counting(0));
//! # let (mut unread, mut written) = (Bytes::from_static(b"this is a test"), Vec::new());
//! # let outcome = loop {
//! #     match session.step(now) {
//! #         Step::Write => written.extend_from_slice(&session.take(now, usize::MAX)),
//! #         Step::ShutdownWrite => {}
//! #         Step::Event(never) => match never {},
//! #         Step::Wait(_) if unread.is_empty() => session.eof(now),
//! #         Step::Wait(_) => unread = session.data(now, unread),
//! #         Step::Close { outcome, .. } => break outcome,
//! #     }
//! # };
//! # assert_eq!((&written[..], outcome), (&b"14\n"[..], Some(14)));
//! ```
//!
//! # A driver in ten lines
//!
//! This one lives in memory: it feeds a session from a slice and collects what it writes. The socket drivers are this loop
//! made real. The session is the echo server of the crate `roundtrip-echo`; any machine fits.
//!
//! ```
//! use roundtrip_core::bytes::Bytes;
//! use roundtrip_core::{Driven, Step, Time};
//! use roundtrip_echo::{EchoServer, ServerConfig};
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
//! # Modules
//!
//! | module | contents |
//! | --- | --- |
//! | [`Time`] | the only notion of time |
//! | [`Machine`], [`Input`], [`Action`], [`Wait`] | the contract |
//! | [`Driven`], [`Step`], [`Misuse`] | the bookkeeping every driver needs |
//! | [`protocol`] | protocols of messages: `Protocol`, and the `Session` that makes a machine of one |
//! | [`layer`] | machines around machines: `Tap` observes, `Layered` speaks through a `Codec` |
//! | [`hub`] | what connections share: who is open, and mail between them |
//! | [`datagram`] | the contract of machines that receive and send datagrams |
//! | [`admission`] | how many connections, what after an accept error, how a drain proceeds |
//! | [`text`] | text from outside, safe to print on a terminal |

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

extern crate alloc;

pub mod admission;
pub mod datagram;
mod driven;
pub mod hub;
pub mod layer;
mod machine;
pub mod protocol;
mod setters;
pub mod text;
mod time;

pub use bytes;
pub use driven::{Driven, Step};
pub use layer::{Observe, Tap};
pub use machine::{Action, Failure, Input, Machine, Misuse, Teardown, Wait};
pub use time::Time;
