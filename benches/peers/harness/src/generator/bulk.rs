//! Four connections that carry as much as fits, both ways at once.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::{Work, pattern, wait};
use crate::server::Address;
use crate::socket::{Socket, corrupt};

/// One alone is sometimes fast and sometimes slow, as its two sides fall into step.
const CONNECTIONS: usize = 4;
/// What may be on its way on a connection: enough for both sides to work, and soon back at the end of a slice.
const WINDOW: u64 = 1 << 20;
const BLOCK: usize = 256 << 10;
/// No power of two, so that blocks that change places are seen.
const PERIOD: usize = 65_521;

#[derive(Debug)]
pub struct Bulk {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    pattern: Vec<u8>,
    block: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    socket: Socket,
    sent: u64,
    back: u64,
    readable: bool,
    writable: bool,
}

impl Connection {
    /// A read and a write, as far as they go. Whether there may be more to do.
    fn turn(&mut self, pattern: &[u8], block: &mut [u8], more: bool) -> io::Result<bool> {
        if self.readable {
            match self.socket.read(block)? {
                None => self.readable = false,
                Some(read) => {
                    let from = place(self.back);
                    self.back += read as u64;
                    if self.back > self.sent || block[..read] != pattern[from..from + read] {
                        return Err(corrupt());
                    }
                }
            }
        }
        let room = if more { WINDOW - (self.sent - self.back) } else { 0 };
        if self.writable && room > 0 {
            let from = place(self.sent);
            let most = usize::try_from(room).map_or(BLOCK, |room| room.min(BLOCK));
            match self.socket.write(&pattern[from..from + most])? {
                None => self.writable = false,
                Some(written) => self.sent += written as u64,
            }
        }
        Ok(self.readable || self.writable && room > 0)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "less than PERIOD")]
fn place(offset: u64) -> usize {
    (offset % PERIOD as u64) as usize
}

impl Bulk {
    pub fn connect(address: &Address) -> io::Result<Self> {
        let poll = Poll::new()?;
        let connections = (0..CONNECTIONS).map(|index| {
            let mut socket = Socket::connect(address)?;
            socket.register(poll.registry(), Token(index))?;
            Ok(Connection { socket, sent: 0, back: 0, readable: true, writable: true })
        });
        let mut period = pattern(PERIOD);
        period = period.repeat(BLOCK / PERIOD + 2);
        Ok(Self {
            connections: connections.collect::<io::Result<_>>()?,
            poll,
            events: Events::with_capacity(CONNECTIONS),
            pattern: period,
            block: vec![0; BLOCK],
        })
    }

    pub fn slice(&mut self, time: Duration) -> io::Result<Work> {
        let begin = Instant::now();
        let before = self.bytes();
        let mut now = begin;
        loop {
            let more = now - begin < time;
            let mut busy = false;
            for connection in &mut self.connections {
                busy |= connection.turn(&self.pattern, &mut self.block, more)?;
            }
            if !more && self.connections.iter().all(|connection| connection.back == connection.sent) {
                break;
            }
            if busy {
                now = Instant::now();
                continue;
            }
            now = wait(&mut self.poll, &mut self.events)?;
            for event in &self.events {
                let connection = &mut self.connections[event.token().0];
                connection.readable |= event.is_readable();
                connection.writable |= event.is_writable();
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "less than 2^52")]
        let bytes = (self.bytes() - before) as f64;
        Ok(Work { units: bytes / f64::from(1 << 30), took: begin.elapsed(), longest: Duration::ZERO })
    }

    fn bytes(&self) -> u64 {
        self.connections.iter().map(|connection| connection.back).sum()
    }
}
