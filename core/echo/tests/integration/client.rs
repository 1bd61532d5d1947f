//! The client's session, one rule at a time; what it says about faults is in `verdicts.rs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::{Action, Failure, Input, Machine, Teardown, Time};
use roundtrip_echo::{ClientConfig, ClientOutcome, EchoClient, Fault, FaultKind, Payload, PeerEnd, Verdict};

type Answer = Action<std::convert::Infallible, ClientOutcome>;

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

fn text(len: usize) -> Payload {
    let text: Vec<u8> = (b'a'..=b'z').cycle().take(len).collect();
    Payload::given(text.into())
}

/// The outcome of a session that ends as soon as it has half-closed.
fn outcome(verdict: Verdict, sent: u64, received: u64) -> ClientOutcome {
    let mut outcome = ClientOutcome::new(verdict);
    (outcome.sent, outcome.received, outcome.shut) = (sent, received, Some(Duration::ZERO));
    outcome
}

/// A client that sends "abcdefghij..." and is polled at the time it begins unless a test says otherwise.
struct Client {
    machine: EchoClient,
    now: Time,
}

impl Client {
    fn new(len: usize, window: usize, chunk: usize) -> Self {
        Self::with(text(len), window, chunk)
    }

    fn with(payload: Payload, window: usize, chunk: usize) -> Self {
        Self::configured(ClientConfig::default().window(window).chunk(chunk), payload)
    }

    /// With a time-out of 100 ns.
    fn configured(config: ClientConfig, payload: Payload) -> Self {
        let config = config.timeout(Some(Duration::from_nanos(100)));
        Self { machine: EchoClient::new(Arc::new(config), payload, at(10)), now: at(10) }
    }

    fn poll(&mut self) -> Answer {
        self.machine.poll(self.now)
    }

    fn tell(&mut self, input: Input) {
        self.machine.handle(self.now, input);
    }

    fn echo(&mut self, bytes: &[u8]) {
        self.tell(Input::Data(Bytes::copy_from_slice(bytes)));
    }

    /// Polls; the bytes of the write that it must be.
    fn write(&mut self) -> Bytes {
        let action = self.poll();
        let Action::Write(bytes) = action else { panic!("{action:?} is no write") };
        bytes
    }

    /// Polls; the read credit and the deadline of the wait that it must be.
    fn wait(&mut self) -> (usize, Option<Time>) {
        let action = self.poll();
        let Action::Wait(wait) = action else { panic!("{action:?} is no wait") };
        assert_eq!(wait.commands, 0);
        (wait.read, wait.deadline)
    }

    fn close(&mut self) -> (Teardown, ClientOutcome) {
        let action = self.poll();
        let Action::Close { how, outcome } = action else { panic!("{action:?} is no close") };
        (how, outcome)
    }

    fn faulty(&mut self) -> Fault {
        match self.close() {
            (Teardown::Reset, ClientOutcome { verdict: Verdict::Faulty(fault), .. }) => fault,
            close => panic!("{close:?} is no fault"),
        }
    }
}

#[test]
fn a_payload_is_sent_half_closed_and_verified() {
    let mut client = Client::new(5, 64, 64);
    assert_eq!(client.write(), "abcde");
    assert_eq!(client.wait(), (64, Some(at(110))));
    assert_eq!((client.machine.sent(), client.machine.received()), (0, 0));
    client.tell(Input::Wrote(2));
    assert_eq!(client.machine.sent(), 2);
    assert_eq!(client.wait().0, 64);
    client.tell(Input::Wrote(3));
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.echo(b"abc");
    assert_eq!((client.machine.sent(), client.machine.received()), (5, 3));
    client.wait();
    client.echo(b"de");
    client.wait();
    client.tell(Input::Eof);
    let outcome = outcome(Verdict::Verified, 5, 5);
    assert_eq!(client.close(), (Teardown::Graceful, outcome));
}

/// A client that has sent "abcde", and waits for it for 50 ns before the half-close.
fn waiting_for_its_tail() -> Client {
    let config = ClientConfig::default().tail_wait(Some(Duration::from_nanos(50)));
    let mut client = Client::configured(config, text(5));
    client.write();
    client.tell(Input::Wrote(5));
    client
}

