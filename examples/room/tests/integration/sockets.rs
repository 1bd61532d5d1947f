//! The room on every driver, over real sockets.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::Time;
use roundtrip_core::admission::Limits;
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
use roundtrip_core::protocol::{Session, SessionOutcome};
use roundtrip_room::{Counts, Line, Member, Room, RoomConfig, Slow};
use roundtrip_std::{Backend, BindOptions, ServerHandle, SystemClock, bind};

/// The room, and its counts for a test to look at while it is open.
struct Watched {
    room: Room,
    counts: Arc<Mutex<Counts>>,
}

impl Hub for Watched {
    type Session = Session<Member>;

    fn open(&mut self, now: Time, id: ConnectionId) -> Session<Member> {
        self.room.open(now, id)
    }

    fn event(&mut self, now: Time, from: ConnectionId, text: Bytes, mail: &mut dyn Mail<Line>) {
        self.room.event(now, from, text, mail);
        *self.counts.lock().unwrap() = self.room.counts();
    }

    fn closed(&mut self, now: Time, id: ConnectionId, outcome: SessionOutcome, mail: &mut dyn Mail<Line>) {
        self.room.closed(now, id, outcome, mail);
    }
}

struct Open {
    address: SocketAddr,
    handle: ServerHandle,
    counts: Arc<Mutex<Counts>>,
    served: Receiver<Room>,
}

impl Open {
    fn new(driver: &'static str, slow: Slow) -> Self {
        let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
        let address = listener.local_address().unwrap();
        let (handle, counts) = (ServerHandle::new(), Arc::default());
        let room = Room::new(RoomConfig { slow, ..RoomConfig::default() });
        let hub = Watched { room, counts: Arc::clone(&counts) };
        let (sender, served) = channel();
        thread::spawn({
            let handle = handle.clone();
            move || {
                let (clock, limits) = (SystemClock::new(), Limits::default());
                let (_, hub) = match driver {
                    "std" => roundtrip_std::Std.serve_hub(&clock, vec![listener], limits, &handle, hub),
                    "smol" => roundtrip_smol::Smol::default().serve_hub(
                        &clock,
                        vec![listener],
                        limits,
                        &handle,
                        hub,
                    ),
                    #[cfg(unix)]
                    "tokio" => roundtrip_tokio::Tokio::default().serve_hub(
                        &clock,
                        vec![listener],
                        limits,
                        &handle,
                        hub,
                    ),
                    #[cfg(target_os = "linux")]
                    "uring" => roundtrip_uring::Uring::default().serve_hub(
                        &clock,
                        vec![listener],
                        limits,
                        &handle,
                        hub,
                    ),
                    #[cfg(unix)]
                    "reactor" => roundtrip_reactor::Reactor::default().serve_hub(
                        &clock,
                        vec![listener],
                        limits,
                        &handle,
                        hub,
                    ),
                    other => panic!("no driver {other}"),
                }
                .unwrap();
                sender.send(hub.room)
            }
        });
        Self { address, handle, counts, served }
    }

    fn counts(&self) -> Counts {
        *self.counts.lock().unwrap()
    }

    /// A connection that says a line and hears it: it is in the room.
    fn enter(&self, name: &str) -> Guest {
        let mut guest = self.connect();
        guest.say(name);
        while guest.hear().text != name {}
        guest
    }

    fn connect(&self) -> Guest {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Guest(BufReader::new(stream))
    }

    /// Drains it, and gives the room back.
    fn close(self) -> Room {
        self.handle.stop();
        let room = self.served.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(room.present(), 0, "the room saw everybody leave");
        room
    }
}

/// A plain client.
struct Guest(BufReader<TcpStream>);

/// A line as it was heard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Heard {
    number: u64,
    missed: u64,
    text: String,
}

impl Guest {
    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn hear(&mut self) -> Heard {
        self.try_hear().unwrap()
    }

    /// The next whole line; none at the end of the connection, however it came.
    fn try_hear(&mut self) -> Option<Heard> {
        let mut missed = 0;
        loop {
            let mut line = String::new();
            if let Err(error) = self.0.read_line(&mut line) {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                return None;
            }
            let (first, rest) = line.strip_suffix('\n')?.split_once(' ').unwrap();
            if first == "missed" {
                missed = rest.parse().unwrap();
                continue;
            }
            return Some(Heard { number: first.parse().unwrap(), missed, text: rest.to_owned() });
        }
    }

