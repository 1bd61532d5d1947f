//! Scripts as text: read, and written back.

use std::fmt;
use std::mem::discriminant;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Cause, ScriptError};
use crate::script::{Client, Script, Server, ServerSays, Step};
use crate::settings::{self, Setting};
use crate::words::{EndName, Open, Pretty, count, duration, end};

const SERVER_FORM: &str =
    "server END[|END] received COUNT|* echoed COUNT|*, server turned-away, or server never";

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut reader = Reader::default();
        let mut last = 1;
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split_once('#').map_or(text, |(text, _comment)| text);
            let words: Vec<_> = text.split_whitespace().collect();
            if !words.is_empty() {
                last = line;
                reader.line(&words).map_err(|cause| ScriptError { line, cause })?;
            }
        }
        reader.finish().map_err(|cause| ScriptError { line: last, cause })
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    name: Option<String>,
    settings: Vec<Setting>,
    together: bool,
    clients: Vec<Client>,
    open: Option<Block>,
}

impl Reader {
    fn line(&mut self, words: &[&str]) -> Result<(), Cause> {
        if self.name.is_none() {
            return self.name(words);
        }
        match (words, &mut self.open) {
            (["client"], None) => {
                self.open = Some(Block::default());
                Ok(())
            }
            (["server", says @ ..], Some(block)) => {
                let server = server(says)?;
                if block.expected > 0 && !matches!(server, Server::Says(_)) {
                    return Err(Cause::Misplaced("a client that is not let in sees nothing back"));
                }
                if block.steps.contains(&Step::ExpectRefused) && server != Server::Never {
                    return Err(Cause::Misplaced("a client that is refused is `server never`"));
                }
                self.clients.push(Client { steps: std::mem::take(&mut block.steps).into(), server });
                self.open = None;
                Ok(())
            }
            (step, Some(block)) => block.add(step),
            (["together" | "echo" | "door", ..], None) if !self.clients.is_empty() => {
                Err(Cause::Misplaced("what is set up stands before the first client"))
            }
            (["together"], None) => {
                self.together = true;
                Ok(())
            }
            (&[room @ ("echo" | "door"), key, value], None) => self.set(Setting::parse(room, key, value)?),
            (["echo" | "door", ..], None) => Err(Cause::Words("echo SETTING VALUE, or door SETTING VALUE")),
            (_, None) => Err(Cause::Misplaced("a step stands between `client` and `server`")),
        }
    }

    fn name(&mut self, words: &[&str]) -> Result<(), Cause> {
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match *words {
            ["script", name] if is_name(name) => {
                self.name = Some(name.to_owned());
                Ok(())
            }
            _ => Err(Cause::Name),
        }
    }

    fn set(&mut self, setting: Setting) -> Result<(), Cause> {
        if self.settings.iter().any(|other| discriminant(other) == discriminant(&setting)) {
            return Err(Cause::Misplaced("this is set already"));
        }
        self.settings.push(setting);
        settings::build(&self.settings).map(drop).map_err(Cause::Config)
    }

    fn finish(self) -> Result<Script, Cause> {
        let name = self.name.ok_or(Cause::Name)?;
        if self.open.is_some() {
            return Err(Cause::Misplaced("the last client has no `server` line"));
        }
        if self.clients.is_empty() {
            return Err(Cause::Misplaced("a script has at least one client"));
        }
        if self.together && self.clients.iter().any(Client::is_refused) {
            return Err(Cause::Misplaced("clients that connect together are not refused"));
        }
        let (config, limits) = settings::build(&self.settings).map_err(Cause::Config)?;
        Ok(Script {
            name,
            settings: self.settings,
            together: self.together,
            clients: self.clients,
            config: Arc::new(config),
            limits,
        })
    }
}

/// A client whose `server` line was not read yet, and what its steps lead to.
#[derive(Default)]
struct Block {
    steps: Vec<Step>,
    sent: u64,
    expected: u64,
    half_closed: bool,
    ended: bool,
    over: bool,
}

