//! Protocols that stream: both directions at once, bodies larger than any buffer, time limits, and bodies that break off.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig, SessionEnd, SessionOutcome};
use roundtrip_core::{Driven, Step, Teardown, Time};

const NOW: Time = Time::from_nanos(7);

fn config(bytes: usize) -> Arc<SessionConfig> {
    Arc::new(SessionConfig::default().inbox(bytes).outbox(bytes))
}

/// Sends back what comes.
struct Echo;

impl Protocol for Echo {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _: Time, io: &mut Io<'_, Infallible>) -> Need {
        let taken = io.room().min(io.inbox().len());
        let piece = io.inbox().split_to(taken);
        io.outbox().extend_from_slice(&piece);
        if io.inbox().is_empty() { Need::Bytes } else { Need::Room }
    }
}

/// Sends `total` bytes, takes as many, and finishes.
struct Upload {
    total: usize,
    sent: usize,
    received: usize,
}

impl Upload {
    const fn new(total: usize) -> Self {
        Self { total, sent: 0, received: 0 }
    }
}

impl Protocol for Upload {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _: Time, io: &mut Io<'_, Infallible>) -> Need {
        self.received += io.inbox().len();
        io.inbox().clear();
        let piece = io.room().min(self.total - self.sent);
        let filled = io.outbox().len() + piece;
        io.outbox().resize(filled, 7);
        self.sent += piece;
        if self.received == self.total {
            io.finish();
        }
        Need::Any
    }
}

/// Queues all of its upload at once: the outbox is over its bound from the beginning.
struct AllAtOnce(Upload);

impl Protocol for AllAtOnce {
    type Command = Infallible;
    type Event = Infallible;

    fn begin(&mut self, _: Time, io: &mut Io<'_, Infallible>) {
        io.outbox().resize(self.0.total, 7);
        self.0.sent = self.0.total;
    }

    fn receive(&mut self, now: Time, io: &mut Io<'_, Infallible>) -> Need {
        self.0.receive(now, io);
        Need::Bytes
    }
}

/// Two sessions and the bytes between them: a transport holds at most `window` bytes each way.
fn converse<A: Protocol, B: Protocol>(
    first: Session<A>,
    second: Session<B>,
    window: usize,
    mut look: impl FnMut(&Session<A>, &Session<B>),
) -> (SessionOutcome, SessionOutcome) {
    /// One side, and what is on its way to it.
    struct Side<P: Protocol> {
        driven: Driven<Session<P>>,
        arriving: Bytes,
        end: bool,
        outcome: Option<SessionOutcome>,
    }
    /// Whether something happened.
    fn go<P: Protocol, Q: Protocol>(side: &mut Side<P>, other: &mut Side<Q>, window: usize) -> bool {
        if side.outcome.is_some() {
            return false;
        }
        match side.driven.step(NOW) {
            Step::Write | Step::Event(_) => true,
            Step::ShutdownWrite => {
                other.end = true;
                true
            }
            Step::Close { outcome, .. } => {
                side.outcome = Some(outcome);
                true
            }
            Step::Wait(wait) => {
                let mut moved = false;
                if other.arriving.is_empty() && !side.driven.pending().is_empty() {
                    other.arriving = side.driven.take(NOW, window);
                    moved = true;
                }
                if wait.read > 0 && !side.arriving.is_empty() {
                    side.arriving = side.driven.data(NOW, std::mem::take(&mut side.arriving));
                    moved = true;
                } else if side.end && side.arriving.is_empty() && wait.read > 0 {
                    side.driven.eof(NOW);
                    moved = true;
                }
                moved
            }
        }
    }
    let mut first = Side { driven: Driven::new(first), arriving: Bytes::new(), end: false, outcome: None };
    let mut second = Side { driven: Driven::new(second), arriving: Bytes::new(), end: false, outcome: None };
    loop {
        let moved = [go(&mut first, &mut second, window), go(&mut second, &mut first, window)];
        look(first.driven.machine(), second.driven.machine());
        match (first.outcome, second.outcome) {
            (Some(first), Some(second)) => return (first, second),
            _ => assert_ne!(moved, [false, false], "stuck: {:?} and {:?}", first.outcome, second.outcome),
        }
    }
}