#[test]
fn a_tail_that_comes_in_time_is_followed_by_the_half_close() {
    let mut client = waiting_for_its_tail();
    assert_eq!(client.wait().1, Some(at(60)));
    client.now = at(59);
    client.echo(b"abcde");
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.tell(Input::Eof);
    assert_eq!(client.close().1.verdict, Verdict::Verified);
}

#[test]
fn each_byte_that_comes_back_prolongs_the_wait_for_the_tail() {
    let mut client = waiting_for_its_tail();
    client.wait();
    client.now = at(40);
    client.echo(b"ab");
    assert_eq!(client.wait().1, Some(at(90)));
    client.now = at(89);
    client.wait();
    client.now = at(90);
    assert_eq!(client.poll(), Action::ShutdownWrite);
}

#[test]
fn a_tail_that_comes_only_after_the_half_close_was_withheld() {
    let mut client = waiting_for_its_tail();
    client.wait();
    client.now = at(40);
    client.echo(b"ab");
    client.wait();
    client.now = at(90);
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.echo(b"cde");
    client.wait();
    client.tell(Input::Eof);
    assert_eq!(client.faulty(), Fault { at: 2, kind: FaultKind::Withheld { bytes: 3 } });
}

#[test]
fn a_tail_that_never_comes_is_missing_as_ever() {
    let mut client = waiting_for_its_tail();
    client.wait();
    client.now = at(60);
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.tell(Input::Eof);
    let kind = FaultKind::Truncated { by: PeerEnd::Fin, after: Some(Duration::ZERO) };
    assert_eq!(client.faulty(), Fault { at: 0, kind });
}

#[test]
fn a_stop_does_not_wait_for_the_tail() {
    let mut client = waiting_for_its_tail();
    client.wait();
    client.tell(Input::Stop);
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.echo(b"abcde");
    client.wait();
    client.tell(Input::Eof);
    assert_eq!(client.close().1.verdict, Verdict::Verified);
}

#[test]
fn an_empty_payload_is_verified_by_the_end_alone() {
    let mut client = Client::new(0, 64, 64);
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.tell(Input::Eof);
    assert_eq!(client.close().1.verdict, Verdict::Verified);
}

#[test]
fn a_write_is_as_large_as_the_window_lets_it_be_and_no_smaller_than_a_quarter_of_it() {
    let mut client = Client::new(100, 14, 6);
    assert_eq!(client.write(), "abcdefghijklmn");
    client.tell(Input::Wrote(14));
    assert_eq!(client.wait().0, 6);
    client.echo(b"abc");
    client.wait();
    client.echo(b"d");
    assert_eq!(client.write(), "opqr");
    client.tell(Input::Wrote(4));
    client.wait();
    client.echo(b"efghij");
    assert_eq!(client.write(), "stuvwx");
}

#[test]
fn the_last_bytes_do_not_wait_for_a_quarter_of_the_window() {
    let mut client = Client::new(18, 16, 16);
    assert_eq!(client.write().len(), 16);
    client.tell(Input::Wrote(16));
    client.wait();
    client.echo(b"a");
    client.wait();
    client.echo(b"b");
    assert_eq!(client.write(), "qr");
    client.tell(Input::Wrote(2));
    assert_eq!(client.poll(), Action::ShutdownWrite);
}

#[test]
fn any_byte_moved_puts_the_timeout_off_and_nothing_else_does() {
    let mut client = Client::new(5, 64, 64);
    client.write();
    assert_eq!(client.wait().1, Some(at(110)));
    client.now = at(50);
    client.tell(Input::Stop);
    assert_eq!(client.wait().1, Some(at(110)));
    client.tell(Input::Wrote(1));
    assert_eq!(client.wait().1, Some(at(150)));
    client.now = at(70);
    client.echo(b"a");
    assert_eq!(client.wait().1, Some(at(170)));
    client.now = at(169);
    assert_eq!(client.wait().1, Some(at(170)));
    client.now = at(170);
    assert_eq!(client.faulty(), Fault { at: 1, kind: FaultKind::TimedOut });
}

#[test]
fn without_a_timeout_there_is_no_deadline() {
    let config = ClientConfig::default().timeout(None);
    let mut client = EchoClient::new(Arc::new(config), Payload::seeded(1, 9), at(10));
    let _ = client.poll(at(10));
    let Action::Wait(wait) = client.poll(Time::MAX) else { panic!("no wait") };
    assert_eq!(wait.deadline, None);
}

