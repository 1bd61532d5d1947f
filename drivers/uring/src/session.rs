//! One machine and its socket: what was asked of the ring for it, and what came of that.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use roundtrip_core::{Machine, Teardown, Time};
use roundtrip_net::event_loop::Token;
use roundtrip_net::{Block, Call, Connection, ConnectionReport, EventSink, Guarded, Mailbox, classify};

use crate::ring::{LineId, Received, ThreadRing, Watch, What};

/// How often a connection goes on without waiting before the others of its thread have their turn.
const TURNS: u32 = 32;

/// What came of a wake-up.
#[derive(Debug)]
pub(crate) enum Turn<O> {
    /// The machine closed, and nothing is in flight. The session must be dropped.
    Over(ConnectionReport<O>),
    /// It must be woken again without waiting, but after the ring was entered.
    Again,
    /// It waits for what is in flight, for mail, or until then.
    Wait(Option<Time>),
}

/// A machine on its stream.
#[derive(Debug)]
pub(crate) struct Session<M: Machine> {
    connection: Connection<M>,
    stream: Rc<Guarded>,
    mailbox: Mailbox<M::Command>,
    line: LineId,
    begun: bool,
    receive: Receive,
    send: Send,
    /// Writing failed, and what was received until then is waited for.
    broken: Option<io::Error>,
    /// A deadline has passed, and a receive is tried when the ring is entered more often than that: what has come, comes.
    looks: Option<u64>,
    /// How often the ring had been entered when the machine began to discard: what is reaped before it is entered again was
    /// complete by then.
    cut: Option<u64>,
    closed: Option<(Teardown, M::Outcome)>,
}

/// The way in. A receive is in flight whenever there is credit: it brings no more than that, at one time or at several.
#[derive(Debug, Default)]
struct Receive {
    flight: Flight,
    /// What it brought.
    came: Option<io::Result<Received>>,
    /// What there was no credit for after all.
    surplus: Bytes,
    /// The end came behind that.
    ended: bool,
    /// There is nothing to receive that the kernel knew of.
    empty: bool,
    hang_up: HangUp,
    /// Bytes that came after the machine's end.
    late: u64,
}

/// What is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flight {
    #[default]
    Nothing,
    /// It brings something once.
    Once,
    /// It brings something again and again.
    GoesOn,
}

/// What is known of the peer's end. A receive that goes on may miss it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HangUp {
    /// It was not asked for.
    #[default]
    Unwatched,
    /// It will be told.
    Watched,
    /// It was told. From here on each receive is one of its own.
    Seen,
}

/// The way out. A send is in flight whenever something is pending.
#[derive(Debug, Default)]
struct Send {
    in_flight: bool,
    /// What it came to.
    sent: Option<io::Result<usize>>,
    /// The socket takes no more at once.
    full: bool,
}

impl<M: Machine> Session<M> {
    /// A machine that begins now.
    pub(crate) fn new(
        uring: &mut ThreadRing,
        token: Token,
        stream: Guarded,
        mailbox: Mailbox<M::Command>,
        now: Time,
        machine: impl FnOnce(Time) -> M,
    ) -> Self {
        let stream = Rc::new(stream);
        let mut connection = Connection::new(now, machine);
        if stream.stream().is_of_packets() {
            connection.fail(Call::Wait, packets());
        }
        Self {
            connection,
            mailbox,
            line: uring.attach(token, Rc::<Guarded>::clone(&stream)),
            stream,
            begun: false,
            receive: Receive::default(),
            send: Send::default(),
            broken: None,
            looks: None,
            cut: None,
            closed: None,
        }
    }

    /// Whether the ring said something that the machine does not know yet. It must be told before the ring says more.
    pub(crate) const fn has_news(&self) -> bool {
        self.receive.came.is_some() || self.send.sent.is_some()
    }

    /// The ring said this.
    pub(crate) fn note(&mut self, what: What) {
        match what {
            What::Received(came) => {
                if !came.as_ref().is_ok_and(|came| came.goes_on) {
                    self.receive.flight = Flight::Nothing;
                }
                self.receive.came = Some(came);
            }
            What::Sent(sent) => {
                self.send.in_flight = false;
                self.send.sent = Some(sent);
            }
            What::Ready => self.receive.hang_up = HangUp::Seen,
        }
    }

    /// The bell rang.
    pub(crate) const fn expect_mail(&mut self) {
        self.connection.expect_mail();
    }

