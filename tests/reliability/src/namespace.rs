//! Network and mount namespaces.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::process::{PATIENCE, poll};
use crate::{Cell, Failed};

/// Runs a trial on a thread with a network namespace, where only the loopback is up, and a mount namespace. Processes that
/// it starts are in both. The cell says so if the system allows no namespaces.
pub(crate) fn isolated(trial: impl FnOnce() -> Result<Cell, Failed> + Send) -> Result<Cell, Failed> {
    let run = || match isolate() {
        Ok(()) => trial().map_err(|error| error.to_string()),
        Err(error) => Ok(Cell::not_possible(error)),
    };
    let ended = thread::scope(|scope| scope.spawn(run).join());
    Ok(ended.map_err(|_| "the trial panicked")??)
}

fn isolate() -> Result<(), Failed> {
    unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS)?;
    run("mount --make-rprivate /")?;
    run("ip link set lo up")
}

fn unshare(flags: UnshareFlags) -> Result<(), Failed> {
    #[expect(deprecated, reason = "only `FILES` is unsafe, and it is not used here")]
    rustix::thread::unshare(flags).map_err(|error| format!("no namespaces: {error}").into())
}

/// Runs a command; `line` is split at spaces.
pub(crate) fn run(line: &str) -> Result<(), Failed> {
    output(line).map(drop)
}

fn output(line: &str) -> Result<String, Failed> {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).output().map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A network namespace, as if it were a host of its own.
#[derive(Debug)]
pub(crate) struct Host(File);

impl Host {
    /// The network namespace of this thread.
    pub(crate) fn current() -> Result<Self, Failed> {
        Ok(Self(File::open("/proc/thread-self/ns/net")?))
    }

    /// A new one. This thread is in it afterwards.
    pub(crate) fn new() -> Result<Self, Failed> {
        unshare(UnshareFlags::NEWNET)?;
        run("ip link set lo up")?;
        Self::current()
    }

    /// Moves this thread into it. Sockets stay where they were opened.
    pub(crate) fn enter(&self) -> Result<(), Failed> {
        rustix::thread::move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }

    /// Connects two hosts: 192.0.2.1 is this one, 192.0.2.2 the other. Returns when the link is up, with this thread in this
    /// host.
    pub(crate) fn connect_to(&self, other: &Self) -> Result<(), Failed> {
        self.enter()?;
        let other_namespace = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        run(&format!("ip link add wire type veth peer name wire netns {other_namespace}"))?;
        for (host, number) in [(other, 2), (self, 1)] {
            host.enter()?;
            run(&format!("ip address add 192.0.2.{number}/24 dev wire"))?;
            run("ip link set wire up")?;
        }
        let is_up = || output("ip -o link show wire").is_ok_and(|shown| shown.contains("state UP"));
        poll(PATIENCE, || is_up().then_some(())).ok_or("the link does not come up")?;
        Ok(())
    }

    /// Removes the link from this host, which is this thread's, and with it the other end.
    pub(crate) fn disconnect() -> Result<(), Failed> {
        run("ip link delete wire")
    }
}
