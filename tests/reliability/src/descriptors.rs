//! A server that runs out of file descriptors.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::client::{STALLED, answered, connect};
use crate::process::poll;
use crate::server::Server;
use crate::{Cell, Failed, Scale};

pub(crate) fn trial(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    /// How long it is watched while it is out of descriptors.
    const WATCHED: Duration = Duration::from_secs(5);
    const CLIENTS: usize = 200;
    let watched = if scale.is_whole() { WATCHED } else { WATCHED / 5 };
    let mut running = server.start_after("ulimit -n 64;", &[])?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = connect(running.address)?;
        // A server that has exited shows below.
        let _ = stream.write_all(b"x");
        clients.push(stream);
    }
    let mut served = answered(&clients, watched.min(Duration::from_secs(2)));
    let (lines, time) = (running.process.error_lines(), running.process.processor_time());
    // No client does anything now, and neither should the server.
    let start = Instant::now();
    let exited = poll(watched, || (!running.process.is_running()).then_some(()));
    if exited.is_some() {
        return Ok(Cell::new(false, format!("exits ({} were served)", served.len())));
    }
    let share = running.process.processor_time().saturating_sub(time).as_secs_f64()
        / start.elapsed().as_secs_f64()
        * 100.0;
    let lines = running.process.error_lines() - lines;
    served.sort_unstable();
    let inside = served.len();
    if inside == clients.len() {
        return Ok(Cell::new(
            share < 1.0 && lines <= 1,
            format!("all served, {share:.1} % of a core, {lines} lines"),
        ));
    }
    // Those that were served leave, and others take their places.
    for at in served.into_iter().rev() {
        drop(clients.swap_remove(at));
    }
    let start = Instant::now();
    let next =
        poll(STALLED, || (!answered(&clients, Duration::from_millis(1)).is_empty()).then(|| start.elapsed()));
    let is_good =
        share < 1.0 && lines <= 1 && inside > 0 && next.is_some_and(|took| took < Duration::from_secs(1));
    let next =
        next.map_or_else(|| "does not recover".to_owned(), |took| format!("recovers after {took:.0?}"));
    Ok(Cell::new(is_good, format!("{inside} served, {share:.1} % of a core, {lines} lines, {next}")))
}
