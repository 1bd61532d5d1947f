//! Unix datagram peers that send and never read: an answer stays in the server's send buffer until it is read.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::STALLED;
use crate::folder::Folder;
use crate::server::serve;
use crate::{Cell, Failed, Scale};

const PEERS: usize = 40;
/// Bytes of each datagram that they send.
const SIZE: usize = 4000;
/// The server's `--socket-buffer`, bytes; its send buffer is twice that (socket(7)).
const BUFFER: usize = 128 << 10;
const ATTACK: Duration = Duration::from_secs(10);
/// Between two rounds, in each of which every peer sends once.
const PAUSE: Duration = Duration::from_millis(10);
/// What the first peer sends before the others join: without a bound, its answers alone fill the send buffer.
const HEAD_START: usize = 100;
/// At most one warning in this time.
const WARNING_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) fn trial(driver: &str, scale: Scale) -> Result<Cell, Failed> {
    if !matches!(driver, "std" | "smol") {
        return Ok(Cell::none());
    }
    let folder = Folder::new()?;
    let path = folder.join("server");
    let endpoint = format!("unix-dgram:{}", path.display());
    let (process, _) =
        serve(driver, &endpoint, &["--max-rate", "off", "--socket-buffer", &BUFFER.to_string()])?;
    let start = Instant::now();
    let peers = (0..PEERS)
        .map(|number| {
            let peer = UnixDatagram::bind(folder.join(&number.to_string()))?;
            // The receive queue of a connected socket has no bound (unix(7)), that of the others a short one.
            if number % 2 == 0 {
                peer.connect(&path)?;
            }
            peer.set_nonblocking(true)?;
            Ok(peer)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let reader = UnixDatagram::bind(folder.join("reader"))?;
    reader.connect(&path)?;
    reader.set_read_timeout(Some(STALLED))?;

    let is_over = AtomicBool::new(false);
    let (asked, answered) = thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&reader, &is_over));
        let attack = scale.time(ATTACK);
        for round in 0.. {
            for (number, peer) in peers.iter().enumerate() {
                if number == 0 || round >= HEAD_START {
                    // Fails if the server's receive queue is full.
                    let _ =
                        if number % 2 == 0 { peer.send(&[7; SIZE]) } else { peer.send_to(&[7; SIZE], &path) };
                }
            }
            if round >= HEAD_START {
                thread::park_timeout(PAUSE);
            } else {
                thread::yield_now();
            }
            if start.elapsed() > attack || asking.is_finished() {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        asking.join().unwrap_or_default()
    });
    let warnings = process.error_lines();
    let allowed = 1 + start.elapsed().as_secs() / WARNING_INTERVAL.as_secs();
    let finished = process.stop()?;

    let unread = peers.iter().map(unread).max().unwrap_or_default();
    // Half of the send buffer, and one datagram.
    let limit = BUFFER + SIZE;
    let is_good =
        answered == asked && unread <= limit && (1..=allowed).contains(&warnings) && finished.code == Some(0);
    let text = format!(
        "{answered} of {asked} answered, at most {} KiB unread, {warnings} warnings, {}",
        unread >> 10,
        finished.exit()
    );
    Ok(Cell::new(is_good, text))
}

/// A peer that reads: how often it asked, and was answered. It stops when it is not.
fn ask(peer: &UnixDatagram, is_over: &AtomicBool) -> (u64, u64) {
    let mut buffer = [0; 64];
    for number in 0_u64.. {
        let question = number.to_be_bytes();
        let answer = peer.send(&question).and_then(|_| peer.recv(&mut buffer));
        if answer.is_ok_and(|len| buffer[..len] == question) {
            if is_over.load(Ordering::Relaxed) {
                return (number + 1, number + 1);
            }
        } else {
            return (number + 1, number);
        }
    }
    (0, 0)
}

/// Bytes in the receive queue.
fn unread(peer: &UnixDatagram) -> usize {
    let mut buffer = [0; SIZE];
    std::iter::from_fn(|| peer.recv(&mut buffer).ok()).sum()
}
