//! Writers that fail, or are slow to be told: sessions do not notice, and the owner is told at the end.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{File, Session, echo, recorded, replay_echo};
use roundtrip_core::bytes::Bytes;
use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Input, Machine, Tap, Time};
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_record::{MAX_INPUT, Record, Recorder};

/// Has room for so many bytes, and counts how often it is asked for more.
struct Full {
    file: File,
    room: usize,
    asked: Arc<AtomicUsize>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            self.asked.fetch_add(1, Ordering::Relaxed);
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.write(&bytes[..bytes.len().min(self.room)])?;
        self.room -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_record_and_nothing_else() {
    for room in [0, 10, 200, 100_000, 300_001] {
        let (file, asked) = (File::default(), Arc::new(AtomicUsize::new(0)));
        let full = Full { file: file.clone(), room, asked: Arc::clone(&asked) };
        let recorder = Recorder::new(full, "test", "").unwrap();
        let mut session = Session::open(&recorder, 1, 0, |now| echo(1000, now));
        for _ in 0..1000 {
            session.read(&[7; 200]);
        }
        session.settle(usize::MAX);
        session.read(b"");
        session.settle(usize::MAX);
        drop(session);
        let told = recorder.finish().unwrap_err();
        assert_eq!((told.kind(), asked.load(Ordering::Relaxed)), (io::ErrorKind::StorageFull, 1), "{room}");
        // What there was room for is there.
        let record = file.bytes();
        assert_eq!(record.len(), room);
        if room > 100 {
            let torn = replay_echo(&record, 1000).unwrap().torn.unwrap();
            assert!(torn.offset + 600 > room as u64, "{torn:?}");
        }
    }
}

/// The error of the last write is told as well.
#[test]
fn an_error_at_the_end_is_told() {
    let last = "whole 0123456789abcdef\n".len();
    let whole = recorded(|recorder| drop(Session::open(recorder, 1, 0, |now| echo(1000, now))));
    let asked = Arc::new(AtomicUsize::new(0));
    let full = Full { file: File::default(), room: whole.len() - last, asked: Arc::clone(&asked) };
    let recorder = Recorder::new(full, "test", "with a configuration").unwrap();
    drop(Session::open(&recorder, 1, 0, |now| echo(1000, now)));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(recorder.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn an_input_that_is_too_large_ends_the_record_and_is_told() {
    let config = ServerConfig::default().buffer(1 << 30).chunk(1 << 30);
    let config = Arc::new(config);
    let echo = |now| EchoServer::new(Arc::clone(&config), now);
    for (len, fits) in [(MAX_INPUT, true), (MAX_INPUT + 1, false)] {
        let file = File::default();
        let recorder = Recorder::new(file.clone(), "test", "").unwrap();
        let observer = recorder.open(ConnectionId::new(1), Time::ZERO);
        let mut tap = Tap::new(echo(Time::ZERO), observer);
        let _ = tap.poll(Time::ZERO);
        tap.handle(Time::ZERO, Input::Data(Bytes::from(vec![0xab; len])));
        drop(tap);
        let finished = recorder.finish();
        assert_eq!(finished.is_ok(), fits);
        let record = file.bytes();
        let replayed = Record::open(&record[..]).unwrap().replay(|opened| echo(opened.at)).unwrap();
        assert_eq!((replayed.bytes == len as u64, replayed.torn.is_none()), (fits, fits));
        if let Err(error) = finished {
            assert_eq!(error.to_string(), "an input of 16777217 bytes is more than a record takes");
        }
    }
}

/// Connections on several threads write whole lines, each in its order.
#[test]
fn connections_on_many_threads_are_each_replayed() {
    let file = File::default();
    let recorder = Recorder::new(file.clone(), "test", "").unwrap();
    std::thread::scope(|scope| {
        for id in 0..4 {
            let recorder = &recorder;
            scope.spawn(move || {
                for _ in 0..50 {
                    let mut session = Session::open(recorder, id, 0, |now| echo(1000, now));
                    session.read(&[7; 20]);
                    session.settle(3);
                }
            });
        }
    });
    recorder.finish().unwrap();
    let replayed = replay_echo(&file.bytes(), 1000).unwrap();
    assert_eq!((replayed.sessions, replayed.bytes, replayed.torn), (200, 4000, None));
}

/// At its limit a record ends with a whole line, and says so once; sessions do not notice.
#[test]
fn a_limit_ends_the_record_and_nothing_else() {
    let whole = recorded(|recorder| drop(Session::open(recorder, 1, 0, |now| echo(1000, now)))).len() as u64;
    for limit in [0, 100, 10_000, whole + 1_000_000] {
        let (file, told) = (File::default(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&told);
        let recorder = Recorder::new(file.clone(), "test", "").unwrap();
        let header = file.bytes().len() as u64;
        let recorder = recorder.with_limit(limit, move || _ = count.fetch_add(1, Ordering::Relaxed));
        for id in 0..3 {
            let mut session = Session::open(&recorder, id, 0, |now| echo(1000, now));
            for _ in 0..100 {
                session.read(&[7; 200]);
                session.settle(usize::MAX);
            }
            session.read(b"");
            session.settle(usize::MAX);
        }
        let is_whole = limit > 1_000_000;
        assert_eq!(recorder.is_over(), !is_whole);
        recorder.finish().unwrap();
        assert_eq!(told.load(Ordering::Relaxed), usize::from(!is_whole), "{limit}");
        let record = file.bytes();
        assert!(record.len() as u64 <= limit.max(header) && record.ends_with(b"\n"), "{limit}");
        let replayed = replay_echo(&record, 1000).unwrap();
        assert_eq!(replayed.torn.is_none(), is_whole);
    }
}
