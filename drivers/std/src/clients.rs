//! Many clients: a thread for each.

use std::io;
use std::thread;

use roundtrip_net::event_loop::{Numbered, finish};
use roundtrip_net::{Block, Clients, Clock, Stream, catch};

use crate::connection::Driver;
use crate::server::STACK;

/// Drives all of these streams at once, each on a thread of its own, until every session is over.
///
/// The streams are taken one after the other on the calling thread: an iterator may connect them, and take its time,
/// while those before are driven.
///
/// # Errors
///
/// If a thread or a descriptor cannot be had; no more streams are taken then, and the sessions that began are driven to
/// their end.
///
/// # Panics
///
/// If a machine or `clients` does; the connection is reset, and the others are driven to their end.
pub fn drive_all<C: Clients>(
    clock: &impl Clock,
    streams: impl IntoIterator<Item = Stream>,
    clients: &C,
) -> io::Result<()> {
    let app = Numbered::new(clients);
    let driven = thread::scope(|scope| {
        for (index, stream) in streams.into_iter().enumerate() {
            let driver = Driver::new(clock)?;
            let thread = thread::Builder::new().name("roundtrip".into()).stack_size(STACK);
            let app = &app;
            thread.spawn_scoped(scope, move || {
                let control = driver.control();
                let machine = |now| clients.open(now, index, &control);
                let mut block = Block::default();
                let driven = catch(|| {
                    driver.drive_with(&mut block, stream, machine, |event| clients.event(index, event))
                });
                finish(app, &index, (), driven.flatten());
            })?;
        }
        Ok(())
    });
    app.finish();
    driven
}
