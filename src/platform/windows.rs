//! Windows.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::io::AsHandle;

use roundtrip_std::{BindOptions, Endpoint, Listener, NetError, Stream, bind};

/// What can be listened on.
pub(crate) const ENDPOINTS: &str = "HOST:PORT or pipe:NAME";
/// Where messages can go.
pub(crate) const MESSAGES: &str = "choose udp:HOST:PORT or mailslot:NAME";
/// How to find an address of this machine.
pub(crate) const ADDRESSES: &str = "give an address of this machine, as `ipconfig` shows them";
/// What to do about what the system does not give.
pub(crate) const NO_MORE: &str = "end other programs, or ask for fewer connections";
/// What to do about a port that may not be bound.
pub(crate) const PORT_DENIED: &str =
    "another program has it for itself, or Windows has: choose another port, or 0 for a free one";

/// Calls `on_signal` for each Ctrl-C, Ctrl-Break, and closing of the console, with how many there were, on a thread of its
/// own.
pub(crate) fn watch_signals(mut on_signal: impl FnMut(usize) + Send + 'static) -> io::Result<()> {
    let mut count = 0;
    let heard = ctrlc::set_handler(move || {
        count += 1;
        on_signal(count);
    });
    heard.map_err(io::Error::other)
}

/// Timers are as exact as the system's: the lag that is measured tells.
pub(crate) const fn exact_timers() {}

/// There is no limit to handles but memory.
pub(crate) const fn descriptors() -> Option<u64> {
    None
}

/// A file has the access rules of its folder.
pub(crate) const fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Nobody asks to be told.
pub(crate) const fn tell_ready() {}

/// Nobody asks to be told.
pub(crate) const fn tell_stopping() {}

/// Nobody passes listeners: what says so is the refusal.
pub(crate) fn passed_listeners() -> Result<Vec<Listener>, NetError> {
    bind(&Endpoint::Systemd, &BindOptions::default()).map(|listener| vec![listener])
}

/// Standard input is a pipe, a file or a console.
#[expect(clippy::unnecessary_wraps, reason = "on Unix it may fail")]
pub(crate) const fn stdin_stream() -> io::Result<Option<Stream>> {
    Ok(None)
}

/// Standard input and output themselves: the standard library's buffers would only copy, and turn ends of lines.
pub(crate) fn stdio_files() -> io::Result<(File, File)> {
    let reader = io::stdin().as_handle().try_clone_to_owned()?;
    let writer = io::stdout().as_handle().try_clone_to_owned()?;
    Ok((reader.into(), writer.into()))
}

/// A path as a person is shown it: in one line, and with its separators as they are.
pub(crate) fn shown(path: &str) -> String {
    path.escape_debug().to_string().replace(r"\\", r"\")
}
