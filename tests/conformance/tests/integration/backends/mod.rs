//! The drivers of this workspace as backends, shared by the tests.

#![allow(dead_code, reason = "one source for every driver, and each driver and system uses its part")]
#![allow(clippy::duplicate_mod, reason = "one source for every socket driver")]

pub(crate) mod blocking;
#[cfg(windows)]
pub(crate) mod pipes;
pub(crate) mod planted;
#[cfg(unix)]
pub(crate) mod reactor;
pub(crate) mod simulated;
pub(crate) mod smol;
#[cfg(unix)]
pub(crate) mod tokio;
#[cfg(target_os = "linux")]
pub(crate) mod uring;

use roundtrip_core::Machine;
use roundtrip_echo::{EchoServer, ServerOutcome};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// The server's side of a connection: the shipped session, or one that a driver's bug comes between.
pub(crate) trait Session:
    Machine<Command = Infallible, Event = Infallible, Outcome = ServerOutcome> + Send + 'static
{
}

impl<M> Session for M where
    M: Machine<Command = Infallible, Event = Infallible, Outcome = ServerOutcome> + Send + 'static
{
}

/// The session as it is shipped.
pub(crate) fn shipped(session: EchoServer) -> EchoServer {
    session
}

/// The type of [`shipped`].
pub(crate) type Shipped = fn(EchoServer) -> EchoServer;

/// Whether reading a socket tells a reset from an end. It does everywhere, but for wine, whose server takes the error from a
/// socket that nobody reads at that moment. Says so past the test harness.
pub(crate) fn resets_are_told() -> bool {
    if !cfg!(windows) {
        return true;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    roundtrip_std::Stream::from(listener.accept().unwrap().0).reset_on_close();
    let told = client.read(&mut [0]).is_err();
    if !told {
        let _ = writeln!(std::io::stderr(), "skipped: what only a reset tells, which is an end here");
    }
    told
}

/// The address at this end, if it has one.
pub(crate) trait Local {
    fn address(&self) -> Option<SocketAddr>;
}

#[cfg(unix)]
impl Local for roundtrip_std::Stream {
    fn address(&self) -> Option<SocketAddr> {
        use std::os::fd::AsFd;
        TcpStream::from(self.as_fd().try_clone_to_owned().ok()?).local_addr().ok()
    }
}

#[cfg(windows)]
impl Local for roundtrip_std::Stream {
    fn address(&self) -> Option<SocketAddr> {
        use std::os::windows::io::AsSocket;
        TcpStream::from(self.as_socket().try_clone_to_owned().ok()?).local_addr().ok()
    }
}

#[cfg(windows)]
impl Local for roundtrip_pipe::Stream {
    fn address(&self) -> Option<SocketAddr> {
        None
    }
}
