//! The server without a socket: a loop that hands bytes in and takes bytes out, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::protocol::{Session, SessionConfig, SessionEnd};
use roundtrip_core::{Driven, Step, Time};
use roundtrip_http::{HEAD_TIMEOUT, Http, KEEP_ALIVE, MAX_HEAD, config};
use roundtrip_testkit::counting::ALLOCATIONS;

use crate::exchanges::{CONTINUE, Exchange, Numbers, TIMEOUT, draw, judge, pattern, summary};

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";

/// A connection whose peer takes at once what is written.
struct Connection {
    driven: Driven<Session<Http>>,
    now: Time,
    sent: Vec<u8>,
    has_shut: bool,
    end: Option<SessionEnd>,
    most_held: usize,
}

impl Connection {
    fn new(config: SessionConfig) -> Self {
        let now = Time::from_nanos(7);
        let driven = Driven::new(Session::new(Http::new(), Arc::new(config), now));
        let mut connection = Self { driven, now, sent: Vec::new(), has_shut: false, end: None, most_held: 0 };
        connection.step();
        connection
    }

    /// Until it waits for something else than its peer's taking.
    fn step(&mut self) {
        loop {
            match self.driven.step(self.now) {
                Step::Wait(_) if self.driven.pending().is_empty() => break,
                Step::Write | Step::Wait(_) => {
                    let taken = self.driven.take(self.now, usize::MAX);
                    self.sent.extend_from_slice(&taken);
                }
                Step::ShutdownWrite => self.has_shut = true,
                Step::Event(never) => match never {},
                Step::Close { outcome, .. } => {
                    self.end = Some(outcome.end);
                    break;
                }
            }
            self.most_held = self.most_held.max(self.driven.machine().held());
        }
    }

    /// Sends this in pieces of `size` bytes.
    fn send(&mut self, bytes: &[u8], size: usize) {
        for piece in bytes.chunks(size) {
            let mut piece = Bytes::copy_from_slice(piece);
            while !piece.is_empty() && self.end.is_none() {
                piece = self.driven.data(self.now, piece);
                self.step();
            }
        }
    }

    fn finish(&mut self) {
        self.driven.eof(self.now);
        self.step();
    }

    /// Goes on until the deadline; how long that took.
    fn wait(&mut self) -> Duration {
        let before = self.now;
        self.now = self.driven.deadline().unwrap();
        self.step();
        self.now.since(before)
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.step();
    }
}

/// What is answered to these bytes and the end after them, and how it ended.
fn answer(bytes: &[u8], size: usize, config: SessionConfig) -> (Vec<u8>, Option<SessionEnd>) {
    let mut connection = Connection::new(config);
    connection.send(bytes, size);
    connection.finish();
    (connection.sent, connection.end)
}

/// Exchanges with this seed, and the bytes of their requests.
fn requests(seed: u64) -> (Vec<Exchange>, Vec<u8>) {
    let mut numbers = Numbers::new(seed);
    let count = 1 + numbers.below(6);
    let exchanges = draw(&mut numbers, count, 200);
    let requests = exchanges.iter().flat_map(|exchange| exchange.request.clone()).collect();
    (exchanges, requests)
}

#[test]
fn the_responses_follow_from_the_requests_however_these_are_cut() {
    for seed in 0..100 {
        let (exchanges, requests) = requests(seed);
        for size in [1, 2, 3, 7, 64, 1000, usize::MAX] {
            for outbox in [1, 100, 64 << 10] {
                let mut connection = Connection::new(config().outbox(outbox));
                connection.send(&requests, size);
                let Connection { sent, has_shut, .. } = connection;
                // It ends by itself, and at once, if it says so.
                assert_eq!(has_shut, exchanges.last().unwrap().closes, "seed {seed}, {size}");
                let progress =
                    judge(&sent, &exchanges).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
                assert_eq!(progress.whole, exchanges.len(), "seed {seed}, {size}: {}", sent.escape_ascii());
            }
        }
    }
}

#[test]
fn a_request_that_breaks_off_is_never_answered_as_if_it_were_whole() {
    for seed in 0..20 {
        let (exchanges, requests) = requests(seed);
        for cut in 0..requests.len() {
            let (sent, end) = answer(&requests[..cut], usize::MAX, config());
            let progress = judge(&sent, &exchanges).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
            let mut left = cut;
            let came = exchanges.iter().take_while(|exchange| {
                let is_whole = left >= exchange.request.len();
                left = left.saturating_sub(exchange.request.len());
                is_whole
            });
            let came = came.count();
            // What is refused is refused before its end.
            let is_refused = exchanges[came].head.contains("Connection: close\r\nContent-Length: 0");
            let most = came + usize::from(is_refused);
            assert!((came..=most).contains(&progress.whole), "seed {seed}, cut at {cut}: {progress:?}");
            // Half of a response does not end as a whole one does.
            let rest = &sent[progress.len..];
            let is_half = !rest.is_empty() && rest != CONTINUE.as_bytes();
            assert!(!is_half || end == Some(SessionEnd::Reset), "seed {seed}, cut at {cut}: {end:?}");
        }
    }
}