#[test]
fn a_stop_half_closes_early_and_what_was_sent_is_still_verified() {
    let mut client = Client::new(100, 6, 6);
    client.write();
    client.tell(Input::Stop);
    client.wait();
    client.tell(Input::Wrote(6));
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.echo(b"abcdef");
    client.wait();
    client.tell(Input::Eof);
    let outcome = outcome(Verdict::Stopped, 6, 6);
    assert_eq!(client.close(), (Teardown::Graceful, outcome));
}

#[test]
fn a_stop_after_everything_was_sent_changes_nothing() {
    let mut client = Client::new(3, 16, 6);
    client.write();
    client.tell(Input::Stop);
    client.tell(Input::Wrote(3));
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.echo(b"abc");
    client.tell(Input::Eof);
    assert_eq!(client.close().1.verdict, Verdict::Verified);
}

#[test]
fn a_stopped_stream_that_does_not_come_back_whole_is_truncated() {
    let mut client = Client::new(100, 6, 6);
    client.write();
    client.tell(Input::Stop);
    client.tell(Input::Wrote(6));
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.echo(b"abc");
    client.now = at(17);
    client.tell(Input::Eof);
    let kind = FaultKind::Truncated { by: PeerEnd::Fin, after: Some(Duration::from_nanos(7)) };
    assert_eq!(client.faulty(), Fault { at: 3, kind });
}

#[test]
fn an_abort_is_no_verdict_on_the_path() {
    let mut client = Client::new(5, 64, 64);
    client.write();
    client.tell(Input::Wrote(2));
    client.tell(Input::Abort);
    let mut expected = outcome(Verdict::Aborted, 2, 0);
    expected.shut = None;
    assert_eq!(client.close(), (Teardown::Reset, expected));
}

#[test]
fn a_peer_that_ends_before_our_half_close_is_early() {
    for (input, by) in [
        (Input::Eof, PeerEnd::Fin),
        (Input::Failed(Failure::Reset), PeerEnd::Reset),
        (Input::Failed(Failure::Truncated), PeerEnd::Truncated),
        (Input::Failed(Failure::Io), PeerEnd::Error),
    ] {
        let mut client = Client::new(100, 6, 6);
        client.write();
        client.wait();
        client.tell(Input::Wrote(6));
        client.echo(b"abc");
        client.tell(input);
        assert_eq!(client.faulty(), Fault { at: 3, kind: FaultKind::Truncated { by, after: None } });
    }
}

#[test]
fn a_peer_that_ends_between_two_writes_is_early_though_all_of_it_came_back() {
    let mut client = Client::new(100, 6, 6);
    client.write();
    client.wait();
    client.tell(Input::Wrote(6));
    client.echo(b"abcdef");
    client.tell(Input::Eof);
    let kind = FaultKind::Truncated { by: PeerEnd::Fin, after: None };
    assert_eq!(client.faulty(), Fault { at: 6, kind });
}

#[test]
fn bytes_before_anything_was_sent_are_trailing() {
    let mut client = Client::new(0, 64, 64);
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.echo(b"?");
    assert_eq!(client.faulty(), Fault { at: 0, kind: FaultKind::Trailing });
}

/// An echo of bytes that were not sent yet is no echo, even if the peer guesses them.
#[test]
fn bytes_that_run_ahead_of_what_was_sent_are_trailing() {
    let mut client = Client::new(20, 6, 6);
    assert_eq!(client.write(), "abcdef");
    client.wait();
    client.tell(Input::Wrote(4));
    client.echo(b"abcdef");
    assert_eq!(client.machine.received(), 6);
    assert_eq!(client.wait().0, 6);
    client.echo(b"g");
    assert_eq!(client.faulty(), Fault { at: 6, kind: FaultKind::Trailing });
    assert_eq!(client.close().1.received, 7);
}

