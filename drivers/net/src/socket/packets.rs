//! A Unix socket of packets, `SOCK_SEQPACKET`, read and written as a stream of bytes: unix(7). Linux's alone.
//!
//! ```text
//!            the kernel's queue                what was read with short buffers
//!   [ packet | packet | packet ]  --peek-->    [ packet: taken ... | rest ]
//!     ^ leaves it when its last byte was taken
//! ```
//!
//! A packet that is read into a shorter buffer loses its rest, unseen. So each is looked at before it is taken, and one
//! that is longer than the buffer is copied whole, and handed out piece by piece. It leaves the kernel's queue with its
//! last byte only: until then the socket stays readable, its bytes count as unread, and closing it is a reset for the
//! peer, all as with a stream.
//!
//! An empty packet carries no byte of a stream, and is skipped; it is not the end, though recv(2) says 0 for both.

use std::io::{self, IoSliceMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendFlags, recv, recvmsg, send};
use socket2::Socket;

/// The longest packet that is written, bytes.
const LONGEST: usize = 64 << 10;
/// What the kernel keeps of a send buffer for itself, bytes: `unix_dgram_sendmsg` of Linux.
const RESERVED: usize = 32;
/// Empty packets that one read skips at the most.
const EMPTY: usize = 32;

/// What reading packets as a stream takes.
#[derive(Debug)]
pub(super) struct Packets {
    /// The longest that this socket carries, bytes.
    longest: usize,
    begun: Mutex<Begun>,
}

/// The packet at the head of the kernel's queue, if only a part of it was taken.
#[derive(Debug, Default)]
struct Begun {
    packet: Vec<u8>,
    taken: usize,
    /// What the kernel said when the last byte was already taken: the next read says it.
    failed: Option<io::Error>,
}

impl Packets {
    pub(super) fn of(socket: &Socket) -> io::Result<Self> {
        let room = socket.send_buffer_size()?.saturating_sub(RESERVED);
        Ok(Self { longest: room.clamp(1, LONGEST), begun: Mutex::default() })
    }

