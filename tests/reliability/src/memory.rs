//! Memory of connections: of clients that never read, before and after they leave, and of idle ones.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::client::{connect, fill, ping};
use crate::process::poll;
use crate::server::{Running, Server};
use crate::{Cell, Failed, Scale};

/// The 99th percentile of 1,000 pings; the median of five of these, because other processes run as well.
fn p99(address: SocketAddr) -> Result<Duration, Failed> {
    const PINGS: usize = 1000;
    let mut stream = connect(address)?;
    let mut found = Vec::new();
    for _ in 0..5 {
        let mut took = Vec::with_capacity(PINGS);
        for _ in 0..PINGS {
            let start = Instant::now();
            ping(&mut stream)?;
            took.push(start.elapsed());
        }
        took.sort_unstable();
        found.push(took[PINGS * 99 / 100]);
    }
    found.sort_unstable();
    Ok(found[found.len() / 2])
}

pub(crate) fn never_read(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    let clients = scale.of(1000);
    let running = server.start(&["--buffer", "8KiB", "--socket-buffer", "16KiB"])?;
    let before = p99(running.address)?;
    let memory = running.process.memory();
    let _held = open_and_fill(&running, clients)?;
    let each = running.process.memory().saturating_sub(memory) / clients as u64;
    let after = p99(running.address)?;
    let ratio = after.as_secs_f64() / before.as_secs_f64();
    let is_std = server.name == "roundtrip-std";
    let is_good = (is_std || each <= 16 << 10) && ratio <= 2.0;
    Ok(Cell::new(is_good, format!("{} each, p99 {ratio:.1}× ({before:.0?} to {after:.0?})", kib(each))))
}

/// Clients that never read, and have sent until nothing more is taken.
fn open_and_fill(running: &Running, clients: usize) -> Result<Vec<TcpStream>, Failed> {
    let open = || {
        let mut stream = connect(running.address)?;
        fill(&mut stream)?;
        Ok(stream)
    };
    (0..clients).map(|_| open()).collect()
}

/// With the default buffer of 256 KiB.
pub(crate) fn freed(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    const LIMIT: u64 = (256 + 64) << 10;
    let clients = scale.of(200).max(50);
    // With small socket buffers, it is the server's own buffers that fill.
    let running = server.start(&["--socket-buffer", "16KiB"])?;
    // What is allocated once is not counted.
    ping(&mut connect(running.address)?)?;
    let memory = running.process.memory();
    let held = open_and_fill(&running, clients)?;
    let grown = running.process.memory().saturating_sub(memory);
    drop(held);
    let left = || running.process.memory().saturating_sub(memory);
    let limit_left = grown / 10;
    let is_freed = poll(Duration::from_secs(10), || (left() <= limit_left).then_some(())).is_some();
    let each = grown / clients as u64;
    let percent = 100 - (left() * 100 / grown.max(1)).min(100);
    // With few clients, the fixed memory of threads and rings is too large a part: reported, not judged.
    let is_good = !scale.is_whole() || (is_freed && each <= LIMIT);
    Ok(Cell::new(is_good, format!("{} each, {percent} % freed", kib(each))))
}

/// Bytes as KiB, to a tenth.
fn kib(bytes: u64) -> String {
    let tenths = bytes * 10 / 1024;
    format!("{}.{} KiB", tenths / 10, tenths % 10)
}

pub(crate) fn idle(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    // Where a connection costs a process or two descriptors, 10,000 are more than this machine has.
    let is_lean = matches!(server.driver(), Some("smol" | "tokio" | "reactor" | "uring"));
    let clients = scale.of(if is_lean { 10_000 } else { 2000 });
    let running = server.start(&[])?;
    // What is allocated once is not counted.
    let mut first: Vec<_> = (0..10).map(|_| connect(running.address)).collect::<Result<_, _>>()?;
    first.iter_mut().try_for_each(ping)?;
    let memory = running.process.memory();
    let mut held = Vec::new();
    for _ in 0..clients {
        let mut stream = connect(running.address)?;
        ping(&mut stream)?;
        held.push(stream);
    }
    let each = running.process.memory().saturating_sub(memory) / clients as u64;
    let is_good = server.name == "roundtrip-std" || each <= 2048;
    Ok(Cell::new(is_good, format!("{} each at {clients}", kib(each))))
}