#[test]
fn a_fault_stops_the_sending_and_half_closes_while_its_kind_is_looked_for() {
    let payload = Payload::seeded(4, 1000);
    let mut sent = vec![0; 100];
    payload.fill(0, &mut sent);
    let mut client = Client::with(payload, 100, 100);
    assert_eq!(client.write(), sent);
    client.wait();
    client.tell(Input::Wrote(60));
    // Ten bytes are lost, and before sixteen more have come nobody knows.
    client.echo(&sent[..20]);
    client.echo(&sent[30..50]);
    client.wait();
    client.tell(Input::Wrote(40));
    assert_eq!(client.poll(), Action::ShutdownWrite);
    assert_eq!(client.wait().0, 100);
    client.echo(&sent[50..]);
    client.wait();
    client.tell(Input::Eof);
    let mut expected =
        outcome(Verdict::Faulty(Fault { at: 20, kind: FaultKind::Lost { bytes: 10 } }), 100, 90);
    let closed = client.close().1;
    assert_eq!(closed.evidence.bytes(), &sent[30..94]);
    expected.evidence = closed.evidence;
    assert_eq!(closed, expected);
}

/// The kind of a fault is known before the peer's end where nothing that may still come can change it.
#[test]
fn a_corrupted_byte_is_named_as_soon_as_sixteen_bytes_show_the_stream_in_its_place() {
    let payload = Payload::seeded(4, 100);
    let mut sent = vec![0; 100];
    payload.fill(0, &mut sent);
    let mut client = Client::with(payload, 100, 100);
    client.write();
    client.wait();
    sent[20] ^= 1;
    client.echo(&sent[..36]);
    client.wait();
    client.echo(&sent[36..37]);
    assert_eq!(client.faulty(), Fault { at: 20, kind: FaultKind::Corrupted });
}

#[test]
fn what_runs_ahead_of_the_window_is_trailing_whether_it_can_be_located_or_not() {
    for more in [1, 10, 15, 16, 50] {
        let payload = Payload::seeded(4, 1000);
        let mut stream = vec![0; 100 + more];
        payload.fill(0, &mut stream);
        let mut client = Client::with(payload, 100, 1000);
        assert_eq!(client.write(), stream[..100]);
        client.wait();
        client.echo(&stream);
        client.tell(Input::Eof);
        assert_eq!(client.faulty(), Fault { at: 100, kind: FaultKind::Trailing });
    }
}

#[test]
fn a_flood_of_foreign_bytes_is_not_listened_to_for_long() {
    for (already, kind) in [(20, FaultKind::Corrupted), (100, FaultKind::Trailing)] {
        let payload = Payload::seeded(4, 100);
        let mut sent = vec![0; 100];
        payload.fill(0, &mut sent);
        let mut client = Client::with(payload, 100, 1000);
        client.write();
        client.tell(Input::Wrote(100));
        assert_eq!(client.poll(), Action::ShutdownWrite);
        client.wait();
        client.echo(&sent[..already]);
        client.echo(&[0; 255]);
        client.wait();
        client.echo(&[0; 90]);
        assert_eq!(client.faulty(), Fault { at: already as u64, kind });
    }
}

fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

#[test]
fn a_write_is_no_larger_than_it_may_be_and_does_not_wait_for_more_room_than_it_needs() {
    let config = ClientConfig::default().window(16).write(1);
    let mut client = Client::configured(config, text(40));
    for _ in 0..16 {
        assert_eq!(client.write().len(), 1);
        client.tell(Input::Wrote(1));
    }
    client.wait();
    client.echo(b"a");
    assert_eq!(client.write(), "q");
    client.tell(Input::Wrote(1));
    client.wait();
    // A write of more than a quarter of the window waits for that, and no longer.
    let mut client = Client::configured(ClientConfig::default().window(16).write(6), text(40));
    assert_eq!(client.write().len(), 6);
    client.tell(Input::Wrote(6));
    assert_eq!(client.write().len(), 6);
    client.tell(Input::Wrote(6));
    assert_eq!(client.write().len(), 4);
    client.tell(Input::Wrote(4));
    client.wait();
    client.echo(b"abc");
    client.wait();
    client.echo(b"d");
    assert_eq!(client.write(), "qrst");
}

