//! What the program prints: results on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use crate::problem::{Exit, Problem, plain};

/// One line, or several, on standard output, at once.
///
/// A reader that has gone away is no error: whoever closed the pipe wants no more.
pub(crate) fn say(line: impl Display) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let cause = format!("cannot write to standard output: {}", plain(&error));
            Err(Problem::new(Exit::Internal, cause, "send it somewhere with room, as in `> FILE`"))
        }
        _ => Ok(()),
    }
}

/// One line, or several, on standard error. Where that is closed there is nobody to tell.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
