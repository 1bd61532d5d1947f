//! Files that options name, on a file system without room for them.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::folder::Folder;
use crate::namespace::{self, isolated};
use crate::process::Process;
use crate::server::roundtrip;
use crate::{Cell, Failed, Scale};

const BEFORE: &[u8] = b"before";

/// A command that writes a file; the file comes last.
fn writers(driver: &str) -> [Vec<&str>; 3] {
    [
        vec!["check", "--driver", driver, "--bytes", "10kB", "--record"],
        vec!["load", "--driver", driver, "--count", "10", "-c", "1", "--svg"],
        vec!["sim", "run", "echo", "--seeds", "0..50", "--report"],
    ]
}

pub(crate) fn trial(driver: &'static str, _: Scale) -> Result<Cell, Failed> {
    let folder = Folder::new()?;
    isolated(|| inside(driver, &folder))
}

fn inside(driver: &str, folder: &Folder) -> Result<Cell, Failed> {
    // Unmounted with the namespace.
    namespace::run(&format!("mount -t tmpfs -o size=64k tmpfs {}", folder.path().display()))?;
    let file = folder.join("file");
    fs::write(&file, BEFORE)?;
    let mut filler = File::create(folder.join("filler"))?;
    while filler.write_all(&[0; 4096]).is_ok() {}
    let mut wrong = Vec::new();
    for writer in writers(driver) {
        for target in [&*file, Path::new("/dev/full")] {
            let mut command = roundtrip(&writer);
            let finished = Process::start(command.arg(target).stdout(Stdio::null()))?.finish()?;
            let cause = format!("error: cannot write {}: ", target.display());
            let is_clear = finished
                .errors
                .windows(2)
                .any(|lines| lines[0].starts_with(&cause) && lines[1].starts_with("  try: "));
            if !is_clear || finished.code != Some(3) {
                wrong.push(format!(
                    "{} {}: {}, {}",
                    writer.join(" "),
                    target.display(),
                    finished.exit(),
                    finished.last_error()
                ));
            }
        }
        let left = fs::read_dir(folder.path())?.count();
        if fs::read(&file)? != BEFORE || left != 2 {
            wrong.push(format!("{}: the file changed, or others are left", writer.join(" ")));
        }
    }
    Ok(match wrong.first() {
        None => Cell::new(true, "3 of 3"),
        Some(first) => Cell::new(false, first.clone()),
    })
}
