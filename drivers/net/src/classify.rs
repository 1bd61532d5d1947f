//! What an error of the operating system means.
//!
//! By code first and by [`ErrorKind`] second: a write after one's own shutdown is `BrokenPipe`
//! on Linux and an uncategorised 10058 on Windows.

use std::io::{self, ErrorKind};

use roundtrip_core::Failure;
use roundtrip_core::admission::AcceptError;
use roundtrip_core::datagram::Unsent;

/// What an error of a read or a write says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Not now: look again when the socket is ready (`EAGAIN`, `EINTR`).
    Again,
    /// The transport failed.
    Failed(Failure),
}

/// What an error of a read or a write says.
pub fn transfer(error: &io::Error) -> Transfer {
    if is_again(error) {
        return Transfer::Again;
    }
    // A write that finds the peer gone is told by the RST that came first: RFC 9293 section 3.10.7.4.
    let by_kind = matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    );
    let is_reset = by_kind || code_is(error, system::RESET);
    Transfer::Failed(if is_reset {
        Failure::Reset
    } else if error.kind() == ErrorKind::UnexpectedEof {
        // No system says so. A TLS stream does that ended without `close_notify`.
        Failure::Truncated
    } else {
        Failure::Io
    })
}

/// What an error of accept(2) says; none if there was just nobody.
pub fn accept(error: &io::Error) -> Option<AcceptError> {
    if is_again(error) {
        None
    } else if code_is(error, system::ONE_CONNECTION) {
        Some(AcceptError::Connection)
    } else {
        Some(AcceptError::Exhausted)
    }
}

/// What an error of sending a datagram says: udp(7), unix(7), send(2). A queue of the interface, or of a Unix socket at the
/// other end, may be full as well as the socket's own; that nobody is there an ICMP message said, or it is a Unix socket that
/// is gone. An error of receiving one says the same of one
/// that was sent earlier.
pub fn datagram(error: &io::Error) -> Unsent {
    if is_again(error) || code_is(error, system::FULL) {
        Unsent::Full
    } else if code_is(error, system::TOO_LARGE) {
        Unsent::TooLong
    } else if code_is(error, system::NOBODY) {
        Unsent::Refused
    } else if code_is(error, system::NO_WAY) {
        Unsent::Unreachable
    } else {
        Unsent::Io
    }
}

/// Whether receiving only says that somebody else's port is closed: on Windows, a datagram that was sent to it comes
/// back as an error of the socket it was sent from.
#[cfg(windows)]
pub(crate) fn is_of_another(error: &io::Error) -> bool {
    code_is(error, system::OF_ANOTHER)
}

/// Whether an error of shutdown(2) only says that the peer closed first: reading will tell how.
pub fn is_peer_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotConnected || code_is(error, system::NOT_CONNECTED)
}

/// Whether an error says "look again".
pub fn is_again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
        && !code_is(error, system::CONNECTION_TIMED_OUT)
}

fn code_is(error: &io::Error, codes: &[i32]) -> bool {
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(unix)]
mod system {
    use rustix::io::Errno;

    pub(super) const RESET: &[i32] = &[code(Errno::CONNRESET), code(Errno::CONNABORTED), code(Errno::PIPE)];
    pub(super) const NOT_CONNECTED: &[i32] = &[code(Errno::NOTCONN)];
    /// `ETIMEDOUT` is TCP giving up on the peer. As an `ErrorKind` it looks like a read timeout, `EAGAIN`.
    pub(super) const CONNECTION_TIMED_OUT: &[i32] = &[code(Errno::TIMEDOUT)];
    /// accept(2): "treat them like EAGAIN by retrying", and the connection that was aborted in the backlog.
    pub(super) const ONE_CONNECTION: &[i32] = &[
        code(Errno::CONNABORTED),
        code(Errno::NETDOWN),
        code(Errno::PROTO),
        code(Errno::NOPROTOOPT),
        code(Errno::HOSTDOWN),
        code(Errno::HOSTUNREACH),
        code(Errno::OPNOTSUPP),
        code(Errno::NETUNREACH),
        code(Errno::PERM),
    ];

    pub(super) const FULL: &[i32] = &[code(Errno::NOBUFS)];
    pub(super) const TOO_LARGE: &[i32] = &[code(Errno::MSGSIZE)];
    pub(super) const NOBODY: &[i32] = &[
        code(Errno::CONNREFUSED),
        code(Errno::CONNRESET),
        code(Errno::NOTCONN),
        code(Errno::PIPE),
        code(Errno::NOENT),
    ];
    pub(super) const NO_WAY: &[i32] = &[
        code(Errno::NETUNREACH),
        code(Errno::HOSTUNREACH),
        code(Errno::NETDOWN),
        code(Errno::HOSTDOWN),
        code(Errno::ADDRNOTAVAIL),
        code(Errno::PERM),
        code(Errno::ACCESS),
    ];

    const fn code(errno: Errno) -> i32 {
        errno.raw_os_error()
    }
}

