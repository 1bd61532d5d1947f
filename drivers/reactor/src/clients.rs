//! Many clients: a few threads for all.

use std::io;
use std::num::NonZeroUsize;
use std::thread;

use roundtrip_net::event_loop::{Desks, Numbered};
use roundtrip_net::{Clients, Clock, Stream};

use crate::options::ReactorOptions;
use crate::poller::Poller;
use crate::thread::{Thread, Timing};

/// Drives all of these streams at once, on a thread of its own, until every session is over.
///
/// The streams are taken one after the other on the calling thread: an iterator may connect them, and take its time,
/// while those before are driven.
///
/// # Errors
///
/// If the thread or its poller cannot be made.
///
/// # Panics
///
/// If a machine or `clients` does; the connection is reset, and the others are driven to their end.
pub fn drive_all<C: Clients>(
    clock: &impl Clock,
    streams: impl IntoIterator<Item = Stream>,
    clients: &C,
) -> io::Result<()> {
    drive_all_on(NonZeroUsize::MIN, clock, streams, clients)
}

/// Does what [`drive_all`] does, on so many threads, each of which has its share of the sessions.
///
/// # Errors
///
/// If a thread or its poller cannot be made.
///
/// # Panics
///
/// If a machine or `clients` does; the connection is reset, and the others are driven to their end.
pub fn drive_all_on<C: Clients>(
    options: impl Into<ReactorOptions>,
    clock: &impl Clock,
    streams: impl IntoIterator<Item = Stream>,
    clients: &C,
) -> io::Result<()> {
    let options = options.into();
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