#[test]
fn what_a_request_is_refused_with_closes_the_connection() {
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", "400 Bad Request"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
            "400 Bad Request",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
            "400 Bad Request",
        ),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "400 Bad Request"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "413 Content Too Large",
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: a\r\n\r\n", "417 Expectation Failed"),
        (
            "BREW / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
            "501 Not Implemented",
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501 Not Implemented"),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"),
    ] {
        let refused = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        let requests = format!("GET / HTTP/1.1\r\nHost: a\r\n\r\n{request}GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let (sent, end) = answer(requests.as_bytes(), usize::MAX, config());
        assert_eq!(sent, [HELLO, refused.as_bytes()].concat(), "{request}");
        assert_eq!(end, Some(SessionEnd::Finished));
    }
    for (config, len) in [(config(), MAX_HEAD), (config().inbox(1000), 1000)] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}", "b".repeat(len));
        let (sent, _) = answer(request.as_bytes(), 100, config);
        assert!(sent.starts_with(b"HTTP/1.1 431 "), "{}", sent.escape_ascii());
    }
}

#[test]
fn a_method_that_is_not_allowed_keeps_the_connection_and_its_body_is_skipped() {
    let requests = "BREW / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n\
        GET /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /bytes/x HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = "HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n\
        HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD, POST\r\nContent-Length: 0\r\n\r\n\
        HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\n\r\n\
        HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let (sent, _) = answer(requests.as_bytes(), usize::MAX, config());
    assert_eq!(sent, [answers.as_bytes(), HELLO].concat());
}

