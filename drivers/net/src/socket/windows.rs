//! What Windows alone has.

use std::io;
use std::os::windows::io::AsRawSocket;

use socket2::Socket;
use windows_sys::Win32::Networking::WinSock::{SO_EXCLUSIVEADDRUSE, SOCKET, SOL_SOCKET, setsockopt};

/// Keeps the port that is bound to from everybody else, whatever they set: `SO_EXCLUSIVEADDRUSE`, which has no safe
/// wrapper ([Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE]).
///
/// [Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE]:
///     https://learn.microsoft.com/windows/win32/winsock/using-so-reuseaddr-and-so-exclusiveaddruse
#[allow(unsafe_code, reason = "the one call that no wrapper makes")]
pub(super) fn set_exclusive(socket: &Socket) -> io::Result<()> {
    let yes = 1i32.to_ne_bytes();
    // SAFETY: the socket is open for as long as it is borrowed; the option is a C `int`, which is what is lent, with its
    // size.
    let set = unsafe {
        setsockopt(socket.as_raw_socket() as SOCKET, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, yes.as_ptr(), 4)
    };
    // No call comes in between that could set the thread's last error to something else.
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    /// With `SO_REUSEADDR` on the second socket, Windows would give it a port that is not kept.
    #[test]
    fn a_port_that_is_kept_cannot_be_taken() {
        let stream = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        let kept = stream();
        set_exclusive(&kept).unwrap();
        kept.bind(&any.into()).unwrap();
        let thief = stream();
        thief.set_reuse_address(true).unwrap();
        let refused = thief.bind(&kept.local_addr().unwrap()).unwrap_err();
        assert!(matches!(refused.raw_os_error(), Some(10013 | 10048)), "{refused}");
    }
}
