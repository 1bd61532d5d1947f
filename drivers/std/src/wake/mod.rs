//! Waiting for a socket and for someone who wants in.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

pub(crate) use system::{Wake, wait};

/// The longest that any system sleeps in one call: whoever waits longer looks again in between, every three weeks.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// What a wait ended with. All false: the time was up, or the wait was interrupted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Reading will not block; an error or a hang-up counts, for reading is what tells it.
    pub(crate) readable: bool,
    /// Writing will not block; likewise.
    pub(crate) writable: bool,
    /// The bell rang.
    pub(crate) rung: bool,
}

/// What a wait is to wait for, besides the bell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interest<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// Sleeps until one of `sources` is readable, the bell rang, or `timeout` has passed; the first that is
/// readable.
pub(crate) fn wait_any(
    sources: &[impl AsFd],
    wake: &Wake,
    timeout: Option<Duration>,
) -> io::Result<Option<usize>> {
    let mut fds = vec![PollFd::new(wake, PollFlags::IN)];
    fds.extend(sources.iter().map(|source| PollFd::new(source, PollFlags::IN)));
    poll(&mut fds, timeout)?;
    Ok(fds[1..].iter().position(|fd| !fd.revents().is_empty()))
}

fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    slept(rustix::event::poll(fds, timespec(timeout).as_ref()).map(drop))
}

fn timespec(timeout: Option<Duration>) -> Option<Timespec> {
    timeout.and_then(|timeout| Timespec::try_from(timeout.min(LONGEST)).ok())
}

/// Whoever was interrupted has slept long enough: all that waited looks again.
fn slept(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::INTR | Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
