//! One set of scripts that every driver must run to the same end.
//!
//! A [`Script`] says what clients do to one echo server, step by step, and what must come of it. Its clients are
//! [machines](Scripted), the server is the shipped [`EchoServer`](roundtrip_echo::EchoServer) behind the core's
//! [`Admission`](roundtrip_core::admission::Admission): only the driver differs from run to run. What clients and
//! server [observe](Observed) must be what the script says, on a kernel's sockets as in a simulator; how the streams
//! were cut on the way is not in it.
//!
//! # The language
//!
//! ```text
//! script stop-while-idle       # a name; a comment goes to the end of its line
//! echo quiet 20ms              # the sessions' configuration: any field of ServerConfig
//! door connections 1           # the server's Limits: connections, per-source, total, drain
//!
//! client
//!   send 5
//!   expect 5
//!   stop-server
//!   expect-end
//!   server clean received 5 echoed 5
//! ```
//!
//! Time limits that are not set are an hour away, or absent. The [steps](Step) of a client:
//!
//! | step | passes |
//! | --- | --- |
//! | `send N` | at once; the next N bytes of the payload are written during the steps that follow |
//! | `half-close` | at once; the half-close follows what is not written yet |
//! | `flush` | when the transport has taken all that |
//! | `expect N` | when N more bytes are back and are the ones that were sent |
//! | `expect-end` | at the server's end; nothing may come before it |
//! | `expect-reset` | at a reset; with the word `unread` the client reads nothing meanwhile, and finds out by writing |
//! | `expect-refused` | if nobody accepts the connection; the only step of its client |
//! | `pause 50ms` | when that time has passed |
//! | `meet` | when every client that is still there has come to a `meet` |
//! | `stop-server`, `force-server` | at once; the server's application is asked to do so |
//! | `close`, or the list's end | when all is written; the connection is closed |
//! | `reset` | at once; the connection is reset, whatever is not written |
//!
//! A client reads in the steps that expect something, and in no other. Clients connect one after the other, each when
//! the one before it and its session are over, and after a stop when the server is drained; under the word
//! `together`, before the first `client`, all are connected before the first of them begins.
//!
//! Each client ends with what the server must say of its session: how it ended (`clean`, `stopped`, `aborted`,
//! `idle`, `half-close-idle`, `max-age`, `reset`, `truncated`, `io`), what it received and what it echoed; or with
//! `server turned-away`, if the policy did not want it, or `server never`, if the policy never heard of it. `*` leaves a count open, and `clean|reset` an end: where a client resets or
//! closes with bytes under way, what still arrives is decided by nobody. What is left open is bounded all the same, see
//! [`Script::judge`]. A script must not let two things race whose order shows: a time limit that is to pass is waited
//! for with `expect-end` or `expect-reset`, and the others are far away.
//!
//! # A driver of your own
//!
//! A driver of sockets is a [`Backend`](roundtrip_net::Backend), and is tested in a few lines: [`sockets`] runs the scripts on it,
//! and commands that are queued with a stop and an abort.
//!
//! ```no_run
//! use roundtrip_conformance::sockets::{OnSockets, Tcp, check_commands};
//! use roundtrip_conformance::{check, scripts};
//! # use roundtrip_std::Std as YourDriver;
//!
//! for script in scripts()? {
//!     check(&OnSockets::new(Tcp(YourDriver)), &script)?;
//! }
//! check_commands(&YourDriver)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Any other driver implements [`Subject`], which [`check`] runs a script on. This one has neither sockets nor a time of its own:
//!
//! ```
//! use roundtrip_conformance::{Subject, ClientSeen, Event, Observed, Script, check, scripts};
//! use roundtrip_core::bytes::Bytes;
//! use roundtrip_echo::EchoServer;
//! use roundtrip_core::{Driven, Failure, Machine, Step, Teardown, Time};
//! use std::collections::VecDeque;
//! use std::convert::Infallible;
//!
//! /// One direction of a connection.
//! #[derive(Default)]
//! struct Pipe {
//!     bytes: VecDeque<Bytes>,
//!     end: bool,
//!     reset: bool,
//! }
//!
//! /// Runs one end until it waits and there is nothing for it; its outcome, if it closed.
//! fn run<M: Machine>(
//!     end: &mut Driven<M>,
//!     now: Time,
//!     (tx, rx): (&mut Pipe, &mut Pipe),
//!     mut events: impl FnMut(M::Event),
//! ) -> Option<M::Outcome> {
//!     loop {
//!         match end.step(now) {
//!             Step::Write => {
//!                 tx.bytes.push_back(Bytes::copy_from_slice(end.pending()));
//!                 end.wrote(now, end.pending().len());
//!             }
//!             Step::ShutdownWrite => tx.end = true,
//!             Step::Event(event) => events(event),
//!             Step::Close { how, outcome } => {
//!                 tx.end = true;
//!                 tx.reset = how == Teardown::Reset;
//!                 return Some(outcome);
//!             }
//!             Step::Wait(wait) if wait.read > 0 && !rx.bytes.is_empty() => {
//!                 let rest = end.data(now, rx.bytes.pop_front().unwrap_or_default());
//!                 if !rest.is_empty() {
//!                     rx.bytes.push_front(rest);
//!                 }
//!             }
//!             Step::Wait(_) if rx.reset => end.failed(now, Failure::Reset),
//!             Step::Wait(wait) if wait.read > 0 && rx.end => end.eof(now),
//!             Step::Wait(_) => return None,
//!         }
//!     }
//! }
//!
//! struct Memory;
//!
//! impl Subject for Memory {
//!     type Error = Infallible;
//!
//!     fn run(&self, script: &Script) -> Result<Observed, Infallible> {
//!         let (mut observed, mut now, mut stopped) = (Observed::default(), Time::ZERO, false);
//!         for number in 0..script.clients().len() {
//!             if stopped {
//!                 observed.clients.push(ClientSeen::REFUSED);
//!                 observed.sessions.push(None);
//!                 continue;
//!             }
//!             let mut client = Driven::new(script.open(number, now));
//!             let mut server = Driven::new(EchoServer::new(script.config(), now));
//!             let (mut up, mut down) = (Pipe::default(), Pipe::default());
//!             let (mut seen, mut session) = (None, None);
//!             while seen.is_none() || session.is_none() {
//!                 let (mut stop, mut force) = (false, false);
//!                 seen = seen.or_else(|| {
//!                     run(&mut client, now, (&mut up, &mut down), |event| match event {
//!                         Event::StopServer => stop = true,
//!                         Event::ForceServer => force = true,
//!                         Event::Meet | Event::Waiting(_) => {}
//!                     })
//!                 });
//!                 if session.is_none() && force {
//!                     server.abort(now);
//!                 } else if session.is_none() && stop {
//!                     server.stop(now);
//!                 }
//!                 stopped |= stop || force;
//!                 session = session
//!                     .or_else(|| run(&mut server, now, (&mut down, &mut up), |never| match never {}));
//!                 // Once both wait, the next thing that happens is a deadline.
//!                 if down.bytes.is_empty() && !down.end {
//!                     now = [client.deadline(), server.deadline()].into_iter().flatten().min().unwrap_or(now);
//!                 }
//!             }
//!             observed.clients.extend(seen);
//!             observed.sessions.push(session);
//!             observed.admitted += 1;
//!         }
//!         Ok(observed)
//!     }
//! }
//!
//! // No door, no bounded buffers, nobody at the same time: what does not need them.
//! let plain = ["plain-echo", "half-close-with-the-first-byte", "stop-while-idle", "idle-limit", "large"];
//! for script in scripts()?.iter().filter(|script| plain.contains(&script.name())) {
//!     check(&Memory, script)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A driver whose time is real takes it from a [`Pace`], so that what a script observes does not depend on how busy the
//! machine is.

