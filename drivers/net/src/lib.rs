//! What the socket drivers share: where to listen and connect, sockets set up right, what the errors of an
//! operating system mean, and the ways into a running session. No loop, no thread, no protocol.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`Endpoint`] | `tcp:HOST:PORT`, `unix:PATH` …, parsed and printed |
//! | [`bind`], [`Listener`], [`connect`], [`Stream`] | sockets with the options a server wants |
//! | [`NetError`], [`Stage`] | what failed, at which step |
//! | [`classify`] | errors by operating-system code, as the core's own enums |
//! | [`Control`], [`Mailbox`], [`Bell`] | stop, abort and commands from any thread, bounded |
//! | [`Peer`], [`Source`] | who is at the other end, and what connections are counted by |
//! | [`Service`], [`Ended`] | what a server does for each connection |

pub mod classify;
mod endpoint;
mod error;
mod mailbox;
mod peer;
mod service;
mod socket;

pub use endpoint::{DEFAULT_PORT, Endpoint, EndpointError};
pub use error::{NetError, Stage};
pub use mailbox::{Bell, Control, Mail, Mailbox, PostError};
pub use peer::{Peer, Source};
pub use service::{Call, CallFailed, Ended, Served, Service};
#[cfg(unix)]
pub use socket::passed_listeners;
pub use socket::{BindOptions, ConnectOptions, Family, Listener, Stream, bind, connect};
