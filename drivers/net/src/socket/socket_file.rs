//! The file of a Unix socket: bound with a mode, in the place of a dead one, and removed with its socket.
//!
//! Other users may be able to rename what is in the folder, and the folder itself. So no step here changes a file by its
//! path: the folder is held open, a mode is set before the file has a name that others can reach, and a dead socket is
//! moved into a private folder and looked at once more before it is removed.

use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

/// The file of a bound socket, removed when this is dropped, unless another took its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    place: Place,
    identity: Identity,
}

impl SocketFile {
    /// Binds to this path with this mode, exactly; in the place of a dead socket if there is one.
    ///
    /// Without a mode the file has that of the umask.
    pub(super) fn bind(socket: &Socket, path: &str, mode: Option<u32>) -> io::Result<Self> {
        let address = SockAddr::unix(path)?;
        let place = Place::of(path)?;
        let bind = |private: Option<&Private>| match mode {
            None => socket.bind(&address),
            Some(mode) => bind_with_mode(socket, &address, &place, mode, private),
        };
        match bind(None) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if place.dead()?.is_none() {
                    return Err(error);
                }
                let private = Private::beside(&place)?;
                if !private.take_dead(&place)? {
                    return Err(error);
                }
                bind(Some(&private))?;
            }
            bound => bound?,
        }
        let identity = Identity::of(&place.about()?);
        Ok(Self { place, identity })
    }

    /// The path as it was asked for. It is not always what getsockname(2) says.
    pub(super) fn path(&self) -> &Path {
        &self.place.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.place.about().is_ok_and(|about| Identity::of(&about).inode == self.identity.inode) {
            let _ = rustix::fs::unlinkat(&self.place.folder, &self.place.name, AtFlags::empty());
        }
    }
}

/// A name in a folder that is held open: whatever becomes of the path, it is this folder's.
#[derive(Debug)]
struct Place {
    folder: OwnedFd,
    name: OsString,
    path: PathBuf,
}

impl Place {
    fn of(path: &str) -> io::Result<Self> {
        // Searching it is all that is needed.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const HOLD: OFlags = OFlags::PATH;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const HOLD: OFlags = OFlags::RDONLY;
        let path = PathBuf::from(path);
        let name = path.file_name().ok_or(io::ErrorKind::AddrInUse)?.to_owned();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.unwrap_or_else(|| Path::new("."));
        let folder = rustix::fs::open(folder, HOLD | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { folder, name, path })
    }

    fn about(&self) -> io::Result<Stat> {
        Ok(rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// What is there, if it is a stale socket.
    fn dead(&self) -> io::Result<Option<Identity>> {
        let about = match self.about() {
            // Another process is about to replace it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            about => about?,
        };
        if FileType::from_raw_mode(about.st_mode) != FileType::Socket {
            return Ok(None);
        }
        // A socket of another type is refused by one that lives, whether it listens or not (`EPROTOTYPE`), and leaves no
        // connection behind that its server would have to accept.
        let probe = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        let connected = probe.connect(&SockAddr::unix(within(&self.folder, &self.name, &self.path))?);
        let is_dead = connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        Ok(is_dead.then(|| Identity::of(&about)))
    }
}

/// A path to what is in an open folder: by its descriptor where the system has such paths, which is as short as the address
/// of a socket must be, and else `path`.
fn within(folder: &OwnedFd, name: &OsStr, path: &Path) -> PathBuf {
    let held = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let has_them = cfg!(any(target_os = "linux", target_os = "android")) && held.exists();
    if has_them { held.join(name) } else { path.to_owned() }
}

/// Which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    inode: (u64, u64),
    /// A number that became free is used again at once: two sockets that had the same one were made at other times.
    made: (i64, i64),
}

impl Identity {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap,
        trivial_numeric_casts,
        reason = "the types differ from system to system; only equality counts"
    )]
    const fn of(about: &Stat) -> Self {
        Self {
            inode: (about.st_dev as u64, about.st_ino as u64),
            made: (about.st_mtime as i64, about.st_mtime_nsec as i64),
        }
    }
}

/// The file has the mode from its first moment: Linux makes it with the socket's own, less the umask (`unix_bind_bsd` in
/// `net/unix/af_unix.c`).
fn bind_with_mode(
    socket: &Socket,
    address: &SockAddr,
    place: &Place,
    mode: u32,
    private: Option<&Private>,
) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(bound) = bind_without_umask(socket, address, mode) {
        return bound;
    }
    let _ = address;
    let made;
    let private = if let Some(private) = private {
        private
    } else {
        made = Private::beside(place)?;
        &made
    };
    private.bind_in(socket, place, mode)
}

