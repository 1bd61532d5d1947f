//! Unix sockets: unix(7).

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::{ConnectOptions, Listener, Stream, set_buffers};
use crate::{Endpoint, NetError, Stage};

/// The file of a listening socket, removed when the listener is dropped, unless another took its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at a path. `SEQPACKET` is Linux's alone.
pub(super) fn bind(
    path: &str,
    mode: Option<u32>,
    kind: Type,
    buffer: Option<usize>,
) -> Result<Listener, NetError> {
    let socket = socket(kind, buffer).map_err(NetError::at(Stage::Socket))?;
    let file = bind_file(&socket, path, mode).map_err(NetError::at(Stage::Bind))?;
    Ok(Listener::listen(socket)?.with_file(Some(file)))
}

/// Binds to a file with these permissions, in the place of a socket that nobody has any more if there is one.
pub(super) fn bind_file(socket: &Socket, path: &str, mode: Option<u32>) -> io::Result<SocketFile> {
    let address = SockAddr::unix(path)?;
    // What is named from another folder later is the same file still.
    let path = std::path::absolute(path)?;
    bind_to(socket, &address, &path)?;
    let file = identity(&path).map(|identity| SocketFile { path, identity })?;
    if let Some(mode) = mode {
        // Nobody can connect before the socket listens, so nobody slips in before this.
        fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
    }
    Ok(file)
}

/// Binds, in the place of a socket that nobody has any more if there is one.
fn bind_to(socket: &Socket, address: &SockAddr, path: &Path) -> io::Result<()> {
    match socket.bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // Two that find the same dead socket must not both remove a file: the second would remove the first's. Who
            // finds the folder locked is late.
            let folder = File::open(path.parent().unwrap_or(path))?;
            if folder.try_lock().is_err() || !is_stale(address, path)? {
                return Err(error);
            }
            fs::remove_file(path)?;
            socket.bind(address)
        }
        bound => bound,
    }
}

/// Whether it is the file of a socket that nobody has any more.
fn is_stale(address: &SockAddr, path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    // A socket of another type is refused by one that lives, whether it listens or not (`EPROTOTYPE`), and leaves no
    // connection behind that its server would have to accept.
    let probe = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    Ok(probe.connect(address).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

/// From its first moment, the file that it will be bound to has no more permissions than these, where the system lets that
/// be said (Linux): a datagram may come as soon as there is a file.
pub(super) fn restrict(socket: &Socket, mode: u32) {
    if let Ok(fd) = socket.as_fd().try_clone_to_owned() {
        let _ = File::from(fd).set_permissions(Permissions::from_mode(mode));
    }
}

/// Gives it a name of its own: Linux finds one that is free (unix(7), autobind).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn bind_to_any(socket: &Socket) -> io::Result<Option<SocketFile>> {
    socket.bind(&SockAddr::unix("")?)?;
    Ok(None)
}

/// Gives it a name of its own: a file's.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn bind_to_any(socket: &Socket) -> io::Result<Option<SocketFile>> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let name = format!("roundtrip-{}-{}.sock", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let path = path.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
    bind_file(socket, path, Some(0o600)).map(Some)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|about| (about.dev(), about.ino()))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn bind_abstract(name: &str, kind: Type, buffer: Option<usize>) -> Result<Listener, NetError> {
    let socket = socket(kind, buffer).map_err(NetError::at(Stage::Socket))?;
    let bound = SockAddr::unix(abstract_path(name)).and_then(|address| socket.bind(&address));
    bound.map_err(NetError::at(Stage::Bind))?;
    Listener::listen(socket)
}

/// A name in the abstract namespace, in place of a path: it begins with a zero byte.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn abstract_path(name: &str) -> PathBuf {
    format!("\0{name}").into()
}

