//! Connections that carry one message, are half-closed, read to their end and closed, many at a time.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use socket2::{Domain, Protocol, Type};

use super::{STUCK, Work, pattern, wait};
use crate::server::Address;
use crate::socket::{corrupt, tried};

/// Less than the smallest backlog of the servers, which is 128.
const AT_A_TIME: usize = 32;
const SIZE: usize = 64;

#[derive(Debug)]
pub struct Churn {
    poll: Poll,
    events: Events,
    to: SocketAddr,
    slices: u32,
    connections: Vec<Option<Connection>>,
    message: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    back: usize,
}

impl Churn {
    pub fn new(address: &Address) -> io::Result<Self> {
        let Address::Tcp(to) = *address else { return Err(io::Error::other("churn is for TCP")) };
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(AT_A_TIME),
            to,
            slices: 0,
            connections: Vec::new(),
            message: pattern(SIZE),
        })
    }

    pub fn slice(&mut self, time: Duration) -> io::Result<Work> {
        self.slices += 1;
        let begin = Instant::now();
        self.connections.clear();
        for index in 0..AT_A_TIME {
            let connection = self.connect(index)?;
            self.connections.push(Some(connection));
        }
        let (mut done, mut open, mut now) = (0_u32, AT_A_TIME, begin);
        while open > 0 {
            now = wait(&mut self.poll, &mut self.events)?;
            let mut over = Vec::with_capacity(AT_A_TIME);
            for event in &self.events {
                let Token(index) = event.token();
                let Some(connection) = &mut self.connections[index] else { continue };
                if connection.is_over(&self.message)? {
                    over.push(index);
                }
            }
            for index in over {
                done += 1;
                // Closed before the next is made.
                self.connections[index] = None;
                if now - begin < time {
                    self.connections[index] = Some(self.connect(index)?);
                } else {
                    open -= 1;
                }
            }
        }
        Ok(Work { units: f64::from(done), took: now - begin, longest: Duration::ZERO })
    }

    /// Connected, all sent, and half-closed; over loopback none of it waits for the server.
    fn connect(&self, index: usize) -> io::Result<Connection> {
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        // An address of its own for each slice: the ports of one would be in TIME_WAIT after a second.
        let [_, _, high, low] = self.slices.to_be_bytes();
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 1, high, low.max(1)), 0)).into())?;
        // connect(2) obeys it, too.
        socket.set_write_timeout(Some(STUCK))?;
        socket.connect(&self.to.into())?;
        socket.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(socket.into());
        if stream.write(&self.message)? != SIZE {
            return Err(io::Error::other("the kernel did not take 64 bytes"));
        }
        stream.shutdown(Shutdown::Write)?;
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        Ok(Connection { stream, back: 0 })
    }
}

impl Connection {
    /// Reads what is there. Whether all of it was, and the end.
    fn is_over(&mut self, message: &[u8]) -> io::Result<bool> {
        let mut block = [0; 2 * SIZE];
        while let Some(read) = tried(self.stream.read(&mut block))? {
            if read == 0 {
                return if self.back == SIZE { Ok(true) } else { Err(corrupt()) };
            }
            if message.get(self.back..self.back + read) != Some(&block[..read]) {
                return Err(corrupt());
            }
            self.back += read;
        }
        Ok(false)
    }
}
