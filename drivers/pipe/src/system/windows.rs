//! The calls of Windows, and all of this crate that is unsafe: kernel objects as handles that are closed when they are
//! dropped, and overlapped operations that own what the kernel reads and writes until it is done with it.

#![allow(unsafe_code, reason = "the calls that no wrapper makes; what makes each sound is said there")]

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{NonNull, null, null_mut};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_net::Bell;
use windows_sys::Win32::Foundation::{
    ERROR_IO_INCOMPLETE, ERROR_IO_PENDING, ERROR_MORE_DATA, GENERIC_READ, GENERIC_WRITE, HANDLE,
    INVALID_HANDLE_VALUE, WAIT_FAILED,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_SHARE_READ, FILE_SHARE_WRITE,
    OPEN_EXISTING, PIPE_ACCESS_DUPLEX, ReadFile, SECURITY_ANONYMOUS, SECURITY_SQOS_PRESENT, WriteFile,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Mailslots::CreateMailslotW;
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, DisconnectNamedPipe, GetNamedPipeInfo, PIPE_READMODE_BYTE,
    PIPE_READMODE_MESSAGE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_TYPE_MESSAGE,
    PIPE_UNLIMITED_INSTANCES, PIPE_WAIT, PeekNamedPipe, SetNamedPipeHandleState, WaitNamedPipeW,
};
use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent, WaitForMultipleObjects};

use super::{MOST, NO_DATA, PIPE_CONNECTED, Shape, millis};

/// What an operation of no length is done with.
const STATUS_PENDING: usize = 0x103;
/// For so long a mailslot's reader waits for a message, milliseconds, and then looks what else there is to do: wine reads
/// without returning, so that nothing could wake it.
const GLANCE: u32 = 50;

/// A manual-reset event: it wakes whoever waits for it, until it is cleared.
#[derive(Debug)]
pub(crate) struct Event(OwnedHandle);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no attributes and no name are null pointers, which the call takes for none.
        let handle = unsafe { CreateEventW(null(), 1, 0, null()) };
        owned(handle, null_mut()).map(Self)
    }

    /// Until the next ring. Whoever clears looks for mail *afterwards*.
    pub(crate) fn clear(&self) {
        // SAFETY: the handle is open for as long as it is borrowed.
        unsafe { ResetEvent(self.0.as_raw_handle()) };
    }
}

impl Bell for Event {
    fn ring(&self) {
        // SAFETY: the handle is open for as long as it is borrowed.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }
}

/// One end of a pipe, or of a mailslot, opened for overlapped operations.
#[derive(Debug)]
pub(crate) struct Handle(OwnedHandle);

impl Handle {
    fn raw(&self) -> HANDLE {
        self.0.as_raw_handle()
    }

    /// Whether the pipe is one of messages.
    pub(crate) fn is_of_messages(&self) -> io::Result<bool> {
        let mut flags = 0;
        // SAFETY: the handle is open; the flags are written, and null pointers ask for nothing more.
        done(unsafe { GetNamedPipeInfo(self.raw(), &raw mut flags, null_mut(), null_mut(), null_mut()) })?;
        Ok(flags & PIPE_TYPE_MESSAGE != 0)
    }

    /// From here on, a read ends with its message: a client's end begins with bytes.
    pub(crate) fn read_messages(&self) -> io::Result<()> {
        let mode = PIPE_READMODE_MESSAGE | PIPE_WAIT;
        // SAFETY: the handle is open; the mode is read, and null pointers leave the rest as it is.
        done(unsafe { SetNamedPipeHandleState(self.raw(), &raw const mode, null(), null()) })
    }

    /// Takes the pipe from its client, with all that neither has read. A server's end alone can do that.
    pub(crate) fn disconnect(&self) {
        // SAFETY: the handle is open. It fails on what is disconnected already.
        unsafe { DisconnectNamedPipe(self.raw()) };
    }

