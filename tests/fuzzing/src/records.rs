//! Records of sessions: no bytes panic, and what is recorded of a history is replayed as the same.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use roundtrip_core::Observe;
use roundtrip_core::hub::ConnectionId;
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_record::{Record, Recorder, ReplayError, Replayed};

use crate::model::bench::Happened;
use crate::model::op::{Served, ServerSetup};
use crate::model::peer::START;
use crate::model::twin::Twin;
use crate::model::wire::Wire;
use roundtrip_record::hash::mix;

/// Lines of a record without their checksums, without the first: what a fuzzer begins with, and cannot sum up itself.
#[cfg(feature = "seeds")]
pub(crate) const LINES: &str = "1 5 open
1 5 out wait 4 0 -
2 6 open
1 7 in data 616263
1 7 out write 3 0123456789abcdef
1 8 in wrote 2
1 8 in wrote 1
1 8 in data
1 9 in eof
1 9 out shutdown
2 9 in stop
2 9 in abort
2 9 in command 00
2 9 in failed reset
2 9 in failed truncated
2 9 in failed io
2 18446744073709551614 gone
whole";

/// A record as it is; its lines, or any, with the checksums that they take; and a history, recorded and replayed.
pub fn record_parse(bytes: &[u8]) {
    check(bytes, &replay(bytes, &ServerSetup::start()));
    let summed = summed(bytes);
    check(&summed, &replay(&summed, &ServerSetup::start()));

    let served = Served::decode(bytes);
    let record = recorded(&served);
    let replayed = replay(&record, &served.setup).expect("what was recorded is the same again");
    assert_eq!((replayed.sessions, replayed.torn), (1, None));
    // And no other record is taken for it.
    let at = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % record.len();
    let mut flipped = record;
    flipped[at] ^= bytes.first().copied().unwrap_or_default().max(1);
    let replayed = replay(&flipped, &served.setup);
    assert!(
        replayed.as_ref().is_ok_and(|replayed| replayed.torn.is_some()) || replayed.is_err(),
        "byte {at}"
    );
    check(&flipped, &replayed);
}

/// Where it ends, or what is wrong, is somewhere in the record.
fn check(record: &[u8], replayed: &Result<Replayed, ReplayError>) {
    let position = match replayed {
        Ok(replayed) => replayed.torn,
        Err(error) => {
            assert!(error.to_string().starts_with(&format!("line {}, ", error.position.line)));
            Some(error.position)
        }
    };
    let Some(position) = position else { return };
    let begins = usize::try_from(position.offset).expect("no record is so long");
    let lines = record[..begins].split(|byte| *byte == b'\n').count() as u64;
    assert_eq!((position.line, begins == 0 || record[begins - 1] == b'\n'), (lines, true));
}

fn replay(record: &[u8], setup: &ServerSetup) -> Result<Replayed, ReplayError> {
    let config: Arc<ServerConfig> = setup.config();
    Record::open(record)?.replay(|opened| EchoServer::new(Arc::clone(&config), opened.at))
}

/// These lines after a first one, each with its checksum.
fn summed(lines: &[u8]) -> Vec<u8> {
    let (mut record, mut sum) = (Vec::new(), 0);
    for line in [&b"roundtrip-record 1 echo "[..]].into_iter().chain(lines.split(|byte| *byte == b'\n')) {
        sum = mix(sum, line);
        record.extend_from_slice(line);
        record.extend_from_slice(format!(" {sum:016x}\n").as_bytes());
    }
    record
}

/// The record of a server's history.
pub(crate) fn recorded(served: &Served) -> Vec<u8> {
    let bench = Twin::<EchoServer>::run(&served.setup, &served.ops).bench;
    let file = File::default();
    let recorder = Recorder::new(file.clone(), "echo", "").expect("a name and no configuration are a line");
    let mut observer = recorder.open(ConnectionId::new(0), START);
    for entry in &bench.record {
        match &entry.happened {
            Happened::Told(input) => Observe::<EchoServer>::input(&mut observer, entry.now, input),
            Happened::Polled(action) => Observe::<EchoServer>::action(&mut observer, entry.now, action),
        }
    }
    drop(observer);
    recorder.finish().expect("memory takes all");
    file.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A file in memory.
#[derive(Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
