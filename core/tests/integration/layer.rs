//! Layers: what the plumbing around a codec does, one rule at a time, and the invariants over random histories.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quickcheck::quickcheck;
use roundtrip_core::layer::{Codec, Decoded, Frames, LayerConfig, LayerFault, LayerOutcome, Layered};
use roundtrip_core::{Action, Driven, Failure, Input, Machine, Step, Teardown, Time, Wait};
use roundtrip_echo::{
    ClientConfig, ClientOutcome, EchoClient, EchoServer, End, Payload, Phase, ServerConfig, ServerOutcome,
    Verdict,
};
use roundtrip_testkit::model::bench::Bench;
use roundtrip_testkit::model::invariants::assert_contract;
use roundtrip_testkit::model::op::{Op, Served};
use roundtrip_testkit::model::slicing::Slicing;

/// Opens when `h` came, ends with `e`; `x` is a fault, of which it thinks `!`. `w` is not whole without the byte after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Letters {
    greeted: bool,
    open: bool,
    /// A fault was found, and whether it was told.
    judged: Option<bool>,
}

impl Codec for Letters {
    type Fault = char;

    fn is_open(&self) -> bool {
        self.open
    }

    fn decode(&mut self, received: &mut BytesMut, max: usize) -> Result<Decoded, char> {
        assert_eq!(self.judged, None, "nothing is decoded after a fault");
        assert!(max > 0 || !self.open, "nothing is decoded that nobody takes");
        match received.first() {
            None => Ok(Decoded::More),
            Some(b'x') => {
                self.judged = Some(false);
                Err('x')
            }
            Some(b'h') if !self.open => {
                self.open = true;
                received.advance(1);
                Ok(Decoded::More)
            }
            Some(_) if !self.open => {
                self.judged = Some(false);
                Err('h')
            }
            Some(b'e') => {
                received.advance(1);
                Ok(Decoded::End)
            }
            Some(b'w') if received.len() < 2 => Ok(Decoded::More),
            Some(b'w') => {
                received.advance(2);
                Ok(Decoded::Data(Bytes::from_static(b"w")))
            }
            Some(_) => {
                let run = received.iter().take(max).take_while(|byte| !b"xew".contains(byte)).count();
                Ok(Decoded::Data(received.split_to(run).freeze()))
            }
        }
    }

    fn encode(&mut self, plain: &[u8], out: &mut BytesMut) -> Result<usize, char> {
        assert!(self.open && self.judged.is_none() && !plain.is_empty());
        let taken = plain.len().min(2);
        out.put_slice(&plain[..taken]);
        Ok(taken)
    }

    fn finish(&mut self, out: &mut BytesMut) {
        out.put_u8(b'e');
    }

    fn speak(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.greeted, true) {
            out.put_u8(b'h');
        }
        if self.judged == Some(false) {
            self.judged = Some(true);
            out.put_u8(b'!');
        }
    }
}

fn layer_config() -> LayerConfig {
    LayerConfig::default().inbox(8).opening(Duration::from_nanos(30)).closing(Duration::from_nanos(10))
}

const fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

/// An echo behind letters, at a time of one's choice.
struct Line {
    layered: Layered<Letters, EchoServer>,
    now: Time,
}

impl Line {
    fn new(config: ServerConfig) -> Self {
        let server = EchoServer::new(Arc::new(config), at(0));
        Self { layered: Layered::new(Letters::default(), server, layer_config(), at(0)), now: at(0) }
    }

    /// One that has greeted, and was greeted.
    fn open() -> Self {
        let mut line = Self::new(ServerConfig::default());
        line.writes("h").tell(Input::Wrote(1)).waits(8).data("h").waits(8);
        line
    }

    fn tell(&mut self, input: Input) -> &mut Self {
        self.layered.handle(self.now, input);
        self
    }

    fn data(&mut self, text: &'static str) -> &mut Self {
        self.tell(Input::Data(Bytes::from_static(text.as_bytes())))
    }