    /// Bytes that could be read right now.
    pub(crate) fn unread(&self) -> u64 {
        let mut available = 0;
        // SAFETY: the handle is open; the count is written, and nothing is read into a buffer of no length.
        let peeked =
            unsafe { PeekNamedPipe(self.raw(), null_mut(), 0, null_mut(), &raw mut available, null_mut()) };
        if peeked == 0 { 0 } else { available.into() }
    }
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// The kernel has the `OVERLAPPED` and the buffer.
    InFlight,
}

/// One overlapped operation at a time on one handle, and what the kernel needs of it: that is not touched while one is in
/// flight, and outlives it, for dropping an operation cancels it and waits for its end.
#[derive(Debug)]
pub(crate) struct Operation {
    handle: Arc<Handle>,
    /// Set when the operation is complete.
    event: Event,
    /// From a box, and freed as one.
    overlapped: NonNull<OVERLAPPED>,
    /// Read into.
    buffer: Vec<u8>,
    /// Written from.
    bytes: Bytes,
    state: State,
}

// SAFETY: the pointer is to memory that this value alone has, as a box would be; the kernel does not mind which thread asks
// for the result.
unsafe impl Send for Operation {}

impl Operation {
    pub(crate) fn new(handle: Arc<Handle>) -> io::Result<Self> {
        let event = Event::new()?;
        let overlapped = NonNull::from(Box::leak(Box::<OVERLAPPED>::default()));
        Ok(Self { handle, event, overlapped, buffer: Vec::new(), bytes: Bytes::new(), state: State::Idle })
    }

    /// None is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// One was in flight, and is over: [`finish`](Self::finish) has what came of it.
    pub(crate) fn is_complete(&self) -> bool {
        // SAFETY: the memory is there until this is dropped. The kernel may write to it at this moment, and so it is read as
        // the system's own `HasOverlappedIoCompleted` does.
        self.state == State::InFlight
            && unsafe { (&raw const (*self.overlapped.as_ptr()).Internal).read_volatile() } != STATUS_PENDING
    }

    /// Begins to wait for a client.
    pub(crate) fn connect(&mut self) -> io::Result<()> {
        let overlapped = self.prepare();
        // SAFETY: the handle is open, and the `OVERLAPPED` stays until the operation is over, see `prepare`.
        let begun = unsafe { ConnectNamedPipe(self.handle.raw(), overlapped) };
        match self.begun(begun) {
            // One was faster, and may be gone again: there is no operation, and it is complete.
            Err(error) if matches!(error.raw_os_error(), Some(PIPE_CONNECTED | NO_DATA)) => {
                // SAFETY: nothing is in flight, so the memory is this value's own.
                unsafe { *overlapped = OVERLAPPED { hEvent: (*overlapped).hEvent, ..OVERLAPPED::default() } };
                self.event.ring();
                self.state = State::InFlight;
                Ok(())
            }
            begun => begun,
        }
    }

    /// Begins to read at most so many bytes, and a message's end ends it.
    pub(crate) fn read(&mut self, most: usize) -> io::Result<()> {
        let overlapped = self.prepare();
        if self.buffer.len() < most {
            self.buffer.resize(most, 0);
        }
        let (buffer, most) = (self.buffer.as_mut_ptr(), count(most));
        // SAFETY: the handle is open; the buffer is at least as long, and it and the `OVERLAPPED` stay until the operation is
        // over, see `prepare`.
        let begun = unsafe { ReadFile(self.handle.raw(), buffer, most, null_mut(), overlapped) };
        self.begun(begun)
    }

    /// Begins to write these bytes, as one message where there are messages.
    pub(crate) fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        let overlapped = self.prepare();
        self.bytes = bytes;
        let (buffer, len) = (self.bytes.as_ptr(), count(self.bytes.len()));
        // SAFETY: the handle is open; the bytes are as long, never change, and they and the `OVERLAPPED` stay until the
        // operation is over, see `prepare`.
        let begun = unsafe { WriteFile(self.handle.raw(), buffer, len, null_mut(), overlapped) };
        self.begun(begun)
    }

    /// What came of the operation, if it is over: how many bytes. A message that was longer than its buffer is no error:
    /// the rest is read next.
    pub(crate) fn finish(&mut self) -> Option<io::Result<usize>> {
        if self.is_complete() { self.result(false) } else { None }
    }

    /// Ends what is in flight, and waits until the kernel is done with it; what came of it, if it was faster.
    pub(crate) fn cancel(&mut self) -> Option<io::Result<usize>> {
        if self.is_idle() {
            return None;
        }
        if !self.is_complete() {
            // SAFETY: the handle is open, and the `OVERLAPPED` is that of an operation that was begun. It fails if that is over.
            unsafe { CancelIoEx(self.handle.raw(), self.overlapped.as_ptr()) };
        }
        self.result(true)
    }