#[test]
fn a_pause_begins_when_half_is_back_and_nothing_is_awaited_in_it() {
    let config = ClientConfig::default().pause(Some(nanos(1000)));
    let mut client = Client::configured(config, text(5));
    assert_eq!(client.write(), "abc");
    client.tell(Input::Wrote(3));
    client.wait();
    client.now = at(20);
    client.echo(b"ab");
    assert_eq!(client.wait(), (65_536, Some(at(120))));
    client.now = at(50);
    client.echo(b"c");
    // A silence ten times as long as the time-out.
    assert_eq!(client.wait(), (65_536, Some(at(1050))));
    client.now = at(1049);
    assert_eq!(client.wait(), (65_536, Some(at(1050))));
    client.now = at(1050);
    assert_eq!(client.write(), "de");
    assert_eq!(client.wait().1, Some(at(1150)));
    client.tell(Input::Wrote(2));
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.echo(b"de");
    client.tell(Input::Eof);
    let mut expected = outcome(Verdict::Verified, 5, 5);
    expected.age = nanos(1040);
    assert_eq!(client.close(), (Teardown::Graceful, expected));
}

#[test]
fn a_single_byte_has_its_pause_before_the_half_close() {
    let mut client = Client::configured(ClientConfig::default().pause(Some(nanos(1000))), text(1));
    client.write();
    client.tell(Input::Wrote(1));
    client.wait();
    client.echo(b"a");
    assert_eq!(client.wait().1, Some(at(1010)));
    client.now = at(1010);
    assert_eq!(client.poll(), Action::ShutdownWrite);
}

#[test]
fn a_peer_that_ends_in_the_pause_is_early_and_the_outcome_says_how_far_into_it() {
    let mut client = Client::configured(ClientConfig::default().pause(Some(nanos(1000))), text(4));
    client.write();
    client.tell(Input::Wrote(2));
    client.wait();
    client.echo(b"ab");
    client.wait();
    client.now = at(610);
    client.tell(Input::Eof);
    client.now = at(615);
    let kind = FaultKind::Truncated { by: PeerEnd::Fin, after: None };
    let verdict = Verdict::Faulty(Fault { at: 2, kind });
    let mut expected = outcome(verdict, 2, 2);
    (expected.idle, expected.shut, expected.pause) = (nanos(600), None, Some(nanos(600)));
    expected.age = nanos(600);
    assert_eq!(client.close().1, expected);
}

#[test]
fn after_the_pause_an_end_is_not_in_it() {
    let mut client = Client::configured(ClientConfig::default().pause(Some(nanos(1000))), text(4));
    client.write();
    client.tell(Input::Wrote(2));
    client.wait();
    client.echo(b"ab");
    client.wait();
    client.now = at(1010);
    client.write();
    client.now = at(1017);
    client.tell(Input::Failed(Failure::Reset));
    let outcome = client.close().1;
    assert_eq!((outcome.pause, outcome.idle, outcome.shut), (None, nanos(7), None));
}

#[test]
fn a_stop_ends_a_pause() {
    let mut client = Client::configured(ClientConfig::default().pause(Some(nanos(1000))), text(4));
    client.write();
    client.tell(Input::Wrote(2));
    client.wait();
    client.echo(b"ab");
    client.wait();
    client.now = at(500);
    client.tell(Input::Stop);
    assert_eq!(client.poll(), Action::ShutdownWrite);
    assert_eq!(client.wait().1, Some(at(600)));
    client.tell(Input::Eof);
    let mut expected = outcome(Verdict::Stopped, 2, 2);
    expected.age = nanos(490);
    assert_eq!(client.close().1, expected);
}

#[test]
fn in_a_stall_nothing_is_read_all_is_sent_and_no_time_out_counts() {
    let config = ClientConfig::default().window(4).chunk(7).stall(Some(nanos(1000)));
    let mut client = Client::configured(config, text(6));
    assert_eq!(client.write(), "abcd");
    assert_eq!(client.wait(), (0, Some(at(1010))));
    client.now = at(500);
    client.tell(Input::Wrote(3));
    assert_eq!(client.wait(), (0, Some(at(1010))));
    client.now = at(1009);
    assert_eq!(client.wait(), (0, Some(at(1010))));
    client.now = at(1010);
    assert_eq!(client.wait(), (7, Some(at(1110))));
    client.echo(b"abc");
    client.tell(Input::Wrote(1));
    // Only the first write begins a stall.
    assert_eq!(client.write(), "ef");
    assert_eq!(client.wait().0, 7);
    client.now = at(1110);
    assert_eq!(client.faulty(), Fault { at: 3, kind: FaultKind::TimedOut });
    assert_eq!(client.close().1.idle, nanos(100));
}

