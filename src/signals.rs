//! SIGINT and SIGTERM.

use std::io;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::problem::Problem;

/// Calls `on_signal` for each SIGINT or SIGTERM, with how many there were, on a thread of its own.
pub(crate) fn watch(on_signal: impl FnMut(usize) + Send + 'static) -> Result<(), Problem> {
    spawn(on_signal).map_err(|error| Problem::system("cannot watch for signals", &error))
}

fn spawn(mut on_signal: impl FnMut(usize) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for (index, _signal) in signals.forever().enumerate() {
            on_signal(index + 1);
        }
    })?;
    Ok(())
}
