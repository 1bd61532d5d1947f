//! A socket driver over loopback TCP, or over Unix sockets of packets, or that of pipes of messages: the module around this
//! one says which driver.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use roundtrip_conformance::{Backend, ClientSeen, Event, Go, Meeting, Observed, Pace, Script};
use roundtrip_core::{Machine, Time};
use roundtrip_echo::{EchoServer, ServerOutcome};
#[allow(unused_imports, reason = "pipes are served by another")]
use roundtrip_std::Backend as _;

use super::driver::{
    self, Accepted, Application, BindOptions, Clock, ConnectOptions, ConnectionReport, Control, Driver,
    Endpoint, NetError, ServerHandle, ServerStats, Stream, SystemClock,
};
use super::wait;
use crate::backends::{Local, Session};

/// What hangs for so long is given up: the test fails instead of hanging.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Runs scripts on loopback TCP.
pub(crate) struct Sockets<W> {
    pub(crate) session: W,
}

/// Runs scripts on Unix sockets of packets: those in which one client is served after the other, and none is reset. That
/// is told of a Unix socket only if something was left unread.
pub(crate) struct Packets<W> {
    pub(crate) session: W,
}

/// Runs scripts on named pipes of messages: those in which one client is served after the other, for it has no address to be
/// known by.
pub(crate) struct Pipes<W> {
    pub(crate) session: W,
}

/// The script could not be run.
#[derive(Debug)]
pub(crate) enum Broken {
    Net(NetError),
    Io(io::Error),
    /// Something did not end.
    Hung(&'static str),
    /// Accepting failed, or something panicked.
    ServerStats(ServerStats),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Hung(what) => write!(f, "{what} did not end"),
            Self::ServerStats(served) => write!(f, "the server says {served:?}"),
        }
    }
}

impl Error for Broken {}

impl From<NetError> for Broken {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<M: Session, W: Fn(EchoServer) -> M + Clone + Send + Sync + 'static> Backend for Sockets<W> {
    type Error = Broken;

    fn run(&self, script: &Script) -> Result<Observed, Broken> {
        run(script, "127.0.0.1:0", &self.session)
    }
}

impl<M: Session, W: Fn(EchoServer) -> M + Clone + Send + Sync + 'static> Backend for Packets<W> {
    type Error = Broken;

    fn run(&self, script: &Script) -> Result<Observed, Broken> {
        static RUN: AtomicUsize = AtomicUsize::new(0);
        let number = RUN.fetch_add(1, Ordering::Relaxed);
        let driver = module_path!().replace("::", "-");
        let name = format!("unix:@{driver}-{}-{number},type=seqpacket", std::process::id());
        run(script, &name, &self.session)
    }
}

impl<M: Session, W: Fn(EchoServer) -> M + Clone + Send + Sync + 'static> Backend for Pipes<W> {
    type Error = Broken;

    fn run(&self, script: &Script) -> Result<Observed, Broken> {
        static RUN: AtomicUsize = AtomicUsize::new(0);
        let number = RUN.fetch_add(1, Ordering::Relaxed);
        run(script, &format!("pipe:conformance-{}-{number},type=message", std::process::id()), &self.session)
    }
}

/// Runs a script on a listener at this endpoint.
fn run<M: Session, W: Fn(EchoServer) -> M + Clone + Send + Sync + 'static>(
    script: &Script,
    endpoint: &str,
    session: &W,
) -> Result<Observed, Broken> {
    let listener = driver::bind(&endpoint.parse().map_err(io::Error::other)?, &BindOptions::default())?;
    let endpoint = listener.local_endpoint()?;
    let handle = ServerHandle::new();
    let stage = Stage::new(script, handle.clone());
    let house = House { stage: Arc::clone(&stage), config: script.config(), session: session.clone() };
    let limits = script.limits();
    let served = spawn({
        let handle = handle.clone();
        move || super::backend().serve_with(&*house.stage, vec![listener], limits, &handle, &house)
    });
    let mut server = Server { served, result: None };
    if script.is_together() {
        stage.play_together(&endpoint)?;
    } else {
        stage.play_in_turn(&endpoint, &mut server)?;
    }
    handle.stop();
    let served = server.wait()?;
    if served.panicked > 0 || served.admission.failed > 0 || served.admission.live > 0 {
        return Err(Broken::ServerStats(served));
    }
    let seen = stage.seen();
    Ok(Observed {
        clients: seen.clients.iter().map(|seen| seen.unwrap_or(ClientSeen::REFUSED)).collect(),
        sessions: seen
            .connected
            .iter()
            .map(|connected| seen.sessions.get(connected.as_ref()?).copied())
            .collect(),
        admitted: served.admission.admitted,
        refused: served.admission.refused,
    })
}

