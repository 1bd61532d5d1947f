//! What the async drivers share: a session and a server as futures, over any runtime.
//!
//! | item | what it is |
//! | --- | --- |
//! | [`AsyncTransport`], [`AsyncListener`] | what a driver implements for the sockets of its runtime |
//! | [`Timer`], [`Spawn`] | what it implements for the runtime itself |
//! | [`Driver`] | one machine over a transport, as a future |
//! | [`serve`] | a server, as a future: accepts, admits, drains and ends |
//! | `blocking` | both on threads of their own, for applications without an executor (feature `blocking`) |
//!
//! # The loop
//!
//! [`Driver::drive`] is the ten-line loop of [`roundtrip_core`] made real:
//!
//! | the machine says | the driver does |
//! | --- | --- |
//! | `Write` | writes at once what the transport takes, keeps the rest |
//! | `ShutdownWrite` | half-closes the transport |
//! | `Event` | calls the application |
//! | `Wait` | looks into the mailbox, writes, reads at most the credit; sleeps when none of that was possible |
//! | `Close` | closes or resets the transport, returns the outcome |
//!
//! One future does all of it, in this order, so that nothing that was read can be lost to another branch of a race. Whenever
//! it wakes, for a passed deadline too, what is readable is read *before* the machine is polled. After 32 steps without
//! sleeping it yields to the other tasks of its thread.

#![forbid(unsafe_code)]

#[cfg(feature = "blocking")]
pub mod blocking;
mod notifier;
mod runtime;
mod server;
mod session;
mod timer;
mod transport;

pub use notifier::Notifier;
pub use runtime::{Spawn, Timer};
pub use server::serve;
pub use session::{Driver, MAX_STEPS, with_block};
pub use timer::LazyTimer;
pub use transport::{AsyncListener, AsyncTransport};
