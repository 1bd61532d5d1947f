//! A stream on its way through code that may panic, or be given up.

use std::cell::Cell;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};

use roundtrip_core::Teardown;

use crate::{Stream, TcpInfo, Transport};

/// A stream that is reset if it is dropped before its machine has closed: neither a panic nor giving up must look like
/// an orderly end.
#[derive(Debug)]
pub struct Guarded {
    stream: Stream,
    /// A cell, because whatever a driver registers the stream with gives it back by shared reference only.
    armed: Cell<bool>,
}

impl Guarded {
    /// Guards this stream.
    pub const fn new(stream: Stream) -> Self {
        Self { stream, armed: Cell::new(true) }
    }

    /// The stream.
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The stream may be dropped as it is: closed in order, unless it was told otherwise.
    pub fn disarm(&self) {
        self.armed.set(false);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.armed.get() {
            self.stream.reset_on_close();
        }
    }
}

impl Transport for &Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn half_close(&mut self) -> io::Result<()> {
        self.stream.half_close()
    }

    fn may_have_more(&self, room: usize, read: usize) -> bool {
        self.stream.may_have_more(room, read)
    }

    fn unread(&self) -> u64 {
        self.stream.unread()
    }

    fn tcp_info(&self) -> Option<TcpInfo> {
        self.stream.tcp_info()
    }

    fn close(&mut self, how: Teardown) -> u64 {
        self.disarm();
        if how == Teardown::Graceful {
            return 0;
        }
        self.stream.reset_on_close();
        self.stream.unacknowledged()
    }
}

#[cfg(unix)]
impl AsFd for Guarded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(unix)]
impl AsRawFd for Guarded {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(windows)]
impl AsSocket for Guarded {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.stream.as_socket()
    }
}
