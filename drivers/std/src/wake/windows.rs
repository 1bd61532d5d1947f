//! Windows: Winsock's `select`, and a socket that is rung by sending to it.
//!
//! Not `WSAPoll`: like poll(2), it reports a hang-up whether it was asked for or not, and there a hang-up is the peer's
//! FIN. A session that has read it and still writes would spin.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket};
use std::time::Duration;

use roundtrip_net::Bell;
use rustix::event::{FdSetElement, FdSetIter, fd_set_insert, select};

use super::{Interest, Ready, slept, timespec};

/// A datagram socket that is connected to itself: it turns readable when it is rung, and stays so until it is cleared.
/// Nobody else's datagrams reach a connected one.
#[derive(Debug)]
pub(crate) struct Wake(UdpSocket);

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Until the next ring. Whoever clears looks for mail *afterwards*.
    pub(crate) fn clear(&self) {
        while self.0.recv(&mut [0; 1]).is_ok() {}
    }
}

impl Bell for Wake {
    fn ring(&self) {
        // It fails, or is lost, only where it is full, and then it is ringing already.
        let _ = self.0.send(&[1]);
    }
}

impl AsSocket for Wake {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

/// Sleeps until `interest` or the bell is ready, or `timeout` has passed.
pub(crate) fn wait(interest: Interest<'_>, wake: &Wake, timeout: Option<Duration>) -> io::Result<Ready> {
    let mut readable = Set::of([Some(wake.as_socket()), interest.readable.then_some(interest.fd)]);
    let mut writable = Set::of([interest.writable.then_some(interest.fd), None]);
    wait_until(&mut readable, &mut writable, timeout)?;
    Ok(Ready {
        readable: readable.has(interest.fd),
        writable: writable.has(interest.fd),
        rung: readable.has(wake.as_socket()),
    })
}

/// What an `fd_set` takes: how many sockets there are in it, and room for `FD_SETSIZE`.
const ELEMENTS: usize = 1 + 64;

/// At most two sockets.
struct Set<'a> {
    elements: [FdSetElement; ELEMENTS],
    /// Keeps them open.
    _sockets: [Option<BorrowedSocket<'a>>; 2],
}

impl<'a> Set<'a> {
    fn of(sockets: [Option<BorrowedSocket<'a>>; 2]) -> Self {
        let mut elements = [FdSetElement::default(); ELEMENTS];
        for socket in sockets.iter().flatten() {
            fd_set_insert(&mut elements, socket.as_raw_socket());
        }
        Self { elements, _sockets: sockets }
    }

    fn has(&self, socket: BorrowedSocket<'_>) -> bool {
        FdSetIter::new(&self.elements).any(|found| found == socket.as_raw_socket())
    }
}

/// Sleeps until one of these is readable or writable, or `timeout` has passed, and leaves in the sets who is.
#[allow(unsafe_code, reason = "the one call that rustix leaves to its users")]
fn wait_until(readable: &mut Set<'_>, writable: &mut Set<'_>, timeout: Option<Duration>) -> io::Result<()> {
    let timeout = timespec(timeout);
    // SAFETY: every socket in the sets is borrowed for as long as these are, and so is open. An `fd_set` is no larger.
    let selected = unsafe {
        select(0, Some(&mut readable.elements), Some(&mut writable.elements), None, timeout.as_ref())
    };
    slept(selected.map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::fd_set_num_elements;

    #[test]
    fn a_set_is_as_large_as_the_system_takes_it_to_be() {
        assert_eq!(fd_set_num_elements(2, 0), ELEMENTS);
    }

    #[test]
    fn a_bell_is_heard_until_it_is_cleared_however_often_it_rang() {
        let wake = Wake::new().unwrap();
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let look = |timeout| {
            let interest = Interest { fd: nobody.as_socket(), readable: true, writable: false };
            wait(interest, &wake, timeout).unwrap()
        };
        assert_eq!(look(Some(Duration::ZERO)), Ready::default());
        wake.ring();
        wake.ring();
        for _ in 0..2 {
            assert_eq!(look(None), Ready { rung: true, ..Ready::default() });
        }
        wake.clear();
        assert_eq!(look(Some(Duration::ZERO)), Ready::default());
    }
}
