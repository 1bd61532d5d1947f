//! An echo server that does to its clients what servers and proxies should not, at an exact offset.

#![allow(clippy::wildcard_enum_match_arm, reason = "most faults change one thing")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{self, PATIENCE};

/// What it does to a connection. Offsets and lengths are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Leaves out so many bytes from there on.
    Lose { at: usize, bytes: usize },
    /// Sends the bytes before there again.
    Duplicate { at: usize, bytes: usize },
    /// Two neighbouring blocks of this size change places.
    Swap { at: usize, bytes: usize },
    /// Flips a bit.
    Flip { at: usize },
    /// Sends these before the byte there.
    Insert { at: usize, bytes: &'static [u8] },
    /// Sends `by` instead of the next `bytes` bytes, from there on.
    Replace { at: usize, bytes: usize, by: &'static [u8] },
    /// Sends these and ends: another service than an echo.
    Answer(&'static [u8]),
    /// Changes bytes as a terminal or a serial line does.
    Translate(Translation),
    /// Waits so long before it sends what is there.
    Delay { at: usize, time: Duration },
    /// Waits so long before each time that it sends.
    Slow { each: Duration },
    /// Passes on whole blocks of this size, and the rest when its client has ended.
    Withhold { block: usize },
    /// Ends at this age; until then it waits for `each` before each time that it sends.
    AgeLimit { age: Duration, each: Duration },
    /// Ends after so many bytes; reads on.
    EarlyFin { at: usize },
    /// Reads `read` bytes, sends back the first `at`, and resets.
    Reset { at: usize, read: usize },
    /// Sends back at most so many bytes, and answers the end of the stream with a reset.
    ResetForFin { at: usize },
    /// Sends these after the last byte.
    Trailing(&'static [u8]),
    /// Sends back so many bytes and no more; reads on, and does not end.
    Stall { at: usize },
    /// Takes a half-close for the end: so many bytes are back by then, and no more come.
    DropAfterHalfClose { at: usize },
    /// Gives up so long after a half-close.
    HalfCloseTimeout { at: usize, time: Duration },
    /// Does not end.
    NoHalfClosePassed,
    /// Closes when nothing came for so long.
    IdleTimeout(Duration),
    /// Sends nothing any more after this time without a byte; reads on.
    Forget(Duration),
    /// Resets when nothing was taken from it for so long.
    SlowReaderCut(Duration),
    /// Sends wrong bytes only, one at a time with this pause after each.
    DripWrong { pause: Duration },
}

/// What a terminal, a telnet server or a serial line makes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translation {
    /// LF becomes CR LF.
    NewLines,
    /// 0xff is doubled (RFC 854).
    Telnet,
    /// XON and XOFF are removed.
    FlowControl,
    /// The eighth bit is removed.
    SevenBits,
}

impl Translation {
    fn of(self, byte: u8) -> Vec<u8> {
        match (self, byte) {
            (Self::NewLines, b'\n') => vec![b'\r', b'\n'],
            (Self::Telnet, 0xff) => vec![0xff, 0xff],
            (Self::FlowControl, 0x11 | 0x13) => vec![],
            (Self::SevenBits, byte) => vec![byte & 0x7f],
            (_, byte) => vec![byte],
        }
    }
}

/// What it listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    /// TLS over TCP, where an orderly end is a `close_notify`.
    Tls,
    Unix,
    /// A Unix socket of packets.
    Packets,
}

impl Transport {
    /// Those that this driver has. Packets are the same to all that take them, so that two drivers stand for all.
    pub(crate) fn of(driver: &str) -> &'static [Self] {
        if cfg!(target_os = "linux") && matches!(driver, "std" | "reactor") {
            &[Self::Tcp, Self::Tls, Self::Unix, Self::Packets]
        } else {
            &[Self::Tcp, Self::Tls, Self::Unix]
        }
    }
}

impl Fault {
    /// Unix sockets have no reset, and no path that forgets them.
    pub(crate) fn is_possible(self, transport: Transport) -> bool {
        matches!(transport, Transport::Tcp | Transport::Tls)
            || !matches!(
                self,
                Self::Reset { .. } | Self::ResetForFin { .. } | Self::SlowReaderCut(_) | Self::Forget(_)
            )
    }

