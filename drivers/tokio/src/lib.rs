//! The tokio driver: any machine over sockets and streams, one future a connection.
//!
//! | you have | use |
//! | --- | --- |
//! | a runtime, and connections of your own | [`drive`], or [`Driver`] for events, commands and a clock |
//! | a runtime, and listeners | [`serve`], a future (Unix) |
//! | no runtime | `Tokio`, a [`Backend`]: the same calls as in every driver, which block (Unix, feature `blocking`) |
//!
//! [`roundtrip_task`] has the loop. A session can be driven over a `TcpStream` or a `UnixStream` of tokio, a [`Stream`] that
//! [`connect`] made, and over anything that implements `AsyncRead` and `AsyncWrite`, in [`Io`]: a TLS stream, a duplex in memory,
//! a box. On Windows, sockets are driven in [`Io`] too, which cannot reset them.
//!
//! The runtime must have its I/O and its timers enabled. Sessions follow its clock, [`TokioClock`]: with
//! `#[tokio::test(start_paused = true)]`, a time limit of an hour passes at once.
//!
//! ```
//! # #[cfg(unix)] {
//! use roundtrip_core::admission::Limits;
//! use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, Payload, ServerConfig, Verdict};
//! use roundtrip_tokio::{Accepted, BindOptions, ConnectOptions, ServerHandle};
//! use std::sync::Arc;
//!
//! let listener = roundtrip_tokio::bind(&"127.0.0.1:0".parse()?, &BindOptions::default())?;
//! let endpoint = listener.local_endpoint()?;
//! let handle = ServerHandle::new();
//! let config = Arc::new(ServerConfig::default());
//! let echo = Arc::new(move |now, _: &Accepted| EchoServer::new(Arc::clone(&config), now));
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! runtime.block_on(async {
//!     let server =
//!         tokio::spawn(roundtrip_tokio::serve(vec![listener], Limits::default(), handle.clone(), echo));
//!     let stream = roundtrip_tokio::connect(endpoint, ConnectOptions::default()).await?;
//!     let ended = roundtrip_tokio::drive(stream, |now| {
//!         EchoClient::new(ClientConfig::default().into(), Payload::seeded(1, 100_000), now)
//!     });
//!     assert_eq!(ended.await.outcome.verdict, Verdict::Verified);
//!     handle.stop();
//!     assert_eq!(server.await??.admission.admitted, 1);
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod clock;
mod connect;
mod io;
#[cfg(unix)]
mod server;
mod session;
#[cfg(unix)]
mod socket;
mod timer;

pub use clock::TokioClock;
pub use connect::connect;
pub use io::Io;
#[cfg(unix)]
pub use roundtrip_net::passed_listeners;
pub use roundtrip_net::{
    Accepted, Application, Backend, BindOptions, Call, CallFailed, Clock, CommandOf, ConnectOptions,
    ConnectionReport, Control, Endpoint, EndpointError, EventOf, EventReceiver, EventSender, EventSink,
    Family, Listener, NetError, OutcomeOf, Panic, Peer, SendError, ServerHandle, ServerStats, SharedHub,
    Source, Stage, Stream, SystemClock, TcpInfo, bind, event_channel,
};
#[cfg(all(unix, feature = "blocking"))]
pub use server::Tokio;
#[cfg(unix)]
pub use server::serve;
pub use session::{Driver, IntoTransport, drive};
#[cfg(unix)]
pub use socket::TokioSocket;
pub use timer::TokioTimer;
