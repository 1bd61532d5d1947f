//! A file in memory, and sessions that are recorded into it.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use roundtrip_core::bytes::Bytes;
use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Driven, Machine, Step, Tap, Time};
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_record::{Observer, Record, Recorder, ReplayError, Replayed};

/// What is written into a clone is in all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct File(Arc<Mutex<Vec<u8>>>);

impl File {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a recorder writes while `sessions` run.
pub(crate) fn recorded(sessions: impl FnOnce(&Recorder)) -> Vec<u8> {
    let file = File::default();
    let recorder = Recorder::new(file.clone(), "test", "with a configuration").unwrap();
    sessions(&recorder);
    recorder.finish().unwrap();
    file.bytes()
}

pub(crate) fn echo(buffer: usize, now: Time) -> EchoServer {
    EchoServer::new(ServerConfig::default().buffer(buffer).into(), now)
}

/// A connection that is driven step by step, in memory.
pub(crate) struct Session<M> {
    pub(crate) driven: Driven<Tap<M, Observer>>,
    pub(crate) now: Time,
}

impl<M: Machine<Event = Infallible>> Session<M>
where
    Tap<M, Observer>: Machine<Command = M::Command, Event = Infallible, Outcome = M::Outcome>,
{
    pub(crate) fn open(recorder: &Recorder, id: u64, now: u64, make: impl FnOnce(Time) -> M) -> Self
    where
        Observer: roundtrip_core::Observe<M>,
    {
        let now = Time::from_nanos(now);
        let observer = recorder.open(ConnectionId::new(id), now);
        Self { driven: Driven::new(Tap::new(make(now), observer)), now }
    }

    /// A moment later, bytes come; none is the end.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        self.settle(usize::MAX);
        self.now = Time::from_nanos(self.now.as_nanos() + 7);
        if bytes.is_empty() {
            self.driven.eof(self.now);
        } else {
            assert!(self.driven.data(self.now, Bytes::copy_from_slice(bytes)).is_empty());
        }
    }

    /// Steps until it waits or is closed, writing at most so many bytes at a time.
    pub(crate) fn settle(&mut self, write: usize) {
        loop {
            self.now = Time::from_nanos(self.now.as_nanos() + 1);
            match self.driven.step(self.now) {
                Step::Write | Step::ShutdownWrite => {}
                Step::Wait(_) if self.driven.pending().is_empty() => return,
                Step::Wait(_) => self.driven.wrote(self.now, self.driven.pending().len().min(write)),
                Step::Event(never) => match never {},
                Step::Close { .. } => return,
            }
        }
    }
}

/// Two connections at once, with reads, short writes, and ends.
pub(crate) fn two_echoes() -> Vec<u8> {
    recorded(|recorder| {
        let mut one = Session::open(recorder, 1, 100, |now| echo(64, now));
        one.read(b"this is");
        let mut two = Session::open(recorder, 2, 90, |now| echo(64, now));
        two.read(b"\x00\xff\n");
        one.settle(3);
        one.read(b" a test");
        two.read(b"");
        two.settle(1);
        drop(two);
        one.read(b"");
        one.settle(usize::MAX);
    })
}

/// Replays it on echo servers with this buffer.
pub(crate) fn replay_echo(record: &[u8], buffer: usize) -> Result<Replayed, ReplayError> {
    Record::open(record)?.replay(|opened| echo(buffer, opened.at))
}
