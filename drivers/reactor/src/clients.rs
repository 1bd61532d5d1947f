//! Many clients: a few threads for all.

use std::io;
use std::thread;

use roundtrip_net::event_loop::{ClientApp, HandoffQueues};
use roundtrip_net::{Application, Clock, Stream};

use crate::options::Reactor;
use crate::poller::Poller;
use crate::thread::{Thread, Timing};

/// Drives all of these streams at once, on `options.threads` threads, each of which has its share of the sessions.
pub(crate) fn drive_all<A: Application<usize>>(
    options: Reactor,
    clock: &impl Clock,
    streams: impl IntoIterator<Item = Stream>,
    app: &A,
) -> io::Result<()> {
    let app = ClientApp::new(app);
    thread::scope(|scope| {
        let mut queues = HandoffQueues::new();
        for _ in 0..options.threads.get() {
            let poller = Poller::new()?;
            let handoff = Thread::start(scope, &app, clock, options, Timing::Connection, poller)?;
            queues.push(handoff);
        }
        for (index, stream) in streams.into_iter().enumerate() {
            let handoff = queues.next();
            handoff.hand_over(index, stream, handoff.channel());
        }
        Ok::<_, io::Error>(())
    })?;
    app.finish();
    Ok(())
}