    fn poll(&mut self) -> Action<std::convert::Infallible, LayerOutcome<char, ServerOutcome>> {
        self.layered.poll(self.now)
    }

    #[track_caller]
    fn writes(&mut self, text: &str) -> &mut Self {
        assert_eq!(self.poll(), Action::Write(Bytes::copy_from_slice(text.as_bytes())));
        self
    }

    #[track_caller]
    fn waits(&mut self, read: usize) -> &mut Self {
        let action = self.poll();
        let Action::Wait(wait) = action else { panic!("{action:?} is no wait") };
        assert_eq!(wait.read, read);
        self
    }

    #[track_caller]
    fn half_closes(&mut self) -> &mut Self {
        assert_eq!(self.poll(), Action::ShutdownWrite);
        self
    }

    #[track_caller]
    fn closes(&mut self, expected: Teardown) -> (Option<LayerFault<char>>, ServerOutcome) {
        let action = self.poll();
        let Action::Close { how, outcome } = action else { panic!("{action:?} is no close") };
        assert_eq!(how, expected);
        (outcome.fault, outcome.inner)
    }
}

#[test]
fn a_conversation_from_greeting_to_end() {
    let mut line = Line::open();
    line.data("abc").writes("ab").waits(8).tell(Input::Wrote(1)).waits(8);
    assert_eq!(line.layered.machine().echoed(), 1, "it goes on");
    line.tell(Input::Wrote(1)).writes("c").tell(Input::Wrote(1)).data("e").writes("e");
    assert_eq!(line.layered.machine().echoed(), 3);
    line.tell(Input::Wrote(1)).half_closes();
    let (fault, outcome) = line.closes(Teardown::Graceful);
    assert_eq!((fault, outcome.end, outcome.echoed), (None, End::Clean, 3));
}

#[test]
fn what_is_not_open_in_time_is_given_up() {
    let mut line = Line::new(ServerConfig::default());
    line.writes("h").tell(Input::Wrote(1));
    assert_eq!(line.poll(), Action::Wait(Wait { read: 8, commands: 0, deadline: Some(at(30)) }));
    line.now = at(29);
    line.waits(8).now = at(30);
    let (fault, outcome) = line.closes(Teardown::Reset);
    assert_eq!((fault, outcome.end), (Some(LayerFault::Slow), End::Failed(Failure::Truncated)));
}

#[test]
fn the_machines_own_deadlines_go_on_during_a_handshake() {
    let idle = Some(Duration::from_nanos(20));
    let mut line = Line::new(ServerConfig::default().idle(idle));
    line.writes("h").tell(Input::Wrote(1));
    assert_eq!(line.poll(), Action::Wait(Wait { read: 8, commands: 0, deadline: Some(at(20)) }));
    line.now = at(20);
    let (fault, outcome) = line.closes(Teardown::Graceful);
    assert_eq!((fault, matches!(outcome.end, End::TimedOut(_))), (None, true));
}

#[test]
fn a_transport_that_ends_before_the_codec_is_truncated_and_after_it_is_not() {
    let mut line = Line::open();
    line.data("ab").tell(Input::Eof);
    let (fault, outcome) = line.closes(Teardown::Reset);
    assert_eq!((fault, outcome.end), (Some(LayerFault::Truncated), End::Failed(Failure::Truncated)));
    assert_eq!(outcome.received, 2, "what came before the end is told before it");

    let mut line = Line::open();
    line.data("abe").tell(Input::Eof).writes("ab").tell(Input::Wrote(2)).writes("e").tell(Input::Wrote(1));
    line.half_closes();
    let (fault, outcome) = line.closes(Teardown::Graceful);
    assert_eq!((fault, outcome.end), (None, End::Clean));
}

#[test]
fn a_handshake_that_is_cut_is_truncated() {
    let mut line = Line::new(ServerConfig::default());
    line.writes("h").tell(Input::Wrote(1)).tell(Input::Eof);
    assert_eq!(line.closes(Teardown::Reset).0, Some(LayerFault::Truncated));
}

