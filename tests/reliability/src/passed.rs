//! `serve systemd:` with a `LISTEN_FDS` that no service manager sets.

use std::process::Stdio;

use crate::process::Process;
use crate::server::roundtrip_after;
use crate::{Cell, Failed, Scale};

/// One descriptor is open, and it is no socket.
const HOSTILE: [&str; 10] = [
    "LISTEN_FDS=1",
    "LISTEN_FDS=2",
    "LISTEN_FDS=200000000",
    "LISTEN_FDS=2147483647",
    "LISTEN_FDS=9223372036854775807",
    "LISTEN_FDS=18446744073709551616",
    "LISTEN_FDS=-1",
    "LISTEN_FDS=x",
    "LISTEN_FDS=",
    "LISTEN_FDS=1 LISTEN_FDS_FIRST_FD=2147483647",
];

pub(crate) fn trial(driver: &str, _: Scale) -> Result<Cell, Failed> {
    let mut wrong = Vec::new();
    for hostile in HOSTILE {
        let before = format!("ulimit -v 1048576; export LISTEN_PID=$$ {hostile}; exec 3</dev/null;");
        let mut command = roundtrip_after(&before, &["serve", "systemd:", "--driver", driver]);
        let finished = Process::start(command.stdout(Stdio::null()))?.finish()?;
        let [error, advice] = &finished.errors[..] else {
            wrong.push(format!("{hostile}: {}, {} lines", finished.exit(), finished.errors.len()));
            continue;
        };
        let is_clear = error.starts_with("error: ") && advice.starts_with("  try: ");
        if !is_clear || finished.code != Some(4) {
            wrong.push(format!("{hostile}: {}, {error}", finished.exit()));
        }
    }
    let good = HOSTILE.len() - wrong.len();
    let first = wrong.first().map_or_else(String::new, |first| format!("; {first}"));
    Ok(Cell::new(wrong.is_empty(), format!("{good} of {}{first}", HOSTILE.len())))
}
