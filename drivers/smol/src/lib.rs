//! The smol driver: any machine over sockets and streams, one future a connection.
//!
//! | you have | use |
//! | --- | --- |
//! | an executor, and connections of your own | [`drive`], or [`Driver`] for events, commands and a clock |
//! | an executor, and listeners | [`serve`], a future |
//! | no executor | [`Smol`], a [`Backend`]: the same calls as in every driver, which block |
//!
//! [`roundtrip_task`] has the loop. On any executor, also one of another runtime: `async-io` runs its reactor on a thread of
//! its own where no other thread does. A connection that waits holds no read buffer (there is one for each thread), and a
//! timer that is set only if its machine has a deadline.
//!
//! ```
//! use roundtrip_core::admission::Limits;
//! use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, Payload, ServerConfig, Verdict};
//! use roundtrip_smol::{Accepted, BindOptions, ConnectOptions, Global, ServerHandle};
//! use std::sync::Arc;
//!
//! let listener = roundtrip_smol::bind(&"127.0.0.1:0".parse()?, &BindOptions::default())?;
//! let endpoint = listener.local_endpoint()?;
//! let handle = ServerHandle::new();
//! let config = Arc::new(ServerConfig::default());
//! let echo = Arc::new(move |now, _: &Accepted| EchoServer::new(Arc::clone(&config), now));
//! smol::block_on(async {
//!     let server =
//!         smol::spawn(roundtrip_smol::serve(Global, vec![listener], Limits::default(), handle.clone(), echo));
//!     let stream = roundtrip_smol::connect(endpoint, ConnectOptions::default()).await?;
//!     let ended = roundtrip_smol::drive(stream, |now| {
//!         EchoClient::new(ClientConfig::default().into(), Payload::seeded(1, 100_000), now)
//!     });
//!     assert_eq!(ended.await.outcome.verdict, Verdict::Verified);
//!     handle.stop();
//!     assert_eq!(server.await?.admission.admitted, 1);
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod connect;
mod datagrams;
mod io;
mod server;
mod session;
mod socket;

pub use async_io::block_on;
pub use connect::connect;
pub use datagrams::DatagramDriver;
pub use io::Io;
#[cfg(unix)]
pub use roundtrip_net::passed_listeners;
pub use roundtrip_net::{
    Accepted, Application, Backend, BindOptions, Call, CallFailed, Clock, CommandOf, ConnectOptions,
    ConnectionReport, Control, DatagramAddress, DatagramSocket, DatagramsEnded, Endpoint, EndpointError,
    EventOf, EventReceiver, EventSender, EventSink, FailedAttempt, Family, Listener, NetError, OutcomeOf,
    Panic, Peer, SendError, ServerHandle, ServerStats, SharedHub, Source, Stage, Stream, SystemClock,
    TcpInfo, bind, bind_datagram, connect_datagram, event_channel,
};
pub use roundtrip_task::Spawn;
pub use server::{Global, Smol, serve};
pub use session::{Driver, drive};
pub use socket::{IntoTransport, SmolSocket, SmolTimer};