    /// What is sent once `got` has come, unless the end changes it.
    fn tamper(self, got: &[u8]) -> Vec<u8> {
        let upto = |at: usize| &got[..at.min(got.len())];
        let from = |at: usize| &got[at.min(got.len())..];
        match self {
            Self::Lose { at, bytes } => [upto(at), from(at + bytes)].concat(),
            Self::Duplicate { at, bytes } if got.len() >= at => [upto(at), from(at - bytes)].concat(),
            Self::Swap { at, .. } if got.len() <= at => got.to_vec(),
            Self::Swap { at, bytes } if got.len() < at + 2 * bytes => upto(at).to_vec(),
            Self::Swap { at, bytes } => {
                let mut swapped = got.to_vec();
                swapped[at..at + 2 * bytes].rotate_left(bytes);
                swapped
            }
            Self::Flip { at } => {
                let mut flipped = got.to_vec();
                if let Some(byte) = flipped.get_mut(at) {
                    *byte ^= 0x10;
                }
                flipped
            }
            Self::Insert { at, .. } | Self::Replace { at, .. } if got.len() < at => got.to_vec(),
            Self::Insert { at, bytes } => [upto(at), bytes, from(at)].concat(),
            Self::Replace { at, bytes, by } => [upto(at), by, from(at + bytes)].concat(),
            Self::Answer(bytes) => bytes.to_vec(),
            Self::Translate(translation) => got.iter().flat_map(|byte| translation.of(*byte)).collect(),
            Self::EarlyFin { at }
            | Self::Reset { at, .. }
            | Self::Stall { at }
            | Self::ResetForFin { at }
            | Self::HalfCloseTimeout { at, .. }
            | Self::DropAfterHalfClose { at } => upto(at).to_vec(),
            Self::Withhold { block } => upto(got.len() / block * block).to_vec(),
            Self::None
            | Self::Duplicate { .. }
            | Self::Delay { .. }
            | Self::Slow { .. }
            | Self::AgeLimit { .. }
            | Self::Trailing(_)
            | Self::NoHalfClosePassed
            | Self::IdleTimeout(_)
            | Self::Forget(_)
            | Self::SlowReaderCut(_)
            | Self::DripWrong { .. } => got.to_vec(),
        }
    }
}

/// The server: each fault for one connection, in the order in which they come; all later ones are served well. It never
/// stops listening; what it must not close it keeps until this is dropped.
pub(crate) struct Adversary {
    pub(crate) endpoint: String,
    /// The file with the authority that its certificate leads to, if it speaks TLS.
    authority: Option<String>,
    shared: Arc<Shared>,
    path: Option<PathBuf>,
}

#[derive(Default)]
struct Shared {
    kept: Mutex<Vec<Connection>>,
    /// Bytes that came from all clients.
    got: AtomicUsize,
    /// Clients that ended their half.
    ends: AtomicUsize,
    /// Bytes of [`Fault::DripWrong`] that the system took.
    dripped: AtomicUsize,
}

impl Adversary {
    pub(crate) fn start(transport: Transport, faults: &[Fault]) -> Self {
        match transport {
            Transport::Tcp | Transport::Tls => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let endpoint = listener.local_addr().unwrap().to_string();
                let identity = (transport == Transport::Tls).then(tls::Identity::new);
                let authority = identity.as_ref().map(|identity| identity.authority.clone());
                let accept = move || {
                    let stream = common::bounded(listener.accept().unwrap().0);
                    match &identity {
                        Some(identity) => Connection::Tls(Box::new(identity.accept(stream))),
                        None => Connection::Tcp(stream),
                    }
                };
                Self { endpoint, authority, shared: serve(accept, faults), path: None }
            }
            Transport::Unix | Transport::Packets => {
                static NUMBER: AtomicUsize = AtomicUsize::new(0);
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                let name = format!("roundtrip-{}-adversary-{number}", std::process::id());
                let path = std::env::temp_dir().join(name);
                let (listener, packets) = match transport {
                    Transport::Packets => (listen_to_packets(&path), ",type=seqpacket"),
                    _ => (UnixListener::bind(&path).unwrap(), ""),
                };
                let accept = move || {
                    let (stream, _) = listener.accept().unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    stream.set_write_timeout(Some(PATIENCE)).unwrap();
                    Connection::Unix(stream)
                };
                let endpoint = format!("unix:{}{packets}", path.display());
                Self { endpoint, authority: None, shared: serve(accept, faults), path: Some(path) }
            }
        }
    }

    /// The arguments of the program that name it.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        let tls = self.authority.iter().flat_map(|file| ["--tls-ca", file]);
        [&*self.endpoint].into_iter().chain(tls).collect()
    }

    /// Waits until its clients have sent so many bytes.
    pub(crate) fn await_bytes(&self, bytes: usize) {
        common::poll("the clients have sent", || {
            (self.shared.got.load(Ordering::Relaxed) >= bytes).then_some(())
        });
    }

    /// Waits until a client has ended its half.
    pub(crate) fn await_end(&self) {
        common::poll("a client has ended", || (self.shared.ends.load(Ordering::Relaxed) > 0).then_some(()));
    }

    /// Bytes that it has [dripped](Fault::DripWrong) so far.
    pub(crate) fn dripped(&self) -> usize {
        self.shared.dripped.load(Ordering::Relaxed)
    }

    /// On TCP, with one fault for the first client.
    pub(crate) fn once(fault: Fault) -> Self {
        Self::start(Transport::Tcp, &[fault])
    }
}