#[test]
fn a_reset_in_a_stall_is_seen() {
    let mut client = Client::configured(ClientConfig::default().stall(Some(nanos(1000))), text(6));
    client.write();
    client.wait();
    client.tell(Input::Failed(Failure::Reset));
    let kind = FaultKind::Truncated { by: PeerEnd::Reset, after: None };
    assert_eq!(client.faulty(), Fault { at: 0, kind });
}

/// As with a driver that hears of its own writes late.
#[test]
fn a_write_that_is_not_reported_is_awaited_although_all_is_back() {
    let mut client = Client::new(12, 6, 6);
    assert_eq!(client.write(), "abcdef");
    client.now = at(20);
    client.echo(b"abcdef");
    assert_eq!(client.wait().1, Some(at(120)));
}

#[test]
fn after_a_stall_the_timeout_counts_from_its_end_whether_it_is_stopped_or_not() {
    for stopped in [None, Some(1000), Some(1050)] {
        let mut client = Client::configured(ClientConfig::default().stall(Some(nanos(990))), text(6));
        client.write();
        client.tell(Input::Wrote(6));
        if let Some(stopped) = stopped {
            client.now = at(stopped);
            client.tell(Input::Stop);
        }
        client.now = at(1060);
        while let Action::ShutdownWrite = client.poll() {}
        assert_eq!(client.wait().1, Some(at(1100)), "{stopped:?}");
    }
}

#[test]
fn a_stop_ends_a_stall_and_the_time_out_counts_from_there() {
    let mut client = Client::configured(ClientConfig::default().stall(Some(nanos(1000))), text(6));
    client.write();
    client.tell(Input::Wrote(6));
    assert_eq!(client.poll(), Action::ShutdownWrite);
    assert_eq!(client.wait(), (0, Some(at(1010))));
    client.now = at(500);
    client.tell(Input::Stop);
    assert_eq!(client.wait(), (65_536, Some(at(600))));
}

#[test]
fn a_time_out_tells_how_long_after_the_half_close_it_came() {
    let mut client = Client::new(5, 64, 64);
    client.write();
    client.tell(Input::Wrote(5));
    assert_eq!(client.poll(), Action::ShutdownWrite);
    client.wait();
    client.now = at(60);
    client.echo(b"abcd");
    client.wait();
    client.now = at(163);
    let verdict = Verdict::Faulty(Fault { at: 4, kind: FaultKind::TimedOut });
    let mut expected = outcome(verdict, 5, 4);
    (expected.idle, expected.shut, expected.age) = (nanos(103), Some(nanos(153)), nanos(153));
    assert_eq!(client.close().1, expected);
    client.now = Time::MAX;
    assert_eq!(client.close().1, expected);
}

fn without_half_close(len: usize, window: usize) -> Client {
    Client::configured(ClientConfig::default().window(window).half_close(false), text(len))
}

#[test]
fn without_a_half_close_the_session_is_over_when_all_is_back() {
    let mut client = without_half_close(5, 3);
    client.write();
    client.tell(Input::Wrote(3));
    client.wait();
    client.echo(b"abc");
    assert_eq!(client.write(), "de");
    client.wait();
    client.echo(b"de");
    // Not before the transport says that all is taken.
    client.wait();
    client.tell(Input::Wrote(2));
    let mut expected = outcome(Verdict::Verified, 5, 5);
    expected.shut = None;
    assert_eq!(client.close(), (Teardown::Graceful, expected));
}

#[test]
fn without_a_half_close_a_stop_waits_for_what_was_sent() {
    let mut client = without_half_close(9, 3);
    client.write();
    client.tell(Input::Wrote(3));
    client.wait();
    client.tell(Input::Stop);
    client.wait();
    client.echo(b"abc");
    let mut expected = outcome(Verdict::Stopped, 3, 3);
    expected.shut = None;
    assert_eq!(client.close(), (Teardown::Graceful, expected));
}

#[test]
fn without_a_half_close_an_end_before_all_is_back_is_early() {
    let mut client = without_half_close(5, 64);
    client.write();
    client.tell(Input::Wrote(5));
    client.wait();
    client.echo(b"abcd");
    client.tell(Input::Eof);
    let kind = FaultKind::Truncated { by: PeerEnd::Fin, after: None };
    assert_eq!(client.faulty(), Fault { at: 4, kind });
}

