//! What the tutorial's two programs print, told from what passes between a machine and its driver.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use roundtrip_core::bytes::Bytes;
use roundtrip_core::text::escaped;
use roundtrip_core::{Action, Input, Machine, Observe, Teardown, Time, Wait};
use roundtrip_echo::EchoServer;
use roundtrip_std::{Call, CallFailed, ConnectionReport, NetError, Stage};

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

impl<M: Machine<Command = Infallible>> Observe<M> for ClientLines {
    fn input(&mut self, _now: Time, input: &Input) {
        match input {
            Input::Data(bytes) => print(&format!("Bytes received: {}", bytes.len())),
            Input::Wrote(wrote) => self.sent += wrote,
            Input::Eof => print("Connection closed"),
            Input::Command(_) | Input::Stop | Input::Abort | Input::Failed(_) => {}
        }
    }

    fn action(&mut self, _now: Time, action: &ActionOf<M>) {
        match action {
            Action::ShutdownWrite => print(&format!("Bytes Sent: {}", self.sent)),
            Action::Write(_) | Action::Event(_) | Action::Wait(_) | Action::Close { .. } => {}
        }
    }
}

/// The tutorial's client: sends a text, half-closes, and reads to the end, whatever comes.
#[derive(Clone, Debug)]
pub(crate) struct TutorialClient {
    state: Talk,
    timeout: Duration,
    /// When a byte moved last.
    moved: Time,
}

#[derive(Clone, Debug)]
enum Talk {
    ToSend(Bytes),
    /// So many bytes are left of what is sent.
    Sending(usize),
    Sent,
    Receiving,
    Over(Talked),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talked {
    /// The peer closed the connection.
    Closed,
    /// A call failed.
    Failed,
    /// No byte moved for too long.
    TimedOut,
    Aborted,
}

impl TutorialClient {
    pub(crate) const fn new(text: Bytes, timeout: Duration, now: Time) -> Self {
        Self { state: Talk::ToSend(text), timeout, moved: now }
    }

    fn wait(&mut self, now: Time, read: usize) -> Action<Infallible, Talked> {
        let deadline = self.moved.after(self.timeout);
        if deadline <= now {
            return self.end(Talked::TimedOut);
        }
        Action::Wait(Wait { read, commands: 0, deadline: Some(deadline) })
    }

    fn end(&mut self, how: Talked) -> Action<Infallible, Talked> {
        self.state = Talk::Over(how);
        let teardown = if how == Talked::Closed { Teardown::Graceful } else { Teardown::Reset };
        Action::Close { how: teardown, outcome: how }
    }
}

/// It is only ever driven through `Driven`, which checks its driver.
impl Machine for TutorialClient {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = Talked;

    fn handle(&mut self, now: Time, input: Input) {
        if matches!(self.state, Talk::Over(_)) {
            return;
        }
        self.moved = now;
        match (input, &mut self.state) {
            (Input::Wrote(wrote), Talk::Sending(left)) => {
                *left = left.saturating_sub(wrote);
                if *left == 0 {
                    self.state = Talk::Sent;
                }
            }
            (Input::Eof, _) => self.state = Talk::Over(Talked::Closed),
            (Input::Stop | Input::Abort, _) => self.state = Talk::Over(Talked::Aborted),
            (Input::Failed(_), _) => self.state = Talk::Over(Talked::Failed),
            (Input::Data(_) | Input::Wrote(_), _) => {}
        }
    }

    fn poll(&mut self, now: Time) -> Action<Infallible, Talked> {
        match &mut self.state {
            Talk::ToSend(text) => {
                let text = std::mem::take(text);
                self.state = if text.is_empty() { Talk::Sent } else { Talk::Sending(text.len()) };
                if text.is_empty() { self.poll(now) } else { Action::Write(text) }
            }
            Talk::Sending(_) => self.wait(now, 0),
            Talk::Sent => {
                self.state = Talk::Receiving;
                Action::ShutdownWrite
            }
            Talk::Receiving => self.wait(now, BUFFER),
            Talk::Over(how) => {
                let how = *how;
                self.end(how)
            }
        }
    }
}

/// The tutorial's line for a peer that is silent for too long, which its client would wait for.
pub(crate) fn timed_out() {
    failed("recv", &io::ErrorKind::TimedOut.into());
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
pub(crate) fn connection_failed<O>(ended: &ConnectionReport<O>) -> Option<Call> {
    let CallFailed { call, error, .. } = ended.failure.as_ref()?;
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