#[test]
fn a_fault_is_answered_and_the_peer_has_time_to_read_that() {
    let mut line = Line::open();
    line.data("ax");
    // What was decoded before it is not echoed any more.
    line.writes("!").waits(6).tell(Input::Wrote(1)).half_closes().waits(8);
    line.data("dropped").waits(8).tell(Input::Eof);
    let (fault, outcome) = line.closes(Teardown::Graceful);
    assert_eq!((fault, outcome.end), (Some(LayerFault::Codec('x')), End::Failed(Failure::Truncated)));
}

#[test]
fn a_peer_that_does_not_read_what_is_thought_of_its_fault_is_reset() {
    for written in [false, true] {
        let mut line = Line::open();
        line.data("x").writes("!");
        if written {
            line.tell(Input::Wrote(1)).half_closes();
        }
        let action = line.poll();
        assert!(
            matches!(action, Action::Wait(Wait { deadline: Some(by), .. }) if by == at(10)),
            "{action:?}"
        );
        line.now = at(10);
        assert_eq!(line.closes(Teardown::Reset).0, Some(LayerFault::Codec('x')));
    }
}

#[test]
fn what_is_not_whole_and_fills_the_inbox_is_too_large() {
    let mut line = Line::open();
    line.layered = Layered::new(
        Letters { greeted: true, open: true, ..Letters::default() },
        EchoServer::new(Arc::default(), at(0)),
        layer_config().inbox(1),
        at(0),
    );
    line.waits(1).data("w");
    assert_eq!(line.closes(Teardown::Reset).0, Some(LayerFault::TooLarge));
}

#[test]
fn a_machine_that_takes_nothing_is_not_read_for_beyond_what_was_allowed() {
    let config = ServerConfig::default().buffer(2).chunk(2);
    let mut line = Line::new(config);
    line.writes("h").tell(Input::Wrote(1)).waits(8).data("habcd").writes("ab").waits(3);
    assert_eq!(line.layered.held(), 2 + 2);
    line.data("efg").waits(0);
    line.tell(Input::Wrote(2)).writes("cd").waits(0);
}

#[test]
fn a_stop_ends_with_the_codecs_end() {
    let mut line = Line::open();
    line.data("ab").tell(Input::Stop).writes("ab").tell(Input::Wrote(2)).waits(8);
    line.now = at(1_000_000_000);
    line.writes("e").tell(Input::Wrote(1)).half_closes().waits(8).data("e");
    assert_eq!(line.closes(Teardown::Graceful).1.end, End::Clean);
}

/// What is held when a drain cuts the conversation came before that, and so did what the transport holds then.
#[test]
fn what_had_come_at_the_cut_is_told_apart_from_what_came_later() {
    let limits = Duration::from_nanos(10);
    let config = || ServerConfig::default().buffer(2).chunk(2).drain(limits).linger(limits);
    // What the transport holds and what comes; then lost and refused of what is decoded, unread and refused of what is not,
    // and what never came.
    for (unread, comes, expected) in [
        (0, &[][..], (2, 0, 1, 0, 0)),
        (0, &["?fg"], (2, 3, 0, 0, 0)),
        (1, &["?fg"], (3, 2, 0, 0, 0)),
        (2, &["?fg"], (4, 1, 0, 0, 0)),
        (2, &["?", "f", "g", "h"], (4, 2, 0, 0, 0)),
        (5, &["?f"], (4, 0, 0, 0, 3)),
        (3, &["?fwg"], (4, 1, 0, 0, 0)),
        (3, &["?fghw"], (5, 1, 1, 1, 0)),
        (3, &[], (2, 0, 1, 0, 3)),
    ] {
        let mut line = Line::new(config());
        line.writes("h").tell(Input::Wrote(1)).waits(8).data("habcdw").writes("ab").tell(Input::Stop);
        // Two bytes are held that there is no credit for, and half of what is decoded as a whole.
        line.waits(2).now = at(10);
        line.waits(7).layered.note_unread(unread);
        for bytes in comes {
            line.data(bytes);
            assert!(matches!(line.poll(), Action::Wait(_)));
        }
        line.tell(Input::Wrote(2)).writes("e").tell(Input::Wrote(1)).half_closes();
        assert!(matches!(line.poll(), Action::Wait(_)));
        line.now = at(20);
        let came = outcome(&mut line);
        let refused = came.inner.refused - came.lost;
        let told = (came.lost, refused, came.unread, came.refused, came.unread_at_cut);
        assert_eq!(told, expected, "{unread} and {comes:?}");
        assert_eq!(came.inner.echoed, 2);
    }
}

