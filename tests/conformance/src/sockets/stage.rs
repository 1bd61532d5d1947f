//! One script on sockets: its server on a thread, its clients each on one of their own.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use roundtrip_core::{Machine, Time};
use roundtrip_echo::{EchoServer, ServerConfig, ServerOutcome};
use roundtrip_net::{
    Accepted, Application, Clock, ConnectionReport, Control, Endpoint, ServerHandle, ServerStats, SystemClock,
};

use super::{Sockets, SocketsError};
use crate::{ClientSeen, Event, Go, Meeting, Observed, Pace, Script, Scripted, Waiting};

/// What takes longer than this has hung.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Runs a script.
pub(super) fn run<N, M, W>(sockets: &N, script: &Script, session: &W) -> Result<Observed, SocketsError>
where
    N: Sockets,
    M: Machine<Outcome = ServerOutcome, Command: Send> + Send,
    W: Fn(EchoServer) -> M + Clone + Send + Sync + 'static,
{
    let (listener, endpoint) = sockets.bind()?;
    let handle = ServerHandle::new();
    let stage = Arc::new(Stage::new(script, handle.clone()));
    let app = ServerSide { stage: Arc::clone(&stage), config: script.config(), session: session.clone() };
    let limits = script.limits();
    let served = spawn({
        let (sockets, handle) = (sockets.clone(), handle.clone());
        move || sockets.serve(&*app.stage, listener, limits, &handle, &app)
    });
    let mut server = Server { served, result: None };
    if script.is_together() {
        stage.play_together(sockets, &endpoint)?;
    } else {
        stage.play_in_turn(sockets, &endpoint, &mut server)?;
    }
    handle.stop();
    let stats = server.wait(&stage)?;
    if stats.panicked > 0 || stats.admission.failed > 0 || stats.admission.live > 0 {
        return Err(SocketsError::Failed(stats));
    }
    let seen = stage.seen();
    let session = |connected: &Option<Connection>| seen.sessions.get(connected.as_ref()?).copied();
    Ok(Observed {
        clients: seen.clients.iter().map(|seen| seen.unwrap_or(ClientSeen::REFUSED)).collect(),
        sessions: seen.connected.iter().map(session).collect(),
        admitted: stats.admission.admitted,
        refused: stats.admission.refused,
    })
}

/// The server's thread.
struct Server {
    served: Receiver<io::Result<ServerStats>>,
    result: Option<ServerStats>,
}

impl Server {
    /// Waits until it is drained.
    fn wait(&mut self, stage: &Stage) -> Result<ServerStats, SocketsError> {
        if let Some(stats) = self.result {
            return Ok(stats);
        }
        let stats = stage.wait_for(&self.served, "the server to be drained")??;
        self.result = Some(stats);
        Ok(stats)
    }
}

/// What all who take part in a script share.
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
    waiting: Vec<Waiting>,
    sessions: BTreeMap<Connection, ServerOutcome>,
    meeting: Meeting,
    controls: BTreeMap<usize, Control<Go>>,
    stopped: bool,
}

/// Identifies a connection at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Connection {
    /// By the client's address.
    From(SocketAddr),
    /// It has none, and is the only one at its time: it is that of the client with this number.
    Of(usize),
}

/// The script's time: see [`Pace`].
impl Clock for Stage {
    fn now(&self) -> Time {
        self.pace().now(self.real.now())
    }
}