#[test]
fn without_a_half_close_what_comes_with_the_last_bytes_is_trailing() {
    let mut client = without_half_close(5, 64);
    client.write();
    client.tell(Input::Wrote(5));
    client.wait();
    client.echo(b"abcde!");
    assert_eq!(client.faulty(), Fault { at: 5, kind: FaultKind::Trailing });
}

/// Drips one byte each 90 ns, less than the time-out of 100; when it has its verdict, and which.
fn drip(client: &mut Client, mut bytes: impl Iterator<Item = u8>) -> (u64, Fault) {
    loop {
        match client.poll() {
            Action::Wait(wait) => {
                let drips = client.now.after(Duration::from_nanos(90));
                if let Some(deadline) = wait.deadline.filter(|deadline| *deadline < drips) {
                    client.now = deadline;
                } else {
                    client.now = drips;
                    client.echo(&[bytes.next().expect("it goes on for ever")]);
                }
            }
            Action::Write(bytes) => client.tell(Input::Wrote(bytes.len())),
            Action::ShutdownWrite => {}
            Action::Close { outcome: ClientOutcome { verdict: Verdict::Faulty(fault), .. }, .. } => {
                return (client.now.as_nanos(), fault);
            }
            action @ (Action::Event(_) | Action::Close { .. }) => panic!("{action:?} is no fault"),
        }
    }
}

/// A payload whose bytes tell where they belong, and those bytes.
fn seeded(len: u64) -> (Payload, Vec<u8>) {
    let payload = Payload::seeded(7, len);
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    payload.fill(0, &mut bytes);
    (payload, bytes)
}

#[test]
fn what_comes_after_a_wrong_byte_is_no_progress() {
    let (payload, mut bytes) = seeded(1000);
    bytes[5] ^= 1;
    for half_close in [true, false] {
        let config = ClientConfig::default().window(64).half_close(half_close);
        let mut client = Client::configured(config, payload.clone());
        let (ended, fault) = drip(&mut client, bytes.iter().copied());
        assert_eq!(fault, Fault { at: 5, kind: FaultKind::Corrupted });
        // Six bytes, and the time-out.
        assert_eq!(ended, 10 + 6 * 90 + 100);
    }
}

#[test]
fn a_fault_that_is_followed_is_told_in_time() {
    let (payload, mut bytes) = seeded(10_000);
    // Once it is located again, the stream is right to the end.
    bytes.drain(20..40);
    let mut client = Client::configured(ClientConfig::default(), payload);
    client.write();
    client.tell(Input::Wrote(10_000));
    let _ = client.poll();
    client.wait();
    client.echo(&bytes[..100]);
    let (ended, fault) = drip(&mut client, bytes[100..].iter().copied());
    assert_eq!((ended, fault), (110, Fault { at: 20, kind: FaultKind::Lost { bytes: 20 } }));
}

#[test]
fn surplus_bytes_that_drip_are_told_in_time() {
    let (payload, bytes) = seeded(32);
    for half_close in [true, false] {
        let config = ClientConfig::default().window(64).half_close(half_close);
        let mut client = Client::configured(config, payload.clone());
        // All but the last come at once, or it would be verified without a half-close.
        client.write();
        client.tell(Input::Wrote(32));
        let _ = client.poll();
        client.wait();
        client.echo(&bytes[..31]);
        let _ = client.poll();
        client.echo(&[bytes[31], b'x']);
        let (ended, fault) = drip(&mut client, std::iter::repeat_n(b'y', 1000));
        assert_eq!(fault, Fault { at: 32, kind: FaultKind::Trailing });
        assert_eq!(ended, 110);
    }
}

#[test]
fn right_bytes_at_a_crawl_are_progress() {
    let (payload, bytes) = seeded(500);
    let mut client = Client::configured(ClientConfig::default().window(64), payload);
    let mut bytes = bytes.into_iter();
    while client.machine.received() < 500 {
        match client.poll() {
            Action::Write(bytes) => client.tell(Input::Wrote(bytes.len())),
            Action::Wait(_) => {
                client.now = client.now.after(Duration::from_nanos(90));
                client.echo(&[bytes.next().unwrap()]);
            }
            Action::ShutdownWrite => {}
            action @ (Action::Event(_) | Action::Close { .. }) => panic!("{action:?}"),
        }
    }
    let _ = client.poll();
    client.tell(Input::Eof);
    assert_eq!(client.close().1.verdict, Verdict::Verified);
}
