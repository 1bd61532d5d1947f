//! A server that never lets a verifying client finish: one wrong byte at a time, each before the timeout is over.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::STALLED;
use crate::process::{PATIENCE, Process};
use crate::server::roundtrip;
use crate::{Cell, Failed, Scale};

const TIMEOUT: Duration = Duration::from_secs(3);
const DRIP: Duration = Duration::from_millis(200);
/// For the client to be scheduled, to print and to exit.
const ALLOWANCE: Duration = Duration::from_millis(500);

pub(crate) fn trial(driver: &str, scale: Scale) -> Result<Cell, Failed> {
    // Fractions of these are shorter than a busy machine may pause.
    let [timeout, interval] = if scale.is_whole() { [TIMEOUT, DRIP] } else { [TIMEOUT / 10, DRIP / 10] };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address: SocketAddr = listener.local_addr()?;
    let (begun, beginning) = channel();
    // It ends with its client.
    thread::spawn(move || drip(&listener, interval, &begun));
    let (address, timeout_text) = (address.to_string(), format!("{}ms", timeout.as_millis()));
    let args = ["check", &address, "--bytes", "1MB", "--timeout", &timeout_text, "--driver", driver];
    let process = Process::start(roundtrip(args).stdout(Stdio::null()))?;
    let begun = beginning.recv_timeout(PATIENCE).map_err(|_| "the client does not connect")?;
    let finished = process.finish()?;
    let took = begun.elapsed();
    let is_good = finished.code == Some(1) && took <= timeout + ALLOWANCE;
    Ok(Cell::new(is_good, format!("{} after {:.1} s", finished.exit(), took.as_secs_f64())))
}

/// Reads from its client, and sends wrong bytes back until the client is gone.
fn drip(listener: &TcpListener, interval: Duration, begun: &Sender<Instant>) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(STALLED))?;
    stream.set_nodelay(true)?;
    let mut bytes = [0; 4096];
    stream.read_exact(&mut bytes)?;
    let _ = begun.send(Instant::now());
    for byte in bytes {
        stream.write_all(&[!byte])?;
        thread::park_timeout(interval);
    }
    Ok(())
}
