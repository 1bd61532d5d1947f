//! What the verbs that connect have in common.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roundtrip_core::{Machine, Time};
use roundtrip_std::{ConnectOptions, ConnectionReport, Control, Endpoint, NetError, SystemClock};

use crate::cli::ClientArgs;
use crate::keepalive::KeepaliveArg;
use crate::problem::{Exit, Problem};
use crate::transport::{self, Stream};
use crate::{json, signals};

pub(crate) fn connect(endpoint: &Endpoint, args: &ClientArgs) -> Result<Stream, NetError> {
    transport::connect(endpoint, &options(args))
}

pub(crate) fn options(args: &ClientArgs) -> ConnectOptions {
    ConnectOptions::default()
        .family(args.family())
        .timeout(Some(args.connect_timeout))
        .socket_buffer(args.socket_buffer)
        .keepalive(KeepaliveArg::or_default(args.keepalive))
}

/// What SIGINT and SIGTERM do to the sessions that run, and those that are about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signals {
    /// The first aborts them.
    Abort,
    /// The first stops them, and they get back what is on its way; the second aborts them.
    StopFirst,
}

/// The way to end all sessions at once.
#[derive(Default)]
pub(crate) struct Stop(Mutex<Stopping>);

#[derive(Default)]
struct Stopping {
    stopped: bool,
    aborted: bool,
    running: Vec<Control<Infallible>>,
}

impl Stop {
    /// Watches for signals from now on. One after the abort ends the program where it stands, for there may be a connect
    /// that nobody answers.
    pub(crate) fn on_signals(signals: Signals) -> Result<Arc<Self>, Problem> {
        let stop = Arc::new(Self::default());
        let told = Arc::clone(&stop);
        signals::watch_stops(move |count| {
            let stops_first = usize::from(signals == Signals::StopFirst);
            match count.saturating_sub(stops_first) {
                0 => told.stop(),
                1 => told.abort(),
                _ => {
                    let cause = "interrupted again, before it could end";
                    json::complain(&Problem::new(Exit::Incomplete, cause, "give it more time"));
                    std::process::exit(Exit::Incomplete as i32);
                }
            }
        })?;
        Ok(stop)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Lets the sessions finish.
    pub(crate) fn stop(&self) {
        let mut stopping = self.lock();
        stopping.stopped = true;
        stopping.running.iter().for_each(Control::stop);
    }

    pub(crate) fn abort(&self) {
        let mut stopping = self.lock();
        stopping.stopped = true;
        stopping.aborted = true;
        stopping.running.drain(..).for_each(|control| control.abort());
    }

    /// A session begins.
    pub(crate) fn watch(&self, control: &Control<Infallible>) {
        let mut stopping = self.lock();
        if stopping.aborted {
            control.abort();
            return;
        }
        if stopping.stopped {
            control.stop();
        }
        stopping.running.push(control.clone());
    }

    /// All sessions are over.
    pub(crate) fn forget(&self) {
        self.lock().running.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Stopping> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drives a client until it closes; SIGINT and SIGTERM abort it.
pub(crate) fn drive<M: Machine<Command: Send + 'static, Event = Infallible>>(
    clock: SystemClock,
    stream: Stream,
    machine: impl FnOnce(Time) -> M,
) -> Result<ConnectionReport<M::Outcome>, Problem> {
    let cannot_wait = |error| Problem::system("cannot wait", &error);
    match stream {
        Stream::Socket(stream) => {
            let driver = roundtrip_std::Driver::new(clock).map_err(cannot_wait)?;
            let control = driver.control();
            signals::watch_stops(move |_count| control.abort())?;
            Ok(driver.drive(stream, machine, |never| match never {}))
        }
        Stream::Pipe(stream) => {
            let driver = roundtrip_pipe::Driver::new(clock).map_err(cannot_wait)?;
            let control = driver.control();
            signals::watch_stops(move |_count| control.abort())?;
            Ok(driver.drive(stream, machine, |never| match never {}))
        }
    }
}
