//! Unix.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use roundtrip_std::{BindOptions, Clock, Listener, NetError, Stream, SystemClock};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::signals::Signal;

/// What can be listened on.
pub(crate) const ENDPOINTS: &str = "HOST:PORT or unix:PATH";
/// Where messages can go.
pub(crate) const MESSAGES: &str = "choose udp:HOST:PORT or unix-dgram:PATH";
/// How to find an address of this machine.
pub(crate) const ADDRESSES: &str = "give an address of this machine, as `ip address` shows them";
/// What to do about what the system does not give.
pub(crate) const NO_MORE: &str = "check the limits that `ulimit -a` shows";
/// What to do about a port that may not be bound.
pub(crate) const PORT_DENIED: &str = "ports below 1024 are reserved: choose one from 1024 on";

/// The same signal within this time is one request: timeout(1) signals the process, and then its group.
const ONE_REQUEST: Duration = Duration::from_millis(100);

/// Calls `on_signal` for each signal that arrives, on a thread of its own.
pub(crate) fn watch_signals(mut on_signal: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
    // What this process was told to ignore stays ignored.
    let optional = [SIGHUP, SIGQUIT].into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1].into_iter().chain(optional))?;
    // Once the terminal is closed, it cannot be opened any more.
    let hang_up = if File::open("/dev/tty").is_ok() { Signal::Stop } else { Signal::Reload };
    thread::Builder::new().name("signals".into()).spawn(move || {
        let clock = SystemClock::new();
        let mut last = None;
        for signal in signals.forever() {
            let now = clock.now();
            let is_repeated = last.is_some_and(|(other, at)| other == signal && now.since(at) < ONE_REQUEST);
            last = Some((signal, now));
            if is_repeated && signal != SIGUSR1 {
                continue;
            }
            on_signal(match signal {
                SIGHUP => hang_up,
                SIGUSR1 => Signal::Report,
                _ => Signal::Stop,
            });
        }
    })?;
    Ok(())
}

/// Whether this process was started with this signal ignored: by nohup(1), or with `&` in a shell without job control.
#[allow(unsafe_code, reason = "no safe wrapper is known")]
fn is_ignored(signal: i32) -> bool {
    // SAFETY: zeros are a valid `sigaction`, and sigaction(2) only writes to it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// How many descriptors this process may have; none if the system sets no limit.
pub(crate) fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// How many descriptors this process has open.
pub(crate) fn open_descriptors() -> u64 {
    // Linux, and the BSDs where it is mounted. Elsewhere: the standard streams, and some that were inherited.
    let listed = ["/proc/self/fd", "/dev/fd"].into_iter().find_map(|folder| std::fs::read_dir(folder).ok());
    // One of them reads the folder.
    listed.map_or(8, |entries| (entries.count() as u64).saturating_sub(1))
}

/// Has this thread, and those that it starts, wake when their time is up: Linux lets a sleep last 50 µs longer if nothing
/// else is said (`PR_SET_TIMERSLACK`, prctl(2)).
pub(crate) fn exact_timers() {
    #[cfg(target_os = "linux")]
    {
        // A nanosecond is the least; where that is refused, the lag that is measured tells.
        let _ = rustix::thread::set_current_timer_slack(Some(std::num::NonZeroU64::MIN));
    }
}

/// Gives memory that was freed back to the system: `malloc_trim(3)`. Elsewhere the allocator does so by itself, or not at all.
pub(crate) fn release_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "no safe wrapper is known")]
    // SAFETY: it has no preconditions; it locks the allocator itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whoever creates the file is the only one to read it.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Whoever creates the folder is the only one to enter it.
pub(crate) fn private_folder(builder: &mut DirBuilder) -> &mut DirBuilder {
    builder.mode(0o700)
}

/// A symbolic link is not opened.
pub(crate) fn no_link(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
}

/// Who could read that file can read this one.
pub(crate) fn copy_access(from: &Metadata, to: &File) -> io::Result<()> {
    to.set_permissions(Permissions::from_mode(from.permissions().mode() & 0o777))
}

/// The mode of a file that other users than its owner can read or write, or run.
pub(crate) fn open_to_others(about: &Metadata) -> Option<u32> {
    Some(about.permissions().mode() & 0o7777).filter(|mode| about.is_file() && mode & 0o077 != 0)
}

/// Whether it is what this process has open already: the system's own links to it are followed.
pub(crate) fn is_stream(path: &Path) -> bool {
    let is_one = ["/dev/stdout", "/dev/stderr"].iter().any(|one| path == Path::new(one));
    is_one
        || path
            .parent()
            .is_some_and(|list| list == Path::new("/dev/fd") || list == Path::new("/proc/self/fd"))
}

/// Tells the service manager that all listens, if it asked to be told (`sd_notify(3)`): one that cannot be told is not
/// waited for.
pub(crate) fn tell_ready() {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}

/// Tells it that the server ends.
pub(crate) fn tell_stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}

/// The listeners that the service manager passed.
pub(crate) fn passed_listeners(options: &BindOptions) -> Result<Vec<Listener>, NetError> {
    roundtrip_std::passed_listeners(options)
}

/// The connection that a super-server passed as standard input; none if that is no socket.
///
/// Its child may have the connection for its standard error as well: what it complains of there would be taken for an
/// echo, and goes nowhere from here on.
pub(crate) fn stdin_stream(options: &BindOptions) -> io::Result<Option<Stream>> {
    let stream = Stream::of_stdin(options)?;
    if stream.is_some() && rustix::net::sockopt::socket_type(io::stderr().as_fd()).is_ok() {
        rustix::stdio::dup2_stderr(File::options().write(true).open("/dev/null")?)?;
    }
    Ok(stream)
}

/// Standard input and output themselves: the standard library's buffers would only copy.
pub(crate) fn stdio_files() -> io::Result<(File, File)> {
    let reader = io::stdin().as_fd().try_clone_to_owned()?;
    let writer = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((reader.into(), writer.into()))
}
