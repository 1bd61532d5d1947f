//! Many clients: a few threads for all.

use std::io;
use std::thread;

use roundtrip_net::event_loop::{Desks, Numbered};
use roundtrip_net::{Clients, Clock, Stream};

use crate::options::Reactor;
use crate::poller::Poller;
use crate::thread::{Thread, Timing};

/// Drives all of these streams at once, on `options.threads` threads, each of which has its share of the sessions.
pub(crate) fn drive_all<C: Clients>(
    options: Reactor,
    clock: &impl Clock,
    streams: impl IntoIterator<Item = Stream>,
    clients: &C,
) -> io::Result<()> {
    let app = Numbered::new(clients);
    thread::scope(|scope| {
        let mut desks = Desks::new();
        for _ in 0..options.threads.get() {
            let poller = Poller::new()?;
            let desk = Thread::start(scope, &app, clock, options, Timing::Connection, poller)?;
            desks.push(desk);
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
