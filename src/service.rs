//! The echo service: a session for each connection, and a sum of what came of them.

use std::fmt::Display;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Machine, Observe, Tap, Time};
use roundtrip_echo::{EchoServer, End, ServerConfig, ServerOutcome};
use roundtrip_std::{Accepted, Application, Clock, ConnectionReport, Control, Panic, Peer, SystemClock};

use crate::memory::Release;
use crate::problem::plain;
use crate::units;
use crate::warnings::{Kind, Warnings};

/// The service: an echo session for each connection, with the observer that `W` makes for it, and a sum of what came of
/// them.
pub(crate) struct Echo<W> {
    config: Arc<ServerConfig>,
    watch: W,
    clock: SystemClock,
    warnings: Warnings,
    memory: Release,
    totals: Mutex<Totals>,
}

#[derive(Default)]
pub(crate) struct Totals {
    opened: u64,
    closed: u64,
    /// Connections that the limits refused.
    refused: u64,
    /// Bytes echoed on connections that are closed.
    echoed: u64,
    /// Bytes that clients sent after a drain had cut them off.
    refused_bytes: u64,
    /// Bytes that a client saw acknowledged, and that were not echoed although it was still there.
    lost: u64,
    aborted: u64,
    /// When the drain began, and how many sessions were over by then.
    draining: Option<Time>,
    closed_before: u64,
    pub(crate) last: Option<ConnectionReport<ServerOutcome>>,
}

impl<W> Echo<W> {
    pub(crate) fn new(config: ServerConfig, watch: W) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            config: Arc::new(config),
            watch,
            clock: SystemClock::new(),
            warnings: Warnings::new()?,
            memory: Release::default(),
            totals: Mutex::default(),
        }))
    }

    pub(crate) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One line for the operator.
    pub(crate) fn inform(&self, line: String) {
        self.warnings.inform(line);
    }

    /// Prints the counters as they are now.
    pub(crate) fn report(&self) {
        let totals = self.totals();
        let line = format!(
            "counters: {} open, {} closed, {} refused; on closed connections {} echoed, {} lost",
            units::grouped(totals.opened - totals.closed),
            units::grouped(totals.closed),
            units::grouped(totals.refused),
            units::bytes(totals.echoed),
            units::bytes(totals.lost),
        );
        drop(totals);
        self.warnings.inform(line);
    }

    /// A drain begins.
    pub(crate) fn draining(&self, limit: Duration) {
        let mut totals = self.totals();
        totals.draining = Some(self.clock.now());
        totals.closed_before = totals.closed;
        let open = units::grouped(totals.opened - totals.closed);
        let limit = units::duration(limit);
        self.warnings.inform(format!("draining: {open} connections, deadline {limit} (again to stop now)"));
    }

    /// The server is done: says how the drain went, if it was stopped.
    pub(crate) fn say_goodbye(&self) {
        let totals = self.totals();
        if let Some(since) = totals.draining {
            let took = self.clock.now().since(since).as_secs_f64();
            let closed = units::grouped(totals.closed - totals.closed_before);
            let lost = units::bytes(totals.lost);
            let refused = match totals.refused_bytes {
                0 => String::new(),
                bytes => format!(", {} refused", units::bytes(bytes)),
            };
            self.warnings.inform(format!("drained in {took:.2}s: {closed} closed, {lost} lost{refused}"));
        }
        drop(totals);
        self.warnings.finish();
    }
}

impl Totals {
    /// Whether nobody was cut off, and nothing lost.
    pub(crate) const fn is_whole(&self) -> bool {
        self.lost == 0 && self.aborted == 0
    }
}

impl<W, O> Echo<W>
where
    W: Fn(ConnectionId, Time) -> O,
    O: Observe<EchoServer>,
{
    /// A connection begins: the session for it.
    pub(crate) fn begin(&self, connection: ConnectionId, now: Time) -> Tap<EchoServer, O> {
        let mut totals = self.totals();
        totals.opened += 1;
        let open = totals.opened - totals.closed;
        drop(totals);
        self.memory.open(open);
        let observer = (self.watch)(connection, now);
        Tap::new(EchoServer::new(Arc::clone(&self.config), now), observer)
    }
}

impl<W> Echo<W> {
    /// Warns of what is wrong with a connection.
    pub(crate) fn warn(&self, kind: Kind, peer: &dyn Display, what: impl FnOnce() -> String) {
        self.warnings.warn(kind, || format!("{peer}: {}", what()));
    }

