//! System calls a message, as strace counts them.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::catalogue::Entry;
use crate::generator::Generator;
use crate::goals::FIFTY;
use crate::server::Server;
use crate::slices::Bench;

/// Long enough for thousands of messages; strace makes each call some twenty times as long.
const TIME: Duration = Duration::from_secs(1);

/// Calls a message, those that are made most first.
pub type Calls = Vec<(String, f64)>;

pub fn measure(bench: &Bench, entry: &Entry) -> io::Result<Calls> {
    let server = bench.start(entry, false)?;
    let mut generator = Generator::connect(FIFTY.load, &server.address)?;
    let out = bench.folder.join("strace");
    let strace = Strace::attach(&server, &out)?;
    let work = generator.slice(TIME)?;
    strace.detach()?;
    Ok(parse(&fs::read_to_string(&out)?, work.units))
}

struct Strace(Child);

impl Strace {
    /// Returns when it counts.
    fn attach(server: &Server, out: &Path) -> io::Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-o"]).arg(out).args(["-p", &server.pid().to_string()]);
        let child = command.stderr(Stdio::piped()).spawn();
        let mut strace = Self(child.map_err(|error| io::Error::other(format!("strace: {error}")))?);
        let Some(complaints) = strace.0.stderr.take() else { return Ok(strace) };
        let mut complaints = BufReader::new(complaints);
        let mut line = String::new();
        complaints.read_line(&mut line)?;
        if !line.contains("attached") {
            return Err(io::Error::other(line.trim().to_owned()));
        }
        // It says no more than a few lines, which a pipe holds.
        strace.0.stderr = Some(complaints.into_inner());
        Ok(strace)
    }

    fn detach(mut self) -> io::Result<()> {
        let pid = i32::try_from(self.0.id()).map_err(io::Error::other)?;
        kill(Pid::from_raw(pid), Signal::SIGINT)?;
        if let Some(mut rest) = self.0.stderr.take() {
            rest.read_to_end(&mut Vec::new())?;
        }
        self.0.wait().map(drop)
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // It has ended, if all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The table of `strace -c`: `% time, seconds, usecs/call, calls, [errors,] syscall`. What is made less than once in a
/// hundred messages is left out.
fn parse(table: &str, messages: f64) -> Calls {
    let rows = table.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let (calls, name) = (words.get(3)?.parse::<f64>().ok()?, words.last()?);
        Some(((*name).to_owned(), calls / messages)).filter(|(name, each)| name != "total" && *each >= 0.01)
    });
    let mut rows: Calls = rows.collect();
    rows.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn straces_table_is_read() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.060000           1     20000           sendto
 39.00    0.039000           1     40000      2000 recvfrom
  1.00    0.001000           1        10           futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.100000           1     60010      2000 total
";
        assert_eq!(parse(table, 20_000.0), [("recvfrom".to_owned(), 2.0), ("sendto".to_owned(), 1.0)]);
    }
}