#[test]
fn malformed_chunks_reset_an_echo_that_has_begun() {
    let request = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let mut connection = Connection::new(config());
    connection.send(request, usize::MAX);
    assert_eq!(connection.sent, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    connection.send(b"x\r\n", usize::MAX);
    assert_eq!(connection.end, Some(SessionEnd::Reset));
}

#[test]
fn a_byte_a_second_does_not_extend_the_time_for_a_head() {
    let mut connection = Connection::new(config());
    // The time begins with the first byte, not with the connection.
    connection.pass(KEEP_ALIVE / 2);
    let mut waited = 0;
    for byte in b"GET / HTTP/1.1\r\n".chunks(1) {
        connection.send(byte, 1);
        if connection.driven.deadline().unwrap().since(connection.now) <= Duration::from_secs(1) {
            break;
        }
        connection.pass(Duration::from_secs(1));
        waited += 1;
    }
    assert_eq!(Duration::from_secs(waited) + connection.wait(), HEAD_TIMEOUT);
    assert_eq!(connection.sent, TIMEOUT);
    connection.finish();
    assert_eq!(connection.end, Some(SessionEnd::Finished));
}

#[test]
fn the_second_head_of_a_connection_has_a_time_of_its_own() {
    let mut connection = Connection::new(config());
    connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nG", usize::MAX);
    assert_eq!(connection.wait(), HEAD_TIMEOUT);
    assert_eq!(connection.sent, [HELLO, TIMEOUT].concat());
}

#[test]
fn a_connection_without_a_request_closes_and_nothing_is_said() {
    for (request, answered) in
        [(&b""[..], &b""[..]), (b"\r\n", b""), (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n", HELLO)]
    {
        let mut connection = Connection::new(config());
        connection.send(request, usize::MAX);
        assert_eq!(connection.wait(), KEEP_ALIVE);
        assert_eq!(connection.sent, answered);
        connection.finish();
        assert_eq!(connection.end, Some(SessionEnd::Finished));
    }
}

#[test]
fn a_body_that_stands_still_ends_in_a_reset() {
    let mut connection = Connection::new(config());
    connection.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na", usize::MAX);
    connection.wait();
    assert_eq!((connection.end, &connection.sent[..]), (Some(SessionEnd::Idle), &b""[..]));
}

/// Debug builds are slow, and send less.
const LARGE: u64 = if cfg!(debug_assertions) { 32 << 20 } else { 1 << 30 };

/// Room for an interim response, a head and a frame beyond the bounds of 64 KiB.
const MOST_HELD: usize = (128 << 10) + 256;

#[test]
fn a_large_body_is_echoed_in_chunks_through_small_buffers() {
    let mut connection = Connection::new(config());
    let request = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n!\r\n";
    connection.send(request, usize::MAX);
    assert!(connection.sent.ends_with(b"\r\n\r\n1\r\n!\r\n"));
    connection.sent.clear();
    let (mut data, mut expected) = (0, 0);
    let block = pattern(100_000);
    for size in [1, 60_000, 100_000, 777].into_iter().cycle() {
        if data >= LARGE {
            break;
        }
        let chunk = [format!("{size:x}\r\n").as_bytes(), &block[..size], b"\r\n"].concat();
        connection.send(&chunk, 50_000);
        data += size as u64;
        // The frames are the server's choice: what is in them is judged.
        let mut sent = &connection.sent[..];
        while let Some(end) = sent.iter().position(|byte| *byte == b'\n') {
            let len = std::str::from_utf8(&sent[..end - 1]).unwrap();
            let len = usize::from_str_radix(len, 16).unwrap();
            assert!(block[expected..].starts_with(&sent[end + 1..end + 1 + len]));
            expected = if expected + len == size { 0 } else { expected + len };
            sent = &sent[end + 1 + len + 2..];
        }
        assert!(sent.is_empty() && expected == 0);
        connection.sent.clear();
    }
    connection.send(b"0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", usize::MAX);
    assert_eq!(connection.sent, [b"0\r\n\r\n", HELLO].concat());
    assert!(connection.most_held <= MOST_HELD, "{} bytes held", connection.most_held);
}

#[test]
fn many_bytes_are_sent_through_a_small_outbox() {
    let mut connection = Connection::new(config());
    let request = format!("GET /bytes/{LARGE} HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {LARGE}\r\n\r\n");
    let _ = connection.driven.data(connection.now, Bytes::from(request));
    let (now, mut sent) = (connection.now, 0);
    let block = pattern(128 << 10);
    while sent < head.len() as u64 + LARGE {
        assert!(connection.driven.machine().held() <= MOST_HELD);
        assert!(matches!(connection.driven.step(now), Step::Write | Step::Wait(_)));
        let mut taken = connection.driven.take(now, usize::MAX);
        assert!(!taken.is_empty());
        if sent == 0 {
            assert_eq!(taken.split_to(head.len()), head);
            sent = head.len() as u64;
        }
        let at = usize::try_from((sent - head.len() as u64) % 64).unwrap();
        assert!(block[at..].starts_with(&taken));
        sent += taken.len() as u64;
    }
}

#[test]
fn a_large_body_is_counted_in_small_buffers() {
    let body = pattern(3_000_000);
    let mut connection = Connection::new(config().inbox(1000).outbox(1000));
    let head = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.send(head.as_bytes(), usize::MAX);
    connection.send(&body, 10_000);
    let summary = summary(&body);
    assert!(connection.sent.ends_with(summary.as_bytes()), "{}", connection.sent.escape_ascii());
    assert!(connection.most_held <= 2000, "{} bytes held", connection.most_held);
}

#[test]
fn a_request_for_the_text_allocates_nothing_in_the_steady_state() {
    let mut connection = Connection::new(config());
    let request =
        Bytes::from_static(b"GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: a\r\nAccept: */*\r\n\r\n");
    connection.sent.reserve(1 << 20);
    let count = |connection: &mut Connection| {
        let before = ALLOCATIONS.get();
        for _ in 0..1000 {
            assert!(connection.driven.data(connection.now, request.clone()).is_empty());
            connection.step();
        }
        ALLOCATIONS.get() - before
    };
    count(&mut connection);
    assert_eq!(count(&mut connection), 0);
}

#[test]
fn a_server_that_drains_answers_the_request_that_has_begun_and_no_other() {
    let request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    let next = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for begun in 1..request.len() {
        let mut connection = Connection::new(config());
        connection.send(&request[..begun], begun);
        connection.driven.stop(connection.now);
        connection.step();
        connection.send(&[&request[begun..], next].concat(), usize::MAX);
        connection.finish();
        let sent = String::from_utf8(connection.sent).unwrap();
        assert!(sent.starts_with("HTTP/1.1 200 OK\r\n") && sent.ends_with("\r\n\r\nbody"), "{begun}: {sent}");
        assert_eq!(connection.end, Some(SessionEnd::Finished), "{begun}: {sent}");
    }
    let mut connection = Connection::new(config());
    connection.driven.stop(connection.now);
    connection.step();
    connection.send(next, usize::MAX);
    connection.finish();
    assert_eq!((&*connection.sent, connection.end), (&b""[..], Some(SessionEnd::Stopped)));
}
