//! An `async fn` as a machine: a conversation that goes step by step, written step by step.
//!
//! A [`Script`] is a [`Machine`](roundtrip_core::Machine) like any other. It runs on every driver, under TLS, and in the
//! simulator. There is no executor: the machine polls its script itself, when the driver polls the machine.
//!
//! ```
//! use std::time::Duration;
//!
//! use roundtrip_script::{ReadError, Script, ScriptIo};
//!
//! /// Asks for a name, within a minute, and greets it.
//! async fn greet(io: ScriptIo) -> Result<String, ReadError> {
//!     io.write("your name? ").await;
//!     let line = match io.timeout(Duration::from_secs(60), io.read_until(b"\n", 100)).await {
//!         Ok(line) => line?,
//!         Err(_timed_out) => return Ok("nobody".to_owned()),
//!     };
//!     let name = String::from_utf8_lossy(line.trim_ascii()).into_owned();
//!     io.write(format!("hello, {name}\n")).await;
//!     Ok(name)
//! }
//!
//! # use roundtrip_core::bytes::Bytes;
//! # use roundtrip_core::{Driven, Step, Time};
//! # use roundtrip_script::ScriptConfig;
//! let now = Time::ZERO;
//! let mut session = Driven::new(Script::new(ScriptConfig::default().into(), now, greet));
//! # let (mut unread, mut written) = (Bytes::from_static(b"Ada\n"), Vec::new());
//! # let outcome = loop {
//! #     match session.step(now) {
//! #         Step::Write => written.extend_from_slice(&session.take(now, usize::MAX)),
//! #         Step::ShutdownWrite => {}
//! #         Step::Event(never) => match never {},
//! #         Step::Wait(_) if unread.is_empty() => session.eof(now),
//! #         Step::Wait(_) => unread = session.data(now, unread),
//! #         Step::Close { outcome, .. } => break outcome,
//! #     }
//! # };
//! // A driver feeds it "Ada\n", and then:
//! assert_eq!(written, b"your name? hello, Ada\n");
//! assert_eq!(outcome.output, Some(Ok("Ada".to_owned())));
//! ```
//!
//! The [examples](https://docs.rs/crate/roundtrip-script/latest/source/examples/) are a client of SOCKS5 and an SMTP-like
//! greeting, each with its simulation.
//!
//! # What a script sees
//!
//! Everything goes through its [`ScriptIo`]. It reads, writes, sleeps, tells the application ([`event`](ScriptIo::event)), is
//! told by it ([`command`](ScriptIo::command)), half-closes, and returns. [`join`] and [`race`] do two things at once,
//! [`ScriptIo::timeout`] limits one.
//!
//! | what happens | what the script sees |
//! | --- | --- |
//! | the peer ends | [`ReadError::Eof`], `None`, or `true` from [`at_eof`](ScriptIo::at_eof), after all bytes |
//! | the transport fails, or the session is aborted | nothing: it is dropped where it waits |
//! | the session is asked to stop | [`is_stopped`](ScriptIo::is_stopped), [`until_stopped`](ScriptIo::until_stopped); once [`grace`](ScriptConfig::grace) is over, it is dropped and the connection reset |
//! | no byte moves for [`idle`](ScriptConfig::idle) | it is dropped and the connection reset |
//! | it returns | what it queued is written, the write side is half-closed, the peer's end is waited for up to [`linger`](ScriptConfig::linger) |
//!
//! Bytes arrive until the inbox is full, whatever the script waits for, and commands while it waits for one. So reading is
//! never gated on writing; but a script that writes more than all buffers hold before it reads waits for a peer that does the
//! same.
//!
//! # Ask the application
//!
//! A script has no runtime, so it cannot await a database. It sends the application an event, and waits for a command with
//! the answer:
//!
//! ```
//! use roundtrip_script::{ReadError, ScriptIo};
//!
//! /// Sends the password to the application, which replies whether it is right.
//! async fn login(io: ScriptIo<bool, String>) -> Result<bool, ReadError> {
//!     let password = io.read_until(b"\n", 100).await?;
//!     io.event(String::from_utf8_lossy(password.trim_ascii()).into_owned()).await;
//!     let right = io.command().await;
//!     io.write(if right { "OK\n" } else { "ERR\n" }).await;
//!     Ok(right)
//! }
//! ```
//!
//! `docs/embedding.md` of the repository shows the application's side.
//!
//! # What it keeps to
//!
//! Of the [invariants of machines](roundtrip_core::Machine), the bounds of its buffers (I2), I3, I6, I7 and I8 hold whatever the
//! script does. What is the script's as well:
//!
//! - **Awaiting anything else** than its operations, such as a socket, a timer of a runtime or a channel from outside, is a
//!   bug: nothing would wake it. If that is all it waits for, it is a panic that names the script (I4). [Ask the
//!   application](#ask-the-application) instead. A channel between two parts of a script is fine, and so are combinators of
//!   other crates.
//! - **Never waiting** is a bug: a million operations that move nothing are a panic (I5). A loop without operations is not
//!   noticed.
//! - **Depending on anything else** than what it is given, such as a clock, randomness or a `select!` that picks at random, makes
//!   runs that cannot be repeated.
//! - **How the stream was cut** shows in [`read_some`](ScriptIo::read_some) alone, and in what is in the inbox when a time limit
//!   passes (I9).
//!
//! # What it costs
//!
//! A future cannot be cloned, compared or hashed: a search through all states, and a model that forks a session, need a
//! machine written by hand. Each session allocates its future, and the state that both share. In the steady state a
//! message allocates nothing (I10). An operation takes a lock that is never contended; a message takes about twice the
//! instructions of a [`Session`](roundtrip_core::protocol::Session). The
//! [README](https://docs.rs/crate/roundtrip-script/latest/source/README.md) has figures.

#![forbid(unsafe_code)]

mod combine;
mod config;
mod io;
mod operation;
mod script;
mod state;

pub use combine::{Raced, join, race};
pub use config::{ScriptConfig, ScriptEnd, ScriptOutcome};
pub use io::{ReadError, ScriptIo, Stopped, TimedOut};
pub use script::Script;
