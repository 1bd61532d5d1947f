//! A running server, and a plain client to try it with.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use std::{io, thread};

use roundtrip_core::admission::Limits;
use roundtrip_core::{Machine, Time};
use roundtrip_echo::{EchoServer, ServerConfig, ServerOutcome};
use roundtrip_net::{
    Accepted, Application, BindOptions, Clock, ConnectionReport, Control, ServerHandle, ServerStats,
};

use super::driver::TestBackend;

/// An echo server on a free port of the loopback, and everything it reports.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: ServerHandle,
    pub(crate) ended: Receiver<ConnectionReport<ServerOutcome>>,
    served: Receiver<io::Result<ServerStats>>,
}

struct Echo {
    config: std::sync::Arc<ServerConfig>,
    ended: Sender<ConnectionReport<ServerOutcome>>,
}

impl Application<Accepted> for Echo {
    type Machine = EchoServer;

    fn open(
        &self,
        now: Time,
        _accepted: &Accepted,
        _control: &Control<<EchoServer as Machine>::Command>,
    ) -> EchoServer {
        EchoServer::new(self.config.clone(), now)
    }

    fn ended(&self, _accepted: &Accepted, ended: ConnectionReport<ServerOutcome>) {
        let _ = self.ended.send(ended);
    }
}

pub(crate) fn echo(backend: impl TestBackend, config: ServerConfig, limits: Limits) -> Running {
    let listener = roundtrip_net::bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let address = listener.local_address().unwrap();
    let handle = ServerHandle::new();
    let (sender, ended) = channel();
    let app = Echo { config: config.into(), ended: sender };
    let served = spawn({
        let handle = handle.clone();
        move || backend.serve(vec![listener], limits, &handle, &app)
    });
    Running { address, handle, ended, served }
}

impl Running {
    /// Stops the server and waits until it is drained.
    pub(crate) fn stop(self) -> ServerStats {
        self.handle.stop();
        self.join()
    }

    /// Waits until the server is drained.
    pub(crate) fn join(self) -> ServerStats {
        soon(&self.served).unwrap()
    }
}

/// A clock that a test moves.
pub(crate) struct Script<F>(pub(crate) Mutex<F>);

impl<F: FnMut() -> Time + Send> Clock for Script<F> {
    fn now(&self) -> Time {
        (self.0.lock().unwrap())()
    }
}

/// Runs `work` on a thread of its own; what came of it, or that it panicked, is told to [`soon`].
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(work()));
    receiver
}

/// What a thread came to. One that hangs fails the test instead of hanging it.
pub(crate) fn soon<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(Duration::from_secs(60)).unwrap()
}

/// Sends, half-closes, reads to the end.
pub(crate) fn round_trip(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut writer = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(bytes).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        back
    })
}

/// Closes with RST.
pub(crate) fn reset(stream: TcpStream) {
    roundtrip_net::Stream::from(stream).reset_on_close();
}

/// A connected pair of sockets.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// The peer has reset, and reading says so; under wine, where it may not, writing does, which the end of a peer would let
/// pass.
#[track_caller]
pub(crate) fn assert_reset(stream: &mut TcpStream) {
    let read = match stream.read(&mut [0]) {
        Ok(0) if cfg!(windows) => stream.write(b"x"),
        read => read,
    };
    assert_eq!(read.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
}

/// Whether reading tells a reset from an end. It does everywhere, but for wine, whose server takes the error from a socket
/// that nobody reads at that moment. Says so past the test harness, for what the test shows is less then.
pub(crate) fn resets_are_told() -> bool {
    if !cfg!(windows) {
        return true;
    }
    let (mut client, server) = pair();
    reset(server);
    let told = client.read(&mut [0]).is_err();
    if !told {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        let _ =
            writeln!(io::stderr(), "skipped in part: {test}: a reset that nobody waits for is an end here");
    }
    told
}
