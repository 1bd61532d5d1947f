//! Machines that break their contract: each ends one connection, and nothing else.

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use std::{fmt, thread};

use roundtrip_core::admission::Limits;
use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};
use roundtrip_net::{Accepted, Application, BindOptions, ConnectionReport, Control, ServerHandle, bind};

use super::common::{pair, round_trip, soon, spawn};
use super::driver::TestBackend;

/// What a machine does after a `!`, at once or at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Events without end.
    EndlessEvents,
    PanicsInHandle,
    PanicsInPoll,
    PanicsInDrop,
    PanicsInPollAndDrop,
    /// The panic's payload panics when it is dropped.
    ExplosivePayload,
    /// The outcome panics when it is dropped, and the machine, too.
    ExplosiveOutcome,
    DeadlineInThePast,
    /// A wait that nothing can end.
    WaitsForNothing,
}

const ALL: [Fault; 9] = [
    Fault::EndlessEvents,
    Fault::PanicsInHandle,
    Fault::PanicsInPoll,
    Fault::PanicsInDrop,
    Fault::PanicsInPollAndDrop,
    Fault::ExplosivePayload,
    Fault::ExplosiveOutcome,
    Fault::DeadlineInThePast,
    Fault::WaitsForNothing,
];

/// Panics when it is dropped, unless the thread panics already.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic_any(Self);
        }
    }
}

/// What a [`Faulty`] machine comes to.
#[derive(Clone)]
pub(super) struct Outcome {
    explodes: bool,
}

impl Drop for Outcome {
    fn drop(&mut self) {
        assert!(!self.explodes || thread::panicking(), "planted");
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outcome")
    }
}

/// Echoes one byte and closes after the peer's end, or does as its fault says.
pub(super) struct Faulty {
    fault: Fault,
    armed: bool,
    back: Option<bytes::Bytes>,
    ended: bool,
    stopped: bool,
}

impl Faulty {
    pub(super) const fn new(fault: Fault) -> Self {
        Self { fault, armed: false, back: None, ended: false, stopped: false }
    }

    /// Whether it misbehaves in this way now.
    fn is(&self, fault: Fault) -> bool {
        self.armed && self.fault == fault
    }
}

impl Machine for Faulty {
    type Command = Infallible;
    type Event = ();
    type Outcome = Outcome;

    fn handle(&mut self, _now: Time, input: Input) {
        match input {
            Input::Data(bytes) => {
                self.armed = bytes == "!";
                assert!(!self.is(Fault::PanicsInHandle), "planted");
                self.back = Some(bytes);
            }
            Input::Eof | Input::Failed(_) => self.ended = true,
            Input::Stop | Input::Abort => (self.stopped, self.back) = (true, None),
            Input::Wrote(_) | Input::Command(_) => {}
        }
    }

    fn poll(&mut self, now: Time) -> Action<(), Outcome> {
        let wait = |read, deadline| Action::Wait(Wait { read, commands: 0, deadline });
        match self.fault {
            _ if self.stopped || !self.armed => {}
            Fault::EndlessEvents => return Action::Event(()),
            Fault::PanicsInPoll | Fault::PanicsInPollAndDrop => panic!("planted"),
            Fault::ExplosivePayload => panic_any(Bomb),
            Fault::DeadlineInThePast => return wait(1, Some(now)),
            Fault::WaitsForNothing => return wait(0, None),
            Fault::PanicsInHandle | Fault::PanicsInDrop | Fault::ExplosiveOutcome => {}
        }
        if let Some(back) = self.back.take() {
            return Action::Write(back);
        }
        if self.ended || self.stopped {
            let explodes = self.is(Fault::ExplosiveOutcome);
            return Action::Close { how: Teardown::Graceful, outcome: Outcome { explodes } };
        }
        wait(1, None)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        let faults = [Fault::PanicsInDrop, Fault::PanicsInPollAndDrop, Fault::ExplosiveOutcome];
        // A second panic in the same unwinding ends the process, whatever a driver does.
        assert!(!(self.armed && faults.contains(&self.fault)) || thread::panicking(), "planted");
    }
}

