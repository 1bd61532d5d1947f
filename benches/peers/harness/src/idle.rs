//! What ten thousand connections cost that are used once and then do nothing.

use std::io;
use std::time::Duration;

use crate::catalogue::Entry;
use crate::generator::{Generator, Load};
use crate::slices::{Bench, Failure};

pub const CONNECTIONS: usize = 10_000;
/// For a server that needs several descriptors for each, and may not have so many.
const FEWER: usize = 5_000;

/// Bytes in memory of one server.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    pub connections: usize,
    /// As it began.
    pub before: u64,
    /// With the connections: all, its program's own pages too.
    pub after: u64,
    /// Of that, what is no file's.
    pub anonymous: u64,
}

pub fn measure(bench: &Bench, entry: &Entry) -> Result<Idle, Failure> {
    // And some for itself.
    let all = CONNECTIONS * entry.descriptors() + 256 <= bench.descriptors;
    with(if all { CONNECTIONS } else { FEWER }, bench, entry)
}

fn with(connections: usize, bench: &Bench, entry: &Entry) -> Result<Idle, Failure> {
    let server = bench.start(entry, false).map_err(|error| Failure::NotStarted(error.to_string()))?;
    let idle = || {
        let (before, _) = server.resident()?;
        // Each is used once as it connects, and once more.
        let mut generator = Generator::connect(Load::PingPong { connections, size: 64 }, &server.address)?;
        generator.slice(Duration::ZERO)?;
        let (after, anonymous) = server.resident()?;
        Ok(Idle { connections, before, after, anonymous })
    };
    idle().map_err(|error: io::Error| Failure::Broken(error.to_string()))
}
