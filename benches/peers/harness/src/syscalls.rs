//! System calls a message, counted by the kernel while the server runs at full speed: under strace it would run so
//! slowly that it never has to wait.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::catalogue::Entry;
use crate::generator::Generator;
use crate::goals::FIFTY;
use crate::server::Server;
use crate::slices::Bench;

const TIME: Duration = Duration::from_millis(200);

/// Of all there are, those that an echo server may make; what it makes besides shows in the sum.
const CALLS: [&str; 24] = [
    "recvfrom",
    "sendto",
    "recvmsg",
    "sendmsg",
    "read",
    "write",
    "readv",
    "writev",
    "splice",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_ctl",
    "poll",
    "ppoll",
    "io_uring_enter",
    "futex",
    "timerfd_settime",
    "clock_nanosleep",
    "nanosleep",
    "sched_yield",
    "brk",
    "getsockopt",
    "setsockopt",
];
/// Of 10 ms each: perf opens a counter for each call and thread.
const ANSWER_TRIES: usize = 500;
const ALL: &str = "raw_syscalls:sys_enter";

/// Calls a message: all, and those that are made most.
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    pub all: f64,
    pub each: Vec<(String, f64)>,
}

pub fn measure(bench: &Bench, entry: &Entry) -> io::Result<Calls> {
    let server = bench.start(entry, false)?;
    let mut generator = Generator::connect(FIFTY.load, &server.address)?;
    generator.slice(bench.slice / 4)?;
    let mut perf = Perf::attach(&server, &bench.folder)?;
    perf.tell("enable")?;
    let work = generator.slice(TIME)?;
    perf.tell("disable")?;
    parse(&perf.finish()?, work.units)
}

/// `perf stat`, which counts in the kernel and loses nothing.
struct Perf {
    child: Child,
    control: File,
    answers: File,
    folder: PathBuf,
}

impl Perf {
    fn attach(server: &Server, folder: &Path) -> io::Result<Self> {
        let pipe = |name: &str| {
            let path = folder.join(name);
            if !path.exists() {
                mkfifo(&path, Mode::S_IRWXU)?;
            }
            // For both, so that nobody waits for the other to open it.
            OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path)
        };
        let (control, answers) = (pipe("control")?, pipe("answers")?);
        let events: Vec<String> = CALLS.iter().map(|call| format!("syscalls:sys_enter_{call}")).collect();
        let place = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let child = Command::new("perf")
            .args(["stat", "-x", ",", "--delay", "-1", "-e", &events.join(","), "-e", ALL])
            .args(["--control", &format!("fifo:{},{}", place("control"), place("answers"))])
            .args(["-o", &place("counts"), "-p", &server.pid().to_string()])
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("complaints"))?)
            .spawn();
        let child = child.map_err(|error| io::Error::other(format!("perf: {error}")))?;
        Ok(Self { child, control, answers, folder: folder.to_owned() })
    }

    /// Returns when it is done.
    fn tell(&mut self, what: &str) -> io::Result<()> {
        writeln!(self.control, "{what}")?;
        for _ in 0..ANSWER_TRIES {
            let mut answer = [0; 5];
            match self.answers.read(&mut answer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(drop),
            }
            if self.child.try_wait()?.is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let complaints = fs::read_to_string(self.folder.join("complaints"))?;
        let complaint = complaints.lines().find(|line| !line.trim().is_empty());
        Err(io::Error::other(format!("perf: {}", complaint.unwrap_or("no answer"))))
    }

    fn finish(mut self) -> io::Result<String> {
        let pid = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        kill(Pid::from_raw(pid), Signal::SIGINT)?;
        self.child.wait()?;
        fs::read_to_string(self.folder.join("counts"))
    }
}

impl Drop for Perf {
    fn drop(&mut self) {
        // It has ended, if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of `perf stat -x ,`: `count,unit,event,…`. What is made less than once in a hundred messages is left out.
fn parse(lines: &str, messages: f64) -> io::Result<Calls> {
    let rows = lines.lines().filter_map(|line| {
        let mut fields = line.split(',');
        let count: f64 = fields.next()?.parse().ok()?;
        Some((fields.nth(1)?, count / messages))
    });
    let rows: Vec<(&str, f64)> = rows.collect();
    let all = rows.iter().find(|(event, _)| *event == ALL).map(|(_, each)| *each);
    let all = all.ok_or_else(|| io::Error::other("perf counted nothing: it may need root"))?;
    let named = rows.iter().filter_map(|(event, each)| {
        let call = event.strip_prefix("syscalls:sys_enter_")?;
        Some((call.to_owned(), *each)).filter(|(_, each)| *each >= 0.01)
    });
    let mut each: Vec<(String, f64)> = named.collect();
    each.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(Calls { all, each })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_perf_counted_is_read() {
        let lines = "\
# started on some day

20000,,syscalls:sys_enter_sendto,500000000,100.00,,
40000,,syscalls:sys_enter_recvfrom,500000000,100.00,,
10,,syscalls:sys_enter_futex,500000000,100.00,,
<not supported>,,syscalls:sys_enter_poll,0,100.00,,
60010,,raw_syscalls:sys_enter,500000000,100.00,,
";
        let calls = parse(lines, 20_000.0).unwrap();
        assert_eq!(calls.each, [("recvfrom".to_owned(), 2.0), ("sendto".to_owned(), 1.0)]);
        assert!((calls.all - 3.0005).abs() < 1e-9);
    }

    #[test]
    fn nothing_counted_is_not_zero() {
        assert!(parse("# started on some day\n", 20_000.0).is_err());
    }
}
