//! Many clients: a task for each.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use async_executor::Executor;
use async_io::block_on;
use roundtrip_net::{Clients, Clock, Guarded, Panic, Stream, catch};

use crate::connection::Driver;
use crate::workers::Workers;

/// Drives all of these streams at once, each as a task, on a thread of its own, until every session is over.
///
/// The streams are taken one after the other on the calling thread: an iterator may connect them, and take its time,
/// while those before are driven.
///
/// # Errors
///
/// If the thread cannot be made.
///
/// # Panics
///
/// If a machine or `clients` does; the connection is reset, and the others are driven to their end.
pub fn drive_all<C: Clients<Machine: Send>>(
    clock: &impl Clock,
    streams: impl IntoIterator<Item = Stream>,
    clients: &C,
) -> io::Result<()> {
    drive_all_on(NonZeroUsize::MIN, clock, streams, clients)
}

/// Does what [`drive_all`] does, on so many threads. A session runs on one of them at a time, now on this one and now on
/// that.
///
/// # Errors
///
/// If a thread cannot be made.
///
/// # Panics
///
/// If a machine or `clients` does; the connection is reset, and the others are driven to their end.
pub fn drive_all_on<C: Clients<Machine: Send>>(
    threads: NonZeroUsize,
    clock: &impl Clock,
    streams: impl IntoIterator<Item = Stream>,
    clients: &C,
) -> io::Result<()> {
    let executor = Arc::new(Executor::new());
    thread::scope(|scope| {
        let _workers = Workers::start(scope, threads.get(), &executor)?;
        let tasks: Vec<_> = streams
            .into_iter()
            .enumerate()
            .map(|(index, stream)| {
                executor.spawn(async move {
                    let driver = Driver::on(clock);
                    let control = driver.control();
                    let machine = |now| clients.open(now, index, &control);
                    let stream = Guarded::new(stream);
                    let driven = driver.try_drive(stream, machine, |event| clients.event(index, event)).await;
                    driven.and_then(|ended| catch(|| clients.ended(index, ended)))
                })
            })
            .collect();
        Ok(block_on(async {
            let mut ended = Ok(());
            for task in tasks {
                ended = ended.and(task.await);
            }
            ended
        }))
    })
    .map(|ended| ended.unwrap_or_else(|panic: Panic| panic.resume()))
}