#[test]
fn after_its_half_close_nothing_is_said_of_a_fault() {
    let mut line = Line::open();
    line.tell(Input::Stop).waits(8).now = at(1_000_000_000);
    line.writes("e").tell(Input::Wrote(1)).half_closes().waits(8).data("x").waits(8).tell(Input::Eof);
    assert_eq!(line.closes(Teardown::Graceful).0, Some(LayerFault::Codec('x')));
}

#[test]
fn last_words_that_nobody_takes_do_not_last() {
    /// Is done at once, and says so to nobody.
    #[derive(Clone, Debug)]
    struct Done;
    impl Machine for Done {
        type Command = std::convert::Infallible;
        type Event = std::convert::Infallible;
        type Outcome = ();
        fn handle(&mut self, _now: Time, _input: Input) {}
        fn poll(&mut self, _now: Time) -> Action<std::convert::Infallible, ()> {
            Action::Close { how: Teardown::Graceful, outcome: () }
        }
    }
    let codec = Letters { greeted: true, open: true, ..Letters::default() };
    let mut layered = Layered::new(codec, Done, layer_config(), at(0));
    assert_eq!(layered.poll(at(5)), Action::Write(Bytes::from_static(b"e")));
    let Action::Wait(wait) = layered.poll(at(5)) else { panic!("no wait") };
    assert_eq!(wait.deadline, Some(at(15)));
    let mut patient = layered.clone();
    patient.handle(at(6), Input::Wrote(1));
    assert_eq!(patient.poll(at(6)), Action::ShutdownWrite);
    assert!(matches!(patient.poll(at(6)), Action::Close { how: Teardown::Graceful, .. }));
    let mut aborted = layered.clone();
    aborted.handle(at(6), Input::Abort);
    for mut layered in [layered, aborted] {
        let Action::Close { how, outcome } = layered.poll(at(15)) else { panic!("no close") };
        assert_eq!(how, Teardown::Reset);
        let LayerOutcome { fault, opened, unread, refused, lost, unread_at_cut, inner: (), .. } = outcome;
        assert_eq!((fault, opened), (Some(LayerFault::Unfinished), true));
        assert_eq!((unread, refused, lost, unread_at_cut), (0, 0, 0, 0));
    }
}

/// What came of a line that is closed.
fn outcome(line: &mut Line) -> LayerOutcome<char, ServerOutcome> {
    let action = line.poll();
    let Action::Close { outcome, .. } = action else { panic!("{action:?} is no close") };
    outcome
}

#[test]
fn a_write_that_goes_slowly_is_seen_to_go_and_is_not_done_before_its_end() {
    let idle = Some(Duration::from_nanos(10));
    let mut line = Line::new(ServerConfig::default().idle(idle));
    line.writes("h").tell(Input::Wrote(1)).waits(8).data("hab").writes("ab").now = at(9);
    line.tell(Input::Wrote(1)).now = at(15);
    assert!(matches!(line.poll(), Action::Wait(_)));
    assert_eq!((line.layered.machine().echoed(), line.layered.machine().phase()), (1, Phase::Open));
    line.now = at(19);
    assert!(matches!(outcome(&mut line).inner.end, End::TimedOut(_)));

    // However often a part of it goes, the last byte goes with the whole.
    let mut line = Line::open();
    line.data("a").writes("a").tell(Input::Wrote(1));
    assert_eq!(line.layered.machine().echoed(), 1);
}

