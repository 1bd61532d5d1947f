//! The smol driver: any machine over a socket, one future a connection.
//!
//! # The loop
//!
//! [`drive`] is the ten-line loop of [`roundtrip_core`] made real, on `async-io`:
//!
//! | the machine says | the driver does |
//! | --- | --- |
//! | `Write` | writes at once what the kernel takes, keeps the rest |
//! | `ShutdownWrite` | `shutdown(2)` |
//! | `Event` | calls the application |
//! | `Wait` | looks into its mailbox, writes, reads at most the credit; sleeps when none of that was possible |
//! | `Close` | closes or resets the socket, returns the outcome |
//!
//! One future does all of it, in this order, so that nothing that was read can be lost to another branch of a race. A
//! [`Control`] wakes it. Whenever it wakes, for a passed deadline too, what is readable is read *before* the machine is
//! polled. After 32 turns without a sleep the other tasks of the thread have theirs. The future can be
//! dropped: the connection is then reset.
//!
//! A connection that waits holds no read buffer (there is one for each thread) and one timer, which is set only if
//! its machine has a deadline.
//!
//! # The server
//!
//! [`serve`] runs a [`Service`] behind the core's admission policy until it is drained; a [`ServerHandle`] stops it from
//! any thread. It blocks, as in every driver, and runs an executor of its own: on the calling thread, or with [`serve_on`]
//! on more. That makes drivers exchangeable, and keeps the policy's promises: no session is left when it returns.
//! Whoever has an executor accepts as they like, and spawns [`Driver::drive`] on it.
//!
//! ```
//! use roundtrip_core::admission::Limits;
//! use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, Payload, ServerConfig, Verdict};
//! use roundtrip_smol::{BindOptions, ConnectOptions, ServerHandle};
//! use std::sync::Arc;
//!
//! let listener = roundtrip_smol::bind(&"127.0.0.1:0".parse()?, &BindOptions::default())?;
//! let endpoint = listener.local_endpoint()?;
//! let handle = ServerHandle::new();
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         let config = Arc::new(ServerConfig::default());
//!         let echo = |now, _peer: &_| EchoServer::new(Arc::clone(&config), now);
//!         roundtrip_smol::serve(vec![listener], Limits::default(), &handle, &echo)
//!     });
//!     let stream = roundtrip_smol::connect(&endpoint, &ConnectOptions::default())?;
//!     let driven = roundtrip_smol::drive(stream, |now| {
//!         EchoClient::new(ClientConfig::default().into(), Payload::seeded(1, 100_000), now)
//!     });
//!     let ended = roundtrip_smol::block_on(driven)?;
//!     handle.stop();
//!     assert_eq!(ended.outcome.verdict, Verdict::Verified);
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod alarm;
mod clients;
mod connection;
mod datagrams;
mod ring;
mod server;
mod workers;

pub use async_io::block_on;
pub use clients::{drive_all, drive_all_on};
pub use connection::{Driver, drive};
pub use datagrams::DatagramDriver;
#[cfg(unix)]
pub use roundtrip_net::passed_listeners;
pub use roundtrip_net::{
    BindOptions, Call, CallFailed, Caller, Clients, Clock, ConnectOptions, Control, DatagramAddress,
    DatagramSocket, DatagramsEnded, Ended, Endpoint, EndpointError, Family, Listener, NetError, Peer,
    PostError, Served, ServerHandle, Service, Source, Stage, Stream, SystemClock, bind, bind_datagram,
    connect, connect_datagram,
};
pub use server::{serve, serve_by, serve_hub, serve_on};
