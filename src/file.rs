//! Files that a verb writes besides its result.

use std::fs::{File, OpenOptions};
use std::io;

use crate::platform;
use crate::problem::{Exit, Problem, plain};

/// Before anything else is done: a file that cannot be written should not cost a run. What was there before is left until
/// there is something to write.
pub(crate) fn create(path: &str) -> Result<File, Problem> {
    open(&mut File::options(), path)
}

/// The same for a file that only its owner should read.
pub(crate) fn create_private(path: &str) -> Result<File, Problem> {
    open(platform::private(&mut File::options()), path)
}

fn open(options: &mut OpenOptions, path: &str) -> Result<File, Problem> {
    options.write(true).create(true).truncate(false).open(path).map_err(|error| {
        let cause = format!("cannot write {}: {}", platform::shown(path), plain(&error));
        Problem::usage(cause, "name a file in a folder that can be written to")
    })
}

/// Drops what was there before.
pub(crate) fn clear(file: &File) -> io::Result<()> {
    if_it_can(file.set_len(0))
}

/// Waits until all is where a full disk would be noticed.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    if_it_can(file.sync_all())
}

/// What was written is not all.
pub(crate) fn incomplete(path: &str, error: &io::Error) -> Problem {
    let cause = format!("cannot write {}: {}", platform::shown(path), plain(error));
    Problem::new(Exit::Incomplete, cause, "name a file where there is room for it")
}

/// A pipe or a terminal has no length, and nothing to wait for.
fn if_it_can(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}