#[test]
fn what_came_and_was_not_told_is_counted() {
    // A piece that is not whole, when a stop is over.
    let mut line = Line::open();
    line.data("abw").writes("ab").tell(Input::Wrote(2)).tell(Input::Stop).waits(7).now = at(1_000_000_000);
    line.writes("e").tell(Input::Wrote(1)).half_closes().now = at(9_000_000_000);
    let stopped = outcome(&mut line);
    assert_eq!((stopped.opened, stopped.unread, stopped.fault), (true, 1, None));

    // What came with a fault and after it, but nothing of what comes after the peer's own end.
    let mut line = Line::open();
    line.data("axbc").writes("!").tell(Input::Wrote(1)).half_closes().data("de").tell(Input::Eof);
    assert_eq!(outcome(&mut line).unread, 3 + 2);
    let mut line = Line::open();
    line.data("aexx").writes("a").tell(Input::Wrote(1)).writes("e").tell(Input::Wrote(1)).half_closes();
    assert_eq!(outcome(&mut line).unread, 0);

    let mut line = Line::new(ServerConfig::default());
    line.writes("h").tell(Input::Wrote(1)).tell(Input::Eof);
    assert!(!outcome(&mut line).opened);
}

/// A byte in a frame is three bytes to the transport, and goes with the last of them.
#[test]
fn a_byte_has_left_when_all_that_it_became_has() {
    let server = EchoServer::new(Arc::default(), at(0));
    let mut layered = Layered::new(Frames::default(), server, layer_config(), at(0));
    assert!(matches!(layered.poll(at(0)), Action::Wait(_)));
    layered.handle(at(0), Input::Data(Bytes::from_static(b"\0\x01a")));
    assert_eq!(layered.poll(at(0)), Action::Write(Bytes::from_static(b"\0\x01a")));
    for (wrote, echoed) in [(1, 0), (1, 0), (1, 1)] {
        layered.handle(at(0), Input::Wrote(wrote));
        assert_eq!(layered.machine().echoed(), echoed);
    }
}

/// Writes `ab` at once. After a failure it has one thing to tell before it closes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Farewell {
    wrote: usize,
    has_written: bool,
    has_failed: bool,
    has_told: bool,
}

impl Machine for Farewell {
    type Command = std::convert::Infallible;
    type Event = ();
    type Outcome = usize;

    fn handle(&mut self, _: Time, input: Input) {
        match input {
            Input::Wrote(bytes) => self.wrote += bytes,
            Input::Failed(_) => self.has_failed = true,
            Input::Data(_) | Input::Eof | Input::Command(_) | Input::Stop | Input::Abort => {}
        }
    }

    fn poll(&mut self, _: Time) -> Action<(), usize> {
        if !std::mem::replace(&mut self.has_written, true) {
            Action::Write(Bytes::from_static(b"ab"))
        } else if !self.has_failed {
            Action::Wait(Wait { read: 8, commands: 0, deadline: None })
        } else if !std::mem::replace(&mut self.has_told, true) {
            Action::Event(())
        } else {
            Action::Close { how: Teardown::Graceful, outcome: self.wrote }
        }
    }
}

