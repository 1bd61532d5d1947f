//! Many clients: a thread for each.

use std::io;
use std::thread;

use roundtrip_net::event_loop::{ClientApp, finish};
use roundtrip_net::{Application, Clock, catch};

use crate::driver::Driver;
use crate::server::STACK;
use crate::stream::Stream;

/// Drives all of these streams at once, each on a thread of its own, until every session is over.
///
/// The streams are taken one after the other on the calling thread: an iterator may connect them, and take its time,
/// while those before are driven.
///
/// # Errors
///
/// If a thread or an event cannot be had; no more streams are taken then, and the sessions that began are driven to
/// their end.
///
/// # Panics
///
/// If a machine or `app` does; the connection is reset, and the others are driven to their end.
pub fn drive_all<A: Application<usize>>(
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
                let driven =
                    catch(|| driver.try_drive(stream, machine, |event| app.event(&index, &control, event)));
                finish(app, &index, (), driven.flatten());
            })?;
        }
        Ok(())
    });
    app.finish();
    driven
}
