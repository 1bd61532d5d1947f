//! What the program prints: results on standard output, everything else on standard error.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish};
use roundtrip_core::text::escaped;

use crate::problem::{Exit, Problem, plain};

/// Whether standard output is a file's, so that results go to standard error.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// From now on results go to standard error: a file goes to standard output, for the option `-`.
pub(crate) fn leave_stdout() {
    IS_TAKEN.store(true, Ordering::Relaxed);
}

/// One line, or several, on standard output, at once.
///
/// A reader that has gone away is no error: whoever closed the pipe wants no more.
pub(crate) fn say(line: impl Display) -> Result<(), Problem> {
    match write(line) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| no_room(&error)),
    }
}

/// What [`say`] does, for a result: if nobody takes it, nobody knows it.
pub(crate) fn deliver(result: impl Display) -> Result<(), Problem> {
    write(result).map_err(|error| undelivered(&error))
}

/// What [`deliver`] does, for a line that may be no text.
pub(crate) fn deliver_bytes(line: &[u8]) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    let written = out.write_all(line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    written.map_err(|error| undelivered(&error))
}

/// A file that was asked for on standard output.
pub(crate) fn deliver_file(bytes: &[u8]) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| undelivered(&error))
}

fn undelivered(error: &io::Error) -> Problem {
    if error.kind() == ErrorKind::BrokenPipe {
        let cause = "nobody reads standard output any more: the result is not delivered";
        Problem::new(Exit::Incomplete, cause, "keep the reader until the end, or write to a file")
    } else {
        no_room(error)
    }
}

/// Whatever others put into a line: nothing that a terminal obeys, and nothing that hides.
struct Printable<T>(T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl fmt::Write for Escaping<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                // The ends of lines are ours: in what others say they are escaped where it becomes part of a line.
                text.split_inclusive(['\n', '\t']).try_for_each(|part| {
                    let ours = part.trim_end_matches(['\n', '\t']);
                    write!(self.0, "{}{}", escaped(ours), &part[ours.len()..])
                })
            }
        }
        fmt::Write::write_fmt(&mut Escaping(f), format_args!("{}", self.0))
    }
}

fn write(line: impl Display) -> io::Result<()> {
    let line = Printable(line);
    if IS_TAKEN.load(Ordering::Relaxed) {
        return writeln!(stderr().lock(), "{line}");
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush())
}

fn no_room(error: &io::Error) -> Problem {
    let cause = format!("cannot write to standard output: {}", plain(error));
    Problem::new(Exit::Internal, cause, "send it somewhere with room, as in `> FILE`")
}

/// One line, or several, on standard error. Where that is closed there is nobody to tell.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(stderr().lock(), "{}", Printable(line));
}

/// Does `work`; meanwhile calls `look` each `period`, on a thread of its own.
pub(crate) fn meanwhile<R>(
    period: Duration,
    mut look: impl FnMut() + Send,
    work: impl FnOnce() -> R,
) -> Result<R, Problem> {
    let (done, wait) = sync_channel::<()>(0);
    thread::scope(|scope| {
        let watch = move || {
            while wait.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                look();
            }
        };
        let watcher = thread::Builder::new().name("progress".into()).spawn_scoped(scope, watch);
        watcher.map_err(|error| Problem::system("cannot show the progress", &error))?;
        let result = work();
        drop(done);
        Ok(result)
    })
}

/// A line on a terminal's standard error that is written again and again, and gone at the end; none elsewhere.
pub(crate) fn progress_line() -> Option<ProgressBar> {
    stderr().is_terminal().then(|| ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear))
}

/// Lines that wait to be written.
const WAITING: usize = 1024;
/// How long the end of the program waits for a standard error that takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines on standard error, written by a thread of their own: whoever reads them slowly, or not at all, holds up
/// neither a connection nor a signal. What does not fit is dropped.
#[derive(Debug)]
pub(crate) struct Complaints(SyncSender<Entry>);

#[derive(Debug)]
enum Entry {
    Line(String),
    /// Everything before this was written.
    Mark(SyncSender<()>),
}

impl Complaints {
    /// All of them have one thread, so that lines keep their order.
    pub(crate) fn new() -> io::Result<Self> {
        static WRITER: Mutex<Option<SyncSender<Entry>>> = Mutex::new(None);
        let mut writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = &*writer {
            return Ok(Self(writer.clone()));
        }
        let (sender, entries) = sync_channel(WAITING);
        thread::Builder::new().name("complaints".into()).spawn(move || {
            for entry in entries {
                match entry {
                    Entry::Line(line) => complain(line),
                    Entry::Mark(written) => drop(written.send(())),
                }
            }
        })?;
        Ok(Self(writer.insert(sender).clone()))
    }

    pub(crate) fn complain(&self, line: String) {
        let _ = self.0.try_send(Entry::Line(line));
    }

    /// Waits until all is written, or for a second.
    pub(crate) fn flush(&self) {
        let (mark, written) = sync_channel(1);
        if self.0.try_send(Entry::Mark(mark)).is_ok() {
            let _ = written.recv_timeout(PATIENCE);
        }
    }
}
