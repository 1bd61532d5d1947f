//! Which cores there are, and who runs where.

use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Two of the cores that we may use.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub server: usize,
    pub generator: usize,
}

impl Cores {
    pub fn find() -> io::Result<Self> {
        let set = sched_getaffinity(Pid::from_raw(0))?;
        let mut ours = (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false));
        match (ours.next(), ours.next()) {
            (Some(server), Some(generator)) => Ok(Self { server, generator }),
            _ => Err(io::Error::other("two cores are needed: one for the servers, one for the generator")),
        }
    }

    /// From here on, for this thread and what it starts.
    pub fn pin(cores: &[usize]) -> io::Result<()> {
        let mut set = CpuSet::new();
        for core in cores {
            set.set(*core)?;
        }
        Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
    }
}
