//! Clients that reset their connections, at every point of them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::{connect, ping};
use crate::process::{PATIENCE, poll};
use crate::server::{Running, Server};
use crate::{Cell, Failed, Scale};

pub(crate) fn trial(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    const THREADS: usize = 4;
    /// Concurrent connections: twice the number of threads that our blocking driver keeps.
    const BURST: usize = 32;
    let mut running = server.start(&[])?;
    let tries = if server.is_ours() { scale.of(100_000) } else { scale.of(10_000) };
    let hammer = |tries: usize| -> u64 {
        let failed = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (failed, address) = (&failed, running.address);
                scope.spawn(move || {
                    for number in 0..tries / THREADS {
                        if reset_at(address, (thread + number) % 4).is_err() {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        failed.into_inner()
    };
    // What it keeps for later connections, such as threads, exists before it is measured.
    let burst = (0..BURST).map(|_| connect(running.address)).collect::<Result<Vec<_>, _>>()?;
    burst.into_iter().try_for_each(|mut stream| ping(&mut stream))?;
    hammer(tries / 10);
    settle(&running);
    let (memory, descriptors) = (running.process.memory(), running.process.descriptors());
    let failed = hammer(tries);
    settle(&running);
    let is_running = running.process.is_running() && ping(&mut connect(running.address)?).is_ok();
    let grown = running.process.memory().saturating_sub(memory) >> 10;
    let more = running.process.descriptors().saturating_sub(descriptors);
    // A thread that waits for the next connection keeps its stack and its descriptor: there are at most sixteen.
    let is_good = is_running && failed == 0 && more <= 16 && grown <= 1024;
    let state = if is_running { "running" } else { "exited" };
    Ok(Cell::new(
        is_good,
        format!("{state} after {tries}, {failed} failed, {grown} KiB and {more} descriptors more"),
    ))
}

/// Resets a connection at one of four points of it.
fn reset_at(address: SocketAddr, point: usize) -> io::Result<()> {
    let mut stream = connect(address)?;
    if point >= 1 {
        stream.write_all(&[b'x'; 100])?;
    }
    if point >= 2 {
        stream.read_exact(&mut [0])?;
    }
    if point >= 3 {
        stream.shutdown(Shutdown::Write)?;
    }
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}

/// Waits until nothing is left of earlier connections: the number of descriptors stays the same.
fn settle(running: &Running) {
    let mut last = usize::MAX;
    let mut same = 0;
    poll(PATIENCE, || {
        let now = running.process.descriptors();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        (same > 40).then_some(())
    });
}
