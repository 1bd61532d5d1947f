//! Many clients: a few threads for all.

use std::io;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use roundtrip_core::{Machine, Time};
use roundtrip_net::{Clients, Clock, Control, Ended, Stream};

use crate::desk::Desks;
use crate::options::ReactorOptions;
use crate::poller::Poller;
use crate::thread::{App, CommandOf, Panic, Thread};

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
    let app = Numbered { clients, panic: Mutex::default() };
    thread::scope(|scope| {
        let mut desks = Desks::new();
        for _ in 0..options.threads.get() {
            let poller = Poller::new()?;
            let desk = Thread::start(scope, &app, clock, options, poller)?;
            desks.push(desk);
        }
        for (index, stream) in streams.into_iter().enumerate() {
            let desk = desks.next();
            desk.hand_over(index, stream, desk.way_in());
        }
        Ok::<_, io::Error>(())
    })?;
    match app.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(panic) => resume_unwind(panic),
        None => Ok(()),
    }
}

/// Clients, and the first panic of any.
struct Numbered<'a, C> {
    clients: &'a C,
    panic: Mutex<Option<Panic>>,
}

impl<C: Clients> App for Numbered<'_, C> {
    type Machine = C::Machine;
    type Name = usize;

    fn open(&self, now: Time, index: &usize, control: &Control<CommandOf<Self>>) -> C::Machine {
        self.clients.open(now, *index, control)
    }

    fn event(&self, index: &usize, event: <C::Machine as Machine>::Event) {
        self.clients.event(*index, event);
    }

    fn ended(&self, index: &usize, ended: Ended<<C::Machine as Machine>::Outcome>) {
        self.clients.ended(*index, ended);
    }

    fn over(&self, _index: &usize, panicked: Result<(), Panic>) {
        if let Err(panic) = panicked {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
    }
}