/// The server's thread.
struct Server {
    served: Receiver<io::Result<ServerStats>>,
    result: Option<ServerStats>,
}

impl Server {
    /// Waits until it is drained.
    fn wait(&mut self) -> Result<ServerStats, Broken> {
        if let Some(served) = self.result {
            return Ok(served);
        }
        let served = soon(&self.served, "the server")??;
        self.result = Some(served);
        Ok(served)
    }
}

/// What everybody who takes part in a script shares.
struct Stage {
    script: Script,
    handle: ServerHandle,
    real: SystemClock,
    pace: Mutex<Pace>,
    seen: Mutex<Seen>,
    session_ended: Condvar,
}

struct Seen {
    clients: Vec<Option<ClientSeen>>,
    connected: Vec<Option<Connection>>,
    sessions: BTreeMap<Connection, ServerOutcome>,
    meeting: Meeting,
    controls: BTreeMap<usize, Control<Go>>,
    stopped: bool,
}

/// What a connection is told from others by, at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Connection {
    /// By the client's address.
    From(SocketAddr),
    /// It has none, and is the only one at its time: it is the client's with this number.
    Of(usize),
}

/// The script's time: see [`Pace`].
impl Clock for Stage {
    fn now(&self) -> Time {
        self.pace().now(self.real.now())
    }
}