    /// Waits for the operation's end; what came of it, if there was one.
    pub(crate) fn complete(&mut self) -> Option<io::Result<usize>> {
        if self.is_idle() { None } else { self.result(true) }
    }

    /// What the last read of so many bytes brought.
    pub(crate) fn filled(&self, read: usize) -> &[u8] {
        debug_assert!(self.is_idle(), "the buffer is the kernel's");
        &self.buffer[..read.min(self.buffer.len())]
    }

    /// The `OVERLAPPED` for another operation. It, the buffers and the event live until [`result`](Self::result) has seen the
    /// end of that, for one at a time is begun, and `drop` waits.
    fn prepare(&mut self) -> *mut OVERLAPPED {
        // Never two: the first would be waited for.
        drop(self.cancel());
        let overlapped = self.overlapped.as_ptr();
        // SAFETY: nothing is in flight, so the memory is this value's own.
        unsafe { *overlapped = OVERLAPPED { hEvent: self.event.0.as_raw_handle(), ..OVERLAPPED::default() } };
        overlapped
    }

    /// What a call that begins an operation returned. One that failed at once has begun none.
    fn begun(&mut self, returned: i32) -> io::Result<()> {
        if let Err(error) = done(returned)
            && !is(&error, ERROR_IO_PENDING)
            && !is(&error, ERROR_MORE_DATA)
        {
            self.bytes = Bytes::new();
            return Err(error);
        }
        self.state = State::InFlight;
        Ok(())
    }

    fn result(&mut self, waits: bool) -> Option<io::Result<usize>> {
        let mut transferred = 0;
        // SAFETY: the handle is open, and the `OVERLAPPED` is that of an operation that was begun on it.
        let got = unsafe {
            let (overlapped, transferred) = (self.overlapped.as_ptr(), &raw mut transferred);
            GetOverlappedResult(self.handle.raw(), overlapped, transferred, waits.into())
        };
        let result = match done(got) {
            Err(error) if is(&error, ERROR_IO_INCOMPLETE) => return None,
            Err(error) if !is(&error, ERROR_MORE_DATA) => Err(error),
            Ok(()) | Err(_) => Ok(transferred as usize),
        };
        self.state = State::Idle;
        self.bytes = Bytes::new();
        Some(result)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        drop(self.cancel());
        if self.is_idle() {
            // SAFETY: it came from a box, and the kernel is done with it.
            drop(unsafe { Box::from_raw(self.overlapped.as_ptr()) });
        } else {
            // It cannot be: but rather lose the memory than have it written to when it is somebody else's.
            std::mem::forget(std::mem::take(&mut self.buffer));
            std::mem::forget(std::mem::take(&mut self.bytes));
        }
    }
}

