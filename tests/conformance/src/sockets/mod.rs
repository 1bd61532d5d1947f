//! Scripts over sockets, for any driver that is a [`Backend`]: over loopback TCP, or over Unix sockets of packets.

mod commands;
mod stage;

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use roundtrip_core::Machine;
use roundtrip_core::admission::Limits;
use roundtrip_echo::{EchoServer, ServerOutcome};
use roundtrip_net::{
    Accepted, Application, Backend, BindOptions, Clock, ConnectOptions, Endpoint, Listener, NetError,
    ServerHandle, ServerStats, Stream, bind, connect,
};

use crate::{Observed, Script, Subject};

pub use commands::{CommandFailure, check_commands};

/// The driver under test, and the sockets that it is tested on.
pub trait Sockets: Clone + Send + Sync + 'static {
    /// A listening socket.
    type Listener: Send + 'static;
    /// A connected one.
    type Stream: Send + 'static;

    /// Listens where no other script does.
    ///
    /// # Errors
    ///
    /// That of the socket.
    fn bind(&self) -> Result<(Self::Listener, Endpoint), SocketsError>;

    /// Connects to a listener.
    ///
    /// # Errors
    ///
    /// That of the socket.
    fn connect(&self, endpoint: &Endpoint) -> Result<Self::Stream, NetError>;

    /// The address at this end, by which a server tells its clients apart. None if there is none: then clients connect one after
    /// the other.
    fn address(stream: &Self::Stream) -> Option<SocketAddr>;

    /// Serves, as [`Backend::serve_with`] does.
    ///
    /// # Errors
    ///
    /// As those of `serve_with`.
    fn serve<A: Application<Accepted, Machine: Send>>(
        &self,
        clock: &impl Clock,
        listener: Self::Listener,
        limits: Limits,
        handle: &ServerHandle,
        app: &A,
    ) -> io::Result<ServerStats>;

    /// Drives one client, as [`Backend::drive_all_with`] does.
    ///
    /// # Errors
    ///
    /// As those of `drive_all_with`.
    fn drive<A: Application<usize, Machine: Send>>(
        &self,
        clock: &impl Clock,
        stream: Self::Stream,
        app: &A,
    ) -> io::Result<()>;
}

/// A driver on loopback TCP.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<B>(pub B);

/// A driver on Unix sockets of packets, Linux only: for scripts whose clients come one after the other, without a reset, of which
/// such a socket tells only if bytes were left unread.
#[derive(Clone, Copy, Debug)]
pub struct Packets<B>(pub B);

macro_rules! over_streams {
    ($of:ident, $endpoint:expr) => {
        impl<B: Backend + Clone + Send + Sync + 'static> Sockets for $of<B> {
            type Listener = Listener;
            type Stream = Stream;

            fn bind(&self) -> Result<(Listener, Endpoint), SocketsError> {
                let endpoint = $endpoint.parse().map_err(io::Error::other)?;
                let listener = bind(&endpoint, &BindOptions::default())?;
                let endpoint = listener.local_endpoint()?;
                Ok((listener, endpoint))
            }

            fn connect(&self, endpoint: &Endpoint) -> Result<Stream, NetError> {
                connect(endpoint, &ConnectOptions::default())
            }

            fn address(stream: &Stream) -> Option<SocketAddr> {
                stream.local_address().ok()
            }

            fn serve<A: Application<Accepted, Machine: Send>>(
                &self,
                clock: &impl Clock,
                listener: Listener,
                limits: Limits,
                handle: &ServerHandle,
                app: &A,
            ) -> io::Result<ServerStats> {
                self.0.serve_with(clock, vec![listener], limits, handle, app)
            }

            fn drive<A: Application<usize, Machine: Send>>(
                &self,
                clock: &impl Clock,
                stream: Stream,
                app: &A,
            ) -> io::Result<()> {
                self.0.drive_all_with(clock, [stream], app)
            }
        }
    };
}

over_streams!(Tcp, "127.0.0.1:0");
over_streams!(Packets, packet_socket());

/// An abstract name that no other has.
fn packet_socket() -> String {
    static SOCKETS: AtomicUsize = AtomicUsize::new(0);
    let number = SOCKETS.fetch_add(1, Ordering::Relaxed);
    format!("unix:@roundtrip-conformance-{}-{number},type=seqpacket", std::process::id())
}

/// Scripts on sockets: what [`check`](crate::check) is given.
#[derive(Clone, Copy, Debug)]
pub struct OnSockets<N, W = fn(EchoServer) -> EchoServer> {
    sockets: N,
    session: W,
}

impl<N: Sockets> OnSockets<N> {
    /// Scripts on these sockets.
    pub const fn new(sockets: N) -> Self {
        Self { sockets, session: |session| session }
    }
}

impl<N: Sockets, W> OnSockets<N, W> {
    /// With what `session` makes of each session of the server: a session behind a planted bug.
    pub fn with_session<V>(self, session: V) -> OnSockets<N, V> {
        OnSockets { sockets: self.sockets, session }
    }
}

impl<N, M, W> Subject for OnSockets<N, W>
where
    N: Sockets,
    M: Machine<Outcome = ServerOutcome, Command: Send> + Send,
    W: Fn(EchoServer) -> M + Clone + Send + Sync + 'static,
{
    type Error = SocketsError;

    fn run(&self, script: &Script) -> Result<Observed, SocketsError> {
        stage::run(&self.sockets, script, &self.session)
    }
}

/// A script could not be run.
#[derive(Debug)]
#[non_exhaustive]
pub enum SocketsError {
    /// A socket could not be made.
    Net(NetError),
    /// The driver failed, or panicked.
    Io(io::Error),
    /// The script did not come to its end within two minutes: what it waits for, and what all who take part in it do.
    Hung(String),
    /// The driver failed to accept, or one of its machines panicked.
    Failed(ServerStats),
}

impl fmt::Display for SocketsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Hung(why) => write!(f, "no end within two minutes: {why}"),
            Self::Failed(ServerStats { admission, panicked, .. }) => {
                write!(
                    f,
                    "the server failed to accept {} times, {panicked} machines panicked, and {} sessions are left",
                    admission.failed, admission.live
                )
            }
        }
    }
}

impl Error for SocketsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Net(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Hung(_) | Self::Failed(_) => None,
        }
    }
}

impl From<NetError> for SocketsError {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<io::Error> for SocketsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