#[test]
fn both_directions_are_busy_at_once_and_memory_stays_bounded() {
    const TOTAL: usize = 1 << 20;
    for window in [1000, 4096, 100_000] {
        let client = Session::new(Upload::new(TOTAL), config(1024), NOW);
        let server = Session::new(Echo, config(1024), NOW);
        let mut most = 0;
        let (client, server) = converse(client, server, window, |client, server| {
            most = most.max(client.held()).max(server.held());
        });
        assert_eq!((client.end, server.end), (SessionEnd::Finished, SessionEnd::Clean));
        assert_eq!((client.received, server.sent), (TOTAL as u64, TOTAL as u64));
        assert!(most <= 2048, "{most} bytes held");
    }
}

/// It takes all that comes and needs no room for that, so a full outbox does not keep it from reading.
#[test]
fn a_full_outbox_does_not_stop_a_protocol_that_needs_bytes() {
    let client = Session::new(AllAtOnce(Upload::new(100_000)), config(1024), NOW);
    let server = Session::new(Echo, config(1024), NOW);
    let (client, server) = converse(client, server, 4096, |_, _| {});
    assert_eq!((client.end, server.end), (SessionEnd::Finished, SessionEnd::Clean));
}

/// Answers every byte with ten, without a look at the room.
struct Careless;

impl Protocol for Careless {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _: Time, io: &mut Io<'_, Infallible>) -> Need {
        let answers = io.inbox().len() * 10;
        io.inbox().clear();
        let filled = io.outbox().len() + answers;
        io.outbox().resize(filled, b'!');
        Need::Bytes
    }
}

#[test]
fn a_protocol_that_queues_without_room_is_not_called_before_there_is_some() {
    let mut driven = Driven::new(Session::new(Careless, config(100), NOW));
    for _ in 0..50 {
        while !matches!(driven.step(NOW), Step::Wait(_)) {}
        let _unread = driven.data(NOW, Bytes::from(vec![0; driven.credit()]));
    }
    // A call with room, and one without.
    assert_eq!(driven.machine().held(), 2 * 1000 + 100);
}

/// Needs more room than there is.
struct Greedy;

impl Protocol for Greedy {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _: Time, _: &mut Io<'_, Infallible>) -> Need {
        Need::Room
    }
}

#[test]
#[should_panic(expected = "Greedy needs room, and its outbox is empty")]
fn needing_room_that_never_comes_is_a_panic_and_no_silence() {
    let _ = Session::new(Greedy, config(100), NOW);
}

/// A request is a line with the length of its body; the answer is the body, as it comes. The line must come within 5 s
/// (408 Request Timeout), and a body that is not whole is not answered with an orderly end.
struct Upper {
    /// Bytes of the body that are to come.
    left: Option<usize>,
    line_by: Option<Time>,
    timed_out: bool,
}

const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

impl Upper {
    const fn new() -> Self {
        Self { left: None, line_by: None, timed_out: false }
    }
}

impl Protocol for Upper {
    type Command = Infallible;
    type Event = usize;

    fn begin(&mut self, now: Time, _: &mut Io<'_, usize>) {
        self.line_by = Some(now.after(HEADER_TIMEOUT));
    }

