//! The file of a Unix socket, in a folder where other processes act as well.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, RenameFlags};
use rustix::process::Signal;

use crate::client::STALLED;
use crate::folder::Folder;
use crate::process::{Process, poll};
use crate::server::{roundtrip, serve};
use crate::{Cell, Failed, Scale};

/// All drivers bind with the same code: they share the starts.
const STARTS: usize = 1000 / 4;
const MODE: u32 = 0o600;
const CONTENT: &[u8] = b"precious";

/// A server that sets the mode by path sets that of the file that the link points to.
pub(crate) fn swapped(driver: &str, scale: Scale) -> Result<Cell, Failed> {
    let folder = Folder::new()?;
    let (path, link, victim) = (folder.join("socket"), folder.join("link"), folder.join("victim"));
    fs::write(&victim, CONTENT)?;
    fs::set_permissions(&victim, fs::Permissions::from_mode(MODE))?;
    let endpoint = format!("unix:{},mode=0666", path.display());
    let (starts, mut swaps) = (scale.of(STARTS), 0);
    for start in 1..=starts {
        symlink(&victim, &link)?;
        let is_up = AtomicBool::new(false);
        let swapped = thread::scope(|scope| -> io::Result<bool> {
            let swapping = scope.spawn(|| swap(&path, &link, &is_up));
            let started = start_and_kill(driver, &endpoint);
            is_up.store(true, Ordering::Relaxed);
            let swapped = swapping.join().unwrap_or_default();
            started.map(|()| swapped)
        })?;
        swaps += usize::from(swapped);
        let mode = fs::metadata(&victim)?.permissions().mode() & 0o7777;
        if mode != MODE || fs::read(&victim)? != CONTENT {
            return Ok(Cell::new(false, format!("target changed in start {start}, mode {mode:04o}")));
        }
        for left in [&path, &link] {
            let _ = fs::remove_file(left);
        }
    }
    // If no start was disturbed, nothing was tried.
    let is_good = swaps > 0;
    Ok(Cell::new(is_good, format!("unchanged in {starts} starts, {swaps} swapped")))
}

/// Starts a server, and kills it when it listens or has given up.
fn start_and_kill(driver: &str, endpoint: &str) -> io::Result<()> {
    let mut process =
        Process::start(roundtrip(["serve", endpoint, "--driver", driver]).stdout(Stdio::piped()))?;
    process.first_line()?;
    process.signal(Signal::KILL);
    Ok(())
}

/// Swaps the socket for the link as soon as the socket exists; whether it did.
fn swap(path: &Path, link: &Path, is_up: &AtomicBool) -> bool {
    while !is_up.load(Ordering::Relaxed) {
        // One call, which waits for the lock of the folder while the socket is made, and fails until it exists.
        if rustix::fs::renameat_with(CWD, link, CWD, path, RenameFlags::EXCHANGE).is_ok() {
            return true;
        }
    }
    false
}

/// Whoever may read a folder can lock it with flock(2).
pub(crate) fn locked(driver: &str, _: Scale) -> Result<Cell, Failed> {
    let folder = Folder::new()?;
    let path = folder.join("socket");
    // As a crash leaves it.
    drop(UnixListener::bind(&path)?);
    // A child of another trial holds it as well until it runs its own program.
    let is_stale = || UnixStream::connect(&path).is_err().then_some(());
    poll(STALLED, is_stale).ok_or_else(|| io::Error::from(io::ErrorKind::AddrInUse))?;
    let lock = File::open(folder.path())?;
    lock.lock()?;
    let (process, _) = serve(driver, &format!("unix:{}", path.display()), &[])?;
    let served = ping(&path);
    let finished = process.stop()?;
    drop(lock);
    let is_good = served.is_ok() && finished.code == Some(0);
    let served = served
        .map_or_else(|error| format!("replaced, not served: {error}"), |()| "replaced and served".into());
    Ok(Cell::new(is_good, format!("{served}, {}", finished.exit())))
}

fn ping(path: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(STALLED))?;
    io::Write::write_all(&mut stream, b"x")?;
    io::Read::read_exact(&mut stream, &mut [0])
}
