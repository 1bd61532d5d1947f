//! The other peer dies: our own clients, whose server resets them at every point.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use roundtrip_core::echo::{ClientConfig, EchoClient, Payload};
use roundtrip_net::{ConnectOptions, Endpoint, Stream};

use crate::process::own;
use crate::server::Server;
use crate::{Cell, Failed, Scale};

/// Clients at one time.
const THREADS: usize = 4;

pub(crate) fn trial(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    let drive: fn(Stream) -> std::io::Result<()> = match server.driver() {
        Some("std") => |stream| roundtrip_std::drive(stream, client).map(drop),
        Some("smol") => |stream| roundtrip_smol::block_on(roundtrip_smol::drive(stream, client)).map(drop),
        _ => return Ok(Cell::new(true, "has no client")),
    };
    let tries = scale.of(100_000);
    let (listener, endpoint) = listen()?;
    let hammer = |tries: usize| -> Result<(), Failed> {
        thread::scope(|scope| {
            let clients: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..tries / THREADS {
                            let stream = roundtrip_net::connect(&endpoint, &ConnectOptions::default())?;
                            drive(stream)?;
                        }
                        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
                    })
                })
                .collect();
            for number in 0..tries / THREADS * THREADS {
                let (stream, _) = listener.accept()?;
                // Half of them in the middle of a transfer, and the others before or after.
                let _ = reset_after(stream, [0, 1, 40_000, 100_000][number % 4]);
            }
            for client in clients {
                client.join().map_err(|_| "a client panicked")?.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    };
    // What the first ones need stays.
    hammer(tries / 10)?;
    let (memory, descriptors) = own()?;
    hammer(tries)?;
    let (later, more) = own()?;
    let (grown, more) = (later.saturating_sub(memory) >> 10, more.saturating_sub(descriptors));
    Ok(Cell::new(grown <= 1024 && more == 0, format!("{tries}: {grown} KiB and {more} descriptors more")))
}

fn listen() -> Result<(TcpListener, Endpoint), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = Endpoint::tcp("127.0.0.1", listener.local_addr()?.port())?;
    Ok((listener, endpoint))
}

fn client(now: roundtrip_core::Time) -> EchoClient {
    EchoClient::new(ClientConfig::default().into(), Payload::seeded(1, 100_000), now)
}

fn reset_after(mut stream: TcpStream, bytes: u64) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    // Nothing is echoed, so no more than a window comes.
    std::io::copy(&mut (&mut stream).take(bytes.min(65_536)), &mut std::io::sink()).map(drop)
}
