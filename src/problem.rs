//! What a person is told when the program cannot do what it was asked: what is wrong, the way out, and the
//! exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use roundtrip_core::text::escaped;
use roundtrip_echo::ConfigError;
use roundtrip_std::{FailedAttempt, NetError, Stage};

use crate::platform::{ENDPOINTS, NO_MORE, PORT_DENIED};

/// How the program ends. The codes are the same for every verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Ok = 0,
    /// The bytes did not come back as they were sent.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Not finished: timed out, interrupted, or bytes lost in a drain.
    Incomplete = 3,
    /// Nothing to talk to: cannot connect, bind or resolve.
    Unreachable = 4,
    /// The system failed us.
    Internal = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// One cause, one way out.
#[derive(Debug)]
pub(crate) struct Problem {
    exit: Exit,
    cause: String,
    advice: String,
}

impl Problem {
    /// Both are one line each, whatever others put into them.
    pub(crate) fn new(exit: Exit, cause: impl Into<String>, advice: impl Into<String>) -> Self {
        let line = |text: String| escaped(&text).to_string();
        Self { exit, cause: line(cause.into()), advice: line(advice.into()) }
    }

    pub(crate) fn usage(cause: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Exit::Usage, cause, advice)
    }

    /// The system could not give what a verb needs to begin with.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        Self::new(Exit::Internal, format!("{what}: {}", plain(error)), NO_MORE)
    }

    /// No socket for `endpoint`.
    pub(crate) fn net(endpoint: &str, error: &NetError) -> Self {
        use io::ErrorKind::{
            AddrInUse, AddrNotAvailable, ConnectionRefused, HostUnreachable, InvalidInput,
            NetworkUnreachable, NotFound, PermissionDenied, TimedOut, Unsupported,
        };
        // A known scheme wins over a host of that name.
        let is_file = endpoint.starts_with("unix:") || endpoint.starts_with("unix-dgram:");
        let is_pipe = endpoint.starts_with("pipe:");
        let (verb, advice) = match (error.stage, error.source.kind()) {
            (Stage::Bind, Unsupported) => ("listen on", &*format!("listen on {ENDPOINTS}")),
            (Stage::Connect, Unsupported) => ("connect to", &*format!("connect to {ENDPOINTS}")),
            (Stage::Bind, AddrInUse) if is_pipe => {
                ("listen on", "end the program that has it, or choose another name")
            }
            (Stage::Bind, _) if is_pipe => ("listen on", "choose another name"),
            (Stage::Bind | Stage::Listen, AddrInUse) if is_file => {
                ("listen on", "something is there that is no dead socket: choose another path")
            }
            (Stage::Bind | Stage::Listen, AddrInUse) => {
                ("listen on", "another program listens there: choose another port, or 0 for a free one")
            }
            (Stage::Bind, _) if is_file => {
                ("listen on", "choose a path of at most 107 bytes in a folder that you may write to")
            }
            (Stage::Bind, PermissionDenied) => ("listen on", PORT_DENIED),
            (Stage::Bind, AddrNotAvailable) => (
                "listen on",
                "this machine has no such address: 127.0.0.1 is for itself, 0.0.0.0 for everybody",
            ),
            (Stage::Bind | Stage::Listen, _) => ("listen on", "choose another address"),
            (Stage::Connect, ConnectionRefused | NotFound) => {
                ("connect to", "nobody listens there: start a server with `roundtrip serve`")
            }
            (Stage::Connect, TimedOut) if is_pipe => {
                ("connect to", "wait until others are done, or raise --connect-timeout")
            }
            (Stage::Connect, InvalidInput) if is_pipe => {
                ("connect to", "write pipe:NAME,type=message for messages, pipe:NAME for bytes")
            }
            (Stage::Connect, _)
                if is_pipe && error.source.kind() != ConnectionRefused && error.source.kind() != NotFound =>
            {
                ("connect to", "check the name, and that you may open it")
            }
            (Stage::Connect, TimedOut) => (
                "connect to",
                "nobody answers: check the address and the firewalls, or raise --connect-timeout",
            ),
            (Stage::Connect, _) if is_file => ("connect to", "check the path, and that you may write to it"),
            (Stage::Connect, NetworkUnreachable) => {
                ("connect to", "this machine has no route to it: check `ip route`")
            }
            // icmp(7): the same error for "prohibited" as for a host that its router does not find.
            (Stage::Connect, HostUnreachable) => (
                "connect to",
                "a firewall refuses it (ICMP prohibited), or no host has that address: the system does not tell which",
            ),
            (Stage::Connect, _) => ("connect to", "check the address and the route to it"),
            (Stage::Resolve, AddrNotAvailable) => {
                ("use", "leave out -4 and -6, or give an address of that family")
            }
            (Stage::Resolve, _) => ("resolve", "check the name, or give an address"),
            (Stage::Passed, _) => {
                ("take over", "start it from a socket unit, with ListenStream= and without Accept=yes")
            }
            _ => ("use", NO_MORE),
        };
        let mut cause = format!("cannot {verb} {endpoint}: {}", plain(&error.source));
        if error.attempts.len() > 1 {
            let attempt = |attempt: &FailedAttempt| format!("{}: {}", attempt.address, plain(&attempt.error));
            let attempts = error.attempts.iter().map(attempt).collect::<Vec<_>>();
            cause = format!("cannot {verb} {endpoint} ({})", attempts.join("; "));
        }
        Self::new(Exit::Unreachable, cause, advice)
    }

    /// What is wrong, in one line.
    pub(crate) fn cause(&self) -> &str {
        &self.cause
    }

    /// The way out, in one line.
    pub(crate) fn advice(&self) -> &str {
        &self.advice
    }

    /// The exit code it asks for.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  try: {}", self.cause, self.advice)
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string(), "leave the option out for its default")
    }
}

/// The system's words, without `(os error 98)`.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    words.trim_start_matches("failed to lookup address information: ").to_owned()
}
