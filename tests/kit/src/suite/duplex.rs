//! Both directions busy at once: each side writes and reads all the time, and every buffer on the way fills.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use roundtrip_core::Time;
use roundtrip_core::admission::Limits;
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig, SessionEnd, SessionOutcome};
use roundtrip_net::{Accepted, Application, BindOptions, ConnectionReport, Control, ServerHandle};

use super::common::{soon, spawn};
use super::driver::TestBackend;

/// Bytes each way.
const TOTAL: usize = 64 << 20;
/// Bytes of the inbox and of the outbox of each side: less than a socket holds.
const BUFFER: usize = 16 << 10;
const BLOCK: usize = 64 << 10;

/// Sends `TOTAL` bytes while it verifies as many.
struct Streamer {
    block: Vec<u8>,
    sent: usize,
    received: usize,
}

impl Streamer {
    fn new() -> Self {
        let block = (0..BLOCK).map(|offset| u8::try_from(offset * 97 % 251).unwrap()).collect();
        Self { block, sent: 0, received: 0 }
    }

    /// The payload from `offset` on, at most `len` bytes of it.
    fn payload(&self, offset: usize, len: usize) -> &[u8] {
        let from = offset % BLOCK;
        &self.block[from..BLOCK.min(from + len)]
    }
}

impl Protocol for Streamer {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _: Time, io: &mut Io<'_, Infallible>) -> Need {
        assert!(io.inbox().len() <= BUFFER && io.outbox().len() <= BUFFER, "memory is bounded");
        while !io.inbox().is_empty() {
            let expected = self.payload(self.received, io.inbox().len());
            let piece = io.inbox().split_to(expected.len());
            assert!(piece == expected, "a wrong byte after offset {}", self.received);
            self.received += piece.len();
        }
        while self.sent < TOTAL && io.room() > 0 {
            let piece = self.payload(self.sent, io.room().min(TOTAL - self.sent));
            io.outbox().extend_from_slice(piece);
            self.sent += piece.len();
        }
        if self.received == TOTAL {
            io.finish();
        }
        Need::Any
    }
}

/// Sends back what it receives.
struct Reflector;

impl Protocol for Reflector {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _: Time, io: &mut Io<'_, Infallible>) -> Need {
        assert!(io.inbox().len() <= BUFFER && io.outbox().len() <= BUFFER, "memory is bounded");
        let taken = io.room().min(io.inbox().len());
        let piece = io.inbox().split_to(taken);
        io.outbox().extend_from_slice(&piece);
        if io.inbox().is_empty() { Need::Bytes } else { Need::Room }
    }
}

fn session<P: Protocol>(protocol: P, now: Time) -> Session<P> {
    let config = SessionConfig::default().inbox(BUFFER).outbox(BUFFER);
    Session::new(protocol, Arc::new(config), now)
}

/// A client, and where its outcome goes.
struct Streaming(Sender<SessionOutcome>);

impl Application<usize> for Streaming {
    type Machine = Session<Streamer>;

    fn open(&self, now: Time, _index: &usize, _control: &Control<Infallible>) -> Session<Streamer> {
        session(Streamer::new(), now)
    }

    fn ended(&self, _index: &usize, report: ConnectionReport<SessionOutcome>) {
        self.0.send(report.outcome).unwrap();
    }
}

pub fn sessions_stream_64_mib_both_ways_at_once(backend: impl TestBackend) {
    let listener = roundtrip_net::bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let address = listener.local_address().unwrap();
    let handle = ServerHandle::new();
    let served = spawn({
        let handle = handle.clone();
        move || {
            let app = |now, _: &Accepted| session(Reflector, now);
            backend.serve(vec![listener], Limits::default(), &handle, &app).unwrap()
        }
    });
    let stream = std::net::TcpStream::connect(address).unwrap();
    let (sender, ended) = channel();
    let client = spawn(move || backend.drive_all([stream.into()], &Streaming(sender)).unwrap());
    let outcome = soon(&ended);
    assert_eq!((outcome.end, outcome.received), (SessionEnd::Finished, TOTAL as u64));
    soon(&client);
    handle.stop();
    assert_eq!(soon(&served).admission.admitted, 1);
}
