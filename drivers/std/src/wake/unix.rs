//! Unix: poll(2), and a descriptor that is rung by writing to it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use roundtrip_net::Bell;
use rustix::event::{PollFd, PollFlags};

use super::{Interest, Ready, poll};

/// A descriptor that turns readable when it is rung, and stays so until it is cleared.
#[derive(Debug)]
pub(crate) struct Wake {
    read: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

impl Wake {
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self { read: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::ioctl_fionbio(end, true)?;
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(Self { read, write })
    }

    /// Until the next ring. Whoever clears looks for mail *afterwards*.
    pub(crate) fn clear(&self) {
        let mut buffer = [0; 64];
        while rustix::io::read(&self.read, &mut buffer).is_ok_and(|n| n == buffer.len()) {}
    }
}

impl Bell for Wake {
    fn ring(&self) {
        #[cfg(target_os = "linux")]
        let to = &self.read;
        #[cfg(not(target_os = "linux"))]
        let to = &self.write;
        // It fails only where it is full, and then it is ringing already.
        let _ = rustix::io::write(to, &1u64.to_ne_bytes());
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// Sleeps until `interest` or the bell is ready, or `timeout` has passed.
///
/// A socket of no interest is left out: poll(2) reports hang-ups whether they were asked for or not, and a
/// loop that cannot act on one would spin.
pub(crate) fn wait(interest: Interest<'_>, wake: &Wake, timeout: Option<Duration>) -> io::Result<Ready> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, interest.readable);
    flags.set(PollFlags::OUT, interest.writable);
    let mut fds = [PollFd::new(wake, PollFlags::IN), PollFd::from_borrowed_fd(interest.fd, flags)];
    let watched = if flags.is_empty() { 1 } else { 2 };
    poll(&mut fds[..watched], timeout)?;
    let seen = if flags.is_empty() { PollFlags::empty() } else { fds[1].revents() };
    let broken = seen.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    Ok(Ready {
        readable: interest.readable && (broken || seen.contains(PollFlags::IN)),
        writable: interest.writable && (broken || seen.contains(PollFlags::OUT)),
        rung: !fds[0].revents().is_empty(),
    })
}
