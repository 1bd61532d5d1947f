//! The loop over anything that is `Read` and `Write`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use roundtrip_core::{Failure, Time};
use roundtrip_echo::{EchoServer, End, Limit, ServerConfig};
use roundtrip_net::ConnectionReport;
use roundtrip_std::{Clock, SystemClock, plain};

/// Reads what it was told to, a piece or an error a call, and then its end.
struct Script(VecDeque<Result<&'static [u8], ErrorKind>>);

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty(), "a read of nothing looks like the end");
        match self.0.pop_front() {
            None => Ok(0),
            Some(Err(kind)) => Err(kind.into()),
            Some(Ok(mut piece)) => piece.read(buffer),
        }
    }
}

fn script(pieces: impl Into<Vec<Result<&'static [u8], ErrorKind>>>) -> Script {
    Script(VecDeque::from(pieces.into()))
}

fn echo(reader: impl Read, writer: impl Write) -> ConnectionReport<roundtrip_echo::ServerOutcome> {
    let server = |now| EchoServer::new(ServerConfig::default().into(), now);
    plain::drive(reader, writer, &SystemClock::new(), server, |never: Infallible| match never {})
}

#[test]
fn what_is_read_is_written_and_interruptions_are_looked_over() {
    let reader = script([
        Ok(&b"one "[..]),
        Err(ErrorKind::Interrupted),
        Ok(b"two "),
        Err(ErrorKind::WouldBlock),
        Err(ErrorKind::TimedOut),
        Ok(b"three"),
    ]);
    let mut written = Vec::new();
    let ended = echo(reader, &mut written);
    assert_eq!(written, b"one two three");
    assert_eq!((ended.outcome.end, ended.written), (End::Clean, 13));
}

#[test]
fn a_failed_read_is_told_with_its_error() {
    let ended = echo(script([Ok(&b"one"[..]), Err(ErrorKind::ConnectionReset)]), io::sink());
    assert_eq!(ended.outcome.end, End::Failed(Failure::Reset));
    assert_eq!(ended.failure.unwrap().error.kind(), ErrorKind::ConnectionReset);
}

/// Takes a byte at a time, and nothing after its room is used up.
struct Narrow {
    room: usize,
    taken: Vec<u8>,
    unflushed: bool,
}

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(1).min(self.room);
        self.room -= n;
        self.taken.extend_from_slice(&bytes[..n]);
        self.unflushed = true;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unflushed = false;
        Ok(())
    }
}

#[test]
fn a_writer_that_takes_a_byte_at_a_time_gets_all_of_them_flushed() {
    let mut writer = Narrow { room: usize::MAX, taken: Vec::new(), unflushed: false };
    let ended = echo(script([Ok(&b"bit by bit"[..])]), &mut writer);
    assert_eq!((ended.outcome.end, ended.written), (End::Clean, 10));
    assert_eq!(writer.taken, b"bit by bit");
    assert!(!writer.unflushed);
}

#[test]
fn a_writer_that_takes_no_more_is_a_failure_not_a_loop() {
    let writer = Narrow { room: 3, taken: Vec::new(), unflushed: false };
    let ended = echo(script([Ok(&b"too much"[..])]), writer);
    assert_eq!((ended.outcome.end, ended.outcome.dropped), (End::Failed(Failure::Io), 5));
    assert_eq!(ended.failure.unwrap().error.kind(), ErrorKind::WriteZero);
}

/// A clock that advances by a second at each look.
struct Ticking(std::sync::atomic::AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Time {
        let seconds = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Time::ZERO.after(Duration::from_secs(seconds))
    }
}

#[test]
fn a_deadline_acts_between_calls() {
    let config = ServerConfig::default().max_age(Some(Duration::from_secs(5)));
    let reader = script(vec![Err(ErrorKind::TimedOut); 100]);
    let ended = plain::drive(
        reader,
        io::sink(),
        &Ticking(0.into()),
        |now| EchoServer::new(config.into(), now),
        |never: Infallible| match never {},
    );
    assert_eq!(ended.outcome.end, End::TimedOut(Limit::MaxAge));
}

/// A peer that answers only what has arrived: its reader fails if the echo of the first piece is not there when
/// the second is read.
#[test]
fn what_was_written_has_arrived_before_the_next_read() {
    struct Buffered<'a> {
        held: Vec<u8>,
        arrived: &'a std::cell::Cell<usize>,
    }
    impl Write for Buffered<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.held.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.arrived.set(self.arrived.get() + self.held.drain(..).len());
            Ok(())
        }
    }
    struct Asking<'a> {
        asked: usize,
        arrived: &'a std::cell::Cell<usize>,
    }
    impl Read for Asking<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert_eq!(self.arrived.get(), self.asked, "it waits for the answer");
            if self.asked == 3 {
                return Ok(0);
            }
            self.asked += 1;
            buffer[0] = b'?';
            Ok(1)
        }
    }
    let arrived = std::cell::Cell::new(0);
    let ended =
        echo(Asking { asked: 0, arrived: &arrived }, Buffered { held: Vec::new(), arrived: &arrived });
    assert_eq!((ended.outcome.end, arrived.get()), (End::Clean, 3));
}
