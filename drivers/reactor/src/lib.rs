//! The reactor: any machine over a socket, an edge-triggered event loop a thread.
//!
//! # The loop
//!
//! [`Reactor`] runs the ten-line loop of [`roundtrip_core`] for many connections at once, on `mio`:
//!
//! | the machine says | the driver does |
//! | --- | --- |
//! | `Write` | writes at once what the kernel takes, keeps the rest until the poller says that it takes more |
//! | `ShutdownWrite` | `shutdown(2)` |
//! | `Event` | calls the application |
//! | `Wait` | looks into its mailbox, writes, reads at most the credit; has the next one's turn when none of that was possible |
//! | `Close` | closes or resets the socket, returns the outcome |
//!
//! A stream is registered once, for reading and for writing, when its machine waits for the first time, and the poller
//! tells each change once (epoll(7), `EPOLLET`). So what cannot be used at once is remembered: bytes that come while a
//! machine gives no credit, and an end that came with them. A message costs one read and one write, and nothing else
//! that is the connection's alone.
//!
//! A [`Control`] wakes the thread, with a call to the system only if it sleeps. Whenever a connection is woken, by a
//! passed deadline too, what is readable is read *before* the machine is polled. After 32 turns without a sleep the
//! others of the thread have theirs. A thread has one block to read into, and one entry for the deadline of each
//! connection, which stays where it is while that moves on. Deadlines take effect up to a millisecond late.
//!
//! No message takes a lock or an allocation. A server reads the clock once a turn of its thread, clients once for each
//! connection that is woken. With [`Reactor::busy_poll`] a thread busy-polls for a while before it sleeps, as
//! long as that pays.
//!
//! # The server
//!
//! [`Reactor`] is a [`Backend`]: it serves an [`Application`] behind the core's admission policy until it is drained; a [`ServerHandle`]
//! stops it from any thread. Several threads drive connections, if it has more than one; the first of them accepts for all.
//!
//! ```
//! use roundtrip_core::admission::Limits;
//! use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, Payload, ServerConfig, Verdict};
//! use roundtrip_reactor::{Backend, BindOptions, ConnectOptions, ServerHandle};
//! use std::sync::Arc;
//!
//! let listener = roundtrip_reactor::bind(&"127.0.0.1:0".parse()?, &BindOptions::default())?;
//! let endpoint = listener.local_endpoint()?;
//! let handle = ServerHandle::new();
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         let config = Arc::new(ServerConfig::default());
//!         let echo = |now, _peer: &_| EchoServer::new(Arc::clone(&config), now);
//!         roundtrip_reactor::Reactor::default().serve(vec![listener], Limits::default(), &handle, &echo)
//!     });
//!     let stream = roundtrip_reactor::connect(&endpoint, &ConnectOptions::default())?;
//!     let ended = roundtrip_reactor::drive(stream, |now| {
//!         EchoClient::new(ClientConfig::default().into(), Payload::seeded(1, 100_000), now)
//!     })?;
//!     handle.stop();
//!     assert_eq!(ended.outcome.verdict, Verdict::Verified);
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg(unix)]
#![forbid(unsafe_code)]

mod backend;
mod clients;
mod connection;
mod options;
mod poller;
mod server;
mod session;
mod spin;
mod thread;
mod timer;

pub use connection::{Driver, drive};
pub use options::Reactor;
pub use roundtrip_net::{
    Accepted, Application, Backend, BindOptions, Call, CallFailed, Clock, CommandOf, ConnectOptions,
    ConnectionReport, Control, Endpoint, EndpointError, EventOf, EventReceiver, EventSender, EventSink,
    Family, Listener, NetError, OutcomeOf, Panic, Peer, SendError, ServerHandle, ServerStats, Source, Stage,
    Stream, SystemClock, TcpInfo, bind, connect, event_channel, passed_listeners,
};
