//! Unix sockets: unix(7).

use std::io;
use std::path::Path;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::path::PathBuf;

use socket2::{Domain, SockAddr, Socket, Type};

use super::socket_file::SocketFile;
use super::{ConnectOptions, Listener, Stream, set_buffers};
use crate::{Endpoint, NetError, Stage};

/// Listens at a path. `SEQPACKET` is Linux's alone.
pub(super) fn bind(
    path: &str,
    mode: Option<u32>,
    kind: Type,
    buffer: Option<usize>,
) -> Result<Listener, NetError> {
    let socket = socket(kind, buffer).map_err(NetError::at(Stage::Socket))?;
    let file = SocketFile::bind(&socket, path, mode).map_err(NetError::at(Stage::Bind))?;
    Ok(Listener::listen(socket)?.with_file(Some(Box::new(file))))
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
    SocketFile::bind(socket, path, Some(0o600)).map(Some)
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

/// The endpoint of a socket with this address, or with this file; none if that is no text, or there is none at all.
pub(super) fn endpoint_of(
    address: &SockAddr,
    file: Option<&SocketFile>,
    path: impl FnOnce(String) -> Endpoint,
    name: impl FnOnce(String) -> Endpoint,
) -> Option<Endpoint> {
    if let Some(file) = file.map(SocketFile::path).or_else(|| address.as_pathname()) {
        return Some(path(file.to_str()?.to_owned()));
    }
    let bytes = address.as_abstract_namespace()?;
    Some(name(std::str::from_utf8(bytes).ok()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BindOptions, Source, bind, bind_datagram, connect};
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
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

    /// A file that is changed after it has its name may be another one by then: its mode is never changed.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_has_its_mode_from_its_first_moment() {
        use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
        let folder = Folder::new("moment");
        let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        add_watch(&watch, &folder.0, WatchFlags::CREATE | WatchFlags::ATTRIB | WatchFlags::MOVED_TO).unwrap();
        let _listener = open(&format!("{},mode=666", folder.socket()).parse().unwrap()).unwrap();
        let _datagrams = bind_datagram(
            &format!("unix-dgram:{},mode=666", folder.0.join("datagrams").display()).parse().unwrap(),
            &BindOptions::default(),
        )
        .unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&watch, &mut space);
        let mut seen = Vec::new();
        while let Ok(event) = events.next() {
            seen.push((event.file_name().unwrap().to_str().unwrap().to_owned(), event.events()));
        }
        for name in ["echo,%.sock", "datagrams"] {
            assert_eq!(fs::metadata(folder.0.join(name)).unwrap().mode() & 0o777, 0o666);
            assert!(seen.iter().any(|(seen, _)| seen == name), "{seen:?}");
        }
        assert!(seen.iter().all(|(_, events)| !events.contains(ReadFlags::ATTRIB)), "{seen:?}");
    }

    /// Whoever can read the folder can hold a lock on it.
    #[test]
    fn a_lock_on_the_folder_holds_up_nobody() {
        let folder = Folder::new("locked");
        let other = File::open(&folder.0).unwrap();
        other.lock().unwrap();
        drop(UnixListener::bind(folder.file()).unwrap());
        assert_carries(&open(&folder.socket()).unwrap());
    }

    /// What is in the way of the private folder is not waited for, and not used.
    #[test]
    fn a_name_that_others_took_holds_up_nobody() {
        let folder = Folder::new("taken");
        let user = rustix::process::geteuid().as_raw();
        let taken = folder.0.join(format!(".echo,%.sock.{user}"));
        let elsewhere = folder.0.join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        for mode in ["", ",mode=666"] {
            let endpoint = format!("{}{mode}", folder.socket()).parse().unwrap();
            std::os::unix::fs::symlink(&elsewhere, &taken).unwrap();
            drop(UnixListener::bind(folder.file()).unwrap());
            assert_carries(&open(&endpoint).unwrap());
            fs::remove_file(&taken).unwrap();
            // One that others can enter is none.
            fs::create_dir(&taken).unwrap();
            fs::set_permissions(&taken, fs::Permissions::from_mode(0o777)).unwrap();
            drop(UnixListener::bind(folder.file()).unwrap());
            assert_carries(&open(&endpoint).unwrap());
            fs::remove_dir(&taken).unwrap();
        }
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
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

    fn is_in_use(error: &NetError) -> bool {
        error.source.kind() == io::ErrorKind::AddrInUse
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
                let all = threads.into_iter().map(|thread| thread.join().unwrap());
                all.inspect(|bound| assert!(bound.as_ref().map_or_else(is_in_use, |_| true), "{bound:?}"))
                    .filter_map(Result::ok)
                    .collect()
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
        let options = ConnectOptions::default().timeout(Some(Duration::from_millis(20)));
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
