//! Our own clients, each reset by its server, at every point of the connection.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use roundtrip_echo::{ClientConfig, EchoClient};
use roundtrip_net::{ConnectOptions, Endpoint, Stream};

use crate::client::payload;
use crate::process::own;
use crate::{Cell, Failed, Scale};

/// Concurrent clients.
const THREADS: usize = 4;

pub(crate) fn trial(driver: &str, scale: Scale) -> Result<Cell, Failed> {
    let drive: fn(Stream) -> std::io::Result<()> = match driver {
        "std" => |stream| roundtrip_std::drive(stream, client).map(drop),
        "tokio" => |stream| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            drop(runtime.block_on(roundtrip_tokio::drive(stream, client)));
            Ok(())
        },
        "reactor" => |stream| roundtrip_reactor::drive(stream, client).map(drop),
        "uring" => |stream| roundtrip_uring::drive(stream, client).map(drop),
        "smol" => |stream| {
            drop(roundtrip_smol::block_on(roundtrip_smol::drive(stream, client)));
            Ok(())
        },
        _ => return Err(format!("no client for the driver {driver}").into()),
    };
    let tries = scale.of(100_000);
    let (listener, endpoint) = listen()?;
    let hammer = |tries: usize| -> Result<(), Failed> {
        thread::scope(|scope| {
            let clients: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..tries / THREADS {
                            match roundtrip_net::connect(&endpoint, &ConnectOptions::default()) {
                                Ok(stream) => drive(stream)?,
                                // Reset before connect(2) returned.
                                Err(error) if error.source.kind() == ErrorKind::ConnectionReset => {}
                                Err(error) => return Err(error.into()),
                            }
                        }
                        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
                    })
                })
                .collect();
            let mut points = [0, 1, 40_000, 65_536].into_iter().cycle();
            while let Some(stream) =
                next(&listener, || clients.iter().all(thread::ScopedJoinHandle::is_finished))?
            {
                // If the reset fails, the client sees another end: that is fine, too.
                let _ = reset_after(stream, points.next().unwrap_or_default());
            }
            for client in clients {
                client.join().map_err(|_| "a client panicked")?.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    };
    let grown = || -> Result<_, Failed> {
        let (memory, descriptors) = own()?;
        hammer(tries)?;
        let (later, more) = own()?;
        Ok((later.saturating_sub(memory) >> 10, more.saturating_sub(descriptors)))
    };
    // What is allocated once is not counted: a leak grows each time, and what the allocator keeps for its threads once.
    hammer(tries / 10)?;
    let mut measured = grown()?;
    if measured.0 > 1024 {
        measured = grown()?;
    }
    let (grown, more) = measured;
    Ok(Cell::new(grown <= 1024 && more == 0, format!("{tries}: {grown} KiB and {more} descriptors more")))
}

/// The next client; `None` once all are done.
fn next(listener: &TcpListener, are_done: impl Fn() -> bool) -> std::io::Result<Option<TcpStream>> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => return Ok(Some(stream)),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if are_done() => return Ok(None),
            Err(_) => thread::yield_now(),
        }
    }
}

fn listen() -> Result<(TcpListener, Endpoint), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let endpoint = Endpoint::tcp("127.0.0.1", listener.local_addr()?.port())?;
    Ok((listener, endpoint))
}

fn client(now: roundtrip_core::Time) -> EchoClient {
    EchoClient::new(ClientConfig::default().into(), payload(100_000), now)
}

fn reset_after(mut stream: TcpStream, bytes: u64) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    // Nothing is echoed, so the client sends at most its window.
    std::io::copy(&mut (&mut stream).take(bytes), &mut std::io::sink()).map(drop)
}
