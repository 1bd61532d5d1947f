//! The blocking driver: any machine over a socket, one thread a connection.
//!
//! # The loop
//!
//! [`drive`] is the ten-line loop of [`roundtrip_core`] made real:
//!
//! | the machine says | the driver does |
//! | --- | --- |
//! | `Write` | writes at once what the kernel takes, keeps the rest |
//! | `ShutdownWrite` | `shutdown(2)` |
//! | `Event` | calls the application |
//! | `Wait` | waits in `poll(2)`, on Windows in `select`, for the socket and for its wake-up descriptor, then reads at most the credit |
//! | `Close` | closes or resets the socket, returns the outcome |
//!
//! A [`Control`] reaches a thread that waits to read: it writes to the wake-up descriptor. After every wake-up,
//! a passed deadline included, what is readable is read *before* the machine is polled, so that a server that
//! was suspended answers the request that waited instead of timing it out.
//!
//! # The server
//!
//! [`Std`] is a [`Backend`]: it serves an [`Application`] behind the core's admission policy until it is drained; a [`ServerHandle`]
//! stops it from any thread. Threads accept for themselves, one at a time.
//!
//! ```
//! use roundtrip_core::admission::Limits;
//! use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, Payload, ServerConfig, Verdict};
//! use roundtrip_std::{Backend, BindOptions, ConnectOptions, ServerHandle};
//! use std::sync::Arc;
//!
//! let listener = roundtrip_std::bind(&"127.0.0.1:0".parse()?, &BindOptions::default())?;
//! let endpoint = listener.local_endpoint()?;
//! let handle = ServerHandle::new();
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         let config = Arc::new(ServerConfig::default());
//!         let echo = |now, _peer: &_| EchoServer::new(Arc::clone(&config), now);
//!         roundtrip_std::Std.serve(vec![listener], Limits::default(), &handle, &echo)
//!     });
//!     let stream = roundtrip_std::connect(&endpoint, &ConnectOptions::default())?;
//!     let ended = roundtrip_std::drive(stream, |now| {
//!         EchoClient::new(ClientConfig::default().into(), Payload::seeded(1, 100_000), now)
//!     })?;
//!     handle.stop();
//!     assert_eq!(ended.outcome.verdict, Verdict::Verified);
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Datagrams
//!
//! [`DatagramDriver`] does the same for a machine of datagrams ([`roundtrip_core::datagram`]) and one socket:
//!
//! ```
//! use roundtrip_echo::{
//!     DatagramClient, DatagramClientConfig, DatagramEcho, DatagramEchoConfig, DatagramVerdict, Schedule,
//! };
//! use roundtrip_std::{Backend, BindOptions, ConnectOptions, DatagramDriver, SystemClock, bind_datagram, connect_datagram};
//!
//! let socket = bind_datagram(&"udp:127.0.0.1:0".parse()?, &BindOptions::default())?;
//! let endpoint = socket.local_endpoint()?;
//! let server = DatagramDriver::new(SystemClock::new())?;
//! let control = server.control();
//! std::thread::scope(|scope| {
//!     let echo = |now| DatagramEcho::new(DatagramEchoConfig::default().into(), None, now);
//!     scope.spawn(move || server.drive(socket, echo, |_unanswered| {}));
//!     let socket = connect_datagram(&endpoint, &ConnectOptions::default())?;
//!     let server = socket.peer().cloned().ok_or("connected to nobody")?;
//!     let client = |now| {
//!         let schedule = Schedule::closed_loop(now).messages(100);
//!         DatagramClient::new(DatagramClientConfig::default().into(), schedule, server, 1, now)
//!     };
//!     let ended = DatagramDriver::new(SystemClock::new())?.drive(socket, client, |_fate| {})?;
//!     control.stop();
//!     assert_eq!(ended.outcome.verdict, DatagramVerdict::Verified);
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Over anything that is only `Read` and `Write`, [`plain::drive`] runs the same machines without a way in.

#![cfg_attr(not(windows), forbid(unsafe_code))]
#![cfg_attr(windows, deny(unsafe_code))]

mod backend;
mod clients;
mod connection;
mod datagrams;
pub mod plain;
mod server;
mod wake;

pub use backend::Std;
pub use connection::{Driver, drive};
pub use datagrams::DatagramDriver;
#[cfg(unix)]
pub use roundtrip_net::passed_listeners;
pub use roundtrip_net::{
    Accepted, Application, Backend, BindOptions, Call, CallFailed, Clock, CommandOf, ConnectOptions,
    ConnectionReport, Control, DatagramAddress, DatagramSocket, DatagramsEnded, Endpoint, EndpointError,
    EventOf, EventReceiver, EventSender, EventSink, FailedAttempt, Family, Keepalive, Listener, NetError,
    OutcomeOf, Panic, Peer, Received, SendError, ServerHandle, ServerStats, Source, Stage, Stream,
    SystemClock, TcpInfo, bind, bind_datagram, classify, connect, connect_datagram, event_channel,
};

/// The README's examples are compiled and run as this crate's tests, because it has all they need.
#[cfg(all(doctest, unix))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// And so are those of the page on embedding.
#[cfg(all(doctest, unix))]
#[doc = include_str!("../../../docs/embedding.md")]
struct Embedding;

/// And the driver of the page on drivers.
#[cfg(all(doctest, target_os = "linux"))]
#[doc = include_str!("../../../docs/driver.md")]
struct DriverOfYourOwn;