    /// When it must be woken at the latest.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        match self.closed {
            None => self.connection.deadline(),
            Some(_) => None,
        }
    }

    /// The ring is of no use any more.
    pub(crate) fn fail(&mut self, error: io::Error) {
        self.connection.fail(Call::Wait, error);
    }

    /// One wake-up.
    pub(crate) fn run(
        &mut self,
        uring: &mut ThreadRing,
        now: Time,
        block: &mut Block,
        events: &mut impl EventSink<M::Event>,
    ) -> Turn<M::Outcome> {
        if self.closed.is_some() {
            return self.wind_up(uring);
        }
        if std::mem::replace(&mut self.begun, true) {
            self.connection.wake(now);
            if self.must_look(uring.entered()) {
                self.ask_to_receive(uring);
                return Turn::Again;
            }
            self.tell_what_came(uring.entered());
            self.tell_what_was_sent(uring, block);
        }
        let mut turns = 0..TURNS;
        loop {
            self.connection.holds(self.receive.surplus.len());
            self.closed = self.connection.advance_to_write(&mut &*self.stream, events);
            if self.connection.is_cut() && self.cut.is_none() {
                self.cut = Some(uring.entered());
            }
            if self.closed.is_some() {
                return self.wind_up(uring);
            }
            if self.connection.is_unfinished() {
                self.connection.deliver(&self.mailbox);
                self.ask(uring);
                return Turn::Again;
            }
            // Mail comes first: a peer that always has more to read must not keep it from being seen.
            if !(self.connection.deliver(&self.mailbox) || self.tell_surplus()) {
                self.ask(uring);
                return Turn::Wait(self.deadline());
            }
            if turns.next().is_none() {
                self.ask(uring);
                return Turn::Again;
            }
        }
    }

    /// Whether a deadline has passed and the kernel was not asked since then what had come: that is told *before* the
    /// deadline takes effect, for it may have come while we were suspended.
    fn must_look(&mut self, entered: u64) -> bool {
        if let Some(Err(error)) = &self.receive.came
            && is_to_be_tried_again(error)
        {
            (self.receive.came, self.looks) = (None, None);
        }
        let late = self.deadline().is_some_and(|deadline| deadline <= self.connection.now());
        let looks = late && self.receive.came.is_none() && self.may_receive();
        self.looks = looks.then(|| self.looks.unwrap_or(entered)).filter(|since| *since == entered);
        self.looks.is_some()
    }

    /// What was received before the cut, and was reaped after it, is no less accepted.
    fn note_cut(&mut self, bytes: usize, entered: u64) {
        if self.cut == Some(entered) {
            self.connection.came_before_cut(bytes as u64);
        }
    }

    fn tell_what_came(&mut self, entered: u64) {
        match self.receive.came.take() {
            None => {}
            Some(Ok(Received { bytes, .. })) if bytes.is_empty() => {
                self.receive.ended = true;
                self.tell_end();
            }
            Some(Ok(Received { bytes, more, .. })) => {
                self.receive.empty = !more;
                self.note_cut(bytes.len(), entered);
                // What is told while a write is outstanding is kept for a while.
                let keep = self.connection.session().pending_bytes().is_some();
                let bytes = if keep { Bytes::copy_from_slice(&bytes) } else { bytes };
                if self.receive.surplus.is_empty() {
                    self.receive.surplus = self.connection.came(bytes);
                } else {
                    self.receive.surplus = [&self.receive.surplus[..], &bytes].concat().into();
                }
            }
            Some(Err(error)) => self.connection.fail(Call::Read, error),
        }
    }

    /// Tells what there was no credit for, if there is credit now; whether there was any.
    fn tell_surplus(&mut self) -> bool {
        if self.receive.surplus.is_empty() || self.connection.credit() == 0 {
            return false;
        }
        let surplus = std::mem::take(&mut self.receive.surplus);
        self.receive.surplus = self.connection.came(surplus);
        self.tell_end();
        true
    }

    /// Tells the end, if it came and nothing before it is left.
    fn tell_end(&mut self) {
        if self.receive.surplus.is_empty() && std::mem::take(&mut self.receive.ended) {
            self.connection.finished();
        }
    }

    fn tell_what_was_sent(&mut self, uring: &mut ThreadRing, block: &mut Block) {
        match self.send.sent.take() {
            None => {}
            Some(Ok(sent)) => {
                self.connection.wrote(sent);
                self.hold_pending();
            }
            Some(Err(error)) if classify::is_again(&error) => self.hold_pending(),
            Some(Err(error)) => self.broken = Some(error),
        }
        if let Some(error) = self.broken.take() {
            if self.receive.flight == Flight::Nothing {
                self.connection.broke(&mut &*self.stream, block, error);
            } else {
                uring.cancel_receive(self.line);
                self.broken = Some(error);
            }
        }
    }

    /// What is still pending stays for a while.
    fn hold_pending(&mut self) {
        self.send.full = self.connection.session().pending_bytes().is_some();
        if self.send.full {
            self.connection.unshare_pending();
        }
    }

    /// Has the ring send what is pending, and receive what there is credit for.
    fn ask(&mut self, uring: &mut ThreadRing) {
        if self.broken.is_some() {
            return;
        }
        let session = self.connection.session();
        if let Some(pending) = session.pending_bytes().filter(|_| !self.send.in_flight) {
            // A send that waits keeps all of the memory around its bytes. So the first one does not wait.
            uring.send(self.line, pending.clone(), !self.send.full);
            self.send.in_flight = true;
        }
        self.ask_to_receive(uring);
    }

    fn ask_to_receive(&mut self, uring: &mut ThreadRing) {
        if self.receive.flight == Flight::GoesOn && self.receive.hang_up == HangUp::Seen {
            uring.cancel_receive(self.line);
        }
        if self.receive.flight != Flight::Nothing || !self.may_receive() {
            return;
        }
        let (credit, once) = (self.connection.credit(), self.receive.hang_up == HangUp::Seen);
        if !uring.receive(self.line, credit, self.receive.empty, once) {
            self.receive.flight = Flight::Once;
            return;
        }
        self.receive.flight = Flight::GoesOn;
        if self.receive.hang_up == HangUp::Unwatched {
            self.receive.hang_up = HangUp::Watched;
            uring.watch(self.line, Watch::HangUp);
        }
    }

    /// Whether the machine takes what comes.
    fn may_receive(&self) -> bool {
        self.connection.credit() > 0 && self.receive.surplus.is_empty() && self.broken.is_none()
    }

    /// After the machine's end: cancels what is in flight, and counts what comes of it.
    fn wind_up(&mut self, uring: &mut ThreadRing) -> Turn<M::Outcome> {
        if let Some(Ok(sent)) = self.send.sent.take() {
            self.connection.wrote(sent);
        }
        if let Some(Ok(Received { bytes, .. })) = self.receive.came.take() {
            self.receive.late += bytes.len() as u64;
            self.note_cut(bytes.len(), uring.entered());
        }
        if !uring.is_idle(self.line) {
            uring.cancel(self.line);
            return Turn::Wait(None);
        }
        let Some((how, outcome)) = self.closed.take() else { return Turn::Wait(None) };
        let mut ended = self.connection.close(&mut &*self.stream, how, outcome);
        ended.unread += self.receive.late + self.receive.surplus.len() as u64;
        uring.detach(self.line);
        Turn::Over(ended)
    }

    /// After a panic, when the machine is not called any more: whether nothing is in flight, and the session can be
    /// dropped. Until then it must be asked again after each completion.
    pub(crate) fn give_up(&self, uring: &mut ThreadRing) -> bool {
        if uring.is_idle(self.line) {
            uring.detach(self.line);
            return true;
        }
        uring.cancel(self.line);
        false
    }
}

