//! Any machine over anything that is `Read` and `Write`: pipes, files, standard input and output.
//!
//! The loop makes two kinds of calls, and both block for as long as they like. So there is no way in
//! (`Command = Infallible`, and no stop), and deadlines take effect only between calls.

use std::convert::Infallible;
use std::io::{self, ErrorKind, Read, Write};

use roundtrip_core::{Driven, Machine, Step, Time, Wait};
use roundtrip_net::classify::{self, Transfer};
use roundtrip_net::{Block, Call, Clock, ConnectionReport, until};

/// Drives one machine over a reader and a writer until it closes. Half-closing drops the writer.
///
/// `WouldBlock`, `TimedOut` and `Interrupted` mean "look again": a reader with a time limit of its own gives
/// deadlines a chance to act.
pub fn drive<M: Machine<Command = Infallible>>(
    mut reader: impl Read,
    writer: impl Write,
    clock: &impl Clock,
    machine: impl FnOnce(Time) -> M,
    mut events: impl FnMut(M::Event),
) -> ConnectionReport<M::Outcome> {
    let mut writer = Some(writer);
    let mut block = Block::default();
    let mut now = clock.now();
    let mut session = Driven::new(machine(now));
    let mut written = 0;
    let mut failure = None;
    let outcome = loop {
        let done = match session.step(now) {
            Step::Write => Ok(()),
            Step::ShutdownWrite => {
                drop(writer.take());
                Ok(())
            }
            Step::Event(event) => {
                events(event);
                Ok(())
            }
            Step::Wait(_) if !session.pending().is_empty() => {
                write(writer.as_mut(), session.pending()).map_err(Call::Write.failed()).map(|wrote| {
                    written += wrote as u64;
                    now = clock.now();
                    session.wrote(now, wrote);
                })
            }
            Step::Wait(Wait { read: 0, deadline, .. }) => {
                // Only the deadline can end this: nothing reaches in.
                match until(now, deadline) {
                    Some(timeout) => std::thread::park_timeout(timeout),
                    None => std::thread::park(),
                }
                now = clock.now();
                Ok(())
            }
            Step::Wait(wait) => {
                let read = block.fill(wait.read, false, |buffer| reader.read(buffer));
                read.map_err(Call::Read.failed()).map(|bytes| {
                    now = clock.now();
                    if bytes.is_empty() {
                        session.eof(now);
                    } else {
                        let rest = session.data(now, bytes);
                        debug_assert!(rest.is_empty(), "no more is read than there is credit for");
                    }
                })
            }
            Step::Close { outcome, .. } => break outcome,
        };
        if let Err(failed) = done {
            now = clock.now();
            if let Transfer::Failed(why) = classify::transfer(&failed.error) {
                failure.get_or_insert(failed);
                session.failed(now, why);
            }
        }
    };
    let mut ended = ConnectionReport::new(outcome);
    (ended.written, ended.failure) = (written, failure);
    ended
}

/// Writes and flushes: a machine that is told "written" may wait for the answer, and a buffer that is not
/// flushed would keep it waiting.
fn write(writer: Option<&mut impl Write>, bytes: &[u8]) -> io::Result<usize> {
    let writer = writer.ok_or(ErrorKind::BrokenPipe)?;
    let wrote = writer.write(bytes)?;
    // A writer that takes nothing will not take anything later either: `Write::write`.
    if wrote == 0 {
        return Err(ErrorKind::WriteZero.into());
    }
    loop {
        match writer.flush() {
            Err(error) if classify::is_again(&error) => std::thread::yield_now(),
            flushed => return flushed.map(|()| wrote),
        }
    }
}
