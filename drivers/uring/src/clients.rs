//! Many clients: a few threads for all.

use std::io;
use std::thread;

use roundtrip_net::event_loop::{Desks, Numbered};
use roundtrip_net::{Clients, Clock, Stream};

use crate::options::Uring;
use crate::ring::Prepared;
use crate::thread::Thread;

/// Drives all of these streams at once, on `options.threads` threads, each of which has its share of the sessions.
pub(crate) fn drive_all<C: Clients>(
    options: Uring,
    clock: &impl Clock,
    streams: impl IntoIterator<Item = Stream>,
    clients: &C,
) -> io::Result<()> {
    let app = Numbered::new(clients);
    thread::scope(|scope| {
        let mut desks = Desks::new();
        for _ in 0..options.threads.get() {
            desks.push(Thread::start(scope, &app, clock, Prepared::new(options)?)?);
        }
        for (index, stream) in streams.into_iter().enumerate() {
            let desk = desks.next();
            desk.hand_over(index, stream, desk.way_in());
        }
        Ok::<_, io::Error>(())
    })?;
    app.finish();
    Ok(())
}
