//! Unix.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::thread;

use roundtrip_std::{Listener, NetError, Stream};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

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

/// Calls `on_signal` for each SIGINT or SIGTERM, with how many there were, on a thread of its own.
pub(crate) fn watch_signals(mut on_signal: impl FnMut(usize) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for (index, _signal) in signals.forever().enumerate() {
            on_signal(index + 1);
        }
    })?;
    Ok(())
}

/// How many descriptors this process may have; none if the system sets no limit.
pub(crate) fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
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

/// Whoever creates the file is the only one to read it.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
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
pub(crate) fn passed_listeners() -> Result<Vec<Listener>, NetError> {
    roundtrip_std::passed_listeners()
}

/// The connection that a super-server passed as standard input; none if that is no socket.
///
/// Its child may have the connection for its standard error as well: what it complains of there would be taken for an
/// echo, and goes nowhere from here on.
pub(crate) fn stdin_stream() -> io::Result<Option<Stream>> {
    let stream = Stream::of_stdin()?;
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

/// A path as a person is shown it: in one line.
pub(crate) fn shown(path: &str) -> String {
    path.escape_debug().to_string()
}