/// None if the system does not let a thread have a umask of its own: a container may forbid unshare(2).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_without_umask(socket: &Socket, address: &SockAddr, mode: u32) -> Option<io::Result<()>> {
    use std::fs::{File, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::thread;

    let bind = || {
        // The thread ends with its umask; that of the others, and of the process, stays as it is. It shares descriptors as
        // before, and that they might not be is what the deprecation is about.
        #[expect(deprecated, reason = "what is safe but for `FILES`")]
        rustix::thread::unshare(rustix::thread::UnshareFlags::FS).ok()?;
        rustix::process::umask(Mode::empty());
        let set = socket.as_fd().try_clone_to_owned().map(File::from);
        let set = set.and_then(|socket| socket.set_permissions(Permissions::from_mode(mode)));
        Some(set.and_then(|()| socket.bind(address)))
    };
    thread::scope(|scope| {
        let binder = thread::Builder::new().name("bind".into()).spawn_scoped(scope, bind).ok()?;
        binder.join().ok()?
    })
}

/// A folder beside the place of a socket that no other user can enter, locked: of this user's processes that find the same
/// dead socket, one replaces it. Removed when dropped.
#[derive(Debug)]
struct Private<'a> {
    place: &'a Place,
    name: OsString,
    folder: OwnedFd,
}

/// What is in a private folder: a socket that is not in its place yet, and one that was taken out of it.
const NEW: &str = "new";
const OLD: &str = "old";
/// A private folder that comes and goes, because others are at the same place, is looked for this many times.
const TRIES: usize = 100;