    /// A connection is over: what came of it.
    pub(crate) fn end(&self, peer: &dyn Display, ended: ConnectionReport<ServerOutcome>) {
        let ServerOutcome { end, dropped, refused: discarded, echoed, .. } = ended.outcome;
        let (unread, refused) = ended.unaccounted(discarded);
        let mut totals = self.totals();
        // Nobody is left to be told who reset the connection, or vanished. In a drain we may have cut it off before that.
        let vanished = matches!(end, End::Failed(_)) && totals.draining.is_none();
        let lost = if vanished { 0 } else { dropped - discarded + unread + ended.destroyed };
        totals.closed += 1;
        totals.echoed += echoed;
        totals.lost += lost;
        totals.refused_bytes += refused;
        totals.aborted += u64::from(end == End::Aborted);
        totals.last = Some(ended);
        let open = totals.opened - totals.closed;
        drop(totals);
        self.memory.open(open);
        if lost > 0 {
            self.warn(Kind::Lost, peer, || format!("{}, {} lost", words(end), units::bytes(lost)));
        }
        if refused > 0 {
            let line = || format!("cut off while it was sending, {} refused", units::bytes(refused));
            self.warn(Kind::CutOff, peer, line);
        }
    }
}

impl<W, O> Application<Accepted> for Echo<W>
where
    W: Fn(ConnectionId, Time) -> O + Sync,
    O: Observe<EchoServer>,
{
    type Machine = Tap<EchoServer, O>;

    fn open(
        &self,
        now: Time,
        accepted: &Accepted,
        _control: &Control<<EchoServer as Machine>::Command>,
    ) -> Self::Machine {
        self.begin(accepted.id, now)
    }

    fn ended(&self, accepted: &Accepted, ended: ConnectionReport<ServerOutcome>) {
        self.end(&accepted.peer, ended);
    }

    /// What came of it is not known.
    fn panicked(&self, _accepted: &Accepted, _panic: Panic) {
        let mut totals = self.totals();
        totals.closed += 1;
        let open = totals.opened - totals.closed;
        drop(totals);
        self.memory.open(open);
    }

    fn accept_failed(&self, error: &io::Error) {
        self.warnings.warn(Kind::AcceptFailed, || format!("cannot accept: {}; trying again", plain(error)));
    }

    fn refused(&self, peer: &Peer) {
        self.totals().refused += 1;
        self.warn(Kind::Refused, peer, || {
            "refused: its source has as many connections as allowed".to_owned()
        });
    }
}

fn words(end: End) -> &'static str {
    match end {
        End::Clean => "closed",
        End::Stopped => "stopped",
        End::Aborted => "aborted",
        End::TimedOut(_) => "timed out",
        End::Failed(_) => "connection failed",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::thread;

    use roundtrip_core::Input;
    use roundtrip_core::admission::Limits;
    use roundtrip_std::{BindOptions, ServerHandle, bind};

    use super::*;
    use crate::driver::Driver;
    use crate::transport::Listener;

    struct Panics;

    impl Observe<EchoServer> for Panics {
        fn input(&mut self, _now: Time, input: &Input) {
            assert!(!matches!(input, Input::Data(_)), "planted");
        }
    }

    fn drivers() -> impl Iterator<Item = Driver> {
        [
            Some(Driver::Std),
            #[cfg(feature = "smol")]
            Some(Driver::Smol(roundtrip_smol::Smol::default())),
            #[cfg(all(unix, feature = "tokio"))]
            Some(Driver::Tokio(roundtrip_tokio::Tokio::default())),
            #[cfg(all(unix, feature = "reactor"))]
            Some(Driver::Reactor(roundtrip_reactor::Reactor::default())),
            #[cfg(all(target_os = "linux", feature = "uring"))]
            roundtrip_uring::available().is_ok().then(|| Driver::Uring(roundtrip_uring::Uring::default())),
        ]
        .into_iter()
        .flatten()
    }

    #[test]
    fn a_connection_that_panicked_counts_as_closed() {
        for (driver, begins) in drivers().flat_map(|driver| [(driver, true), (driver, false)]) {
            let watch = move |_connection: ConnectionId, _now: Time| {
                assert!(begins, "planted");
                Panics
            };
            let echo = Echo::new(ServerConfig::default(), watch).unwrap();
            let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
            let address = listener.local_address().unwrap();
            let limits = Limits::default().total(Some(2));
            thread::scope(|scope| {
                let handle = ServerHandle::new();
                let (listeners, echo) = (vec![Listener::Socket(listener)], &*echo);
                let served = scope.spawn(move || driver.serve(listeners, limits, &handle, echo));
                for _ in 0..2 {
                    let mut client = TcpStream::connect(address).unwrap();
                    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                    // It is reset, at any moment.
                    let _ = client.write_all(b"x");
                    let _ = client.read(&mut [0]);
                }
                assert_eq!(served.join().unwrap().unwrap().panicked, 2, "{driver:?}");
            });
            let totals = echo.totals();
            assert_eq!((totals.opened, totals.closed), (2, 2), "{driver:?}");
        }
    }
}
