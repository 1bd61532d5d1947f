//! Clients that send, half-close, and expect all of it back.

use std::thread;
use std::time::Duration;

use crate::client::{Back, round_trip};
use crate::server::Server;
use crate::{Cell, Failed, Scale};

pub(crate) fn one_byte(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    let running = server.start(&[])?;
    // Others start a process per connection.
    let tries = scale.of(if server.is_ours() { 10_000 } else { 1000 });
    let whole = Back { right: 1, ended: true };
    let good = (0..tries)
        .filter(|_| round_trip(running.address, 1, Duration::ZERO).is_ok_and(|back| back == whole))
        .count();
    Ok(Cell::new(good == tries, format!("{good} of {tries}")))
}

pub(crate) fn slow_reader(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    const BYTES: u64 = 10 << 20;
    const CONCURRENT: usize = 10;
    let running = server.start(&[])?;
    let rounds = scale.of(100).div_ceil(CONCURRENT);
    let (mut good, mut lost, mut silent) = (0, 0, 0);
    for _ in 0..rounds {
        let tries = || round_trip(running.address, BYTES, Duration::from_secs(2)).unwrap_or_default();
        let backs: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..CONCURRENT).map(|_| scope.spawn(tries)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
        });
        for Back { right, ended } in backs {
            good += usize::from(right == BYTES && ended);
            lost += BYTES - right;
            silent += usize::from(!ended);
        }
    }
    let all = rounds * CONCURRENT;
    let is_good = good == all;
    let missing =
        if is_good { String::new() } else { format!(", {lost} bytes missing, {silent} without an end") };
    Ok(Cell::new(is_good, format!("{good} of {all}{missing}")))
}