impl Stage {
    fn new(script: &Script, handle: ServerHandle) -> Arc<Self> {
        let clients = script.clients().len();
        let seen = Seen {
            clients: vec![None; clients],
            connected: vec![None; clients],
            sessions: BTreeMap::new(),
            meeting: Meeting::of(0..clients),
            controls: BTreeMap::new(),
            stopped: false,
        };
        Arc::new(Self {
            script: script.clone(),
            handle,
            real: SystemClock::new(),
            pace: Mutex::new(Pace::new()),
            seen: Mutex::new(seen),
            session_ended: Condvar::new(),
        })
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn play_in_turn(self: &Arc<Self>, endpoint: &Endpoint, server: &mut Server) -> Result<(), Broken> {
        for number in 0..self.script.clients().len() {
            if let Some(connected) = self.connect(number, endpoint)? {
                let client = spawn({
                    let stage = Arc::clone(self);
                    move || stage.play(connected)
                });
                soon(&client, "a client")?;
                self.wait_for_session(number)?;
            }
            if self.seen().stopped {
                server.wait()?;
            }
        }
        Ok(())
    }

    fn play_together(self: &Arc<Self>, endpoint: &Endpoint) -> Result<(), Broken> {
        let mut connected = Vec::new();
        for number in 0..self.script.clients().len() {
            connected.extend(self.connect(number, endpoint)?);
        }
        let clients: Vec<_> = connected
            .into_iter()
            .map(|connected| {
                let stage = Arc::clone(self);
                spawn(move || stage.play(connected))
            })
            .collect();
        for client in clients {
            soon(&client, "a client")?;
        }
        (0..self.script.clients().len()).try_for_each(|number| self.wait_for_session(number))
    }

    /// Connects a client; none if nobody accepts it.
    fn connect(self: &Arc<Self>, number: usize, endpoint: &Endpoint) -> Result<Option<Connected>, Broken> {
        let driver = super::driver_on(StageClock(Arc::clone(self)))?;
        // From before the server can begin a session, so that no time passes for that while the client is not ready.
        self.pace().waits(self.real.now(), number, roundtrip_conformance::Waiting::ForOthers);
        let stream = match super::connect(endpoint, &ConnectOptions::default()) {
            Ok(stream) => stream,
            Err(error) => {
                self.pace().left(self.real.now(), number);
                // A pipe that nobody has is not found.
                let none = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
                let refused = none.contains(&error.source.kind());
                return if refused { Ok(None) } else { Err(error.into()) };
            }
        };
        let address = stream.address();
        let mut seen = self.seen();
        seen.connected[number] = Some(address.map_or(Connection::Of(number), Connection::From));
        seen.controls.insert(number, driver.control());
        drop(seen);
        Ok(Some(Connected { number, stream, driver }))
    }

    /// Runs a client to its end.
    fn play(&self, connected: Connected) {
        let Connected { number, stream, driver } = connected;
        let ended = wait(driver.drive(
            stream,
            |now| self.script.open(number, now),
            |event| self.event(number, event),
        ));
        self.pace().left(self.real.now(), number);
        let mut seen = self.seen();
        seen.clients[number] = Some(ended.outcome);
        seen.controls.remove(&number);
        let met = seen.meeting.left(number);
        seen.go(met);
    }

    fn event(&self, number: usize, event: Event) {
        match event {
            Event::StopServer => {
                self.seen().stopped = true;
                self.handle.stop();
            }
            Event::ForceServer => {
                self.seen().stopped = true;
                self.handle.force();
            }
            Event::Meet => {
                let mut seen = self.seen();
                let met = seen.meeting.came(number);
                seen.go(met);
            }
            Event::Waiting(waiting) => self.pace().waits(self.real.now(), number, waiting),
        }
    }

    /// Waits until the server has said what came of a client's session, if it is to have one.
    fn wait_for_session(&self, number: usize) -> Result<(), Broken> {
        if !self.script.clients()[number].is_admitted() {
            return Ok(());
        }
        let seen = self.seen();
        let waits = |seen: &mut Seen| {
            seen.connected[number].is_some_and(|connected| !seen.sessions.contains_key(&connected))
        };
        let waited = self.session_ended.wait_timeout_while(seen, WATCHDOG, waits);
        let waited = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.1.timed_out() { Err(Broken::Hung("a session")) } else { Ok(()) }
    }
}

impl Seen {
    fn go(&self, whom: impl IntoIterator<Item = usize>) {
        for control in whom.into_iter().filter_map(|number| self.controls.get(&number)) {
            // One that is gone needs no word, and no mailbox is full of these.
            let _ = control.try_send(Go);
        }
    }
}

/// A client that is connected and has not begun.
struct Connected {
    number: usize,
    stream: Stream,
    driver: Driver<Go, StageClock>,
}

struct StageClock(Arc<Stage>);

impl Clock for StageClock {
    fn now(&self) -> Time {
        self.0.now()
    }
}

/// The server's side of every connection.
struct House<W> {
    stage: Arc<Stage>,
    config: Arc<roundtrip_echo::ServerConfig>,
    session: W,
}

impl<M: Session, W: Fn(EchoServer) -> M + Send + Sync> Application<Accepted> for House<W> {
    type Machine = M;

    fn open(&self, now: Time, _accepted: &Accepted, _control: &Control<<M as Machine>::Command>) -> M {
        (self.session)(EchoServer::new(Arc::clone(&self.config), now))
    }

    fn ended(&self, accepted: &Accepted, ended: ConnectionReport<ServerOutcome>) {
        let mut seen = self.stage.seen();
        let connection = match accepted.peer.address() {
            Some(address) => Some(Connection::From(address)),
            None => seen.connected.iter().rev().find_map(|connected| *connected),
        };
        seen.sessions.extend(connection.map(|connection| (connection, ended.outcome)));
        drop(seen);
        self.stage.session_ended.notify_all();
    }
}

/// Runs `work` on a thread of its own, which the caller need not wait for.
fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(work()));
    receiver
}

fn soon<T>(receiver: &Receiver<T>, what: &'static str) -> Result<T, Broken> {
    receiver.recv_timeout(WATCHDOG).map_err(|error| match error {
        RecvTimeoutError::Timeout => Broken::Hung(what),
        RecvTimeoutError::Disconnected => Broken::Io(io::Error::other(format!("{what} panicked"))),
    })
}
