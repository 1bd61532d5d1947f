//! SIGINT and SIGTERM, and on Windows Ctrl-C.

use crate::platform;
use crate::problem::Problem;

/// Calls `on_signal` for each of them, with how many there were, on a thread of its own.
pub(crate) fn watch(on_signal: impl FnMut(usize) + Send + 'static) -> Result<(), Problem> {
    platform::watch_signals(on_signal).map_err(|error| Problem::system("cannot watch for signals", &error))
}
