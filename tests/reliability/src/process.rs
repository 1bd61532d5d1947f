//! Processes under trial: started, measured, and ended, they and their children.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};

/// The longest wait for a process to come up, or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// As many descriptors as we may have, for us and for those we start.
pub(crate) fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// A server process and its children, ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Lines on its standard error.
    complaints: Arc<AtomicU64>,
    /// The last of them.
    last: Arc<std::sync::Mutex<String>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        // A group of its own, so that all of it can be ended.
        let mut child = command.process_group(0).stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let (complaints, last) = (Arc::default(), Arc::default());
        if let Some(stderr) = child.stderr.take() {
            let (complaints, last) = (Arc::clone(&complaints), Arc::clone(&last));
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    AtomicU64::fetch_add(&complaints, 1, Ordering::Relaxed);
                    *std::sync::Mutex::lock(&last).unwrap_or_else(std::sync::PoisonError::into_inner) = line;
                }
            });
        }
        Ok(Self { child, complaints, last })
    }

    /// The first line on its standard output, which must be a pipe.
    pub(crate) fn first_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let out = self.child.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        BufReader::new(out).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Lines that it wrote to its standard error.
    pub(crate) fn complaints(&self) -> u64 {
        self.complaints.load(Ordering::Relaxed)
    }

    /// The last of them.
    pub(crate) fn last_complaint(&self) -> String {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), signal);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits until it ends by itself; none if it does not.
    pub(crate) fn wait(&mut self) -> Option<ExitStatus> {
        poll(PATIENCE, || self.child.try_wait().ok().flatten())
    }

    /// It and its descendants.
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

    /// User memory of all of them, bytes: each page once, shared ones in parts (`proc_pid_smaps(5)`, `Pss`).
    pub(crate) fn memory(&self) -> u64 {
        self.family().into_iter().filter_map(pss).sum()
    }

    /// Processor time of all of them.
    pub(crate) fn processor_time(&self) -> Duration {
        let ticks = |process: u32| -> Option<u64> {
            let fields = stat(process)?;
            Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
        };
        // A tick is a hundredth of a second on every Linux: sysconf(3), `_SC_CLK_TCK`.
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
        // Children that made a group of their own.
        for process in family.into_iter().skip(1).filter_map(|id| Pid::from_raw(id.cast_signed())) {
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    }
}

/// Our own memory, bytes, and descriptors.
pub(crate) fn own() -> io::Result<(u64, usize)> {
    let process = std::process::id();
    let memory = pss(process).ok_or(io::ErrorKind::Unsupported)?;
    Ok((memory, numbers_in(&format!("/proc/{process}/fd")).count()))
}

/// Bytes of memory, shared pages in parts: `proc_pid_smaps(5)`.
fn pss(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// The fields of `/proc/PID/stat` behind the name: the state is the first.
fn stat(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn numbers_in(folder: &str) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Looks again and again until there is something, or for so long.
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
