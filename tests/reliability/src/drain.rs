//! SIGTERM while 100 clients send: what the server's TCP has acknowledged by then must be echoed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use roundtrip_net::Stream;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;

use crate::client::{STALLED, connect, payload, piece};
use crate::process::{PATIENCE, poll};
use crate::server::Server;
use crate::{Cell, Failed, Scale};

const CLIENTS: usize = 100;

/// What one client counted.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Bytes that the server's TCP has acknowledged, at least.
    acknowledged: u64,
    /// Bytes that came back correctly and in order.
    right: u64,
}

pub(crate) fn trial(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    let each = scale.of(10 << 20) as u64;
    let mut running = server.start(&[])?;
    let streams =
        (0..CLIENTS).map(|_| connect(running.address).map(Stream::from)).collect::<Result<Vec<_>, _>>()?;
    let back = AtomicU64::new(0);
    let (seen, status, took) = thread::scope(|scope| {
        let clients: Vec<_> =
            streams.iter().map(|stream| scope.spawn(|| client(stream, each, &back))).collect();
        // In mid-transfer: a tenth is back.
        poll(PATIENCE, || (back.load(Ordering::Relaxed) > each * CLIENTS as u64 / 10).then_some(()));
        let start = Instant::now();
        running.process.signal(Signal::TERM);
        let status = running.process.wait();
        let took = start.elapsed();
        let seen: Vec<_> = clients.into_iter().map(|client| client.join().unwrap_or_default()).collect();
        (seen, status, took)
    });
    let lost: u64 = seen.iter().map(|seen| seen.acknowledged.saturating_sub(seen.right)).sum();
    let code = status.map(|status| status.code());
    let how = match code {
        None => "does not exit".to_owned(),
        Some(None) => "killed by the signal".to_owned(),
        Some(Some(code)) => format!("exit {code}"),
    };
    let is_good = lost == 0 && code == Some(Some(0));
    Ok(Cell::new(is_good, format!("{lost} bytes lost, {how} after {:.1} s", took.as_secs_f64())))
}

/// Sends and reads at the same time, then half-closes, and reads to the end or an error.
fn client(stream: &Stream, bytes: u64, back: &AtomicU64) -> Seen {
    let payload = payload(bytes);
    let mut seen = Seen::default();
    let mut written = 0;
    let mut shut = false;
    let mut block = vec![0; 1 << 16];
    loop {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, written < bytes);
        let mut fds = [PollFd::new(stream, flags)];
        let patience = Timespec::try_from(STALLED).ok();
        match rustix::event::poll(&mut fds, patience.as_ref()) {
            Ok(0) => return seen,
            Ok(_) => {}
            Err(_) => continue,
        }
        // A broken connection reports nothing as unacknowledged: this count is used only if the read below succeeds.
        let acknowledged = written - stream.unacknowledged().min(written);
        match stream.read(&mut block) {
            Ok(0) => {
                if shut {
                    seen.acknowledged = written;
                }
                return seen;
            }
            Ok(read) => {
                let same = payload.matching(seen.right, &block[..read]);
                seen.right += same as u64;
                back.fetch_add(same as u64, Ordering::Relaxed);
                if same < read {
                    return seen;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return seen,
        }
        seen.acknowledged = acknowledged;
        if written < bytes {
            // If this fails, what the server sent before can still be read.
            written += stream.write(&piece(&payload, written, 16 << 10)).unwrap_or(0) as u64;
        } else if !shut {
            shut = true;
            let _ = stream.half_close();
        }
    }
}
