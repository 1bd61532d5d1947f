//! What the tutorial's two programs print, told from what passes between a machine and its driver.

use std::io;

use roundtrip_core::echo::{EchoClient, EchoServer};
use roundtrip_core::text::escaped;
use roundtrip_core::{Action, Input, Machine, Observe, Time};
use roundtrip_std::{Call, CallFailed, Ended, NetError, Stage};

use crate::out;

/// The tutorial's receive buffer, bytes.
pub(crate) const BUFFER: usize = 512;

/// Lines that nobody reads are no reason to stop.
fn print(line: &str) {
    let _ = out::say(escaped(line));
}

/// Prints as the tutorial's server does: each receive, each send, and the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerLines {
    /// Size of the outstanding send, and how much of it is done.
    sending: usize,
    sent: usize,
}

impl Observe<EchoServer> for ServerLines {
    fn input(&mut self, _now: Time, input: &Input) {
        match input {
            Input::Data(bytes) => print(&format!("Bytes received: {}", bytes.len())),
            Input::Wrote(wrote) => {
                self.sent += wrote;
                if self.sent == self.sending {
                    print(&format!("Bytes sent: {}", self.sending));
                }
            }
            Input::Eof | Input::Command(_) | Input::Stop | Input::Abort | Input::Failed(_) => {}
        }
    }

    fn action(&mut self, _now: Time, action: &ActionOf<EchoServer>) {
        match action {
            Action::Write(bytes) => {
                self.sending = bytes.len();
                self.sent = 0;
            }
            Action::ShutdownWrite => print("Connection closing..."),
            Action::Event(_) | Action::Wait(_) | Action::Close { .. } => {}
        }
    }
}

/// Prints as the tutorial's client does where all goes well.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientLines {
    sent: usize,
}

impl Observe<EchoClient> for ClientLines {
    fn input(&mut self, _now: Time, input: &Input) {
        match input {
            Input::Data(bytes) => print(&format!("Bytes received: {}", bytes.len())),
            Input::Wrote(wrote) => self.sent += wrote,
            Input::Eof => print("Connection closed"),
            Input::Command(_) | Input::Stop | Input::Abort | Input::Failed(_) => {}
        }
    }

    fn action(&mut self, _now: Time, action: &ActionOf<EchoClient>) {
        match action {
            Action::ShutdownWrite => print(&format!("Bytes Sent: {}", self.sent)),
            Action::Write(_) | Action::Event(_) | Action::Wait(_) | Action::Close { .. } => {}
        }
    }
}

type ActionOf<M> = Action<<M as Machine>::Event, <M as Machine>::Outcome>;

/// The tutorial's line for a socket that could not be had.
pub(crate) fn no_socket(error: &NetError) {
    let call = match error.stage {
        Stage::Connect => return print("Unable to connect to server!"),
        Stage::Resolve => "getaddrinfo",
        Stage::Bind => "bind",
        Stage::Listen => "listen",
        Stage::Socket | _ => "socket",
    };
    failed(call, &error.source);
}

/// The tutorial's line for a connection that failed; the call that did.
pub(crate) fn connection_failed<O>(ended: &Ended<O>) -> Option<Call> {
    let CallFailed { call, error } = ended.failure.as_ref()?;
    let name = match call {
        Call::Write => "send",
        Call::HalfClose => "shutdown",
        Call::Read | Call::Wait | _ => "recv",
    };
    failed(name, error);
    Some(*call)
}

fn failed(call: &str, error: &io::Error) {
    match error.raw_os_error() {
        Some(code) => print(&format!("{call} failed with error: {code}")),
        None => print(&format!("{call} failed with error: {error}")),
    }
}

/// The tutorial's line for a missing argument.
pub(crate) fn usage() {
    let program = std::env::args_os().next().unwrap_or_else(|| "roundtrip".into());
    print(&format!("usage: {} server-name", program.display()));
}
