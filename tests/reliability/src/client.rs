//! TCP clients that count what they sent and what came back.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use roundtrip_echo::Payload;
use rustix::event::{PollFd, PollFlags, Timespec};

/// Longest wait for a byte; a server that makes a client wait longer counts as stuck.
pub(crate) const STALLED: Duration = Duration::from_secs(10);

/// A connection with timeouts on every operation.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, STALLED)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STALLED))?;
    stream.set_write_timeout(Some(STALLED))?;
    Ok(stream)
}

/// Sends one byte and reads it back.
pub(crate) fn ping(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"x")?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    if byte == *b"x" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Sends without reading until all buffers on the path are full: nothing is taken for 20 ms. The stream is non-blocking
/// from here on.
pub(crate) fn fill(stream: &mut TcpStream) -> io::Result<()> {
    const TRIES: u32 = 20;
    stream.set_nonblocking(true)?;
    // This client's buffers must not exhaust the memory that the system has for TCP.
    socket2::SockRef::from(&*stream).set_send_buffer_size(16 << 10)?;
    socket2::SockRef::from(&*stream).set_recv_buffer_size(16 << 10)?;
    let block = vec![0; 1 << 16];
    let mut full = 0;
    while full < TRIES {
        if stream.write(&block).is_ok_and(|wrote| wrote > 0) {
            full = 0;
        } else {
            full += 1;
            thread::park_timeout(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// A payload of `bytes` bytes whose offsets can be recognised.
pub(crate) const fn payload(bytes: u64) -> Payload {
    Payload::seeded(1, bytes)
}

/// The next piece of a payload, at most `max` bytes.
pub(crate) fn piece(payload: &Payload, from: u64, max: usize) -> Vec<u8> {
    let rest = usize::try_from(payload.len() - from).unwrap_or(max);
    let mut piece = vec![0; rest.min(max)];
    payload.fill(from, &mut piece);
    piece
}

/// What came back of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Back {
    /// Bytes that came back correctly and in order.
    pub(crate) right: u64,
    /// Whether an orderly end followed, not a reset, silence or wrong bytes.
    pub(crate) ended: bool,
}

/// Reads to the end and compares with the payload.
pub(crate) fn read_back(mut stream: &TcpStream, payload: &Payload) -> Back {
    let mut block = vec![0; 1 << 16];
    let mut right = 0;
    loop {
        match stream.read(&mut block) {
            Ok(0) => return Back { right, ended: true },
            Ok(read) => {
                let same = payload.matching(right, &block[..read]);
                right += same as u64;
                if same < read {
                    return Back { right, ended: false };
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Back { right, ended: false },
        }
    }
}

/// Sends `bytes` bytes and half-closes, and starts to read after `stall`.
pub(crate) fn round_trip(address: SocketAddr, bytes: u64, stall: Duration) -> io::Result<Back> {
    let stream = connect(address)?;
    let mut writer = stream.try_clone()?;
    // Nothing is read during the stall.
    writer.set_write_timeout(Some(STALLED + stall))?;
    let payload = payload(bytes);
    let sent = payload.clone();
    let sending = thread::spawn(move || {
        let mut at = 0;
        while at < bytes {
            let block = piece(&sent, at, 1 << 16);
            if writer.write_all(&block).is_err() {
                return;
            }
            at += block.len() as u64;
        }
        let _ = writer.shutdown(Shutdown::Write);
    });
    if !stall.is_zero() {
        thread::park_timeout(stall);
    }
    let back = read_back(&stream, &payload);
    // If reading timed out, the writer may be stuck, too.
    let _ = stream.shutdown(Shutdown::Both);
    let _ = sending.join();
    Ok(back)
}

/// Which of the streams have something to read, waiting at most `patience` for all of them.
pub(crate) fn answered(streams: &[TcpStream], patience: Duration) -> Vec<usize> {
    let start = Instant::now();
    let mut found = Vec::new();
    let mut waiting: Vec<usize> = (0..streams.len()).collect();
    while !waiting.is_empty() && start.elapsed() < patience {
        let mut fds: Vec<_> = waiting.iter().map(|&at| PollFd::new(&streams[at], PollFlags::IN)).collect();
        let rest = Timespec::try_from(patience.saturating_sub(start.elapsed())).ok();
        if rustix::event::poll(&mut fds, rest.as_ref()).is_err() {
            continue;
        }
        let is_ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        found.extend(waiting.iter().zip(&is_ready).filter(|(_, ready)| **ready).map(|(at, _)| *at));
        let mut ready = is_ready.into_iter();
        waiting.retain(|_| !ready.next().unwrap_or_default());
        // Polling thousands of sockets for each answer would take processor time from the server.
        thread::park_timeout(Duration::from_millis(1));
    }
    found
}