impl Stage {
    fn new(script: &Script, handle: ServerHandle) -> Self {
        let clients = script.clients().len();
        let seen = Seen {
            clients: vec![None; clients],
            connected: vec![None; clients],
            waiting: vec![Waiting::default(); clients],
            sessions: BTreeMap::new(),
            meeting: Meeting::of(0..clients),
            controls: BTreeMap::new(),
            stopped: false,
        };
        Self {
            script: script.clone(),
            handle,
            real: SystemClock::new(),
            pace: Mutex::new(Pace::new()),
            seen: Mutex::new(seen),
            session_ended: Condvar::new(),
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn play_in_turn<N: Sockets>(
        self: &Arc<Self>,
        sockets: &N,
        endpoint: &Endpoint,
        server: &mut Server,
    ) -> Result<(), SocketsError> {
        for number in 0..self.script.clients().len() {
            if let Some(stream) = self.connect(sockets, number, endpoint)? {
                let client = self.play(sockets, number, stream);
                self.wait_for(&client, "a client")??;
                self.wait_for_session(number)?;
            }
            if self.seen().stopped {
                server.wait(self)?;
            }
        }
        Ok(())
    }

    fn play_together<N: Sockets>(
        self: &Arc<Self>,
        sockets: &N,
        endpoint: &Endpoint,
    ) -> Result<(), SocketsError> {
        let mut connected = Vec::new();
        for number in 0..self.script.clients().len() {
            let stream = self.connect(sockets, number, endpoint)?;
            connected.extend(stream.map(|stream| (number, stream)));
        }
        let play = |(number, stream)| self.play(sockets, number, stream);
        let clients: Vec<_> = connected.into_iter().map(play).collect();
        for client in clients {
            self.wait_for(&client, "a client")??;
        }
        (0..self.script.clients().len()).try_for_each(|number| self.wait_for_session(number))
    }

    /// Connects a client; none if the connection is refused.
    fn connect<N: Sockets>(
        &self,
        sockets: &N,
        number: usize,
        endpoint: &Endpoint,
    ) -> Result<Option<N::Stream>, SocketsError> {
        // From before the server can begin a session, so that no time passes for that while the client is not ready.
        self.pace().waits(self.real.now(), number, Waiting::ForOthers);
        let stream = match sockets.connect(endpoint) {
            Ok(stream) => stream,
            Err(error) => {
                self.pace().left(self.real.now(), number);
                // A pipe without a server is not found.
                let none = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
                let refused = none.contains(&error.source.kind());
                return if refused { Ok(None) } else { Err(error.into()) };
            }
        };
        let connection = N::address(&stream).map_or(Connection::Of(number), Connection::From);
        self.seen().connected[number] = Some(connection);
        Ok(Some(stream))
    }

    /// Runs a client to its end, on a thread of its own.
    fn play<N: Sockets>(
        self: &Arc<Self>,
        sockets: &N,
        number: usize,
        stream: N::Stream,
    ) -> Receiver<io::Result<()>> {
        let client = ClientSide { stage: Arc::clone(self), number };
        let sockets = sockets.clone();
        spawn(move || sockets.drive(&*client.stage, stream, &client))
    }

    /// Waits until the server has said what came of a client's session, if it is to have one.
    fn wait_for_session(&self, number: usize) -> Result<(), SocketsError> {
        if !self.script.clients()[number].is_admitted() {
            return Ok(());
        }
        let is_missing = |seen: &mut Seen| {
            seen.connected[number].is_some_and(|connected| !seen.sessions.contains_key(&connected))
        };
        let waited = self.session_ended.wait_timeout_while(self.seen(), WATCHDOG, is_missing);
        let (seen, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(seen);
        if waited.timed_out() {
            Err(self.hung(&format!("the session of client {number} to end")))
        } else {
            Ok(())
        }
    }

    /// What comes of a thread.
    fn wait_for<T>(&self, receiver: &Receiver<T>, what: &str) -> Result<T, SocketsError> {
        receiver.recv_timeout(WATCHDOG).map_err(|error| match error {
            RecvTimeoutError::Timeout => self.hung(what),
            RecvTimeoutError::Disconnected => io::Error::other(format!("waiting for {what}: a panic")).into(),
        })
    }

    /// What was waited for in vain, and what everything else does.
    fn hung(&self, what: &str) -> SocketsError {
        let stats = self.handle.stats().admission;
        let mut text = format!("waiting for {what}; the server has {} sessions", stats.live);
        let seen = self.seen();
        for (number, ended) in seen.clients.iter().enumerate() {
            let state = match (ended, seen.connected[number], seen.waiting[number]) {
                (Some(_), ..) => "is over",
                (None, None, _) => "has not connected",
                (None, Some(_), Waiting::ForOthers) => "waits for its peer or its driver",
                (None, Some(_), Waiting::ForTime(_)) => "waits for time to pass",
            };
            let _ = write!(text, "; client {number} {state}");
        }
        SocketsError::Hung(text)
    }
}

impl Seen {
    fn go(&self, clients: impl IntoIterator<Item = usize>) {
        for control in clients.into_iter().filter_map(|number| self.controls.get(&number)) {
            // One that is gone needs no command, and no mailbox is full of these.
            let _ = control.try_send(Go);
        }
    }
}

/// One client.
struct ClientSide {
    stage: Arc<Stage>,
    number: usize,
}

impl Application<usize> for ClientSide {
    type Machine = Scripted;

    fn open(&self, now: Time, _index: &usize, control: &Control<Go>) -> Scripted {
        self.stage.seen().controls.insert(self.number, control.clone());
        self.stage.script.open(self.number, now)
    }

    fn event(&self, _index: &usize, _control: &Control<Go>, event: Event) {
        let stage = &self.stage;
        match event {
            Event::StopServer => {
                stage.seen().stopped = true;
                stage.handle.stop();
            }
            Event::ForceServer => {
                stage.seen().stopped = true;
                stage.handle.force();
            }
            Event::Meet => {
                let mut seen = stage.seen();
                let met = seen.meeting.came(self.number);
                seen.go(met);
            }
            Event::Waiting(waiting) => {
                stage.seen().waiting[self.number] = waiting;
                stage.pace().waits(stage.real.now(), self.number, waiting);
            }
        }
    }

    fn ended(&self, _index: &usize, report: ConnectionReport<ClientSeen>) {
        let stage = &self.stage;
        stage.pace().left(stage.real.now(), self.number);
        let mut seen = stage.seen();
        seen.clients[self.number] = Some(report.outcome);
        seen.controls.remove(&self.number);
        let met = seen.meeting.left(self.number);
        seen.go(met);
    }
}

/// The server's side of every connection.
struct ServerSide<W> {
    stage: Arc<Stage>,
    config: Arc<ServerConfig>,
    session: W,
}

impl<M, W> Application<Accepted> for ServerSide<W>
where
    M: Machine<Outcome = ServerOutcome, Command: Send>,
    W: Fn(EchoServer) -> M + Send + Sync,
{
    type Machine = M;

    fn open(&self, now: Time, _accepted: &Accepted, _control: &Control<M::Command>) -> M {
        (self.session)(EchoServer::new(Arc::clone(&self.config), now))
    }

    fn ended(&self, accepted: &Accepted, report: ConnectionReport<ServerOutcome>) {
        let mut seen = self.stage.seen();
        let connection = match accepted.peer.address() {
            Some(address) => Some(Connection::From(address)),
            None => seen.connected.iter().rev().find_map(|connected| *connected),
        };
        seen.sessions.extend(connection.map(|connection| (connection, report.outcome)));
        drop(seen);
        self.stage.session_ended.notify_all();
    }
}

/// Runs `work` on a thread of its own.
fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(work()));
    receiver
}
