//! What the scripts run on besides the socket drivers: the simulator, pipes, and sessions behind planted bugs.

pub(crate) mod loses_stop;
#[cfg(windows)]
pub(crate) mod pipes;
pub(crate) mod planted;
pub(crate) mod simulated;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use roundtrip_core::Machine;
use roundtrip_echo::{EchoServer, ServerOutcome};

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