/// What comes and what leaves while the machine has its last word: it is told of neither, and what came is counted.
#[test]
fn after_a_fault_the_machine_is_told_nothing_more() {
    let mut layered = Layered::new(Letters::default(), Farewell::default(), layer_config(), at(0));
    let mut tell = |input: Option<Input>| {
        if let Some(input) = input {
            layered.handle(at(0), input);
        }
        layered.poll(at(0))
    };
    let data = |text: &'static str| Some(Input::Data(Bytes::from_static(text.as_bytes())));
    assert_eq!(tell(None), Action::Write(Bytes::from_static(b"h")));
    assert!(matches!(tell(Some(Input::Wrote(1))), Action::Wait(_)));
    assert_eq!(tell(data("h")), Action::Write(Bytes::from_static(b"ab")));
    assert_eq!(tell(data("x")), Action::Event(()));
    layered.handle(at(0), Input::Data(Bytes::from_static(b"cd")));
    layered.handle(at(0), Input::Wrote(2));
    assert_eq!(layered.poll(at(0)), Action::Write(Bytes::from_static(b"!")));
    layered.handle(at(0), Input::Wrote(1));
    assert_eq!(layered.poll(at(0)), Action::ShutdownWrite);
    layered.handle(at(0), Input::Eof);
    let action = layered.poll(at(0));
    let Action::Close { outcome, .. } = action else { panic!("{action:?} is no close") };
    assert_eq!((outcome.inner, outcome.unread), (0, 3));
}

/// Decodes all that comes at once, and gives it in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Hoard(BytesMut);

impl Codec for Hoard {
    type Fault = char;

    fn decode(&mut self, received: &mut BytesMut, max: usize) -> Result<Decoded, char> {
        self.0.extend_from_slice(&received.split());
        let given = self.0.len().min(max);
        Ok(if given == 0 { Decoded::More } else { Decoded::Data(self.0.split_to(given).freeze()) })
    }

    fn encode(&mut self, plain: &[u8], out: &mut BytesMut) -> Result<usize, char> {
        out.put_slice(plain);
        Ok(plain.len())
    }

    fn finish(&mut self, _: &mut BytesMut) {}

    fn held(&self) -> usize {
        self.0.len()
    }
}

/// Four of six bytes that came after two were echoed were there before the drain cut the conversation.
#[test]
fn of_what_a_codec_holds_the_first_came_before_the_cut() {
    let limits = Duration::from_nanos(10);
    let config = ServerConfig::default().buffer(2).chunk(2).drain(limits).linger(limits);
    let server = EchoServer::new(Arc::new(config), at(0));
    let mut layered = Layered::new(Hoard::default(), server, layer_config(), at(0));
    assert!(matches!(layered.poll(at(0)), Action::Wait(_)));
    layered.handle(at(0), Input::Data(Bytes::from_static(b"abcdef")));
    assert_eq!(layered.poll(at(0)), Action::Write(Bytes::from_static(b"ab")));
    layered.handle(at(0), Input::Stop);
    assert!(matches!(layered.poll(at(0)), Action::Wait(_)));
    assert!(matches!(layered.poll(at(10)), Action::Wait(_)));
    assert!(layered.discards_input());
    layered.handle(at(10), Input::Data(Bytes::from_static(b"gh")));
    assert!(matches!(layered.poll(at(10)), Action::Wait(_)));
    layered.handle(at(10), Input::Wrote(2));
    assert_eq!(layered.poll(at(10)), Action::ShutdownWrite);
    assert!(matches!(layered.poll(at(10)), Action::Wait(_)));
    let action = layered.poll(at(20));
    let Action::Close { outcome, .. } = action else { panic!("{action:?} is no close") };
    assert_eq!((outcome.lost, outcome.inner.refused), (4, 6));
}

/// Keeps what it takes until the end, and can do no more once it was told to fail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Late {
    kept: Vec<u8>,
    fails: bool,
}

impl Codec for Late {
    type Fault = &'static str;

    fn decode(&mut self, received: &mut BytesMut, max: usize) -> Result<Decoded, &'static str> {
        match received.first() {
            None => Ok(Decoded::More),
            Some(b'.') => Ok(Decoded::End),
            Some(_) => Ok(Decoded::Data(received.split_to(max.min(1)).freeze())),
        }
    }

    fn encode(&mut self, plain: &[u8], _out: &mut BytesMut) -> Result<usize, &'static str> {
        if self.fails {
            return Err("no more");
        }
        self.kept.extend_from_slice(plain);
        Ok(plain.len())
    }

    fn finish(&mut self, out: &mut BytesMut) {
        out.put_slice(&std::mem::take(&mut self.kept));
        out.put_u8(b'.');
    }
}