/// One byte, half-close, and all that comes until the end or a reset.
fn trigger(stream: &mut TcpStream) {
    // A test that would hang fails.
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let _ = stream.write_all(b"!");
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let end = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert!(!matches!(end, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "it does not end");
}

pub fn a_misbehaving_machine_ends_its_own_connection_only(backend: impl TestBackend) {
    for fault in ALL {
        let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
        let address = listener.local_address().unwrap();
        let handle = ServerHandle::new();
        let app = move |_now, _: &Accepted| Faulty::new(fault);
        let served = spawn({
            let handle = handle.clone();
            move || backend.serve(vec![listener], Limits::default(), &handle, &app)
        });
        let mut before = TcpStream::connect(address).unwrap();
        trigger(&mut TcpStream::connect(address).unwrap());
        assert_eq!(round_trip(address, b"x"), b"x", "{fault:?}");
        before.write_all(b"y").unwrap();
        before.read_exact(&mut [0]).unwrap();
        drop(before);
        handle.stop();
        let served = soon(&served).unwrap();
        assert_eq!(
            (served.admission.admitted, served.admission.live, served.panicked),
            (3, 0, 1),
            "{fault:?}"
        );
    }
}

/// Reports its first event, and where it is stopped from.
struct Endless(Mutex<Sender<()>>);

impl Application<Accepted> for Endless {
    type Machine = Faulty;

    fn open(&self, _now: Time, _accepted: &Accepted, _control: &Control<Infallible>) -> Faulty {
        Faulty::new(Fault::EndlessEvents)
    }

    fn event(&self, _accepted: &Accepted, _control: &Control<Infallible>, (): ()) {
        // Nobody listens after the first.
        let _ = self.0.lock().unwrap().send(());
        // Slow, so that a million of them take longer than the test waits.
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// A machine that goes on until it is told to end.
pub fn stop_and_force_reach_a_machine_that_never_waits(backend: impl TestBackend) {
    for request in [ServerHandle::stop, ServerHandle::force] {
        let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
        let mut client = TcpStream::connect(listener.local_address().unwrap()).unwrap();
        client.write_all(b"!").unwrap();
        let handle = ServerHandle::new();
        let (sender, events) = channel();
        let served = spawn({
            let handle = handle.clone();
            move || backend.serve(vec![listener], Limits::default(), &handle, &Endless(Mutex::new(sender)))
        });
        soon(&events);
        request(&handle);
        let served = soon(&served).unwrap();
        assert_eq!((served.admission.admitted, served.panicked), (1, 0));
    }
}

/// Five, of which each misbehaves if it is told to.
struct Five {
    fault: Fault,
    ended: Mutex<Sender<usize>>,
}

impl Application<usize> for Five {
    type Machine = Faulty;

    fn open(&self, _now: Time, _index: &usize, _control: &Control<Infallible>) -> Faulty {
        Faulty::new(self.fault)
    }

    fn ended(&self, &index: &usize, _ended: ConnectionReport<Outcome>) {
        self.ended.lock().unwrap().send(index).unwrap();
    }
}

pub fn a_misbehaving_client_ends_and_the_others_finish(backend: impl TestBackend) {
    for fault in ALL {
        let (streams, mut peers): (Vec<_>, Vec<_>) = (0..5).map(|_| pair()).unzip();
        let (sender, ended) = channel();
        let driven = spawn(move || {
            let clients = Five { fault, ended: Mutex::new(sender) };
            let streams = streams.into_iter().map(Into::into);
            let panic = catch_unwind(AssertUnwindSafe(|| backend.drive_all(streams, &clients)));
            // What it panicked with may panic again.
            panic.map(drop).map_err(std::mem::forget).is_err()
        });
        // First, so that the others go on after it.
        trigger(&mut peers[1]);
        for index in [0, 2, 3, 4] {
            let peer = &mut peers[index];
            peer.write_all(b"x").unwrap();
            peer.read_exact(&mut [0]).unwrap();
        }
        drop(peers);
        assert!(soon(&driven), "{fault:?}: the panic reaches the caller");
        let mut ended: Vec<_> = ended.iter().collect();
        ended.sort_unstable();
        assert_eq!(ended, [0, 2, 3, 4], "{fault:?}");
    }
}
