//! Processes: started, measured, and ended together with their children.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};

use crate::Failed;

/// Longest wait for a process to start or to exit.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Interval at which a state is polled.
const PAUSE: Duration = Duration::from_millis(5);
/// Lines of standard error that are kept; later ones are only counted.
const KEPT_LINES: usize = 10_000;

/// Raises the soft limit of descriptors to the hard one, for this process and its children.
pub(crate) fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// A process and its children, killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    errors: Arc<Mutex<Errors>>,
    reader: Option<thread::JoinHandle<()>>,
}

/// What was written to standard error.
#[derive(Debug, Default)]
struct Errors {
    count: u64,
    /// The first [`KEPT_LINES`].
    lines: Vec<String>,
}

/// A process that has exited.
#[derive(Debug)]
pub(crate) struct Finished {
    /// `None` if a signal killed it.
    pub(crate) code: Option<i32>,
    /// Lines of standard error.
    pub(crate) errors: Vec<String>,
}

impl Finished {
    /// How it exited, in words.
    pub(crate) fn exit(&self) -> String {
        self.code.map_or_else(|| "killed by a signal".to_owned(), |code| format!("exit {code}"))
    }

    /// The last line of standard error.
    pub(crate) fn last_error(&self) -> &str {
        self.errors.last().map_or("", String::as_str)
    }
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        // In a process group of its own, which can be killed as a whole.
        let mut child = command.process_group(0).stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let errors = Arc::<Mutex<Errors>>::default();
        let reader = child.stderr.take().map(|stderr| {
            let errors = Arc::clone(&errors);
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
                    errors.count += 1;
                    if errors.lines.len() < KEPT_LINES {
                        errors.lines.push(line);
                    }
                }
            })
        });
        Ok(Self { child, errors, reader })
    }

    /// The first line of its standard output, which must be a pipe; empty if it has exited.
    pub(crate) fn first_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let out = self.child.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        BufReader::new(out).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Number of lines of standard error so far.
    pub(crate) fn error_lines(&self) -> u64 {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), signal);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits until it exits; `None` if it does not.
    pub(crate) fn wait(&mut self) -> Option<ExitStatus> {
        poll(PATIENCE, || self.child.try_wait().ok().flatten())
    }

    /// Waits until it exits. It must have no children.
    pub(crate) fn finish(mut self) -> Result<Finished, Failed> {
        let status = self.wait().ok_or("the process does not exit")?;
        if let Some(reader) = self.reader.take() {
            reader.join().map_err(|_| "standard error could not be read")?;
        }
        let errors = std::mem::take(&mut self.errors.lock().unwrap_or_else(PoisonError::into_inner).lines);
        Ok(Finished { code: status.code(), errors })
    }

    /// Sends SIGTERM and waits until it exits.
    pub(crate) fn stop(self) -> Result<Finished, Failed> {
        self.signal(Signal::TERM);
        self.finish()
    }

    /// The process and its descendants.
    fn family(&self) -> Vec<u32> {
        let mut children = BTreeMap::<u32, Vec<u32>>::new();
        for process in numbers_in("/proc") {
            if let Some(parent) = stat(process).and_then(|fields| fields.get(1)?.parse().ok()) {
                children.entry(parent).or_default().push(process);
            }
        }
        let mut family = vec![self.child.id()];
        let mut at = 0;
        while let Some(&parent) = family.get(at) {
            family.extend(children.get(&parent).into_iter().flatten());
            at += 1;
        }
        family
    }

    /// User memory of all of them, bytes; shared pages in proportion (`proc_pid_smaps(5)`, `Pss`).
    pub(crate) fn memory(&self) -> u64 {
        self.family().into_iter().filter_map(pss).sum()
    }

    /// Processor time of all of them.
    pub(crate) fn processor_time(&self) -> Duration {
        let ticks = |process: u32| -> Option<u64> {
            let fields = stat(process)?;
            Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
        };
        // A tick is 10 ms on every Linux: sysconf(3), `_SC_CLK_TCK`.
        Duration::from_millis(self.family().into_iter().filter_map(ticks).sum::<u64>() * 10)
    }

    /// Descriptors of all of them.
    pub(crate) fn descriptors(&self) -> usize {
        self.family().into_iter().map(|process| numbers_in(&format!("/proc/{process}/fd")).count()).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let family = self.family();
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Children in a process group of their own.
        for process in family.into_iter().skip(1).filter_map(|id| Pid::from_raw(id.cast_signed())) {
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    }
}

/// Memory of this process, bytes, and its number of descriptors.
pub(crate) fn own() -> io::Result<(u64, usize)> {
    let process = std::process::id();
    let memory = pss(process).ok_or(io::ErrorKind::Unsupported)?;
    Ok((memory, numbers_in(&format!("/proc/{process}/fd")).count()))
}

/// Bytes of memory, shared pages in proportion: `proc_pid_smaps(5)`.
fn pss(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// The fields of `/proc/PID/stat` after the name; the state is the first.
fn stat(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn numbers_in(folder: &str) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Polls until `look` finds something; `None` after `patience`.
pub(crate) fn poll<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if start.elapsed() > patience {
            return None;
        }
        thread::park_timeout(PAUSE);
    }
}
