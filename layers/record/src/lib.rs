//! A running session, recorded; and replayed bit for bit, without a socket.
//!
//! A machine depends on its inputs and their times alone, so who keeps these can run the session again: in a debugger,
//! with more logging, with the fix. A [`Recorder`] writes down what passes between machines and their driver, for all
//! connections of a process; a [`Record`] is read back, and [replayed](Record::replay) against machines made anew. Every
//! action is compared with what it was, and the first that is not the same is told.
//!
//! ```
//! use roundtrip_core::bytes::Bytes;
//! use roundtrip_echo::{EchoServer, ServerConfig};
//! use roundtrip_core::hub::ConnectionId;
//! use roundtrip_core::{Driven, Step, Tap, Time};
//! use roundtrip_record::{Record, Recorder};
//!
//! # use std::io::Write;
//! # #[derive(Clone, Default)]
//! # struct File(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
//! # impl Write for File {
//! #     fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> { self.0.lock().unwrap().write(bytes) }
//! #     fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let file = File::default();
//! # let written = file.clone();
//! let now = Time::ZERO;
//! let echo = |now| EchoServer::new(ServerConfig::default().into(), now);
//! let recorder = Recorder::new(file, "echo-server", "the default configuration")?;
//! let observer = recorder.open(ConnectionId::new(1), now);
//! let mut session = Driven::new(Tap::new(echo(now), observer));
//! while !matches!(session.step(now), Step::Wait(_)) {}
//! let _ = session.data(now, Bytes::from_static(b"this is a test"));
//! assert_eq!(session.step(now), Step::Write);
//! drop(session);
//! recorder.finish()?;
//!
//! # let file = written.0.lock().unwrap();
//! # let file = &file[..];
//! let record = Record::open(file)?;
//! assert_eq!(record.header().machine, "echo-server");
//! let replayed = record.replay(|opened| echo(opened.at))?;
//! assert_eq!((replayed.sessions, replayed.inputs, replayed.torn), (1, 1, None));
//! # Ok(())
//! # }
//! ```
//!
//! # What order is recorded
//!
//! That in which observers were called. With one thread it is the order in which machines were, and that is enough for
//! machines that share state: every connection of the server is recorded, and the replay calls them as they were called.
//! With several threads an input is written before it is handled, and another thread may overtake it in between: then the
//! order is right for each connection, and for machines that share nothing that is all there is to it.
//!
//! What is not recorded is what a hub does: its mail is, as the commands that reached the machines.
//!
//! # The format
//!
//! Text, a line for each thing that happened:
//!
//! ```text
//! roundtrip-record 1 echo-server the default configuration 8a3b2c5d6e7f8091
//! 1 0 open 2f5b…
//! 1 0 out wait 65536 0 - 03a1…
//! 1 0 in data 746869732069732061… 91c2…
//! 1 0 out write 14 5d0c7e2f9a1b3c4d 77e0…
//! 1 0 gone c08d…
//! whole 1a9f…
//! ```
//!
//! The first line has the version, the name of the machine (one word) and what its maker says of its configuration. The
//! others begin with the connection's number and the time in nanoseconds, as the machine was told it:
//!
//! | line | what |
//! | --- | --- |
//! | `open` | the machine is about to be made |
//! | `in data HEX`, `in eof`, `in wrote N`, `in command HEX`, `in stop`, `in abort`, `in failed reset` (`truncated`, `io`) | an input is about to be handled |
//! | `out write LENGTH HASH`, `out shutdown`, `out wait READ COMMANDS DEADLINE` (or `-`), `out event HASH TEXT`, `out close graceful HASH TEXT` (`reset`) | what a poll returned; of events and outcomes, the beginning of their `Debug` and the hash of all of it |
//! | `gone` | the machine was dropped; the time is that of what came before |
//!
//! `whole` is the last line of a record that was [finished](Recorder::finish). A record without it (a crash, a full disk, a
//! [limit](Recorder::with_limit)) is replayed as far as it goes, and [says so](Replayed::torn).
//!
//! Each line ends with a checksum, 16 digits, of the line and of the checksum before it: no byte of a record is changed,
//! and no line lost, moved or doubled, without the first such line being [told](ReplayErrorCause::Damaged). It guards
//! against accidents and not against forgers. An input that the machine had not asked for is [refused](ReplayErrorCause::Misuse):
//! a machine need not expect one.
//!
//! # Limits
//!
//! Everything that the peers sent is in the record, as it was sent. An input is recorded up to 16 MiB
//! ([`MAX_INPUT`]). An event or outcome whose `Debug` differs from run to run cannot be replayed.

#![forbid(unsafe_code)]

mod command;
mod credit;
#[doc(hidden)]
pub mod hash;
mod line;
mod lines;
mod recorder;
mod replay;

pub use command::CommandBytes;
pub use line::MAX_INPUT;
pub use lines::Header;
pub use recorder::{Observer, Recorder};
pub use replay::{Divergence, Opened, Position, Record, ReplayError, ReplayErrorCause, Replayed};
