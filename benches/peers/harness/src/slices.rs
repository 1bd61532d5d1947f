//! Slices of all servers of a block, in pairs, in random order.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::catalogue::{Entry, Program};
use crate::cores::Cores;
use crate::generator::{Generator, Work};
use crate::goals::Workload;
use crate::order::{Group, round};
use crate::server::Server;

/// For the server to be asleep, so that its time is all counted.
const SETTLE: Duration = Duration::from_millis(1);

/// What is measured with.
#[derive(Debug)]
pub struct Bench {
    pub ours: PathBuf,
    pub peers: PathBuf,
    /// Of this run alone.
    pub folder: PathBuf,
    pub cores: Cores,
    /// How many we may have, and each server.
    pub descriptors: usize,
    pub slice: Duration,
    pub interrupted: Arc<AtomicBool>,
    pub started: Cell<u32>,
    pub since: Instant,
}

/// What one server did in one slice.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    pub work: Work,
    pub cpu: Duration,
}

impl Slice {
    /// Seconds of the server's CPU for a message.
    pub fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() / self.work.units
    }

    pub fn rate(&self) -> f64 {
        self.work.units / self.work.took.as_secs_f64()
    }
}

/// Why there are no slices of a server.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It is not there, or does not know its options.
    NotStarted(String),
    /// It did not echo.
    Broken(String),
}

/// Slices of two servers, one right after the other.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub ours: Slice,
    pub other: Slice,
}

/// A server, and connections to it.
#[derive(Debug)]
struct Lane {
    server: Server,
    generator: Generator,
}

impl Lane {
    fn slice(&mut self, time: Duration) -> io::Result<Slice> {
        let before = self.server.cpu()?;
        let work = self.generator.slice(time)?;
        thread::sleep(SETTLE);
        Ok(Slice { work, cpu: self.server.cpu()?.saturating_sub(before) })
    }
}

/// What came of a block: pairs by server and other, and all slices by server. What failed has neither from then on.
#[derive(Debug, Default)]
pub struct Taken {
    pub pairs: Vec<(&'static Entry, &'static Entry, Pair)>,
    pub slices: Vec<(&'static Entry, Slice)>,
    pub failures: Vec<(&'static Entry, Failure)>,
}

impl Bench {
    /// Starts a server, on the core or the cores of the workload.
    pub fn start(&self, entry: &Entry, shared: bool) -> io::Result<Server> {
        let number = self.started.get();
        self.started.set(number + 1);
        let unix = self.folder.join(number.to_string());
        let program = match entry.program {
            Program::Ours => self.ours.clone(),
            Program::Peer(name) => self.peers.join(name),
        };
        if !program.exists() {
            return Err(io::Error::other("not built: its compiler or library is missing"));
        }
        let args = entry.args.iter().map(|arg| arg.replace("{unix}", &unix.to_string_lossy()));
        let Cores { server, generator } = self.cores;
        // What is started stays where it was started.
        let both = [server, generator];
        Cores::pin(if shared { &both } else { &both[..1] })?;
        let started = Server::start(&program, &args.collect::<Vec<_>>(), &self.folder);
        Cores::pin(if shared { &both } else { &both[1..] })?;
        started
    }

    /// Where it is, for who waits.
    pub fn tell(&self, what: &str) {
        eprintln!("{:4} s: {what}", self.since.elapsed().as_secs());
    }

    /// An error if somebody does not want to wait any more.
    pub fn go_on(&self) -> io::Result<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    }

    /// Starts a server, connects to it, and warms it up.
    fn lane(&self, entry: &Entry, workload: Workload) -> Result<Lane, Failure> {
        let server =
            self.start(entry, workload.shared).map_err(|error| Failure::NotStarted(error.to_string()))?;
        let connected = Generator::connect(workload.load, &server.address).and_then(|generator| {
            let mut lane = Lane { server, generator };
            lane.slice(self.slice / 8)?;
            Ok(lane)
        });
        connected.map_err(|error| Failure::Broken(error.to_string()))
    }

    /// Starts all servers, connects to them, and takes so many rounds of slices.
    pub fn block(
        &self,
        entries: &[&'static Entry],
        groups: &[Group],
        workload: Workload,
        rounds: usize,
        taken: &mut Taken,
    ) -> io::Result<()> {
        let mut random = fastrand::Rng::new();
        let mut order: Vec<usize> = (0..entries.len()).collect();
        // Who starts first has the better pages.
        random.shuffle(&mut order);
        let mut lanes: Vec<Option<Lane>> = entries.iter().map(|_| None).collect();
        for index in order {
            self.go_on()?;
            match self.lane(entries[index], workload) {
                Ok(lane) => lanes[index] = Some(lane),
                Err(failure) => taken.failures.push((entries[index], failure)),
            }
        }
        for _ in 0..rounds {
            for run in round(groups, &mut random) {
                let slices: Vec<_> = run
                    .servers
                    .iter()
                    .map(|index| {
                        self.go_on()?;
                        let Some(lane) = &mut lanes[*index] else { return Ok(None) };
                        match lane.slice(self.slice) {
                            Ok(slice) => {
                                taken.slices.push((entries[*index], slice));
                                Ok(Some(slice))
                            }
                            Err(error) => {
                                taken.failures.push((entries[*index], Failure::Broken(error.to_string())));
                                lanes[*index] = None;
                                Ok(None)
                            }
                        }
                    })
                    .collect::<io::Result<_>>()?;
                for (ours, other) in run.pairs {
                    let names = (entries[run.servers[ours]], entries[run.servers[other]]);
                    if let (Some(ours), Some(other)) = (slices[ours], slices[other]) {
                        taken.pairs.push((names.0, names.1, Pair { ours, other }));
                    }
                }
            }
        }
        Ok(())
    }
}
