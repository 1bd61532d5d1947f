//! Clients that hold their connections without need, beside well-behaved ones.

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Back, connect, fill, ping, round_trip};
use crate::server::Server;
use crate::{Cell, Failed, Scale};

/// Options of ours; the other servers have no such limits.
const LIMITS: &[&str] = &["--idle", "2s", "--half-close-idle", "1s", "--max-age", "5s"];
/// All limits are over by then, even on a busy machine.
const OVER: Duration = Duration::from_secs(15);
/// Interval between two bytes: shorter than any idle limit.
const DRIP: Duration = Duration::from_millis(200);
/// Descriptors that a server may keep for later connections.
const KEPT: usize = 20;

pub(crate) fn trial(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    let clients = scale.of(200).max(2 * KEPT);
    let running = server.start(LIMITS)?;
    ping(&mut connect(running.address)?)?;
    let before = running.process.descriptors();
    let open = || (0..clients).map(|_| connect(running.address)).collect::<Result<Vec<_>, _>>();
    let mut unread = open()?;
    thread::scope(|scope| {
        for some in unread.chunks_mut(clients.div_ceil(10)) {
            scope.spawn(|| {
                for stream in some {
                    // Enough that the echo is stuck behind a client that never reads; then half-close. The server may have closed
                    // the connection by now.
                    let _ = fill(stream).and_then(|()| stream.shutdown(Shutdown::Write));
                }
            });
        }
    });
    let (mut silent, mut dripping) = (open()?, open()?);
    // All are accepted once they are answered.
    silent.iter_mut().chain(&mut dripping).try_for_each(ping)?;
    let start = Instant::now();
    let (mut good, mut tries) = (0, 0);
    let left = loop {
        for stream in &mut dripping {
            let _ = stream.write(b"x");
        }
        tries += 1;
        let whole = Back { right: 1000, ended: true };
        good +=
            usize::from(round_trip(running.address, 1000, Duration::ZERO).is_ok_and(|back| back == whole));
        let left = running.process.descriptors().saturating_sub(before);
        if left <= KEPT || start.elapsed() > OVER {
            break left;
        }
        thread::park_timeout(DRIP);
    };
    let what = if left <= KEPT { "all closed".to_owned() } else { format!("{left} descriptors still held") };
    Ok(Cell::new(left <= KEPT && good == tries, format!("{what}; {good} of {tries} others served")))
}