    /// Says nothing more, and hears all that is left.
    fn leave(mut self) -> String {
        self.0.get_mut().shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// Each follows the one before it, but for what was told to be missing.
fn without_untold_gaps(heard: &[Heard]) {
    for pair in heard.windows(2) {
        assert_eq!(pair[1].number, pair[0].number + 1 + pair[1].missed, "{pair:?}");
    }
}

macro_rules! on_every_driver {
    ($($test:ident)*) => {
        mod on_std { $(#[test] fn $test() { super::$test("std"); })* }
        mod on_smol { $(#[test] fn $test() { super::$test("smol"); })* }
        #[cfg(unix)]
        mod on_tokio { $(#[test] fn $test() { super::$test("tokio"); })* }
        #[cfg(unix)]
        mod on_reactor { $(#[test] fn $test() { super::$test("reactor"); })* }
        #[cfg(target_os = "linux")]
        mod on_uring { $(#[test] fn $test() { super::$test("uring"); })* }
    };
}

on_every_driver! {
    what_many_say_at_once_all_hear_in_one_order
    who_half_closes_hears_all_they_said
    who_says_more_than_a_mailbox_holds_loses_nothing
    who_does_not_read_misses_lines_and_is_told_how_many
    who_does_not_read_is_disconnected_and_nobody_else
    a_line_that_is_too_long_is_told_and_ends_it
    a_room_that_is_closed_ends_every_connection_in_order
}

fn what_many_say_at_once_all_hear_in_one_order(driver: &'static str) {
    // All that is on its way at once fits into a mailbox, so nobody can be too slow.
    const GUESTS: usize = 4;
    const ROUNDS: usize = 60;
    const LINES: usize = 5;
    let room = Open::new(driver, Slow::Drop);
    let together = Barrier::new(GUESTS);
    let guests: Vec<_> = (0..GUESTS).map(|name| (name, room.enter(&format!("{name} enters")))).collect();
    let heard: Vec<Vec<Heard>> = thread::scope(|scope| {
        let guests: Vec<_> = guests
            .into_iter()
            .map(|(name, mut guest)| {
                let together = &together;
                scope.spawn(move || {
                    let mut heard = Vec::new();
                    for round in 0..ROUNDS {
                        together.wait();
                        for line in 0..LINES {
                            guest.say(&format!("{name}: {}", round * LINES + line));
                        }
                        let expected = heard.len() + GUESTS * LINES;
                        while heard.len() < expected {
                            heard.extend(Some(guest.hear()).filter(|heard| heard.text.contains(':')));
                        }
                    }
                    heard
                })
            })
            .collect();
        guests.into_iter().map(|guest| guest.join().unwrap()).collect()
    });
    without_untold_gaps(&heard[0]);
    assert!(heard.iter().all(|one| *one == heard[0]), "two heard two orders");
    for name in 0..GUESTS {
        let name = format!("{name}: ");
        let said = heard[0].iter().filter_map(|heard| heard.text.strip_prefix(&name));
        assert!(
            said.eq((0..ROUNDS * LINES).map(|line| line.to_string())),
            "{name} was heard in another order"
        );
    }
    let counts = room.close().counts();
    let published = (GUESTS * (ROUNDS * LINES + 1)) as u64;
    // Who entered later did not hear who entered before.
    let delivered = published * 4 - 6;
    assert_eq!(counts, Counts { published, delivered, ..Counts::default() });
}

fn who_half_closes_hears_all_they_said(driver: &'static str) {
    let room = Open::new(driver, Slow::Drop);
    let mut guest = room.connect();
    guest.0.get_mut().write_all(b"a\nb\r\n\n\xff\nno line").unwrap();
    guest.0.get_mut().shutdown(Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    guest.0.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"1 a\n2 b\n3 \n4 \xff\n", "{}", heard.escape_ascii());
    assert_eq!(room.connect().leave(), "");
    let counts = room.close().counts();
    assert_eq!(counts, Counts { published: 4, delivered: 4, ..Counts::default() });
}

fn who_says_more_than_a_mailbox_holds_loses_nothing(driver: &'static str) {
    let room = Open::new(driver, Slow::Disconnect);
    let guest = room.connect();
    let mut writer = guest.0.get_ref().try_clone().unwrap();
    let all: Vec<_> = (1..=20_000).map(|line| format!("line {line}\n")).collect();
    let heard = thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(all.concat().as_bytes()).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut guest = guest;
        std::iter::from_fn(move || guest.try_hear()).collect::<Vec<_>>()
    });
    let expected = (1..=20_000).map(|line| Heard { number: line, missed: 0, text: format!("line {line}") });
    assert!(heard.into_iter().eq(expected));
    assert_eq!(room.close().counts(), Counts { published: 20_000, delivered: 20_000, ..Counts::default() });
}

/// Two who keep up talk until `enough`, while a third reads nothing. What they heard.
fn talk(room: &Open, speaker: &mut Guest, listener: &mut Guest, enough: impl Fn(Counts) -> bool) {
    // More than the buffers of any kernel hold.
    const MOST: usize = 64 << 10;
    let text = "x".repeat(4000);
    for line in 0..MOST {
        if enough(room.counts()) {
            return;
        }
        let said = format!("{line} {text}");
        speaker.say(&said);
        for guest in [&mut *speaker, &mut *listener] {
            let heard = guest.hear();
            assert_eq!((heard.missed, &heard.text), (0, &said), "those who keep up are not disturbed");
        }
    }
    panic!("who does not read keeps up: {:?}", room.counts());
}

fn who_does_not_read_misses_lines_and_is_told_how_many(driver: &'static str) {
    let room = Open::new(driver, Slow::Drop);
    let mut slow = room.enter("slow");
    let (mut speaker, mut listener) = (room.enter("speaker"), room.enter("listener"));
    assert_eq!(speaker.hear().text, "listener");
    talk(&room, &mut speaker, &mut listener, |counts| counts.dropped >= 5);
    let dropped = room.counts().dropped;
    // It catches up with what was not dropped, so that there is room in its mailbox.
    let mut heard = vec![slow.hear()];
    while heard.last().unwrap().number < room.counts().published - dropped {
        heard.push(slow.hear());
    }
    speaker.say("it is told with the next line");
    while heard.last().unwrap().number < room.counts().published {
        heard.push(slow.hear());
    }
    without_untold_gaps(&heard);
    assert_eq!(heard.iter().map(|heard| heard.missed).sum::<u64>(), dropped);
    drop((slow, speaker, listener));
    let counts = room.close().counts();
    assert_eq!((counts.dropped, counts.disconnected), (dropped, 0));
}

fn who_does_not_read_is_disconnected_and_nobody_else(driver: &'static str) {
    let room = Open::new(driver, Slow::Disconnect);
    let mut slow = room.enter("slow");
    let (mut speaker, mut listener) = (room.enter("speaker"), room.enter("listener"));
    assert_eq!(speaker.hear().text, "listener");
    talk(&room, &mut speaker, &mut listener, |counts| counts.disconnected > 0);
    // What it got before is whole, and ends somewhere.
    let heard: Vec<_> = std::iter::from_fn(|| slow.try_hear()).collect();
    without_untold_gaps(&heard);
    assert!(heard.iter().all(|heard| heard.missed == 0));
    assert!(!heard.is_empty() && heard.last().unwrap().number < room.counts().published);
    // The others go on.
    speaker.say("the others go on");
    assert_eq!(speaker.hear().text, listener.hear().text);
    drop((speaker, listener));
    let counts = room.close().counts();
    assert_eq!((counts.dropped, counts.disconnected), (0, 1));
}

fn a_line_that_is_too_long_is_told_and_ends_it(driver: &'static str) {
    let room = Open::new(driver, Slow::Drop);
    let mut listener = room.enter("listener");
    let longest = "x".repeat(4096);
    for (end, too_long) in [("\n", ""), ("\r\n", ""), ("\n", "y"), ("", "yy"), ("", "yyy")] {
        let mut guest = room.connect();
        guest.0.get_mut().write_all(format!("{longest}{too_long}{end}").as_bytes()).unwrap();
        let heard = guest.leave();
        if too_long.is_empty() {
            let Heard { number, text, .. } = listener.hear();
            assert_eq!(text, longest);
            assert_eq!(heard, format!("{number} {longest}\n"));
        } else {
            assert_eq!(heard, "error: a line has 4096 bytes at the most\n");
        }
    }
    listener.say("nothing else was heard");
    assert_eq!(listener.leave(), "4 nothing else was heard\n");
    room.close();
}

fn a_room_that_is_closed_ends_every_connection_in_order(driver: &'static str) {
    let room = Open::new(driver, Slow::Drop);
    let (mut one, mut other) = (room.enter("one"), room.enter("other"));
    one.say("last");
    while one.hear().text != "last" {}
    assert_eq!(other.hear().text, "last");
    room.handle.stop();
    // An end, and no reset: reading would fail.
    assert_eq!((one.leave(), other.leave()), (String::new(), String::new()));
    room.close();
}
