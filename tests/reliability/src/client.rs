//! Clients that count: what they sent, what was acknowledged, and what came back.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use roundtrip_echo::Payload;

/// The longest wait for a byte: a server that holds a client longer has deadlocked.
pub(crate) const STALLED: Duration = Duration::from_secs(10);

/// A connection on which no wait is endless.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, STALLED)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STALLED))?;
    stream.set_write_timeout(Some(STALLED))?;
    Ok(stream)
}

/// Sends a byte and has it back.
pub(crate) fn ping(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"x")?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    if byte == *b"x" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Sends, and never reads what comes back, until all buffers on the way are full: nothing goes out for a while. From here
/// on nothing waits.
pub(crate) fn fill(stream: &mut TcpStream) -> io::Result<()> {
    const TRIES: u32 = 20;
    stream.set_nonblocking(true)?;
    // Our own buffers must not be what the system runs out of.
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

/// So many bytes, each of which tells where it belongs.
pub(crate) const fn payload(bytes: u64) -> Payload {
    Payload::seeded(1, bytes)
}

/// The next piece of a payload, at most `most` bytes of it.
pub(crate) fn piece(payload: &Payload, from: u64, most: usize) -> Vec<u8> {
    let rest = usize::try_from(payload.len() - from).unwrap_or(most);
    let mut piece = vec![0; rest.min(most)];
    payload.fill(from, &mut piece);
    piece
}

/// What came back of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Back {
    /// Bytes that came back, right and in order.
    pub(crate) right: u64,
    /// Whether they were followed by the end, rather than by a reset, silence or wrong bytes.
    pub(crate) ended: bool,
}

/// Reads what comes back, to the end.
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

/// Sends so many bytes and half-closes, while what comes back is not read for a while.
pub(crate) fn round_trip(address: SocketAddr, bytes: u64, stall: Duration) -> io::Result<Back> {
    let stream = connect(address)?;
    let mut writer = stream.try_clone()?;
    // Nobody reads while the stall lasts.
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
    // Where it has stalled, so has the writer.
    let _ = stream.shutdown(Shutdown::Both);
    let _ = sending.join();
    Ok(back)
}
