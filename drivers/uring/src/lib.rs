//! The completion driver: any machine over a socket, an `io_uring` a thread. Linux only, since 6.1; elsewhere the crate is
//! empty.
//!
//! # The loop
//!
//! [`Uring`] runs the ten-line loop of [`roundtrip_core`] for many connections at once:
//!
//! | the machine says | the driver does |
//! | --- | --- |
//! | `Write` | has the bytes sent, and keeps them until that is complete |
//! | `ShutdownWrite` | `shutdown(2)` |
//! | `Event` | calls the application |
//! | `Wait` | looks into its mailbox, has at most the credit received, sleeps until something is complete |
//! | `Close` | cancels what is in flight, counts what comes of it, closes or resets the socket, returns the outcome |
//!
//! At most one send and one receive are in flight for a connection, and whatever all connections of a thread ask for in a
//! turn is handed over in one call, `io_uring_enter(2)`, which brings what is complete as well. A receive has no memory of
//! its own: the kernel picks a buffer of the thread's when bytes have come, and they are copied out of it. Where the kernel
//! can limit that (6.17), one receive goes on until it has brought what there was credit for. What a send reads is owned by
//! the ring until that send is complete, whatever becomes of the connection meanwhile. What completes after a machine closed
//! never reaches it; it is counted in [`ConnectionReport::written`] and [`ConnectionReport::unread`].
//!
//! A [`Control`] wakes the thread, with a call to the system only if it sleeps. When a deadline has passed, the kernel is
//! asked what has come *before* the machine is polled. A thread has one entry for the deadline of each connection, which
//! stays where it is while that moves on.
//!
//! # The server
//!
//! [`Uring`] is a [`Backend`]: it serves an [`Application`] behind the core's admission policy until it is drained; a [`ServerHandle`]
//! stops it from any thread. Several threads drive connections, if it has more than one; the first of them accepts for all.
//!
//! ```
//! use roundtrip_core::admission::Limits;
//! use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, Payload, ServerConfig, Verdict};
//! use roundtrip_uring::{Backend, BindOptions, ConnectOptions, ServerHandle};
//! use std::sync::Arc;
//!
//! let listener = roundtrip_uring::bind(&"127.0.0.1:0".parse()?, &BindOptions::default())?;
//! let endpoint = listener.local_endpoint()?;
//! let handle = ServerHandle::new();
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         let config = Arc::new(ServerConfig::default());
//!         let echo = |now, _peer: &_| EchoServer::new(Arc::clone(&config), now);
//!         roundtrip_uring::Uring::default().serve(vec![listener], Limits::default(), &handle, &echo)
//!     });
//!     let stream = roundtrip_uring::connect(&endpoint, &ConnectOptions::default())?;
//!     let ended = roundtrip_uring::drive(stream, |now| {
//!         EchoClient::new(ClientConfig::default().into(), Payload::seeded(1, 100_000), now)
//!     })?;
//!     handle.stop();
//!     assert_eq!(ended.outcome.verdict, Verdict::Verified);
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg(target_os = "linux")]
#![deny(unsafe_code)]

mod arena;
mod backend;
mod clients;
mod connection;
mod options;
mod ring;
mod server;
mod session;
mod thread;

pub use connection::{Driver, available, drive};
pub use options::Uring;
pub use roundtrip_net::{
    Accepted, Application, Backend, BindOptions, Call, CallFailed, Clock, CommandOf, ConnectOptions,
    ConnectionReport, Control, Endpoint, EndpointError, EventOf, EventReceiver, EventSender, EventSink,
    Family, Listener, NetError, OutcomeOf, Panic, Peer, SendError, ServerHandle, ServerStats, Source, Stage,
    Stream, SystemClock, TcpInfo, bind, connect, event_channel, passed_listeners,
};
