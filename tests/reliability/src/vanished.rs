//! Clients whose host is gone: what they acknowledged before is not lost.

use std::io::{Read, Write};
use std::net::SocketAddr;

use crate::client::connect;
use crate::namespace::{Host, isolated};
use crate::process::{PATIENCE, poll};
use crate::server::serve;
use crate::{Cell, Failed, Scale};

const CLIENTS: usize = 20;

pub(crate) fn trial(driver: &'static str, _: Scale) -> Result<Cell, Failed> {
    isolated(|| inside(driver))
}

fn inside(driver: &str) -> Result<Cell, Failed> {
    let here = Host::current()?;
    let there = Host::new()?;
    here.connect_to(&there)?;
    let (process, endpoint) = serve(driver, "192.0.2.1:0", &["--drain", "2s"])?;
    let address: SocketAddr = endpoint.trim_start_matches("tcp:").parse()?;

    there.enter()?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = connect(address)?;
        client.write_all(&[7; 64])?;
        client.read_exact(&mut [0; 64])?;
        clients.push(client);
    }
    here.enter()?;
    let acknowledged = poll(PATIENCE, || (acknowledged(address.port()) == CLIENTS).then_some(()));
    acknowledged.ok_or("the clients do not acknowledge their echo")?;
    // No FIN and no RST reaches the server.
    Host::disconnect()?;
    drop((clients, there));
    // Another host gets the address, and answers the server's FIN with RST.
    let other = Host::new()?;
    here.connect_to(&other)?;
    let finished = process.stop()?;

    let last = finished.last_error();
    let is_good = last.contains(&format!(": {CLIENTS} closed, 0 bytes lost")) && finished.code == Some(0);
    let drained = last.split_once(": ").map_or(last, |(_, drained)| drained);
    Ok(Cell::new(is_good, format!("{drained}, {}", finished.exit())))
}

/// Established connections on this port, in this thread's network namespace, whose peer has acknowledged all that was sent.
fn acknowledged(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap_or_default();
    let is_done = |line: &&str| {
        // Number, local address, remote address, state, unacknowledged:unread bytes: proc_net_tcp(5).
        let fields: Vec<_> = line.split_whitespace().take(5).collect();
        let [_, local, _, state, queues] = fields[..] else { return false };
        local.ends_with(&format!(":{port:04X}")) && state == "01" && queues.starts_with("00000000:")
    };
    table.lines().filter(is_done).count()
}