    pub(super) fn read(&self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let mut begun = self.begun();
        if begun.packet.is_empty() {
            if let Some(error) = begun.failed.take() {
                return Err(error);
            }
            let len = next(socket, buffer)?;
            if len <= buffer.len() {
                if len > 0 {
                    begun.failed = finish(socket)?;
                }
                return Ok(len);
            }
            let mut packet = vec![0; len];
            recv(socket, &mut packet[..], RecvFlags::PEEK)?;
            *begun = Begun { packet, ..Begun::default() };
        }
        let rest = &begun.packet[begun.taken..];
        let taken = rest.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&rest[..taken]);
        begun.taken += taken;
        if begun.taken == begun.packet.len() {
            *begun = Begun { failed: finish(socket)?, ..Begun::default() };
        }
        Ok(taken)
    }

    pub(super) fn write(&self, socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        for packet in bytes.chunks(self.longest) {
            match send(socket, packet, SendFlags::NOSIGNAL) {
                Ok(_) => sent += packet.len(),
                Err(error) if sent == 0 => return Err(error.into()),
                // The next write will say so, or that the peer is gone.
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// How many bytes were taken of what the kernel counts as unread.
    pub(super) fn taken(&self) -> u64 {
        self.begun().taken as u64
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The length of the next packet that is not empty, and as much of it as there is room for; 0 is the peer's end. It
/// stays where it is.
fn next(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    for _ in 0..EMPTY {
        let (_, len) = recv(socket, &mut *buffer, RecvFlags::PEEK | RecvFlags::TRUNC)?;
        if len > 0 || is_end(socket)? {
            return Ok(len);
        }
        recv(socket, &mut [0; 0], RecvFlags::empty())?;
    }
    // There is more to look at, at once, but others have their turn.
    Err(io::ErrorKind::Interrupted.into())
}

/// Whether there is no packet, when a look at the next says 0.
///
/// With every packet come the sender's credentials, if they are asked for (`SO_PASSCRED`, unix(7)), and for want of room
/// to put them that is marked. With the end comes nothing. They are not asked for all the time, since then a socket is
/// given a name by what it sends.
fn is_end(socket: &Socket) -> io::Result<bool> {
    socket.set_passcred(true)?;
    let mut nothing = [IoSliceMut::new(&mut [])];
    let looked = recvmsg(socket, &mut nothing, &mut RecvAncillaryBuffer::default(), RecvFlags::PEEK);
    socket.set_passcred(false)?;
    Ok(!looked?.flags.contains(ReturnFlags::CTRUNC))
}

/// Takes the packet out of the queue. A reset that is told instead is told once, and then there is the packet still.
fn finish(socket: &Socket) -> io::Result<Option<io::Error>> {
    let Err(error) = recv(socket, &mut [0; 0], RecvFlags::empty()) else { return Ok(None) };
    recv(socket, &mut [0; 0], RecvFlags::empty())?;
    Ok(Some(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endpoint, Listener, Stream, bind, connect};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A listener of packets on a name of its own, and both ends of a connection to it.
    fn connected() -> (Listener, Stream, Stream) {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("unix:@roundtrip-packets-{}-{number},type=seqpacket", std::process::id());
        let endpoint: Endpoint = name.parse().unwrap();
        let listener = bind(&endpoint, &crate::BindOptions::default()).unwrap();
        assert_eq!(listener.local_endpoint().unwrap(), endpoint);
        let client = connect(&endpoint, &crate::ConnectOptions::default()).unwrap();
        let (server, _peer) = listener.accept().unwrap();
        assert!(listener.is_of_packets() && client.is_of_packets() && server.is_of_packets());
        (listener, client, server)
    }

    fn send_empty(stream: &Stream) {
        send(stream, &[], SendFlags::empty()).unwrap();
    }

    #[test]
    fn what_a_short_buffer_leaves_is_read_next() {
        let (_listener, client, server) = connected();
        assert_eq!(client.write(b"a packet").unwrap(), 8);
        assert_eq!(client.write(b"next").unwrap(), 4);
        let (mut came, mut sizes) = (Vec::new(), Vec::new());
        while came.len() < 12 {
            let mut buffer = [0; 3];
            assert_eq!(server.unread(), 12 - came.len() as u64);
            let read = server.read(&mut buffer).unwrap();
            came.extend_from_slice(&buffer[..read]);
            sizes.push(read);
        }
        assert_eq!((&came[..], &sizes[..]), (&b"a packetnext"[..], &[3, 3, 2, 3, 1][..]));
        assert_eq!(server.read(&mut [0; 3]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_write_that_is_too_long_for_a_packet_is_several() {
        let (_listener, client, server) = connected();
        client.socket.set_send_buffer_size(0).unwrap();
        // As a connection that was made so small.
        let client = Stream::of_packets(client.socket.try_clone().unwrap()).unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let (mut sent, mut came) = (0, Vec::new());
        let mut buffer = vec![0; 100_000];
        while came.len() < bytes.len() {
            match client.write(&bytes[sent..]) {
                Ok(wrote) => sent += wrote,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            while let Ok(read) = server.read(&mut buffer) {
                came.extend_from_slice(&buffer[..read]);
            }
        }
        assert!(came == bytes);
    }

    #[test]
    fn a_write_goes_on_until_the_socket_is_full() {
        let (_listener, client, _server) = connected();
        let all = vec![0; 16 << 20];
        let wrote = client.write(&all).unwrap();
        assert!((LONGEST + 1..all.len()).contains(&wrote), "{wrote}");
        assert_eq!(client.write(&all).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_empty_packet_is_not_the_end() {
        let (_listener, client, server) = connected();
        let mut buffer = [0; 8];
        send_empty(&client);
        assert_eq!(server.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        for _ in 0..3 {
            send_empty(&client);
        }
        client.write(b"x").unwrap();
        send_empty(&client);
        client.half_close().unwrap();
        assert_eq!(server.read(&mut buffer).unwrap(), 1);
        for _ in 0..2 {
            assert_eq!(server.read(&mut buffer).unwrap(), 0);
        }
        // And the other direction goes on.
        server.write(b"y").unwrap();
        assert_eq!(client.read(&mut buffer).unwrap(), 1);
    }

    #[test]
    fn many_empty_packets_give_others_their_turn() {
        let (_listener, client, server) = connected();
        (0..EMPTY).for_each(|_| send_empty(&client));
        client.write(b"x").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(server.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!(server.read(&mut buffer).unwrap(), 1);
    }

    #[test]
    fn the_end_is_told_by_a_close_as_well() {
        let (_listener, client, server) = connected();
        client.write(b"x").unwrap();
        drop(client);
        let mut buffer = [0; 8];
        assert_eq!(server.read(&mut buffer).unwrap(), 1);
        assert_eq!(server.read(&mut buffer).unwrap(), 0);
        assert_eq!(server.write(b"y").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    /// As with a stream: unix(7) tells of a reset if something was left to read.
    #[test]
    fn a_packet_that_was_taken_in_part_is_left_unread_by_a_close() {
        let (_listener, client, server) = connected();
        client.write(b"a packet").unwrap();
        assert_eq!(server.read(&mut [0; 3]).unwrap(), 3);
        drop(server);
        assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_reset_loses_nothing_of_a_packet_that_was_begun_and_is_told_once() {
        let (_listener, client, server) = connected();
        client.write(b"unread").unwrap();
        server.write(b"packet").unwrap();
        assert_eq!(client.read(&mut [0; 3]).unwrap(), 3);
        drop(server);
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 3);
        assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    }
}