impl Drop for Adversary {
    fn drop(&mut self) {
        self.shared.kept.lock().unwrap().clear();
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Packets are read and written as a stream is, one at a time, so that the standard library's types will do.
fn listen_to_packets(path: &Path) -> UnixListener {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let socket = socket.unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    rustix::net::listen(&socket, 100).unwrap();
    UnixListener::from(socket)
}

fn serve(accept: impl Fn() -> Connection + Send + 'static, faults: &[Fault]) -> Arc<Shared> {
    let shared = Arc::new(Shared::default());
    let all = Arc::clone(&shared);
    let mut faults = faults.to_vec();
    faults.reverse();
    thread::spawn(move || {
        loop {
            let connection = accept();
            let fault = faults.pop().unwrap_or(Fault::None);
            let shared = Arc::clone(&all);
            thread::spawn(move || {
                // A client that has seen enough does not wait for the rest.
                let _ = misbehave(connection, fault, &shared);
            });
        }
    });
    shared
}

/// At least as many wrong bytes are ready before [`Fault::DripWrong`] sends the first.
const DRIPS: usize = 1024;

fn misbehave(connection: Connection, fault: Fault, shared: &Shared) -> io::Result<()> {
    let mut is_forgotten = false;
    if let Fault::IdleTimeout(limit) | Fault::Forget(limit) = fault {
        connection.set_read_timeout(limit)?;
    }
    if let Fault::SlowReaderCut(limit) = fault {
        connection.set_write_timeout(limit)?;
    }
    #[expect(clippy::disallowed_methods, reason = "a peer has a clock of its own")]
    let (mut got, mut sent, began) = (Vec::new(), 0, Instant::now());
    let mut block = vec![0; 64 << 10];
    loop {
        let is_due = match fault {
            Fault::Reset { read, .. } => got.len() >= read,
            Fault::EarlyFin { at } => sent >= at,
            Fault::Answer(_) => sent > 0,
            Fault::AgeLimit { age, .. } => began.elapsed() >= age,
            _ => false,
        };
        if is_due {
            break;
        }
        match (&connection).read(&mut block) {
            Ok(0) => {
                shared.ends.fetch_add(1, Ordering::Relaxed);
                break;
            }
            Ok(read) => {
                got.extend_from_slice(&block[..read]);
                shared.got.fetch_add(read, Ordering::Relaxed);
            }
            Err(error) if is_timeout(&error) && matches!(fault, Fault::IdleTimeout(_)) => return Ok(()),
            Err(error) if is_timeout(&error) && matches!(fault, Fault::Forget(_)) => is_forgotten = true,
            Err(error) => return Err(error),
        }
        if let Fault::DripWrong { pause } = fault {
            if got.len() < DRIPS {
                continue;
            }
            for byte in &got {
                (&connection).write_all(&[!byte])?;
                shared.dripped.fetch_add(1, Ordering::Relaxed);
                thread::park_timeout(pause);
            }
            return Ok(());
        }
        if is_forgotten {
            continue;
        }
        let out = fault.tamper(&got);
        if let Fault::Delay { at, time } = fault
            && (sent..out.len()).contains(&at)
        {
            thread::park_timeout(time);
        }
        if let Fault::Slow { each } | Fault::AgeLimit { each, .. } = fault {
            thread::park_timeout(each);
        }
        if !matches!(fault, Fault::Reset { read, .. } if got.len() < read) {
            if let Err(error) = (&connection).write_all(&out[sent..]) {
                if is_timeout(&error) {
                    connection.reset();
                }
                return Err(error);
            }
            sent = out.len();
        }
    }
    match fault {
        Fault::EarlyFin { .. } | Fault::Answer(_) | Fault::AgeLimit { .. } => {
            connection.shutdown()?;
            io::copy(&mut &connection, &mut io::sink())?;
        }
        Fault::Reset { .. } | Fault::ResetForFin { .. } => connection.reset(),
        Fault::HalfCloseTimeout { time, .. } => thread::park_timeout(time),
        Fault::Withhold { .. } => (&connection).write_all(&got[sent..])?,
        Fault::Trailing(bytes) => (&connection).write_all(bytes)?,
        Fault::Stall { .. } | Fault::NoHalfClosePassed => shared.kept.lock().unwrap().push(connection),
        _ => {}
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

enum Connection {
    Tcp(TcpStream),
    Tls(Box<tls::Stream>),
    Unix(UnixStream),
}

impl Connection {
    fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Tls(stream) => stream.shutdown(),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    fn set_read_timeout(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(limit)),
            Self::Tls(stream) => stream.socket().set_read_timeout(Some(limit)),
            Self::Unix(stream) => stream.set_read_timeout(Some(limit)),
        }
    }

    fn set_write_timeout(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(limit)),
            Self::Tls(stream) => stream.socket().set_write_timeout(Some(limit)),
            Self::Unix(stream) => stream.set_write_timeout(Some(limit)),
        }
    }