    fn receive(&mut self, now: Time, io: &mut Io<'_, usize>) -> Need {
        loop {
            let Some(left) = self.left else {
                let Some(end) = io.inbox().iter().position(|byte| *byte == b'\n') else { return Need::Bytes };
                let line = io.inbox().split_to(end);
                io.inbox().advance(1);
                self.left = std::str::from_utf8(&line).ok().and_then(|line| line.parse().ok());
                self.line_by = None;
                continue;
            };
            if left == 0 {
                self.left = None;
                self.line_by = Some(now.after(HEADER_TIMEOUT));
                io.event(0);
                continue;
            }
            let taken = left.min(io.inbox().len()).min(io.room());
            if taken == 0 {
                if io.inbox().is_empty() && io.peer_ended() {
                    io.reset();
                }
                return if io.inbox().is_empty() { Need::Bytes } else { Need::Room };
            }
            let piece = io.inbox().split_to(taken);
            io.outbox().extend_from_slice(&piece);
            self.left = Some(left - taken);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.line_by
    }

    fn timeout(&mut self, _: Time, io: &mut Io<'_, usize>) {
        self.timed_out = true;
        self.line_by = None;
        io.outbox().extend_from_slice(b"408\n");
        io.finish();
    }

    fn on_message_too_large(&mut self, _: Time, io: &mut Io<'_, usize>) {
        io.outbox().extend_from_slice(b"431\n");
    }

    fn ended(&mut self, _: Time, end: SessionEnd, io: &mut Io<'_, usize>) {
        if end == SessionEnd::Reset {
            io.event(self.left.unwrap_or_default());
        }
    }
}

#[test]
fn a_body_of_a_gigabyte_passes_through_64_kib_of_buffers() {
    const BODY: u64 = 1 << 30;
    let mut driven = Driven::new(Session::new(Upper::new(), config(64 << 10), NOW));
    let block = Bytes::from(vec![b'x'; 64 << 10]);
    let mut arriving = Bytes::from(format!("{BODY}\n"));
    let (mut arrived, mut answered) = (0, 0);
    while answered < BODY {
        match driven.step(NOW) {
            Step::Write => answered += driven.take(NOW, usize::MAX).len() as u64,
            Step::Event(_) => {}
            Step::Wait(_) => {
                if arriving.is_empty() {
                    let len = (BODY - arrived).min(block.len() as u64);
                    arriving = block.slice(..usize::try_from(len).unwrap());
                    arrived += len;
                }
                arriving = driven.data(NOW, arriving);
            }
            step @ (Step::ShutdownWrite | Step::Close { .. }) => panic!("{step:?}"),
        }
        assert!(driven.machine().held() <= 2 * (64 << 10));
    }
    assert_eq!(answered, BODY);
}

#[test]
fn a_header_of_a_byte_a_second_is_answered_with_a_timeout_after_five() {
    let second = |n: u64| NOW.after(Duration::from_secs(n));
    let mut driven = Driven::new(Session::new(Upper::new(), config(100), NOW));
    for n in 0..5 {
        let Step::Wait(wait) = driven.step(second(n)) else { panic!("it waits for the line") };
        assert_eq!(wait.deadline, Some(second(5)), "a byte does not move it");
        assert!(driven.data(second(n), Bytes::from_static(b"1")).is_empty());
    }
    assert_eq!(driven.step(second(5)), Step::Write);
    assert_eq!(driven.take(second(5), usize::MAX), "408\n");
    assert_eq!(driven.step(second(5)), Step::ShutdownWrite);
}

#[test]
fn a_header_in_time_is_not_limited_any_more() {
    let mut driven = Driven::new(Session::new(Upper::new(), config(100), NOW));
    assert!(matches!(driven.step(NOW), Step::Wait(_)));
    assert!(driven.data(NOW, Bytes::from_static(b"3\n")).is_empty());
    let Step::Wait(wait) = driven.step(NOW) else { panic!("it waits for the body") };
    assert_eq!(wait.deadline, None);
    assert!(!driven.machine().protocol().timed_out);
}

#[test]
fn a_body_that_breaks_off_ends_in_a_reset() {
    let mut driven = Driven::new(Session::new(Upper::new(), config(100), NOW));
    assert!(matches!(driven.step(NOW), Step::Wait(_)));
    assert!(driven.data(NOW, Bytes::from_static(b"10\nabc")).is_empty());
    assert_eq!(driven.step(NOW), Step::Write);
    driven.eof(NOW);
    // Events still leave, and nothing else does.
    assert_eq!(driven.step(NOW), Step::Event(7));
    let Step::Close { how: Teardown::Reset, outcome } = driven.step(NOW) else { panic!("it is reset") };
    assert_eq!((outcome.end, outcome.unsent), (SessionEnd::Reset, 3));
}

/// An answer that is under way when the session is stopped is finished; what comes after the stop is not taken.
#[test]
fn a_stop_finishes_the_answer_that_waits_for_room() {
    let mut driven = Driven::new(Session::new(Upper::new(), config(4), NOW));
    assert!(matches!(driven.step(NOW), Step::Wait(_)));
    assert!(driven.data(NOW, Bytes::from_static(b"8\nab")).is_empty());
    assert_eq!(driven.step(NOW), Step::Write);
    assert!(matches!(driven.step(NOW), Step::Wait(_)));
    assert!(driven.data(NOW, Bytes::from_static(b"cdef")).is_empty());
    driven.stop(NOW);
    let mut answered = Vec::new();
    loop {
        match driven.step(NOW) {
            Step::Write => {}
            Step::Wait(wait) if driven.pending().is_empty() => panic!("{wait:?}"),
            Step::Wait(wait) => {
                assert_eq!(wait.read, 4, "what comes is dropped");
                assert!(driven.data(NOW, Bytes::from_static(b"gh")).is_empty());
                answered.extend_from_slice(&driven.take(NOW, 3));
            }
            Step::ShutdownWrite => break,
            step @ (Step::Event(_) | Step::Close { .. }) => panic!("{step:?}"),
        }
    }
    assert_eq!(answered, b"abcdef");
}

/// Answers each line with its length, and says when one is under way.
struct Lines {
    is_mid_line: bool,
}

impl Protocol for Lines {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _: Time, io: &mut Io<'_, Infallible>) -> Need {
        while let Some(end) = io.inbox().iter().position(|byte| *byte == b'\n') {
            io.inbox().advance(end + 1);
            let last = if io.is_stopped() { ", the last" } else { "" };
            io.outbox().extend_from_slice(format!("{end}{last}\n").as_bytes());
        }
        self.is_mid_line = !io.inbox().is_empty();
        Need::Bytes
    }

