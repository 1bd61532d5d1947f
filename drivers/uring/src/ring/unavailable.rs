//! Why there is no ring, in words.

use std::io;

/// The oldest Linux with all that is used (`IORING_SETUP_DEFER_TASKRUN`: `io_uring_setup(2)`).
const OLDEST: &str = "6.1";

/// What an error of making a ring means.
pub(super) fn explain(error: &io::Error) -> io::Error {
    let why = match error.raw_os_error() {
        Some(libc::ENOSYS) => {
            "this kernel has no io_uring, or a filter of system calls (seccomp) hides it".to_owned()
        }
        Some(libc::EPERM | libc::EACCES) => {
            "the system forbids io_uring: kernel.io_uring_disabled, or a filter of system calls (seccomp)"
                .to_owned()
        }
        Some(libc::EINVAL) => return too_old(),
        Some(libc::ENOMEM) => {
            format!("no memory for an io_uring, or no more of it may be locked (ulimit -l): {error}")
        }
        _ => format!("cannot make an io_uring: {error}"),
    };
    io::Error::new(error.kind(), why)
}

/// The kernel has an `io_uring` without what is needed.
pub(super) fn too_old() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!("the io_uring of this kernel lacks what is needed, which Linux has since {OLDEST}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_from_the_others() {
        for (code, kind, word) in [
            (libc::ENOSYS, io::ErrorKind::Unsupported, "has no io_uring"),
            (libc::EPERM, io::ErrorKind::PermissionDenied, "io_uring_disabled"),
            (libc::EINVAL, io::ErrorKind::Unsupported, "since 6.1"),
            (libc::ENOMEM, io::ErrorKind::OutOfMemory, "ulimit -l"),
        ] {
            let error = explain(&io::Error::from_raw_os_error(code));
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(word), "{error}");
        }
        let other = explain(&io::Error::from_raw_os_error(libc::EMFILE)).to_string();
        assert!(other.contains("Too many open files"), "{other}");
    }
}
