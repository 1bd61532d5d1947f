//! Options of sockets that neither socket2 nor rustix reads.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// getsockopt(2), and how many bytes the system wrote: an older one writes fewer, and the others are zero.
///
/// # Safety
///
/// Every bit pattern must be a value of `T`.
#[allow(unsafe_code, reason = "the call has no safe wrapper for every option")]
pub(super) unsafe fn get<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
) -> Option<(T, usize)> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = libc::socklen_t::try_from(size_of::<T>()).ok()?;
    // SAFETY: the call writes no more than `len` bytes, which is the size of `value`.
    let failed =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut len) };
    // SAFETY: every bit pattern is a value, and all bytes were initialised.
    let value = unsafe { value.assume_init() };
    (failed == 0).then_some((value, len as usize))
}