#[test]
fn a_codec_may_keep_what_it_takes() {
    let server = EchoServer::new(Arc::default(), at(0));
    let mut layered = Layered::new(Late::default(), server, layer_config(), at(0));
    assert!(matches!(layered.poll(at(0)), Action::Wait(_)));
    layered.handle(at(0), Input::Data(Bytes::from_static(b"abc")));
    assert!(matches!(layered.poll(at(0)), Action::Wait(_)));
    layered.handle(at(0), Input::Data(Bytes::from_static(b".")));
    assert_eq!(layered.poll(at(0)), Action::Write(Bytes::from_static(b"abc.")));
}

#[test]
fn a_codec_that_fails_after_the_peers_end_ends_the_session() {
    let server = EchoServer::new(Arc::default(), at(0));
    let mut layered = Layered::new(Late { fails: true, ..Late::default() }, server, layer_config(), at(0));
    assert!(matches!(layered.poll(at(0)), Action::Wait(_)));
    layered.handle(at(0), Input::Data(Bytes::from_static(b"abc.")));
    assert_eq!(layered.poll(at(0)), Action::ShutdownWrite);
    layered.handle(at(0), Input::Eof);
    let action = layered.poll(at(0));
    let Action::Close { outcome, .. } = action else { panic!("{action:?} is no close") };
    assert_eq!(outcome.fault, Some(LayerFault::Codec("no more")));
}

/// Carries out operations on a layer; what its peer sends is one of these letters after the other.
fn run<C: Codec + Clone, M>(
    mut bench: Bench<Layered<C, M>>,
    ops: &[Op],
    letters: &[u8],
) -> Bench<Layered<C, M>>
where
    M: Machine<Command = std::convert::Infallible, Event = std::convert::Infallible> + Clone,
{
    let mut sent = letters.iter().copied().cycle();
    for &op in ops {
        bench.pass(op);
        if let Some(input) = bench.input(op, |len| sent.by_ref().take(len).collect::<Vec<_>>().into()) {
            bench.tell(input);
        }
        if op == Op::Poll {
            let _ = bench.poll();
        } else if op == Op::Settle {
            bench.settle();
        }
    }
    bench
}

/// A client and a server in memory, each in a layer, and the outcomes of both.
fn converse<C: Codec<Fault: std::fmt::Debug>>(
    codecs: [C; 2],
    length: u64,
    slicing: &Slicing,
) -> (LayerOutcome<C::Fault, ClientOutcome>, LayerOutcome<C::Fault, ServerOutcome>) {
    let now = at(0);
    let [ours, theirs] = codecs;
    let client = EchoClient::new(ClientConfig::default().into(), Payload::seeded(7, length), now);
    let server = EchoServer::new(Arc::default(), now);
    let mut client = Driven::new(Layered::new(ours, client, LayerConfig::default(), now));
    let mut server = Driven::new(Layered::new(theirs, server, LayerConfig::default(), now));
    let (mut there, mut back) = (Pipe::default(), Pipe::default());
    let mut sizes = slicing.reads.iter().chain(&slicing.writes).copied().cycle();
    let mut size = || sizes.next().unwrap_or(1).max(1);
    let (mut client_ended, mut server_ended) = (None, None);
    for _ in 0..200_000 {
        turn(&mut client, &mut there, &mut back, size(), &mut client_ended);
        turn(&mut server, &mut back, &mut there, size(), &mut server_ended);
        if let (Some(client), Some(server)) = (&client_ended, &server_ended) {
            return (client.clone(), server.clone());
        }
    }
    panic!("no end: {client:?} {server:?}", client = client_ended.is_some(), server = server_ended.is_some());
}

#[derive(Default)]
struct Pipe {
    bytes: BytesMut,
    ended: bool,
}