pub(super) fn connect(path: &Path, kind: Type, options: &ConnectOptions) -> Result<Stream, NetError> {
    let socket = socket(kind, options.socket_buffer).map_err(NetError::at(Stage::Socket))?;
    // Connecting waits while the backlog is full, for as long as sending may (unix(7)).
    socket.set_write_timeout(options.timeout).map_err(NetError::at(Stage::Socket))?;
    let connected = SockAddr::unix(path).and_then(|address| socket.connect(&address));
    connected.map_err(|error| {
        let is_late = error.kind() == io::ErrorKind::WouldBlock;
        NetError::at(Stage::Connect)(if is_late { io::ErrorKind::TimedOut.into() } else { error })
    })?;
    stream(socket, kind).map_err(NetError::at(Stage::Socket))
}

#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    expect(unused_variables, reason = "one kind")
)]
fn stream(socket: Socket, kind: Type) -> io::Result<Stream> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if kind == Type::SEQPACKET {
        return Stream::of_packets(socket);
    }
    Stream::of_unix(socket)
}

pub(super) fn socket(kind: Type, buffer: Option<usize>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    set_buffers(&socket, buffer)?;
    Ok(socket)
}

/// The endpoint of a socket's own address; none if that is no text, or none at all.
pub(super) fn endpoint_of(
    address: &SockAddr,
    path: impl FnOnce(String) -> Endpoint,
    name: impl FnOnce(String) -> Endpoint,
) -> Option<Endpoint> {
    if let Some(file) = address.as_pathname() {
        return Some(path(file.to_str()?.to_owned()));
    }
    let bytes = address.as_abstract_namespace()?;
    Some(name(std::str::from_utf8(bytes).ok()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BindOptions, Source, bind, connect};
    use std::io::Write;
    use std::os::unix::net::UnixListener;
    use std::thread;
    use std::time::Duration;

    /// A folder of its own, removed with all that is in it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("roundtrip-net-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn socket(&self) -> Endpoint {
            Endpoint::unix(self.0.join("echo,%.sock").to_str().unwrap()).unwrap()
        }

        fn file(&self) -> PathBuf {
            self.0.join("echo,%.sock")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn open(endpoint: &Endpoint) -> Result<Listener, NetError> {
        bind(endpoint, &BindOptions::default())
    }

    fn dial(endpoint: &Endpoint) -> Result<Stream, NetError> {
        connect(endpoint, &ConnectOptions::default())
    }

    fn assert_carries(listener: &Listener) {
        let client = dial(&listener.local_endpoint().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(client.write(b"hello").unwrap(), 5);
        client.half_close().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(server.unread(), 5);
        assert_eq!(server.read(&mut buffer).unwrap(), 5);
        assert_eq!(server.read(&mut buffer).unwrap(), 0);
        if cfg!(target_os = "linux") {
            assert_eq!(peer.source(64), Source::User(rustix::process::getuid().as_raw()));
            assert!(peer.to_string().ends_with(&format!("process {}", std::process::id())), "{peer}");
        }
    }

    #[test]
    fn a_file_comes_and_goes_with_its_listener() {
        let folder = Folder::new("file");
        let listener = open(&folder.socket()).unwrap();
        assert_eq!(listener.local_endpoint().unwrap(), folder.socket());
        assert_carries(&listener);
        drop(listener);
        assert!(!folder.file().exists());
        let gone = dial(&folder.socket()).unwrap_err();
        assert_eq!((gone.stage, gone.source.kind()), (Stage::Connect, io::ErrorKind::NotFound));
    }

    #[test]
    fn a_file_has_the_mode_that_was_asked_for() {
        let folder = Folder::new("mode");
        for mode in [0o600, 0o666] {
            let endpoint = format!("{},mode={mode:o}", folder.socket()).parse().unwrap();
            let _listener = open(&endpoint).unwrap();
            assert_eq!(fs::metadata(folder.file()).unwrap().mode() & 0o777, mode);
        }
    }

    #[test]
    fn a_file_that_nobody_listens_behind_is_replaced() {
        let folder = Folder::new("stale");
        drop(UnixListener::bind(folder.file()).unwrap());
        assert!(folder.file().exists());
        assert_carries(&open(&folder.socket()).unwrap());
    }

    #[test]
    fn a_file_that_somebody_listens_behind_is_left_alone() {
        let folder = Folder::new("live");
        let first = open(&folder.socket()).unwrap();
        let second = open(&folder.socket()).unwrap_err();
        assert_eq!((second.stage, second.source.kind()), (Stage::Bind, io::ErrorKind::AddrInUse));
        assert_carries(&first);
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = Folder::new("other");
        File::create(folder.file()).unwrap().write_all(b"precious").unwrap();
        let error = open(&folder.socket()).unwrap_err();
        assert_eq!((error.stage, error.source.kind()), (Stage::Bind, io::ErrorKind::AddrInUse));
        assert_eq!(fs::read(folder.file()).unwrap(), b"precious");
    }

    #[test]
    fn a_listener_leaves_the_file_of_another_alone() {
        let folder = Folder::new("other-listener");
        let first = open(&folder.socket()).unwrap();
        fs::remove_file(folder.file()).unwrap();
        let second = open(&folder.socket()).unwrap();
        drop(first);
        assert_carries(&second);
    }

    #[test]
    fn of_many_that_find_a_dead_file_one_has_the_address() {
        let folder = Folder::new("race");
        let (endpoint, start) = (folder.socket(), std::sync::Barrier::new(4));
        for _ in 0..200 {
            drop(UnixListener::bind(folder.file()).unwrap());
            let bound: Vec<_> = thread::scope(|scope| {
                let open = || {
                    start.wait();
                    open(&endpoint)
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
                threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
            });
            assert_eq!(bound.len(), 1);
            assert_carries(&bound[0]);
        }
    }

    #[test]
    fn a_path_that_is_too_long_is_refused() {
        let endpoint = Endpoint::unix(&"a".repeat(200)).unwrap();
        assert_eq!(open(&endpoint).unwrap_err().stage, Stage::Bind);
        assert_eq!(dial(&endpoint).unwrap_err().stage, Stage::Connect);
    }

    #[test]
    fn a_full_backlog_is_waited_for_no_longer_than_asked() {
        let folder = Folder::new("backlog");
        let silent = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        silent.bind(&SockAddr::unix(folder.file()).unwrap()).unwrap();
        silent.listen(0).unwrap();
        let options = ConnectOptions { timeout: Some(Duration::from_millis(20)), ..Default::default() };
        let mut held = Vec::new();
        let error = loop {
            match connect(&folder.socket(), &options) {
                Ok(stream) => held.push(stream),
                Err(error) => break error,
            }
            assert!(held.len() < 100, "the backlog is not bounded");
        };
        assert_eq!((error.stage, error.source.kind()), (Stage::Connect, io::ErrorKind::TimedOut));
        // It is not taken for a dead one.
        assert_eq!(open(&folder.socket()).unwrap_err().source.kind(), io::ErrorKind::AddrInUse);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_without_a_file_carries_as_well() {
        let endpoint = Endpoint::abstract_unix(&format!("roundtrip-net-{}", std::process::id())).unwrap();
        let listener = open(&endpoint).unwrap();
        assert_eq!(listener.local_endpoint().unwrap(), endpoint);
        assert_carries(&listener);
        assert_eq!(open(&endpoint).unwrap_err().source.kind(), io::ErrorKind::AddrInUse);
    }

    /// Both ends of a connection that is there already: as a super-server passes it.
    #[test]
    fn a_stream_that_is_connected_is_taken_as_it_is() {
        let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        let (here, there) = (Stream::from(here), Stream::from(there));
        here.write(b"x").unwrap();
        assert_eq!(there.read(&mut [0; 2]).unwrap(), 1);
        assert_eq!(there.read(&mut [0; 2]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(there.peer().unwrap().address().is_none());
    }
}
