//! Windows.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::io::AsHandle;
use std::path::Path;

use roundtrip_std::{BindOptions, Endpoint, Listener, NetError, Stream, bind};

use crate::signals::Signal;

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

/// Calls `on_signal` for each Ctrl-C, Ctrl-Break, and closing of the console, on a thread of its own.
pub(crate) fn watch_signals(mut on_signal: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(move || on_signal(Signal::Stop)).map_err(io::Error::other)
}

/// Timers are as exact as the system's: the lag that is measured tells.
pub(crate) const fn exact_timers() {}

/// There is no limit to handles but memory.
pub(crate) const fn descriptors() -> Option<u64> {
    None
}

/// Nothing is bounded by it.
pub(crate) const fn open_descriptors() -> u64 {
    0
}

/// The allocator does so by itself.
pub(crate) const fn release_memory() {}

/// A file has the access rules of its folder.
pub(crate) const fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// A folder has the access rules of the one that it is in.
pub(crate) const fn private_folder(builder: &mut DirBuilder) -> &mut DirBuilder {
    builder
}

/// To make a symbolic link is a right of administrators.
pub(crate) const fn no_link(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// A file has the access rules of its folder.
#[expect(clippy::unnecessary_wraps, reason = "on Unix it may fail")]
pub(crate) const fn copy_access(_from: &Metadata, _to: &File) -> io::Result<()> {
    Ok(())
}

/// What the access rules of a file allow is not looked at.
pub(crate) const fn open_to_others(_about: &Metadata) -> Option<u32> {
    None
}

/// Whether it is a device, which has a name in every folder.
pub(crate) fn is_stream(path: &Path) -> bool {
    ["NUL", "CON", "CONOUT$"].iter().any(|device| path.as_os_str().eq_ignore_ascii_case(device))
}

/// Nobody asks to be told.
pub(crate) const fn tell_ready() {}

/// Nobody asks to be told.
pub(crate) const fn tell_stopping() {}

/// Nobody passes listeners: what says so is the refusal.
pub(crate) fn passed_listeners(options: &BindOptions) -> Result<Vec<Listener>, NetError> {
    bind(&Endpoint::Systemd, options).map(|listener| vec![listener])
}

/// Standard input is a pipe, a file or a console.
#[expect(clippy::unnecessary_wraps, reason = "on Unix it may fail")]
pub(crate) const fn stdin_stream(_options: &BindOptions) -> io::Result<Option<Stream>> {
    Ok(None)
}

/// Standard input and output themselves: the standard library's buffers would only copy, and turn ends of lines.
pub(crate) fn stdio_files() -> io::Result<(File, File)> {
    let reader = io::stdin().as_handle().try_clone_to_owned()?;
    let writer = io::stdout().as_handle().try_clone_to_owned()?;
    Ok((reader.into(), writer.into()))
}
