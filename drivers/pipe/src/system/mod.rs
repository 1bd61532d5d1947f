//! What the system does: the same types and functions on every one. Where there are no named pipes, none can be made.

#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(windows), path = "elsewhere.rs")]
mod calls;

#[cfg(windows)]
use std::time::Duration;

pub(crate) use calls::{
    Event, Handle, Operation, create_mailslot, create_pipe, open_mailslot, open_pipe, wait, wait_for_pipe,
};

/// What one call can wait for, the bell included: `MAXIMUM_WAIT_OBJECTS`.
pub(crate) const MOST: usize = 64;

/// `ERROR_BROKEN_PIPE`: the other end was closed.
pub(crate) const BROKEN_PIPE: i32 = 109;
/// `ERROR_PIPE_BUSY`: no instance of the pipe waits for a client.
pub(crate) const PIPE_BUSY: i32 = 231;
/// `ERROR_NO_DATA`: the other end was closed, found by writing.
pub(crate) const NO_DATA: i32 = 232;
/// `ERROR_PIPE_NOT_CONNECTED`: the server has disconnected, and nothing of what was on its way is left.
pub(crate) const PIPE_NOT_CONNECTED: i32 = 233;
/// `ERROR_PIPE_CONNECTED`: a client was faster.
#[cfg(windows)]
pub(crate) const PIPE_CONNECTED: i32 = 535;
/// `ERROR_ACCESS_DENIED`; of a first instance, that it is not the first.
pub(crate) const ACCESS_DENIED: i32 = 5;
/// `ERROR_FILE_NOT_FOUND`: nobody has a pipe of that name.
pub(crate) const FILE_NOT_FOUND: i32 = 2;
/// `ERROR_SEM_TIMEOUT`: all instances stayed busy.
pub(crate) const SEM_TIMEOUT: i32 = 121;
/// `ERROR_ALREADY_EXISTS`: of a mailslot.
pub(crate) const ALREADY_EXISTS: i32 = 183;

/// How an instance of a pipe is made.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(windows), allow(dead_code, reason = "where there are no pipes, nobody makes one"))]
pub(crate) struct Shape {
    /// The name must be free: `FILE_FLAG_FIRST_PIPE_INSTANCE`.
    pub(crate) first: bool,
    /// Of messages, instead of bytes.
    pub(crate) message: bool,
    /// Bytes that the system holds in each direction.
    pub(crate) buffer: u32,
}

/// As milliseconds, rounded up, so that nobody wakes before the time; none is for ever.
#[cfg(windows)]
fn millis(timeout: Option<Duration>) -> u32 {
    /// The longest sleep in one call: whoever waits longer looks again in between.
    const LONGEST: u32 = i32::MAX as u32;
    timeout.map_or(u32::MAX, |timeout| {
        u32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(LONGEST).min(LONGEST)
    })
}
