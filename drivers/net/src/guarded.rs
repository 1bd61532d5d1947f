//! A stream on its way through code that may panic, or be given up.

use std::cell::Cell;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};

use crate::Stream;

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

impl AsRef<Self> for Guarded {
    fn as_ref(&self) -> &Self {
        self
    }
}

#[cfg(unix)]
impl AsFd for Guarded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(windows)]
impl AsSocket for Guarded {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.stream.as_socket()
    }
}
