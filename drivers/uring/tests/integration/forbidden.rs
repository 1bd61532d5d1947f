//! Where a filter of system calls forbids the ring, as in many containers, that is said, and nothing is lost.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::thread;

use roundtrip_core::admission::Limits;
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_uring::{Accepted, Backend, BindOptions, ServerHandle, Uring, available, bind, drive};

/// From here on, on this thread, the kernel answers `io_uring_setup(2)` with this error: seccomp(2).
#[allow(unsafe_code, reason = "nothing safe sets a filter")]
fn forbid(errno: i32) {
    let errno = u32::try_from(errno).unwrap();
    let setup = u32::try_from(libc::SYS_io_uring_setup).unwrap();
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap(), jt, jf, k };
    let mut steps = [
        // The number of the call is the first word of what the filter sees.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, setup),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: u16::try_from(steps.len()).unwrap(), filter: steps.as_mut_ptr() };
    // SAFETY: the kernel copies the program while it sets it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}

/// What comes of it on a thread with that filter.
fn where_it_says<T: Send>(errno: i32, what: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let there = scope.spawn(move || {
            forbid(errno);
            what()
        });
        there.join().unwrap()
    })
}

#[test]
fn a_ring_that_is_forbidden_is_told_from_one_that_there_is_not() {
    for (errno, kind, words) in [
        (libc::EPERM, ErrorKind::PermissionDenied, "forbids io_uring"),
        (libc::ENOSYS, ErrorKind::Unsupported, "has no io_uring"),
    ] {
        let error = where_it_says(errno, available).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(words), "{error}");
    }
    available().unwrap();
}

#[test]
fn a_server_says_so_before_it_accepts() {
    let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let served = where_it_says(libc::EPERM, || {
        let echo = |now, _: &Accepted| EchoServer::new(ServerConfig::default().into(), now);
        let driver = Uring::default().threads(NonZeroUsize::new(2).unwrap());
        driver.serve(vec![listener], Limits::default(), &ServerHandle::new(), &echo)
    });
    assert_eq!(served.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn a_connection_that_cannot_be_driven_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stream = listener.accept().unwrap().0.into();
    let driven = where_it_says(libc::EPERM, || {
        drive(stream, |now| EchoServer::new(ServerConfig::default().into(), now)).map(drop)
    });
    assert_eq!(driven.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}