/// A receive with fewer bytes of credit than a packet has would lose its rest, and the ring does not look before.
pub(crate) fn packets() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a ring cannot receive packets piece by piece")
}

/// Whether a receive only found no free buffer, or was cancelled.
fn is_to_be_tried_again(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ECANCELED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Uring;
    use crate::ring::{Prepared, Sleep};
    use roundtrip_core::{Action, Input, Wait};
    use roundtrip_net::event_loop::SessionChannel;
    use roundtrip_net::{Backend, Callback, Control};
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    /// What a machine is told to do.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Order {
        Read(usize),
        /// Reads and drops.
        Discard,
        Close,
    }

    /// Does it, writes a few bytes first, and says what came.
    #[expect(clippy::struct_excessive_bools, reason = "each tells one thing")]
    #[derive(Default)]
    struct Obedient {
        read: usize,
        wrote: bool,
        closes: bool,
        discards: bool,
        ended: bool,
        came: Vec<u8>,
        writes: usize,
    }

    impl Machine for Obedient {
        type Command = Order;
        type Event = ();
        type Outcome = Vec<u8>;

        fn handle(&mut self, _now: Time, input: Input<Order>) {
            match input {
                Input::Command(Order::Read(most)) => self.read = most,
                Input::Command(Order::Discard) => self.discards = true,
                Input::Command(Order::Close) | Input::Failed(_) => self.closes = true,
                Input::Data(bytes) => self.came.extend_from_slice(&bytes),
                Input::Wrote(_) => self.wrote = true,
                Input::Eof => self.ended = true,
                Input::Stop | Input::Abort => {}
            }
        }

        fn poll(&mut self, _now: Time) -> Action<(), Vec<u8>> {
            if self.closes {
                return Action::Close { how: Teardown::Graceful, outcome: self.came.clone() };
            }
            match std::mem::take(&mut self.writes) {
                0 => Action::Wait(Wait { read: self.read, commands: 1, deadline: None }),
                bytes => Action::Write(vec![7; bytes].into()),
            }
        }

        fn discards_input(&self) -> bool {
            self.discards
        }
    }

    /// A session whose completions the test makes up.
    struct Bench {
        uring: ThreadRing,
        session: Session<Obedient>,
        control: Control<Order>,
        peer: UnixStream,
    }

    impl Bench {
        fn new(read: usize, writes: usize) -> Self {
            let prepared = Prepared::new(Uring::default()).unwrap();
            let SessionChannel { mailbox, control, .. } = SessionChannel::new(prepared.wake());
            let (ours, peer) = UnixStream::pair().unwrap();
            let mut uring = prepared.start();
            let stream = Guarded::new(ours.into());
            let machine = |_now| Obedient { read, writes, ..Obedient::default() };
            let session = Session::new(&mut uring, Token(0), stream, mailbox, Time::ZERO, machine);
            let mut bench = Self { uring, session, control, peer };
            assert!(matches!(bench.run(), Turn::Wait(None)));
            bench
        }

        fn run(&mut self) -> Turn<Vec<u8>> {
            self.session.run(&mut self.uring, Time::ZERO, &mut Block::default(), &mut Callback(|()| {}))
        }

        fn order(&mut self, order: Order) -> Turn<Vec<u8>> {
            self.control.try_send(order).unwrap();
            self.session.expect_mail();
            self.run()
        }

        fn received(&mut self, bytes: &'static [u8]) {
            self.session.note(What::Received(Ok(Received {
                bytes: Bytes::from_static(bytes),
                more: false,
                goes_on: false,
            })));
        }

        /// Lets the ring do what it was asked for, and tells none of it.
        fn settle(&mut self) {
            self.uring.enter(Sleep::For(None)).unwrap();
            while self.uring.reap().is_some() {}
        }

        /// Tells all that is complete.
        fn tell(&mut self) {
            while let Some(done) = self.uring.reap() {
                if self.session.has_news() {
                    let _waits = self.run();
                }
                self.session.note(done.what);
            }
            let _waits = self.run();
        }

        /// What came of it once nothing was in flight.
        fn end(mut self, mut turn: Turn<Vec<u8>>) -> ConnectionReport<Vec<u8>> {
            loop {
                if let Turn::Over(ended) = turn {
                    return ended;
                }
                self.settle();
                turn = self.run();
            }
        }
    }

    #[test]
    fn a_socket_of_packets_is_refused_before_anything_is_received() {
        let endpoint = format!("unix:@roundtrip-uring-{},type=seqpacket", std::process::id());
        let endpoint = endpoint.parse().unwrap();
        let listener = roundtrip_net::bind(&endpoint, &roundtrip_net::BindOptions::default()).unwrap();
        let stream = roundtrip_net::connect(&endpoint, &roundtrip_net::ConnectOptions::default()).unwrap();
        let ended = crate::drive(stream, |_now| Obedient { read: 1, ..Obedient::default() }).unwrap();
        assert_eq!(ended.failure.unwrap().error.kind(), io::ErrorKind::Unsupported);
        let service = |_now, _peer: &_| Obedient::default();
        let handle = roundtrip_net::ServerHandle::new();
        let served = Uring::default().serve(
            vec![listener],
            roundtrip_core::admission::Limits::default(),
            &handle,
            &service,
        );
        assert_eq!(served.unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn what_completes_after_the_end_is_counted_and_told_to_nobody() {
        let mut bench = Bench::new(100, 1000);
        assert!(matches!(bench.order(Order::Close), Turn::Wait(None)), "two are in flight");
        bench.received(b"late");
        assert!(matches!(bench.run(), Turn::Wait(None)), "the ring says that they are");
        bench.session.note(What::Sent(Ok(10)));
        let turn = bench.run();
        let ended = bench.end(turn);
        assert_eq!((ended.outcome, ended.unread, ended.written), (Vec::new(), 4, 10));
    }

    /// The socket does not hold them any more, and the machine was not told of them yet.
    #[test]
    fn what_was_complete_and_not_reaped_at_the_cut_came_before_it() {
        for is_over in [false, true] {
            let mut bench = Bench::new(100, 0);
            let receive = |bench: &mut Bench| {
                (&bench.peer).write_all(b".").unwrap();
                bench.settle();
            };
            let turn = if is_over {
                bench.order(Order::Discard);
                bench.order(Order::Close);
                bench.received(b"before");
                bench.run()
            } else {
                receive(&mut bench);
                bench.order(Order::Discard);
                bench.received(b"before");
                bench.run();
                receive(&mut bench);
                bench.received(b"later");
                bench.run();
                bench.order(Order::Close)
            };
            assert_eq!(bench.end(turn).unread_at_cut, Some(6));
        }
    }

    /// A machine that takes its credit back is in the wrong, but it is not the peer's bytes that should suffer.
    #[test]
    fn bytes_that_came_when_the_credit_was_gone_are_told_when_there_is_some() {
        for goes_on in [true, false] {
            let mut bench = Bench::new(100, 0);
            bench.order(Order::Read(0));
            (&bench.peer).write_all(b".").unwrap();
            bench.settle();
            bench.received(b"early");
            bench.run();
            let came = |bench: &Bench| bench.session.connection.session().machine().came.len();
            assert_eq!(came(&bench), 0);
            if goes_on {
                bench.order(Order::Read(2));
                assert_eq!(came(&bench), 5);
            }
            let turn = bench.order(Order::Close);
            assert_eq!(bench.end(turn).unread, if goes_on { 0 } else { 5 });
        }
    }

    /// It comes before the kernel was asked, and after it was.
    #[test]
    fn an_end_that_comes_with_the_last_bytes_is_not_missed() {
        for is_asked in [true, false] {
            let mut bench = Bench::new(8192, 0);
            (&bench.peer).write_all(&[7; 8192]).unwrap();
            // The first receive comes to its limit, and the next is asked for.
            bench.uring.enter(Sleep::For(None)).unwrap();
            bench.tell();
            if is_asked {
                bench.uring.enter(Sleep::No).unwrap();
                bench.tell();
            }
            (&bench.peer).write_all(b"last").unwrap();
            bench.peer.shutdown(Shutdown::Write).unwrap();
            let mut rounds = 0..8;
            while !bench.session.connection.session().machine().ended {
                assert!(rounds.next().is_some(), "the end is missing");
                bench.uring.enter(Sleep::For(Some(Duration::from_secs(5)))).unwrap();
                bench.tell();
            }
            assert_eq!(bench.session.connection.session().machine().came.len(), 8196);
        }
    }

    /// A send that fails says nothing of what the peer sent; a receive that is in flight may never end by itself.
    #[test]
    fn what_came_before_a_send_failed_is_told_first() {
        for came in [&b"last"[..], b""] {
            let mut bench = Bench::new(100, 1000);
            (&bench.peer).write_all(came).unwrap();
            bench.session.note(What::Sent(Err(io::Error::from_raw_os_error(libc::ENOMEM))));
            let mut turn = bench.run();
            for _round in 0..4 {
                bench.uring.enter(Sleep::For(Some(Duration::from_secs(5)))).unwrap();
                while let Some(done) = bench.uring.reap() {
                    if matches!(done.what, What::Received(_)) {
                        bench.session.note(done.what);
                        turn = bench.run();
                    }
                }
                if matches!(turn, Turn::Over(_)) {
                    break;
                }
                turn = bench.run();
            }
            let Turn::Over(ended) = turn else { panic!("it waits for more") };
            assert_eq!(ended.outcome, came);
            assert_eq!(ended.failure.map(|failure| failure.call), Some(Call::Write));
        }
    }

    #[test]
    fn what_a_socket_does_not_take_at_once_is_sent_when_it_does_and_copied_before() {
        let mut bench = Bench::new(0, 1000);
        bench.settle();
        let whole = bench.session.connection.session().pending_bytes().cloned().unwrap();
        bench.session.note(What::Sent(Ok(10)));
        bench.run();
        let session = bench.session.connection.session();
        assert!(session.machine().wrote && bench.session.send.full);
        let rest = session.pending_bytes().unwrap();
        assert_eq!(rest.len(), 990);
        assert_ne!(rest.as_ptr(), whole[10..].as_ptr(), "a copy");
    }
}
