//! Clients that all connect at once.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::client::{STALLED, answered};
use crate::process::poll;
use crate::server::Server;
use crate::{Cell, Failed, Scale};

pub(crate) fn trial(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    let clients = scale.of(2000);
    let running = server.start(&[])?;
    let start = Instant::now();
    let mut streams = Vec::with_capacity(clients);
    for _ in 0..clients {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // In progress; the result shows when it is written to.
        let _ = socket.connect(&running.address.into());
        streams.push(TcpStream::from(socket));
    }
    let mut unsent: Vec<usize> = (0..clients).collect();
    let sent = poll(STALLED, || {
        unsent.retain(|&at| (&streams[at]).write(b"x").is_err());
        unsent.is_empty().then_some(())
    });
    let served = answered(&streams, STALLED).len();
    let took = start.elapsed();
    let is_good = sent.is_some() && served == clients && took < Duration::from_millis(500);
    Ok(Cell::new(is_good, format!("{served} of {clients} in {:.2} s", took.as_secs_f64())))
}
