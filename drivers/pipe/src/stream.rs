//! One end of a connected pipe.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::Time;
use roundtrip_net::{Clock, ConnectOptions, Endpoint, NetError, Stage, SystemClock};

use crate::system::{self, Handle, Operation};

/// A connected pipe. Dropped, it is closed in order: what was written stays to be read.
#[derive(Debug)]
pub struct Stream {
    pub(crate) handle: Arc<Handle>,
    pub(crate) reading: Operation,
    pub(crate) writing: Operation,
    pub(crate) is_of_messages: bool,
}

impl Stream {
    pub(crate) fn new(handle: Arc<Handle>, is_of_messages: bool) -> io::Result<Self> {
        let [reading, writing] = [Operation::new(Arc::clone(&handle))?, Operation::new(Arc::clone(&handle))?];
        Ok(Self { handle, reading, writing, is_of_messages })
    }

    /// Whether it carries messages, and so can tell an end from a close.
    pub const fn is_of_messages(&self) -> bool {
        self.is_of_messages
    }

    /// Ends it in order, as far as that can be done at once.
    pub(crate) fn end(mut self) {
        if self.is_of_messages {
            // A peer that is gone needs no word.
            let _ = self.writing.write(Bytes::new());
        }
    }
}

/// Connects to a pipe of this computer. If all of its instances are busy, waits for one.
///
/// # Errors
///
/// [`NetError`] of the connect: `NotFound` if nobody has a pipe of that name, `TimedOut` if all stayed busy, `InvalidInput`
/// if it carries messages and the endpoint says bytes, or the other way round; `Unsupported` for what is no pipe, and
/// anywhere but on Windows.
pub fn connect(endpoint: &Endpoint, options: &ConnectOptions) -> Result<Stream, NetError> {
    let failed = |source| NetError::new(Stage::Connect, source);
    let Endpoint::Pipe { name, message, .. } = endpoint else {
        return Err(failed(unsupported(endpoint)));
    };
    let handle = open(name, options.timeout).map_err(failed)?;
    as_asked(&handle, *message).map_err(failed)?;
    Stream::new(Arc::new(handle), *message).map_err(|source| NetError::new(Stage::Socket, source))
}

pub(crate) fn unsupported(endpoint: &Endpoint) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("{endpoint} is no pipe"))
}

fn open(name: &str, timeout: Option<Duration>) -> io::Result<Handle> {
    let clock = SystemClock::new();
    let begun = clock.now();
    loop {
        match system::open_pipe(name) {
            Err(error) if error.raw_os_error() == Some(system::PIPE_BUSY) => {}
            Err(error) if error.raw_os_error() == Some(system::FILE_NOT_FOUND) => {
                return Err(io::Error::new(io::ErrorKind::NotFound, "nobody has a pipe of that name"));
            }
            opened => return opened,
        }
        let left = timeout.map(|timeout| left(begun, timeout, clock.now())).transpose()?;
        match system::wait_for_pipe(name, left) {
            // Told at the next look, as is what another client was faster to take.
            Err(error) if error.raw_os_error() == Some(system::FILE_NOT_FOUND) => {}
            Err(error) if error.raw_os_error() == Some(system::SEM_TIMEOUT) => {}
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
}

fn left(begun: Time, timeout: Duration, now: Time) -> io::Result<Duration> {
    let left = begun.after(timeout).since(now);
    if left.is_zero() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "every instance of the pipe is busy"));
    }
    Ok(left)
}

/// Refuses a pipe that is not what the endpoint says, and reads messages where there are messages.
fn as_asked(handle: &Handle, message: bool) -> io::Result<()> {
    let refused = |words| io::Error::new(io::ErrorKind::InvalidInput, words);
    match (handle.is_of_messages()?, message) {
        (true, false) => Err(refused("it is a pipe of messages, `,type=message`")),
        (false, true) => Err(refused("it is a pipe of bytes, without `,type=message`")),
        (true, true) => handle.read_messages(),
        (false, false) => Ok(()),
    }
}
