//! What the operator asks for by a signal.
//!
//! | signal | `serve` | other verbs |
//! | --- | --- | --- |
//! | SIGINT, SIGTERM, SIGQUIT; on Windows Ctrl-C, Ctrl-Break, closing the console | drain; a second one stops at once, if it is another or comes 100 ms later | the same |
//! | SIGHUP, with a controlling terminal | the same: the terminal was closed | the same |
//! | SIGHUP, without one | a message: there is nothing to reload | the same as SIGINT |
//! | SIGUSR1 | print the counters | nothing |

use crate::platform;
use crate::problem::Problem;

/// A signal, by what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// End.
    Stop,
    /// A daemon is to read its configuration again.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has it"))]
    Reload,
    /// Print the counters.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has it"))]
    Report,
}

/// Calls `on_signal` for each signal that arrives, on a thread of its own.
pub(crate) fn watch(on_signal: impl FnMut(Signal) + Send + 'static) -> Result<(), Problem> {
    platform::watch_signals(on_signal).map_err(|error| Problem::system("cannot watch for signals", &error))
}

/// Calls `on_stop` for each signal that asks to end, with how many there were.
pub(crate) fn watch_stops(mut on_stop: impl FnMut(usize) + Send + 'static) -> Result<(), Problem> {
    let mut count = 0;
    watch(move |signal| {
        if matches!(signal, Signal::Stop | Signal::Reload) {
            count += 1;
            on_stop(count);
        }
    })
}
