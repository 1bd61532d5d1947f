//! The driver for named pipes of Windows: any machine over a pipe of bytes or of messages, one thread a connection.
//! [Mailslots](Mailslot), too. On other systems all of this is there, and [`bind`] and [`connect`] say that pipes are not.
//!
//! # The loop
//!
//! [`drive`] is the ten-line loop of [`roundtrip_core`] made real by overlapped operations, at most one read and one write
//! at a time:
//!
//! | the machine says | the driver does |
//! | --- | --- |
//! | `Write` | has the bytes written, and keeps them until that is complete |
//! | `ShutdownWrite` | writes an empty message; in a pipe of bytes, see below |
//! | `Event` | calls the application |
//! | `Wait` | looks into its mailbox, has at most the credit read, sleeps until something is complete, a [`Control`] rings, or the deadline passes |
//! | `Close` | cancels what is in flight, counts what comes of it, closes or disconnects the pipe, returns the outcome |
//!
//! What is there is read before a passed deadline takes effect: the read was begun before the sleep. What completes after a
//! machine closed never reaches it; it is counted in [`ConnectionReport::written`] and [`ConnectionReport::unread`].
//!
//! # What a pipe's end is
//!
//! | | `pipe:NAME`, of bytes | `pipe:NAME,type=message` |
//! | --- | --- | --- |
//! | `ShutdownWrite` | ends both directions: what has come is read, then the machine is told `Eof` | an empty message, after which the peer reads on |
//! | `Eof` | the peer has closed its end; nothing can be written any more | an empty message came |
//! | the peer closed without | is an end, even if it vanished | [`Failure::Truncated`](roundtrip_core::Failure::Truncated): what came may not be all |
//! | `Close`, in order | the handle is closed: what was written stays to be read | the same, after the empty message |
//! | `Close`, as a reset | a server disconnects, and what was not read is gone: `Reset`. A client can only close | the same |
//!
//! So a pipe of bytes cannot tell a client's reset from its end, and no session over one should half-close. A message that
//! is longer than what is read at one time is read in parts; how bytes are cut into messages is not told, as it is not told
//! of a stream.
//!
//! # The server
//!
//! [`serve`] runs an [`Application`] behind the core's admission policy until it is drained; a [`ServerHandle`] stops it from
//! any thread. One instance of the pipe waits for a client while others are served; who finds none waits for one, until the
//! connect's time-out. The first instance is the name's first (`FILE_FLAG_FIRST_PIPE_INSTANCE`), so that a name that
//! somebody has is refused with `AddrInUse`. Nobody on another computer is let in (`PIPE_REJECT_REMOTE_CLIENTS`); on this
//! one, a pipe's default security lets this user, administrators and the system read and write, and everybody else read, so
//! that others can take an instance without sending anything; an idle limit ends them.
//!
//! ```no_run
//! use roundtrip_core::admission::Limits;
//! use roundtrip_echo::{EchoServer, ServerConfig};
//! use roundtrip_pipe::{BindOptions, ServerHandle};
//! use std::sync::Arc;
//!
//! let listener = roundtrip_pipe::bind(&"pipe:echo,type=message".parse()?, &BindOptions::default())?;
//! let config = Arc::new(ServerConfig::default());
//! let echo = |now, _peer: &_| EchoServer::new(Arc::clone(&config), now);
//! roundtrip_pipe::serve(vec![listener], Limits::default(), &ServerHandle::new(), &echo)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(windows), forbid(unsafe_code))]
#![cfg_attr(windows, deny(unsafe_code))]

mod clients;
mod driver;
mod listener;
mod mailslot;
mod server;
mod session;
mod stream;
mod system;

pub use clients::drive_all;
pub use driver::{Driver, drive};
pub use listener::{Listener, bind};
pub use mailslot::{Mailslot, MailslotDriver, Poster, bind_mailslot, connect_mailslot};
pub use roundtrip_net::{
    Accepted, Application, BindOptions, Call, CallFailed, Clock, CommandOf, ConnectOptions, ConnectionReport,
    Control, DatagramAddress, DatagramsEnded, Endpoint, EndpointError, EventOf, NetError, OutcomeOf, Panic,
    Peer, SendError, ServerHandle, ServerStats, Source, Stage, SystemClock,
};
pub use server::{serve, serve_by, serve_hub};
pub use stream::{Stream, connect};