    fn is_mid_message(&self) -> bool {
        self.is_mid_line
    }
}

/// What a session that was stopped after `before` writes, given the pieces of `after`; and its end.
fn stopped_lines(before: &'static [u8], after: &[&'static [u8]]) -> (Vec<u8>, SessionEnd) {
    let mut driven = Driven::new(Session::new(Lines { is_mid_line: false }, config(100), NOW));
    let mut written = Vec::new();
    let (mut stopped, mut pieces) = (false, after.iter());
    assert!(matches!(driven.step(NOW), Step::Wait(_)));
    assert!(driven.data(NOW, Bytes::from_static(before)).is_empty());
    let outcome = loop {
        match driven.step(NOW) {
            Step::Write => {
                written.extend_from_slice(driven.pending());
                driven.wrote(NOW, driven.pending().len());
            }
            Step::ShutdownWrite => {}
            Step::Event(never) => match never {},
            Step::Wait(_) if !stopped => {
                driven.stop(NOW);
                stopped = true;
            }
            Step::Wait(_) => match pieces.next() {
                Some(piece) => assert!(driven.data(NOW, Bytes::from_static(piece)).is_empty()),
                None => driven.eof(NOW),
            },
            Step::Close { outcome, .. } => break outcome,
        }
    };
    (written, outcome.end)
}

#[test]
fn a_stop_lets_a_message_that_is_under_way_come_to_its_end() {
    let last = b"1\n5, the last\n".to_vec();
    assert_eq!(stopped_lines(b"a\nab", &[b"cd", b"e\n", b"f\n"]), (last.clone(), SessionEnd::Stopped));
    assert_eq!(stopped_lines(b"a\nab", &[b"cde\n"]), (last, SessionEnd::Stopped));
    // Between two messages it ends at once, and what comes later is dropped.
    assert_eq!(stopped_lines(b"a\n", &[b"bc\n"]), (b"1\n".to_vec(), SessionEnd::Stopped));
    // The peer ends in the middle of it.
    assert_eq!(stopped_lines(b"a\nab", &[b"c"]), (b"1\n".to_vec(), SessionEnd::Clean));
}

