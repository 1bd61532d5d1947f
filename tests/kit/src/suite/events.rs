//! Events into a bounded channel: an application that falls behind holds its peer back, and nothing is lost.

use std::convert::Infallible;
use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};
use roundtrip_net::{Bell, EventSink, SystemClock, event_channel};

use super::common::{pair, soon, spawn};
use super::driver::{Connection, SocketDriver};

/// Bytes that it reads at a time.
const CREDIT: usize = 16;

/// Tells each byte that it read, and its end.
#[derive(Default)]
struct Reporter {
    read: Arc<AtomicUsize>,
    told: usize,
    end: Option<Teardown>,
}

/// What it tells: a byte's number, or its end.
#[derive(Debug, PartialEq, Eq)]
enum Report {
    Byte(usize),
    End,
}

impl Reporter {
    fn new(read: &Arc<AtomicUsize>) -> impl FnOnce(Time) -> Self + Send + 'static {
        let read = Arc::clone(read);
        |_now| Self { read, ..Self::default() }
    }
}

impl Machine for Reporter {
    type Command = Infallible;
    type Event = Report;
    type Outcome = ();

    fn handle(&mut self, _now: Time, input: Input) {
        match input {
            Input::Data(bytes) => _ = self.read.fetch_add(bytes.len(), Ordering::SeqCst),
            Input::Wrote(_) | Input::Command(_) => {}
            Input::Eof | Input::Stop => _ = self.end.get_or_insert(Teardown::Graceful),
            Input::Abort | Input::Failed(_) => self.end = Some(Teardown::Reset),
        }
    }

    fn poll(&mut self, _now: Time) -> Action<Report, ()> {
        if self.told < self.read.load(Ordering::SeqCst) && self.end != Some(Teardown::Reset) {
            self.told += 1;
            return Action::Event(Report::Byte(self.told));
        }
        match self.end {
            None => Action::Wait(Wait { read: CREDIT, commands: 0, deadline: None }),
            Some(how) if self.told == usize::MAX => Action::Close { how, outcome: () },
            Some(_) => {
                self.told = usize::MAX;
                Action::Event(Report::End)
            }
        }
    }
}

pub fn a_full_channel_of_events_holds_the_session_back_and_loses_nothing<D: SocketDriver>() {
    const BYTES: usize = 1000;
    for capacity in [1, 3] {
        let (mut client, server) = pair();
        client.write_all(&[7; BYTES]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let read = Arc::new(AtomicUsize::new(0));
        let (sender, mut events) = event_channel(capacity);
        let driver = Connection::<D, _, _>::new(SystemClock::new());
        let machine = Reporter::new(&read);
        let driven = spawn(move || driver.drive_into(server, machine, sender));
        let received = spawn(move || {
            for number in 1..=BYTES {
                assert_eq!(events.recv_blocking(), Some(Report::Byte(number)));
                let ahead = read.load(Ordering::SeqCst) - number;
                assert!(ahead <= capacity + CREDIT, "{ahead} bytes ahead of the application");
            }
            (events.recv_blocking(), events.recv_blocking())
        });
        assert_eq!(soon(&received), (Some(Report::End), None));
        assert_eq!(soon(&driven).undelivered, 0);
    }
}

/// Has room for one event right after it said that it had none, which it announces at once.
#[derive(Default)]
struct Racing {
    has_room: AtomicBool,
    sent: Arc<AtomicUsize>,
    bell: Option<Arc<dyn Bell>>,
}

impl EventSink<Report> for Racing {
    fn attach(&mut self, bell: Arc<dyn Bell>) {
        self.bell = Some(bell);
    }

    fn has_room(&self) -> bool {
        let had_room = self.has_room.swap(true, Ordering::SeqCst);
        if !had_room {
            self.bell.as_ref().unwrap().ring();
        }
        had_room
    }

    fn send(&mut self, _event: Report) {
        self.has_room.store(false, Ordering::SeqCst);
        self.sent.fetch_add(1, Ordering::SeqCst);
    }
}

pub fn room_that_comes_right_after_the_look_for_it_is_seen<D: SocketDriver>() {
    let (mut client, server) = pair();
    client.write_all(&[7; 100]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let driver = Connection::<D, _, _>::new(SystemClock::new());
    let machine = Reporter::new(&Arc::default());
    let events = Racing::default();
    let sent = Arc::clone(&events.sent);
    let driven = spawn(move || driver.drive_into(server, machine, events));
    soon(&driven);
    assert_eq!(sent.load(Ordering::SeqCst), 101, "a hundred bytes and the end");
}

pub fn an_abort_ends_a_session_whose_events_are_not_received<D: SocketDriver>() {
    let (mut client, server) = pair();
    client.write_all(&[7; 100]).unwrap();
    let (sender, mut events) = event_channel(1);
    let driver = Connection::<D, _, _>::new(SystemClock::new());
    let control = driver.control();
    let machine = Reporter::new(&Arc::default());
    let driven = spawn(move || driver.drive_into(server, machine, sender));
    assert_eq!(events.recv_blocking(), Some(Report::Byte(1)));
    control.abort();
    // Of the events that it had left, the channel has room for one at most.
    let undelivered = soon(&driven).undelivered;
    let left: Vec<_> = std::iter::from_fn(|| events.try_recv()).collect();
    match &*left {
        [] | [Report::Byte(2)] => assert_eq!(undelivered, 1, "{left:?}"),
        [Report::End] => assert_eq!(undelivered, 0),
        others => panic!("{others:?}"),
    }
}

pub fn a_channel_whose_receiver_is_dropped_holds_nothing_back<D: SocketDriver>() {
    let (mut client, server) = pair();
    client.write_all(&[7; 100]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let (sender, mut events) = event_channel(1);
    let driver = Connection::<D, _, _>::new(SystemClock::new());
    let machine = Reporter::new(&read);
    let driven = spawn(move || driver.drive_into(server, machine, sender));
    assert_eq!(events.recv_blocking(), Some(Report::Byte(1)));
    drop(events);
    soon(&driven);
    assert_eq!(read.load(Ordering::SeqCst), 100);
}
