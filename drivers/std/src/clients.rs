//! Many clients: a thread for each.

use std::io;
use std::thread;

use roundtrip_net::event_loop::{ClientApp, finish};
use roundtrip_net::{Application, Block, Callback, Clock, Stream, catch};

use crate::connection::Driver;
use crate::server::STACK;

/// Drives all of these streams at once, each on a thread of its own.
pub(crate) fn drive_all<A: Application<usize>>(
    clock: &impl Clock,
    streams: impl IntoIterator<Item = Stream>,
    app: &A,
) -> io::Result<()> {
    let app = ClientApp::new(app);
    let driven = thread::scope(|scope| {
        for (index, stream) in streams.into_iter().enumerate() {
            let driver = Driver::new(clock)?;
            let thread = thread::Builder::new().name("roundtrip".into()).stack_size(STACK);
            let app = &app;
            thread.spawn_scoped(scope, move || {
                let control = driver.control();
                let machine = |now| app.open(now, &index, &control);
                let mut block = Block::default();
                let driven = catch(|| {
                    driver.drive_with(
                        &mut block,
                        stream,
                        machine,
                        Callback(|event| app.event(&index, &control, event)),
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