/// Windows Sockets error codes.
#[cfg(windows)]
mod system {
    /// `WSAECONNRESET`, `WSAECONNABORTED`, `WSAESHUTDOWN`, `WSAENETRESET`.
    pub(super) const RESET: &[i32] = &[10054, 10053, 10058, 10052];
    /// `WSAENOTCONN`.
    pub(super) const NOT_CONNECTED: &[i32] = &[10057];
    /// `WSAETIMEDOUT`.
    pub(super) const CONNECTION_TIMED_OUT: &[i32] = &[10060];
    /// `WSAECONNRESET`, `WSAECONNABORTED`: reset in the backlog.
    pub(super) const ONE_CONNECTION: &[i32] = &[10054, 10053];
    /// `WSAENOBUFS`.
    pub(super) const FULL: &[i32] = &[10055];
    /// `WSAEMSGSIZE`.
    pub(super) const TOO_LARGE: &[i32] = &[10040];
    /// `WSAECONNREFUSED`, `WSAECONNRESET`, `WSAENETRESET`, `WSAENOTCONN`.
    pub(super) const NOBODY: &[i32] = &[10061, 10054, 10052, 10057];
    /// `WSAENETUNREACH`, `WSAEHOSTUNREACH`, `WSAENETDOWN`, `WSAEHOSTDOWN`, `WSAEADDRNOTAVAIL`, `WSAEACCES`.
    pub(super) const NO_WAY: &[i32] = &[10051, 10065, 10050, 10064, 10049, 10013];
    /// `WSAECONNRESET`: port unreachable; `WSAENETRESET`: it took too many hops.
    pub(super) const OF_ANOTHER: &[i32] = &[10054, 10052];
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use rustix::io::Errno;

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn transfers_are_classified_by_code() {
        for errno in [Errno::AGAIN, Errno::INTR] {
            assert_eq!(transfer(&error(errno)), Transfer::Again);
        }
        for errno in [Errno::CONNRESET, Errno::PIPE, Errno::CONNABORTED] {
            assert_eq!(transfer(&error(errno)), Transfer::Failed(Failure::Reset));
        }
        for errno in [Errno::TIMEDOUT, Errno::HOSTUNREACH, Errno::BADF, Errno::NOBUFS] {
            assert_eq!(transfer(&error(errno)), Transfer::Failed(Failure::Io));
        }
    }

    #[test]
    fn a_read_timeout_is_not_a_dead_peer() {
        assert_eq!(transfer(&ErrorKind::TimedOut.into()), Transfer::Again);
    }

    #[test]
    fn a_stream_that_was_cut_is_truncated() {
        let error = io::Error::new(ErrorKind::UnexpectedEof, "no close_notify");
        assert_eq!(transfer(&error), Transfer::Failed(Failure::Truncated));
    }

    #[test]
    fn accept_errors_end_one_connection_or_pause() {
        assert_eq!(accept(&error(Errno::AGAIN)), None);
        assert_eq!(accept(&error(Errno::INTR)), None);
        for errno in [Errno::CONNABORTED, Errno::PROTO, Errno::PERM, Errno::NETUNREACH] {
            assert_eq!(accept(&error(errno)), Some(AcceptError::Connection));
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::INVAL] {
            assert_eq!(accept(&error(errno)), Some(AcceptError::Exhausted));
        }
    }

    #[test]
    fn what_keeps_a_datagram_here_is_told_apart() {
        for (unsent, errnos) in [
            (Unsent::Full, [Errno::AGAIN, Errno::INTR, Errno::NOBUFS]),
            (Unsent::TooLong, [Errno::MSGSIZE; 3]),
            (Unsent::Refused, [Errno::CONNREFUSED, Errno::CONNRESET, Errno::NOENT]),
            (Unsent::Unreachable, [Errno::NETUNREACH, Errno::ACCESS, Errno::PERM]),
            (Unsent::Unreachable, [Errno::HOSTUNREACH, Errno::NETDOWN, Errno::ADDRNOTAVAIL]),
            (Unsent::Io, [Errno::BADF, Errno::NOMEM, Errno::TIMEDOUT]),
        ] {
            assert!(errnos.into_iter().all(|errno| datagram(&error(errno)) == unsent), "{unsent:?}");
        }
    }

    #[test]
    fn a_peer_that_closed_first_is_no_error_of_ours() {
        assert!(is_peer_gone(&error(Errno::NOTCONN)));
        assert!(!is_peer_gone(&error(Errno::BADF)));
    }
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;

    fn error(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    #[test]
    fn transfers_are_classified_by_code() {
        // WSAEWOULDBLOCK.
        assert_eq!(transfer(&error(10035)), Transfer::Again);
        // WSAENETRESET, WSAECONNABORTED, WSAECONNRESET, WSAESHUTDOWN.
        for code in [10052, 10053, 10054, 10058] {
            assert_eq!(transfer(&error(code)), Transfer::Failed(Failure::Reset), "{code}");
        }
        // WSAENOTSOCK, WSAENOBUFS, WSAETIMEDOUT, WSAEHOSTUNREACH.
        for code in [10038, 10055, 10060, 10065] {
            assert_eq!(transfer(&error(code)), Transfer::Failed(Failure::Io), "{code}");
        }
    }

    #[test]
    fn a_read_timeout_is_not_a_dead_peer() {
        assert_eq!(transfer(&ErrorKind::TimedOut.into()), Transfer::Again);
    }

    #[test]
    fn a_write_after_ones_own_half_close_is_a_reset_by_its_code_alone() {
        let error = error(10058);
        assert!(!matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset));
        assert_eq!(transfer(&error), Transfer::Failed(Failure::Reset));
    }

    #[test]
    fn accept_errors_end_one_connection_or_pause() {
        assert_eq!(accept(&error(10035)), None);
        // WSAECONNABORTED, WSAECONNRESET.
        for code in [10053, 10054] {
            assert_eq!(accept(&error(code)), Some(AcceptError::Connection), "{code}");
        }
        // WSAEINVAL, WSAEMFILE, WSAENETDOWN, WSAENOBUFS.
        for code in [10022, 10024, 10050, 10055] {
            assert_eq!(accept(&error(code)), Some(AcceptError::Exhausted), "{code}");
        }
    }

    #[test]
    fn a_peer_that_closed_first_is_no_error_of_ours() {
        assert!(is_peer_gone(&error(10057)));
        assert!(!is_peer_gone(&error(10038)));
    }
}
