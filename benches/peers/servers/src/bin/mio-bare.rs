//! A bare loop on mio, edge-triggered, with what our reactor does and no more: one block of 64 KiB, `TCP_NODELAY`, a read
//! tried at accept, written at once, and only what a short write leaves is kept.
//!
//! ```text
//! mio-bare [unix:PATH] [more WORK]
//! ```
//!
//! `more` burns so many rounds of arithmetic a message: to see that the harness sees it.

use std::hint::black_box;
use std::io::{self, ErrorKind, Read, Write};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Registry, Token};

const LISTENER: Token = Token(usize::MAX);

/// What differs between TCP and Unix sockets.
trait Listener: Source {
    type Stream: Source + Read + Write;
    fn accept(&self) -> io::Result<Self::Stream>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept()?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.accept()?.0)
    }
}

struct Connection<S> {
    stream: S,
    /// What the kernel did not take.
    left: Vec<u8>,
    /// The end is there, behind what can be read: nobody will say so again.
    hung_up: bool,
}

impl<S: Read + Write> Connection<S> {
    /// Echoes until there is nothing to read, or nothing more is taken. Whether it goes on.
    fn echo(&mut self, block: &mut [u8], work: u64) -> io::Result<bool> {
        loop {
            while !self.left.is_empty() {
                let Some(written) = tried(self.stream.write(&self.left))? else { return Ok(true) };
                self.left.drain(..written);
            }
            let Some(read) = tried(self.stream.read(block))? else { return Ok(true) };
            if read == 0 {
                return Ok(false);
            }
            black_box((0..work).fold(0, |sum, round| black_box(sum ^ round)));
            let written = tried(self.stream.write(&block[..read]))?.unwrap_or(0);
            self.left.extend_from_slice(&block[written..read]);
            if read < block.len() && self.left.is_empty() && !self.hung_up {
                return Ok(true);
            }
        }
    }
}

fn tried(call: io::Result<usize>) -> io::Result<Option<usize>> {
    match call {
        Ok(n) => Ok(Some(n)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn serve<L: Listener>(mut listener: L, work: u64) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut connections: Vec<Option<Connection<L::Stream>>> = Vec::new();
    let mut free = Vec::new();
    let mut block = vec![0; 64 << 10];
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Some(stream) = accepted(listener.accept())? {
                    let mut connection = Connection { stream, left: Vec::new(), hung_up: false };
                    if let Ok(true) = connection.echo(&mut block, work) {
                        keep(poll.registry(), &mut connections, &mut free, connection)?;
                    }
                }
                continue;
            }
            let Token(index) = event.token();
            let Some(connection) = &mut connections[index] else { continue };
            connection.hung_up |= event.is_read_closed() || event.is_error();
            if !matches!(connection.echo(&mut block, work), Ok(true)) {
                connections[index] = None;
                free.push(index);
            }
        }
    }
}

fn accepted<S>(call: io::Result<S>) -> io::Result<Option<S>> {
    match call {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn keep<S: Source>(
    registry: &Registry,
    connections: &mut Vec<Option<Connection<S>>>,
    free: &mut Vec<usize>,
    mut connection: Connection<S>,
) -> io::Result<()> {
    let index = free.pop().unwrap_or_else(|| {
        connections.push(None);
        connections.len() - 1
    });
    registry.register(&mut connection.stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
    connections[index] = Some(connection);
    Ok(())
}

fn main() -> io::Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let work = words.iter().skip_while(|word| *word != "more").nth(1).and_then(|rounds| rounds.parse().ok());
    let work = work.unwrap_or(0);
    if let Some(path) = words.iter().find_map(|word| word.strip_prefix("unix:")) {
        let listener = UnixListener::bind(path)?;
        println!("listening {path}");
        serve(listener, work)
    } else {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        println!("listening {}", listener.local_addr()?.port());
        serve(listener, work)
    }
}
