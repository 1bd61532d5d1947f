//! What a driver makes of commands, a stop and an abort that are queued together: nothing is lost, and a stop and an abort
//! overtake commands.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use roundtrip_core::hub::MAILBOX;
use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};
use roundtrip_net::{Application, Backend, ConnectionReport, Control, Stream};

/// After this long without a request, a session takes those that are missing for lost. All are made before it waits.
const LOST: Duration = Duration::from_secs(2);
/// A driver that forgets this deadline as well has hung.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A driver lost a command, a stop or an abort, or delivered them in another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandFailure(String);

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for CommandFailure {}

/// Queues commands, a stop and an abort for a session of this driver, and holds it to the order in which they must be delivered.
///
/// # Errors
///
/// [`CommandFailure`] names the first case that the driver fails.
pub fn check_commands<B>(backend: &B) -> Result<(), CommandFailure>
where
    B: Backend + Clone + Send + Sync + 'static,
{
    for case in CASES {
        let delivered = run(backend, case).map_err(|why| CommandFailure(format!("{}: {why}", case.name)))?;
        if delivered != case.expected {
            return Err(CommandFailure(format!(
                "{}: expected {:?}, and the session was told {delivered:?}",
                case.name, case.expected
            )));
        }
    }
    Ok(())
}

/// What a session is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Command(u8),
    Stop,
    Abort,
}

/// When requests are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Before the session begins.
    Opening,
    /// While it handles an event, after it waited.
    Running,
}

struct Case {
    name: &'static str,
    when: When,
    /// Commands have credit from a read on only.
    late_credit: bool,
    requests: &'static [Told],
    expected: &'static [Told],
}

const CASES: &[Case] = &[
    Case {
        name: "commands before the session begins",
        when: When::Opening,
        late_credit: false,
        requests: &[Told::Command(1), Told::Command(2)],
        expected: &[Told::Command(1), Told::Command(2)],
    },
    Case {
        name: "a stop behind commands before the session begins",
        when: When::Opening,
        late_credit: false,
        requests: &[Told::Command(1), Told::Command(2), Told::Stop],
        expected: &[Told::Stop, Told::Command(1), Told::Command(2)],
    },
    Case {
        name: "a stop behind a command",
        when: When::Running,
        late_credit: false,
        requests: &[Told::Command(1), Told::Stop],
        expected: &[Told::Stop, Told::Command(1)],
    },
    Case {
        name: "an abort behind a command and a stop",
        when: When::Running,
        late_credit: false,
        requests: &[Told::Command(1), Told::Stop, Told::Abort],
        expected: &[Told::Abort],
    },
    Case {
        name: "a command that has credit after a read only",
        when: When::Opening,
        late_credit: true,
        requests: &[Told::Command(1)],
        expected: &[Told::Command(1)],
    },
    Case {
        name: "a full mailbox",
        when: When::Running,
        late_credit: false,
        requests: &[Told::Command(7); MAILBOX],
        expected: &[Told::Command(7); MAILBOX],
    },
];

/// Reports what it was told, in order. An abort is always the last.
struct Recorder {
    expected: usize,
    told: Vec<Told>,
    deadline: Time,
    has_credit: bool,
    /// The peer's byte came, and the event that answers it is due.
    is_due: bool,
}

impl Machine for Recorder {
    type Command = u8;
    type Event = ();
    type Outcome = Vec<Told>;

    fn handle(&mut self, now: Time, input: Input<u8>) {
        self.deadline = now.after(LOST);
        match input {
            Input::Data(_) => (self.is_due, self.has_credit) = (true, true),
            Input::Command(command) => self.told.push(Told::Command(command)),
            Input::Stop => self.told.push(Told::Stop),
            Input::Abort => self.told.push(Told::Abort),
            Input::Eof | Input::Wrote(_) | Input::Failed(_) => {}
        }
    }

    fn poll(&mut self, now: Time) -> Action<(), Vec<Told>> {
        if std::mem::take(&mut self.is_due) {
            return Action::Event(());
        }
        let is_all = self.told.len() >= self.expected || self.told.last() == Some(&Told::Abort);
        if is_all || now >= self.deadline {
            let outcome = std::mem::take(&mut self.told);
            return Action::Close { how: Teardown::Graceful, outcome };
        }
        Action::Wait(Wait { read: 1, commands: usize::from(self.has_credit), deadline: Some(self.deadline) })
    }
}

struct Requests<'a> {
    case: &'a Case,
    outcome: Mutex<Sender<Vec<Told>>>,
}

impl Requests<'_> {
    fn make(&self, control: &Control<u8>) {
        for request in self.case.requests {
            match request {
                Told::Command(command) => _ = control.try_send(*command),
                Told::Stop => control.stop(),
                Told::Abort => control.abort(),
            }
        }
    }
}

impl Application<usize> for Requests<'_> {
    type Machine = Recorder;

    fn open(&self, now: Time, _index: &usize, control: &Control<u8>) -> Recorder {
        if self.case.when == When::Opening {
            self.make(control);
        }
        let expected = self.case.expected.len();
        let has_credit = !self.case.late_credit;
        Recorder { expected, told: Vec::new(), deadline: now.after(LOST), has_credit, is_due: false }
    }

    fn event(&self, _index: &usize, control: &Control<u8>, (): ()) {
        if self.case.when == When::Running {
            self.make(control);
        }
    }

    fn ended(&self, _index: &usize, report: ConnectionReport<Vec<Told>>) {
        let sender = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = sender.send(report.outcome);
    }
}

fn run<B>(backend: &B, case: &'static Case) -> Result<Vec<Told>, String>
where
    B: Backend + Clone + Send + Sync + 'static,
{
    let (mut peer, stream) = pair().map_err(|error| error.to_string())?;
    let (sender, outcome) = channel();
    let backend = backend.clone();
    thread::spawn(move || backend.drive_all([stream], &Requests { case, outcome: Mutex::new(sender) }));
    peer.write_all(b"!").map_err(|error| error.to_string())?;
    outcome.recv_timeout(WATCHDOG).map_err(|error| match error {
        RecvTimeoutError::Timeout => "the session hangs, past its deadline".to_owned(),
        RecvTimeoutError::Disconnected => "the driver failed, or panicked".to_owned(),
    })
}

/// A connection over loopback.
fn pair() -> io::Result<(TcpStream, Stream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = TcpStream::connect(listener.local_addr()?)?;
    Ok((peer, listener.accept()?.0.into()))
}
