//! What the socket drivers share: where to listen and connect, sockets set up right, what the errors of an
//! operating system mean, the ways into a running session, and what driving one takes. No thread, no protocol.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`Endpoint`] | `tcp:HOST:PORT`, `unix:PATH` …, parsed and printed |
//! | [`bind`], [`Listener`], [`connect`], [`Stream`] | sockets with the options a server wants |
//! | [`bind_datagram`], [`connect_datagram`], [`DatagramSocket`] | sockets of messages that may be lost |
//! | [`NetError`], [`Stage`] | what failed, at which step |
//! | [`classify`] | errors by operating-system code, as the core's own enums |
//! | [`Control`], [`Mailbox`], [`Bell`] | stop, abort and commands from any thread, bounded |
//! | [`block_on`] | how a thread without an executor waits for these |
//! | [`EventSink`], [`event_channel`] | where the events of a session go |
//! | [`Peer`], [`Source`] | who is at the other end, and what connections are counted by |
//! | [`Backend`] | a driver as a value: serves and drives any machine |
//! | [`Application`], [`ConnectionReport`] | what runs on each connection of a server or a client, and what came of it |
//! | [`SharedHub`] | a hub as the application of a server: what its connections share |
//! | [`AdmissionGate`], [`ServerHandle`] | the admission policy, carried out, and how to stop the server |
//! | [`Clock`], [`SystemClock`] | the one place where a clock is read |
//! | [`event_loop`] | what drivers share that drive many connections on one thread |
//! | [`Transport`] | what the bytes of a connection go over |
//! | [`Connection`], [`Guarded`], [`Block`] | the calls that carry out what one machine wants |

mod application;
mod backend;
mod block;
mod block_on;
pub mod classify;
mod clock;
mod connection;
mod datagrams;
mod endpoint;
mod error;
pub mod event_loop;
mod events;
mod gate;
mod guarded;
mod hub;
mod mailbox;
mod panic;
mod peer;
mod report;
mod socket;
mod transport;

pub use application::{Accepted, Application, CommandOf, EventOf, OutcomeOf};
pub use backend::Backend;
pub use block::Block;
pub use block_on::block_on;
pub use clock::{Clock, SystemClock, until};
pub use connection::{Connection, MAX_ACTIONS};
pub use datagrams::{Datagrams, DatagramsEnded};
pub use endpoint::{DEFAULT_PORT, Endpoint, EndpointError};
pub use error::{FailedAttempt, NetError, Stage};
pub use events::{Callback, EventReceiver, EventSender, EventSink, event_channel};
pub use gate::{AdmissionGate, ServerHandle};
pub use guarded::Guarded;
pub use hub::SharedHub;
pub use mailbox::{Bell, Control, MAILBOX, Mail, Mailbox, SendError};
pub use panic::{Panic, catch, drop_driven};
pub use peer::{Peer, Source};
pub use report::{Call, CallFailed, ConnectionReport, ServerStats, TcpInfo};
#[cfg(unix)]
pub use socket::passed_listeners;
pub use socket::{
    BindOptions, ConnectOptions, DatagramAddress, DatagramSocket, Family, Keepalive, Listener, Received,
    Stream, bind, bind_datagram, connect, connect_datagram,
};
pub use transport::Transport;