#[test]
fn a_message_that_does_not_go_on_after_a_stop_is_given_up() {
    let config = Arc::new(SessionConfig::default().linger(Duration::from_secs(3)));
    let mut driven = Driven::new(Session::new(Lines { is_mid_line: false }, config, NOW));
    assert!(matches!(driven.step(NOW), Step::Wait(_)));
    assert!(driven.data(NOW, Bytes::from_static(b"half")).is_empty());
    driven.stop(NOW);
    let Step::Wait(wait) = driven.step(NOW) else { panic!("it reads on") };
    let until = NOW.after(Duration::from_secs(3));
    assert_eq!((wait.read > 0, wait.deadline), (true, Some(until)));
    assert!(
        matches!(driven.step(until), Step::Close { how: Teardown::Reset, outcome } if outcome.end == SessionEnd::Idle)
    );
}

/// Queues ten bytes at once, and needs room for more.
struct Overfull {
    calls: usize,
}

impl Protocol for Overfull {
    type Command = Infallible;
    type Event = Infallible;

    fn begin(&mut self, _: Time, io: &mut Io<'_, Infallible>) {
        io.outbox().resize(10, 7);
    }

    fn receive(&mut self, _: Time, _: &mut Io<'_, Infallible>) -> Need {
        self.calls += 1;
        Need::Room
    }
}

#[test]
fn who_needs_room_is_called_once_there_is_some() {
    let config = SessionConfig::default().outbox(4);
    let mut driven = Driven::new(Session::new(Overfull { calls: 0 }, config.into(), NOW));
    assert_eq!((driven.step(NOW), driven.pending().len()), (Step::Write, 10));
    driven.wrote(NOW, 6);
    assert_eq!(driven.machine().protocol().calls, 1, "four are left, as many as there is room for");
    driven.wrote(NOW, 1);
    assert_eq!(driven.machine().protocol().calls, 2);
}

/// Takes nothing, has `unsent` bytes to send, and has this need.
struct Stubborn {
    unsent: usize,
    need: Need,
    is_told: bool,
}

impl Protocol for Stubborn {
    type Command = Infallible;
    type Event = Infallible;

    fn begin(&mut self, _: Time, io: &mut Io<'_, Infallible>) {
        io.outbox().resize(self.unsent, 7);
    }

    fn receive(&mut self, _: Time, _: &mut Io<'_, Infallible>) -> Need {
        self.need
    }

    fn on_message_too_large(&mut self, _: Time, _: &mut Io<'_, Infallible>) {
        self.is_told = true;
    }
}

/// A protocol that needs bytes, or anything while nothing else can come, gets no more once its inbox is full.
#[test]
fn a_full_inbox_is_too_large_for_who_needs_bytes_alone() {
    for (need, unsent, is_too_large) in [
        (Need::Bytes, 0, true),
        (Need::Bytes, 1, true),
        (Need::Any, 0, true),
        (Need::Any, 1, false),
        (Need::Command, 0, false),
        (Need::Room, 1, false),
    ] {
        let protocol = Stubborn { unsent, need, is_told: false };
        let session = Session::new(protocol, SessionConfig::default().inbox(4).into(), NOW);
        let mut driven = Driven::new(session);
        while driven.step(NOW) == Step::Write {}
        assert_eq!(driven.command_credit(), 0, "it takes none");
        let rest = driven.data(NOW, Bytes::from_static(b"four"));
        assert!(rest.is_empty());
        assert_eq!(driven.machine().protocol().is_told, is_too_large, "{need:?}, {unsent} unsent");
    }
}
