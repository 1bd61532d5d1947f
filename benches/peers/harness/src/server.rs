//! A server that runs: a child of ours, from its first line to its end.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// How long a server may take to say where it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Killed when dropped, and by the kernel when we die.
#[derive(Debug)]
pub struct Server {
    child: Child,
    clock: ClockId,
    pub address: Address,
}

impl Server {
    /// Runs it until it says where it listens: `listening …PORT`, or `listening …PATH`. What it complains of goes to a
    /// file in `folder`, and if it ends, the first line of that is the error.
    pub fn start(program: &Path, args: &[String], folder: &Path) -> io::Result<Self> {
        let complaints = folder.join("complaints");
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&complaints)?);
        // SAFETY: between fork and exec there is one system call, and nothing is allocated.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
        }
        let mut child = command.spawn()?;
        let said = first_line(&mut child);
        let address = said.as_deref().and_then(address);
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let clock = clock_getcpuclockid(Pid::from_raw(pid));
        // From here on it is killed, whatever happens.
        let mut server =
            Self { child, clock: ClockId::CLOCK_MONOTONIC, address: Address::Unix(PathBuf::new()) };
        let Some(address) = address else {
            let complaint = fs::read_to_string(&complaints)?;
            let reason = complaint.lines().next().or(said.as_deref()).unwrap_or("it says nothing");
            return Err(io::Error::other(reason.to_owned()));
        };
        server.clock = clock?;
        server.address = address;
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What all its threads used, those that ended too. Exact while it sleeps: a thread that runs is counted when it
    /// stops, or at the next tick.
    pub fn cpu(&self) -> io::Result<Duration> {
        Ok(Duration::from(clock_gettime(self.clock)?))
    }

    /// Bytes of it that are in memory: all, and those that are no file's.
    pub fn resident(&self) -> io::Result<(u64, u64)> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid()))?;
        let field = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
        };
        let both = field("Rss:").zip(field("Anonymous:"));
        both.ok_or_else(|| io::Error::other("/proc has no smaps_rollup that we can read"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it says first, if it says so soon enough.
fn first_line(child: &mut Child) -> Option<String> {
    let mut out = BufReader::new(child.stdout.take()?);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = out.read_line(&mut line);
        // Nobody may wait any more.
        let _ = sender.send(read.map(|_| line));
    });
    receiver.recv_timeout(PATIENCE).ok()?.ok().filter(|line| !line.is_empty())
}

fn address(line: &str) -> Option<Address> {
    let place = line.strip_prefix("listening ")?.split_whitespace().last()?;
    let port = place.rsplit(':').next()?;
    Some(match port.parse() {
        Ok(port) => Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port))),
        Err(_) => Address::Unix(place.into()),
    })
}