impl<'a> Private<'a> {
    /// # Errors
    ///
    /// `AddrInUse` if another process of this user is at it.
    fn beside(place: &'a Place) -> io::Result<Self> {
        let user = rustix::process::geteuid().as_raw();
        let mut name = OsString::from(".");
        name.push(&place.name);
        name.push(format!(".{user}"));
        let fixed = name.clone();
        for _ in 0..TRIES {
            match rustix::fs::mkdirat(&place.folder, &name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let open = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = match rustix::fs::openat(&place.folder, &name, open, Mode::empty()) {
                // The process that had it has just removed it.
                Err(Errno::NOENT) => continue,
                // FreeBSD says MLINK of a symbolic link.
                Err(Errno::LOOP | Errno::MLINK | Errno::NOTDIR | Errno::ACCESS | Errno::PERM) => None,
                opened => Some(opened?).filter(|folder| is_private(folder, user)),
            };
            let Some(folder) = opened else {
                // Another user took the name: it must not hold us up, and the lock is only among ourselves.
                name.clone_from(&fixed);
                name.push(format!(".{:x}", RandomState::new().build_hasher().finish()));
                continue;
            };
            match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Err(io::ErrorKind::AddrInUse.into()),
                locked => locked?,
            }
            let named = rustix::fs::statat(&place.folder, &name, AtFlags::SYMLINK_NOFOLLOW);
            let opened = rustix::fs::fstat(&folder)?;
            if named.is_ok_and(|named| Identity::of(&named).inode == Identity::of(&opened).inode) {
                let private = Self { place, name, folder };
                // What a process left that was killed.
                private.clear();
                return Ok(private);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Takes the socket out of its place if it is dead; whether it was.
    fn take_dead(&self, place: &Place) -> io::Result<bool> {
        let Some(found) = place.dead()? else { return Ok(false) };
        rustix::fs::renameat(&place.folder, &place.name, &self.folder, OLD)?;
        let taken = rustix::fs::statat(&self.folder, OLD, AtFlags::SYMLINK_NOFOLLOW)?;
        if Identity::of(&taken) == found {
            rustix::fs::unlinkat(&self.folder, OLD, AtFlags::empty())?;
            return Ok(true);
        }
        // Another program was faster, and this is its own.
        move_to_free(&self.folder, OLD.as_ref(), &place.folder, &place.name)?;
        Ok(false)
    }

    /// Binds in here, where no other user reaches the file, and moves it into its place once it has its mode.
    fn bind_in(&self, socket: &Socket, place: &Place, mode: u32) -> io::Result<()> {
        let path = place.path.with_file_name(&self.name).join(NEW);
        socket.bind(&SockAddr::unix(within(&self.folder, NEW.as_ref(), &path))?)?;
        #[allow(clippy::cast_possible_truncation, reason = "a mode has 12 bits")]
        let mode = Mode::from_raw_mode(mode as RawMode);
        rustix::fs::chmodat(&self.folder, NEW, mode, AtFlags::empty())?;
        let moved = move_to_free(&self.folder, NEW.as_ref(), &place.folder, &place.name);
        moved.map_err(|error| match error {
            Errno::EXIST => io::ErrorKind::AddrInUse.into(),
            error => error.into(),
        })
    }

    fn clear(&self) {
        for name in [NEW, OLD] {
            let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}

impl Drop for Private<'_> {
    fn drop(&mut self) {
        self.clear();
        let _ = rustix::fs::unlinkat(&self.place.folder, &self.name, AtFlags::REMOVEDIR);
    }
}

fn is_private(folder: &OwnedFd, user: u32) -> bool {
    rustix::fs::fstat(folder).is_ok_and(|about| {
        let open = Mode::from_raw_mode(about.st_mode) & (Mode::RWXG | Mode::RWXO);
        about.st_uid == user && open.is_empty()
    })
}

/// Moves a file to a name that is free; `EXIST` if it is not.
fn move_to_free(from: &OwnedFd, old: &OsStr, to: &OwnedFd, new: &OsStr) -> rustix::io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    match rustix::fs::renameat_with(from, old, to, new, rustix::fs::RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        moved => return moved,
    }
    rustix::fs::linkat(from, old, to, new, AtFlags::empty())?;
    rustix::fs::unlinkat(from, old, AtFlags::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A folder of its own, removed with all that is in it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("roundtrip-file-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn place(&self) -> Place {
            Place::of(self.0.join("sock").to_str().unwrap()).unwrap()
        }

        fn names(&self) -> Vec<OsString> {
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn socket() -> Socket {
        Socket::new(Domain::UNIX, Type::STREAM, None).unwrap()
    }

    /// As on systems that make the file with the umask alone.
    #[test]
    fn a_socket_that_is_bound_in_private_has_its_mode_and_is_reached_at_its_place() {
        let folder = Folder::new("private");
        let place = folder.place();
        let (bound, late) = (socket(), socket());
        Private::beside(&place).unwrap().bind_in(&bound, &place, 0o666).unwrap();
        assert_eq!(fs::symlink_metadata(&place.path).unwrap().mode() & 0o7777, 0o666);
        bound.listen(1).unwrap();
        UnixStream::connect(&place.path).unwrap();
        assert_eq!(folder.names(), ["sock"]);
        // What is there is not replaced.
        let error = Private::beside(&place).unwrap().bind_in(&late, &place, 0o666).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&place.path).unwrap();
        assert_eq!(folder.names(), ["sock"]);
    }

    #[test]
    fn of_one_user_one_process_is_at_a_place_at_a_time() {
        let folder = Folder::new("lock");
        let (place, other) = (folder.place(), folder.place());
        let private = Private::beside(&place).unwrap();
        assert_eq!(Private::beside(&other).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(private);
        Private::beside(&other).unwrap();
        assert!(folder.names().is_empty());
    }

    #[test]
    fn what_a_killed_process_left_is_in_nobodys_way() {
        let folder = Folder::new("killed");
        let place = folder.place();
        let private = Private::beside(&place).unwrap();
        let path = place.path.with_file_name(&private.name).join(NEW);
        socket().bind(&SockAddr::unix(path).unwrap()).unwrap();
        rustix::fs::flock(&private.folder, FlockOperation::Unlock).unwrap();
        std::mem::forget(private);
        let private = Private::beside(&place).unwrap();
        private.bind_in(&socket(), &place, 0o600).unwrap();
    }

    #[test]
    fn a_dead_socket_is_taken_and_one_that_lives_is_not() {
        let folder = Folder::new("dead");
        let place = folder.place();
        let private = Private::beside(&place).unwrap();
        let alive = socket();
        alive.bind(&SockAddr::unix(&place.path).unwrap()).unwrap();
        alive.listen(1).unwrap();
        assert!(!private.take_dead(&place).unwrap());
        UnixStream::connect(&place.path).unwrap();
        drop(alive);
        assert!(private.take_dead(&place).unwrap());
        assert!(!place.path.exists());
    }
}
