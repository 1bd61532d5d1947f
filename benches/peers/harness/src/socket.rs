//! The generator's end of a connection, over TCP or a Unix socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream as StdUnixStream;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::generator::STUCK;
use crate::server::Address;

#[derive(Debug)]
pub enum Socket {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

impl Socket {
    /// A connection that the server has accepted, and used once: connecting faster than it accepts would overflow its
    /// backlog, and cost a second each.
    pub fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let stream = std::net::TcpStream::connect_timeout(address, STUCK)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(STUCK))?;
                use_once(&stream)?;
                stream.set_nonblocking(true)?;
                Ok(Self::Tcp(mio::net::TcpStream::from_std(stream)))
            }
            Address::Unix(path) => {
                let stream = StdUnixStream::connect(path)?;
                stream.set_read_timeout(Some(STUCK))?;
                use_once(&stream)?;
                stream.set_nonblocking(true)?;
                Ok(Self::Unix(mio::net::UnixStream::from_std(stream)))
            }
        }
    }

    /// For reading and writing, each change told once.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.source().register(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    /// How much was read, or `None` if there is nothing; the end is an error here.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        let read = match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        };
        match tried(read)? {
            Some(0) => Err(io::Error::other("the server closed the connection")),
            read => Ok(read),
        }
    }

    /// How much was written, or `None` if nothing is taken.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        tried(match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        })
    }
}

fn use_once<S>(mut stream: &S) -> io::Result<()>
where
    for<'a> &'a S: Read + Write,
{
    let sent = [0x5a; 64];
    let mut back = [0; 64];
    stream.write_all(&sent)?;
    stream.read_exact(&mut back).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::other("a connection was not served in five seconds"),
        _ => error,
    })?;
    if sent == back { Ok(()) } else { Err(corrupt()) }
}

pub fn tried(call: io::Result<usize>) -> io::Result<Option<usize>> {
    match call {
        Ok(n) => Ok(Some(n)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

pub fn corrupt() -> io::Error {
    io::Error::other("what came back is not what was sent")
}