fn turn<M: Machine<Event = std::convert::Infallible>>(
    session: &mut Driven<M>,
    out: &mut Pipe,
    back: &mut Pipe,
    size: usize,
    ended: &mut Option<M::Outcome>,
) {
    match session.step(at(0)) {
        Step::Write => {}
        Step::ShutdownWrite => out.ended = true,
        Step::Event(never) => match never {},
        Step::Close { outcome, .. } => *ended = Some(outcome),
        Step::Wait(_) => {
            out.bytes.extend_from_slice(&session.take(at(0), size));
            let read = back.bytes.len().min(session.credit()).min(size);
            if read > 0 {
                assert!(session.data(at(0), back.bytes.split_to(read).freeze()).is_empty());
            } else if back.bytes.is_empty() && back.ended && session.credit() > 0 {
                session.eof(at(0));
            }
        }
    }
}

quickcheck! {
    fn every_invariant_holds_of_an_echo_in_frames(case: Served, letters: Vec<u8>) -> bool {
        let letters = if letters.is_empty() { vec![0] } else { letters };
        // Small lengths, so that ends and beginnings are met.
        let letters: Vec<_> = letters.into_iter().map(|letter| letter % 4).collect();
        let server = EchoServer::new(case.setup.config(), at(0));
        let layered = Layered::new(Frames::default(), server, layer_config(), at(0));
        assert_contract(&run(Bench::new(layered, at(0)), &case.ops, &letters));
        true
    }

    fn every_invariant_holds_of_a_layer_that_greets_and_finds_faults(case: Served, letters: Vec<u8>) -> bool {
        let letters: Vec<_> = [b'h'].into_iter()
            .chain(letters.into_iter().map(|letter| b"hexwabcdefabcdab"[usize::from(letter % 16)]))
            .collect();
        let server = EchoServer::new(case.setup.config(), at(0));
        let layered = Layered::new(Letters::default(), server, layer_config(), at(0));
        let bench = run(Bench::new(layered, at(0)), &case.ops, &letters);
        assert_contract(&bench);
        for layered in bench.before.iter().chain([&bench.machine]) {
            assert!(layered.held() <= layer_config().inbox + 2, "{}", layered.held());
        }
        true
    }

    fn an_echo_in_frames_is_verified_however_it_is_sliced(length: u16, slicing: Slicing) -> bool {
        let length = u64::from(length % 2000);
        let (client, server) = converse([Frames::default(), Frames::default()], length, &slicing);
        assert_eq!((client.fault, server.fault), (None, None));
        assert_eq!(client.inner.verdict, Verdict::Verified);
        assert_eq!((server.inner.end, server.inner.echoed), (End::Clean, length));
        true
    }
}

#[test]
fn layers_stand_in_layers() {
    let slicing = Slicing { reads: vec![3, 50], writes: vec![1, 7], reads_first: true };
    let now = at(0);
    let payload = Payload::seeded(3, 1000);
    let client = EchoClient::new(ClientConfig::default().into(), payload, now);
    let inner = Layered::new(Frames::default(), client, LayerConfig::default(), now);
    let mut outer = Driven::new(Layered::new(Frames::default(), inner, LayerConfig::default(), now));
    let server = Layered::new(Frames::default(), EchoServer::new(Arc::default(), now), layer_config(), now);
    let mut server = Driven::new(Layered::new(Frames::default(), server, layer_config(), now));
    let (mut there, mut back) = (Pipe::default(), Pipe::default());
    let (mut ended, mut served) = (None, None);
    for size in slicing.reads.iter().chain(&slicing.writes).copied().cycle().take(10_000) {
        turn(&mut outer, &mut there, &mut back, size, &mut ended);
        turn(&mut server, &mut back, &mut there, size, &mut served);
    }
    assert_eq!(ended.unwrap().inner.inner.verdict, Verdict::Verified);
    assert_eq!(served.unwrap().inner.inner.end, End::Clean);
}
