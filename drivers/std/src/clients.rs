//! Many clients: a thread for each.

use std::io;
use std::thread;

use roundtrip_net::event_loop::{Numbered, finish};
use roundtrip_net::{Block, Callback, Clients, Clock, Stream, catch};

use crate::connection::Driver;
use crate::server::STACK;

/// Drives all of these streams at once, each on a thread of its own.
pub(crate) fn drive_all<C: Clients>(
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
                    driver.drive_with(
                        &mut block,
                        stream,
                        machine,
                        Callback(|event| clients.event(index, event)),
                    )
                });
                finish(app, &index, (), driven.flatten());
            })?;
        }
        Ok(())
    });
    app.finish();
    driven
}