/// Another instance of a pipe. Nobody on another computer may connect. Who else may, its default security says: all rights
/// for this user, administrators and the system, reading for everybody.
pub(crate) fn create_pipe(name: &str, shape: Shape) -> io::Result<Handle> {
    let name = wide(r"\\.\pipe\", name);
    let first = if shape.first { FILE_FLAG_FIRST_PIPE_INSTANCE } else { 0 };
    let (open, mode) = (PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | first, mode(shape.message));
    // SAFETY: the name ends with a zero; no attributes are a null pointer.
    let handle = unsafe {
        CreateNamedPipeW(
            name.as_ptr(),
            open,
            mode,
            PIPE_UNLIMITED_INSTANCES,
            shape.buffer,
            shape.buffer,
            0,
            null(),
        )
    };
    owned(handle, INVALID_HANDLE_VALUE).map(Handle)
}

const fn mode(message: bool) -> u32 {
    let kind =
        if message { PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE } else { PIPE_TYPE_BYTE | PIPE_READMODE_BYTE };
    kind | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS
}

/// A client's end. The server may not act in its client's name.
pub(crate) fn open_pipe(name: &str) -> io::Result<Handle> {
    let name = wide(r"\\.\pipe\", name);
    let flags = FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS;
    open(&name, GENERIC_READ | GENERIC_WRITE, 0, flags)
}

/// Waits until an instance of the pipe waits for a client.
pub(crate) fn wait_for_pipe(name: &str, timeout: Option<Duration>) -> io::Result<()> {
    let name = wide(r"\\.\pipe\", name);
    // 0 would be the pipe's own default.
    let timeout = millis(timeout).max(1);
    // SAFETY: the name ends with a zero.
    done(unsafe { WaitNamedPipeW(name.as_ptr(), timeout) })
}

/// A reader's end of a new mailslot; 0 takes messages of any length.
pub(crate) fn create_mailslot(name: &str, longest: u32) -> io::Result<Handle> {
    let name = wide(r"\\.\mailslot\", name);
    // SAFETY: the name ends with a zero; no attributes are a null pointer.
    let handle = unsafe { CreateMailslotW(name.as_ptr(), longest, GLANCE, null()) };
    owned(handle, INVALID_HANDLE_VALUE).map(Handle)
}

/// A writer's end. There may be others, and there is a reader.
pub(crate) fn open_mailslot(name: &str) -> io::Result<Handle> {
    let name = wide(r"\\.\mailslot\", name);
    open(&name, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_FLAG_OVERLAPPED)
}

fn open(name: &[u16], access: u32, share: u32, flags: u32) -> io::Result<Handle> {
    // SAFETY: the name ends with a zero; no attributes are a null pointer, and so is no template.
    let handle =
        unsafe { CreateFileW(name.as_ptr(), access, share, null(), OPEN_EXISTING, flags, null_mut()) };
    owned(handle, INVALID_HANDLE_VALUE).map(Handle)
}

/// Sleeps until the bell rings, one of these operations is complete, or `timeout` has passed; whether the bell rang. Those
/// that are idle are not waited for.
pub(crate) fn wait(bell: &Event, operations: &[&Operation], timeout: Option<Duration>) -> io::Result<bool> {
    let mut handles = [null_mut::<c_void>(); MOST];
    let events = operations.iter().filter(|operation| !operation.is_idle()).map(|operation| &operation.event);
    let mut waited = 0;
    for (slot, event) in handles.iter_mut().zip([bell].into_iter().chain(events)) {
        *slot = event.0.as_raw_handle();
        waited += 1;
    }
    // SAFETY: the first `waited` handles are of events that are borrowed, and so open.
    let woken = unsafe { WaitForMultipleObjects(waited, handles.as_ptr(), 0, millis(timeout)) };
    // Of several, the first is told: the bell.
    if woken == WAIT_FAILED { Err(io::Error::last_os_error()) } else { Ok(woken == 0) }
}

/// The name as the system takes it. It has no zero in it: no endpoint has.
fn wide(prefix: &str, name: &str) -> Vec<u16> {
    prefix.encode_utf16().chain(name.encode_utf16()).chain([0]).collect()
}

fn owned(handle: HANDLE, invalid: HANDLE) -> io::Result<OwnedHandle> {
    if handle == invalid {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just made, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn done(returned: i32) -> io::Result<()> {
    if returned == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error().and_then(|raw| u32::try_from(raw).ok()) == Some(code)
}

/// No operation is longer than a read's or a write's most.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_other_computers_are_rejected() {
        for message in [false, true] {
            assert_ne!(mode(message) & PIPE_REJECT_REMOTE_CLIENTS, 0);
        }
    }

    #[test]
    fn nobody_wakes_before_the_time() {
        let millis = |nanos| millis(Some(Duration::from_nanos(nanos)));
        assert_eq!([0, 1, 1_000_000, 1_000_001].map(millis), [0, 1, 1, 2]);
        assert_eq!(super::millis(Some(Duration::MAX)), i32::MAX as u32);
        assert_eq!(super::millis(None), u32::MAX);
    }

    #[test]
    fn a_bell_is_heard_until_it_is_cleared_however_often_it_rang() {
        let bell = Event::new().unwrap();
        let look = |timeout| wait(&bell, &[], timeout).unwrap();
        assert!(!look(Some(Duration::ZERO)));
        bell.ring();
        bell.ring();
        assert!(look(None) && look(None));
        bell.clear();
        assert!(!look(Some(Duration::ZERO)));
    }
}