    fn reset(self) {
        match self {
            Self::Tcp(stream) => common::reset(stream),
            Self::Tls(stream) => common::reset(stream.into_socket()),
            Self::Unix(_) => panic!("a Unix socket has no reset"),
        }
    }
}

impl Read for &Connection {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Connection::Tcp(stream) => (&*stream).read(out),
            Connection::Tls(stream) => stream.read(out),
            Connection::Unix(stream) => (&*stream).read(out),
        }
    }
}

impl Write for &Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Connection::Tcp(stream) => (&*stream).write(bytes),
            Connection::Tls(stream) => stream.write(bytes),
            Connection::Unix(stream) => (&*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server's side of TLS.
mod tls {
    use std::io::{self, Read, Write};
    use std::net::TcpStream;
    use std::sync::{Arc, Mutex};

    use roundtrip_testkit::pki::Authority;
    use roundtrip_testkit::pki::rustls::{ServerConfig, ServerConnection, StreamOwned};

    pub(super) struct Identity {
        /// The file with the authority that signed it.
        pub(super) authority: String,
        config: Arc<ServerConfig>,
    }

    impl Identity {
        pub(super) fn new() -> Self {
            let authority = Authority::new();
            Self { authority: crate::tls::file(&authority.pem), config: authority.rustls_server() }
        }

        pub(super) fn accept(&self, stream: TcpStream) -> Stream {
            let connection = ServerConnection::new(Arc::clone(&self.config)).unwrap();
            let socket = stream.try_clone().unwrap();
            Stream { tls: Mutex::new(Some(StreamOwned::new(connection, stream))), socket }
        }
    }

    /// Ends with a `close_notify` when it is dropped.
    pub(super) struct Stream {
        /// None after a reset.
        tls: Mutex<Option<StreamOwned<ServerConnection, TcpStream>>>,
        socket: TcpStream,
    }

    impl Stream {
        pub(super) const fn socket(&self) -> &TcpStream {
            &self.socket
        }

        /// The socket, without an end of TLS.
        pub(super) fn into_socket(self) -> TcpStream {
            *self.tls.lock().unwrap() = None;
            self.socket.try_clone().unwrap()
        }

        fn with<T>(
            &self,
            call: impl FnOnce(&mut StreamOwned<ServerConnection, TcpStream>) -> io::Result<T>,
        ) -> io::Result<T> {
            self.tls.lock().unwrap().as_mut().map_or_else(|| Err(io::ErrorKind::NotConnected.into()), call)
        }

        pub(super) fn read(&self, out: &mut [u8]) -> io::Result<usize> {
            self.with(|tls| tls.read(out))
        }

        pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.with(|tls| {
                let written = tls.write(bytes)?;
                tls.flush()?;
                Ok(written)
            })
        }

        pub(super) fn shutdown(&self) -> io::Result<()> {
            self.with(|tls| {
                tls.conn.send_close_notify();
                tls.flush()
            })
        }
    }

    impl Drop for Stream {
        fn drop(&mut self) {
            let _ = self.shutdown();
        }
    }
}

/// Where it listens, and a server that gives each of two clients the first thousand bytes of the other. It keeps both until
/// it is joined.
pub(crate) fn crossing() -> (String, thread::JoinHandle<[TcpStream; 2]>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let crossing = thread::spawn(move || {
        let both = [(), ()].map(|()| common::bounded(listener.accept().unwrap().0));
        let bytes = both.each_ref().map(|mut stream| {
            let mut bytes = [0; 1000];
            stream.read_exact(&mut bytes).unwrap();
            bytes
        });
        for (mut stream, bytes) in both.iter().zip(bytes.iter().rev()) {
            stream.write_all(bytes).unwrap();
        }
        both
    });
    (address, crossing)
}
