//! A message in flight on each connection.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::{Work, pattern, wait};
use crate::server::Address;
use crate::socket::{Socket, corrupt};

/// Messages begin at so many places of the pattern, so that one that is late or another's is seen.
const PLACES: usize = 4093;

#[derive(Debug)]
pub struct PingPong {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    size: usize,
    pattern: Vec<u8>,
    block: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    socket: Socket,
    /// Where its message begins in the pattern.
    place: usize,
    sent: usize,
    back: usize,
    since: Instant,
}

impl Connection {
    fn send(&mut self, pattern: &[u8], size: usize) -> io::Result<()> {
        while self.sent < size {
            match self.socket.write(&pattern[self.place + self.sent..self.place + size])? {
                Some(written) => self.sent += written,
                None => break,
            }
        }
        Ok(())
    }
}

impl PingPong {
    pub fn connect(address: &Address, connections: usize, size: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let connections = (0..connections).map(|index| {
            let mut socket = Socket::connect(address)?;
            socket.register(poll.registry(), Token(index))?;
            Ok(Connection { socket, place: index % PLACES, sent: size, back: 0, since: Instant::now() })
        });
        Ok(Self {
            connections: connections.collect::<io::Result<_>>()?,
            poll,
            events: Events::with_capacity(1024),
            size,
            pattern: pattern(PLACES + size),
            block: vec![0; size.max(4096)],
        })
    }

    pub fn slice(&mut self, time: Duration) -> io::Result<Work> {
        let begin = Instant::now();
        let (mut messages, mut longest) = (0_u32, Duration::ZERO);
        for connection in &mut self.connections {
            connection.sent = 0;
            connection.since = begin;
            connection.send(&self.pattern, self.size)?;
        }
        let mut on_the_way = self.connections.len();
        let mut now = begin;
        while on_the_way > 0 {
            now = wait(&mut self.poll, &mut self.events)?;
            let more = now - begin < time;
            for event in &self.events {
                let connection = &mut self.connections[event.token().0];
                if connection.sent < self.size {
                    connection.send(&self.pattern, self.size)?;
                }
                // One read: what comes after it is told anew.
                let Some(read) = connection.socket.read(&mut self.block)? else { continue };
                let from = connection.place + connection.back;
                connection.back += read;
                if connection.back > connection.sent || self.block[..read] != self.pattern[from..from + read]
                {
                    return Err(corrupt());
                }
                if connection.back == self.size {
                    messages += 1;
                    longest = longest.max(now - connection.since);
                    connection.place = (connection.place + 1) % PLACES;
                    connection.back = 0;
                    if more {
                        connection.sent = 0;
                        connection.since = now;
                        connection.send(&self.pattern, self.size)?;
                    } else {
                        on_the_way -= 1;
                    }
                }
            }
        }
        Ok(Work { units: f64::from(messages), took: now - begin, longest })
    }
}