impl Block {
    fn add(&mut self, words: &[&str]) -> Result<(), Cause> {
        let step = step(words)?;
        if self.over {
            return Err(Cause::Misplaced("the connection is over before this step"));
        }
        match step {
            Step::Send(_) | Step::HalfClose if self.half_closed => {
                return Err(Cause::Misplaced("the client has half-closed before this step"));
            }
            Step::Expect(_) | Step::ExpectEnd | Step::ExpectReset { unread: false } if self.ended => {
                return Err(Cause::Misplaced("the server's end came before this step"));
            }
            Step::Expect(bytes) if self.sent < self.expected.saturating_add(bytes) => {
                return Err(Cause::Misplaced("more is expected back than was sent"));
            }
            Step::ExpectRefused if !self.steps.is_empty() => {
                return Err(Cause::Misplaced("a client that is refused does nothing else"));
            }
            Step::Send(bytes) => self.sent = self.sent.saturating_add(bytes),
            Step::HalfClose => self.half_closed = true,
            Step::Expect(bytes) => self.expected += bytes,
            Step::ExpectEnd => self.ended = true,
            Step::ExpectReset { .. } | Step::ExpectRefused | Step::Close | Step::Reset => self.over = true,
            Step::Flush | Step::Pause(_) | Step::Meet | Step::StopServer | Step::ForceServer => {}
        }
        self.steps.push(step);
        Ok(())
    }
}

fn step(words: &[&str]) -> Result<Step, Cause> {
    Ok(match *words {
        ["send", bytes] => Step::Send(at_least_one(bytes)?),
        ["half-close"] => Step::HalfClose,
        ["flush"] => Step::Flush,
        ["expect", bytes] => Step::Expect(at_least_one(bytes)?),
        ["expect-end"] => Step::ExpectEnd,
        ["expect-reset"] => Step::ExpectReset { unread: false },
        ["expect-reset", "unread"] => Step::ExpectReset { unread: true },
        ["expect-refused"] => Step::ExpectRefused,
        ["pause", time] => Step::Pause(duration(time)?),
        ["meet"] => Step::Meet,
        ["stop-server"] => Step::StopServer,
        ["force-server"] => Step::ForceServer,
        ["close"] => Step::Close,
        ["reset"] => Step::Reset,
        ["send", ..] => return Err(Cause::Words("send COUNT")),
        ["expect", ..] => return Err(Cause::Words("expect COUNT")),
        ["pause", ..] => return Err(Cause::Words("pause TIME")),
        _ => return Err(Cause::UnknownStep(words.join(" "))),
    })
}

fn at_least_one(text: &str) -> Result<u64, Cause> {
    match count(text)? {
        0 => Err(Cause::Misplaced("a step with no bytes does nothing")),
        bytes => Ok(bytes),
    }
}

fn server(words: &[&str]) -> Result<Server, Cause> {
    match *words {
        ["never"] => Ok(Server::Never),
        ["turned-away"] => Ok(Server::TurnedAway),
        [ends, "received", received, "echoed", echoed] => Ok(Server::Says(ServerSays {
            ends: ends.split('|').map(end).collect::<Result<_, _>>()?,
            received: open(received)?,
            echoed: open(echoed)?,
        })),
        _ => Err(Cause::Words(SERVER_FORM)),
    }
}

fn open(text: &str) -> Result<Option<u64>, Cause> {
    if text == "*" { Ok(None) } else { count(text).map(Some) }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "script {}", self.name)?;
        for setting in &self.settings {
            writeln!(f, "{setting}")?;
        }
        if self.together {
            writeln!(f, "together")?;
        }
        for client in &self.clients {
            writeln!(f, "\nclient")?;
            for step in client.steps() {
                writeln!(f, "  {step}")?;
            }
            writeln!(f, "  {}", client.server)?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send(bytes) => return write!(f, "send {bytes}"),
            Self::Expect(bytes) => return write!(f, "expect {bytes}"),
            Self::Pause(time) => return write!(f, "pause {}", Pretty(*time)),
            Self::HalfClose => "half-close",
            Self::Flush => "flush",
            Self::ExpectEnd => "expect-end",
            Self::ExpectReset { unread: false } => "expect-reset",
            Self::ExpectReset { unread: true } => "expect-reset unread",
            Self::ExpectRefused => "expect-refused",
            Self::Meet => "meet",
            Self::StopServer => "stop-server",
            Self::ForceServer => "force-server",
            Self::Close => "close",
            Self::Reset => "reset",
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Says(says) => write!(f, "server {says}"),
            Self::TurnedAway => f.write_str("server turned-away"),
            Self::Never => f.write_str("server never"),
        }
    }
}

impl fmt::Display for ServerSays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, end) in self.ends.iter().enumerate() {
            let separator = if index == 0 { "" } else { "|" };
            write!(f, "{separator}{}", EndName(*end))?;
        }
        write!(f, " received {} echoed {}", Open(self.received), Open(self.echoed))
    }
}