#![forbid(unsafe_code)]

mod client;
mod error;
mod meeting;
mod observed;
mod pace;
mod script;
mod settings;
pub mod sockets;
mod text;
mod words;

use std::error::Error;
use std::fmt;

pub use client::{Event, Go, Scripted};
pub use error::{Cause, ScriptError};
pub use meeting::Meeting;
pub use observed::{ClientSeen, Disagreement, Ending, Found, Observed};
pub use pace::{Pace, Waiting};
pub use script::{Client, Script, Server, ServerSays, Step};

/// A driver under test: it runs the machines of a script over whatever it has.
pub trait Subject {
    /// Why a script could not be run at all.
    type Error: Error;

    /// Runs a script: a server of the echo with [`Script::config`] behind an admission policy with
    /// [`Script::limits`], and [`Script::open`] for each client, carrying out the [events](Event) of these. When all of
    /// them and their sessions are over it stops the server, if the script has not, and waits until it is drained.
    ///
    /// # Errors
    ///
    /// If the script could not be run; what a client did not see where it should have is an observation, no error.
    fn run(&self, script: &Script) -> Result<Observed, Self::Error>;
}

/// The scripts that come with this crate, as they are written.
pub fn script_texts() -> impl Iterator<Item = &'static str> {
    include_str!("../scripts.txt").split("---\n")
}

/// The scripts that come with this crate.
///
/// # Errors
///
/// None, unless a copy of this crate has changed them.
pub fn scripts() -> Result<Vec<Script>, ScriptError> {
    script_texts().map(str::parse).collect()
}

/// Runs a script on a driver and [judges](Script::judge) what was observed.
///
/// # Errors
///
/// [`Failure`], if it could not be run, or did not come to what the script says.
pub fn check<B: Subject>(backend: &B, script: &Script) -> Result<Observed, Failure<B::Error>> {
    let observed = backend.run(script).map_err(Failure::Run)?;
    script.judge(&observed).map_err(Failure::Disagreement)?;
    Ok(observed)
}

/// A driver did not pass a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// It could not run it.
    Run(E),
    /// What was observed is not what the script says.
    Disagreement(Disagreement),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(error) => write!(f, "the script could not be run: {error}"),
            Self::Disagreement(disagreement) => disagreement.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for Failure<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Run(error) => Some(error),
            Self::Disagreement(disagreement) => Some(disagreement),
        }
    }
}

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
