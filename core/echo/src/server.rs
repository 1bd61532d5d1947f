//! The server's session: every byte goes back, until the peer half-closes.
//!
//! ```text
//!          Data                Data
//!         ┌────┐              ┌────┐
//!         │ ┌──▼──┐   Stop   ┌┴────▼──┐
//!  start ─┴─▶Open ├─────────▶│Draining│
//!           └──┬──┘          └───┬────┘
//!          Eof │                 │ Eof, quiet, drain limit
//!              │   ┌────────┐    │
//!              └──▶│Flushing│◀───┘
//!                  └─┬────┬─┘
//!   all written, Eof │    │ all written, no Eof yet
//!           ┌──────┐ │    │   ┌─────────┐
//!           │Closed│◀┘    └──▶│Lingering│
//!           └───▲──┘          └────┬────┘
//!               └──────────────────┘ Eof, linger
//! ```
//!
//! The state is two halves, what may still come in and whether the way out is shut; the phases above are
//! derived from them. [`TRANSITIONS`] is the whole table.

#[cfg(test)]
mod search;

use alloc::sync::Arc;
use core::convert::Infallible;

use bytes::Bytes;

use super::bounds::Bounded;
use super::config::ServerConfig;
use super::queue::Queue;
use roundtrip_core::{Action, Failure, Input, Machine, Teardown, Time, Wait};

/// One echo session of a server: what it receives it sends back, in order, within bounded memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EchoServer {
    config: Arc<ServerConfig>,
    recv: Recv,
    send: Send,
    queue: Queue,
    /// Bytes of the outstanding write that the transport has not taken.
    outstanding: usize,
    received: u64,
    echoed: u64,
    refused: u64,
    born: Time,
    /// When a byte last moved, either way. The peer's end counts as one (a FIN takes a sequence number, RFC 9293
    /// section 3.4): a server that was suspended past its idle limit must not time out a peer that finished.
    moved: Time,
    /// When the rest last got on: at the cut or the peer's end, and at every write since.
    progress: Time,
    stopped: Option<Time>,
    /// Whether any limit applies, or the end is decided: the message path of a server without limits asks no
    /// further.
    watched: bool,
    end: Option<End>,
}

/// The half that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Recv {
    /// What comes is echoed.
    Open,
    /// The conversation was cut after a stop: what comes is counted and dropped.
    Discard,
    /// The peer has finished.
    Eof,
}

/// The half that goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Send {
    Open,
    Shut,
}

/// Where a session stands: a view of its two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Echoing.
    Open,
    /// Stopped, and still echoing until the peer ends, falls quiet, or the drain limit passes.
    Draining,
    /// Nothing more is taken on; what is held is being written.
    Flushing,
    /// All is written and the way out is shut; the peer's end is awaited. Closing now would make the kernel
    /// answer unread data with RST, and RST destroys echoed bytes that are still on their way
    /// (RFC 2525 section 2.17).
    Lingering,
    /// The end is decided: only [`Action::Close`] follows.
    Closed,
}

/// What makes a session move from one [`Phase`] to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// [`Input::Eof`].
    Eof,
    /// [`Input::Stop`].
    Stop,
    /// Everything held was written; acts in `poll`.
    Flushed,
    /// [`Input::Abort`].
    Abort,
    /// [`Input::Failed`].
    Failed,
    /// A limit of the configuration passed; acts in `poll`.
    Limit(Limit),
}

/// The time limits of a [`ServerConfig`]. Of two that pass at the same moment, the one listed first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// No byte moved either way for so long.
    Idle,
    /// No byte was written for so long after the peer's end.
    HalfCloseIdle,
    /// The session lived for so long.
    MaxAge,
    /// After a stop, the peer was silent for so long.
    Quiet,
    /// After a stop, echoing went on for so long.
    Drain,
    /// After the end was cut, or after a stop's drain limit, nothing progressed for so long.
    Linger,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The peer finished, and every byte it sent was echoed.
    Clean,
    /// A stop cut the conversation before the peer's end; `dropped` says what that cost.
    Stopped,
    /// Aborted.
    Aborted,
    /// A limit passed.
    TimedOut(Limit),
    /// The transport failed.
    Failed(Failure),
}

/// What came of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ServerOutcome {
    /// How it ended.
    pub end: End,
    /// Bytes received.
    pub received: u64,
    /// Bytes that the transport took back: always a prefix of the received.
    pub echoed: u64,
    /// Bytes received and not echoed: `received - echoed`.
    pub dropped: u64,
    /// Of `dropped`, bytes received after a stop's drain had cut the conversation. The peer may have sent some of them before:
    /// [`Machine::discards_input`].
    pub refused: u64,
}

impl ServerOutcome {
    /// An outcome with this end, and no byte received or echoed.
    pub const fn new(end: End) -> Self {
        Self { end, received: 0, echoed: 0, dropped: 0, refused: 0 }
    }
}

/// One list for the code, its documentation and its tests.
macro_rules! transitions {
    ($($from:ident $cause:ident$(($limit:ident))? => $to:ident: $why:literal,)*) => {
        /// Every change of phase there is. What is not listed leaves the phase as it is.
        ///
        /// | from | on | to | |
        /// | --- | --- | --- | --- |
        $(#[doc = concat!("| ", stringify!($from), " | ", stringify!($cause $(($limit))?), " | ",
            stringify!($to), " | ", $why, " |")])*
        pub const TRANSITIONS: &[(Phase, Cause, Phase)] =
            &[$((Phase::$from, Cause::$cause$((Limit::$limit))?, Phase::$to),)*];
    };
}

transitions! {
    Open Eof => Flushing: "the peer half-closed",
    Open Stop => Draining: "go on echoing for a while",
    Open Limit(Idle) => Closed: "",
    Open Limit(MaxAge) => Closed: "",
    Open Abort => Closed: "",
    Open Failed => Closed: "",
    Draining Eof => Flushing: "the peer half-closed",
    Draining Limit(Quiet) => Flushing: "nothing held and the peer silent: later bytes are dropped and counted",
    Draining Limit(Drain) => Flushing: "long enough: later bytes are dropped and counted",
    Draining Limit(Idle) => Closed: "",
    Draining Limit(MaxAge) => Closed: "",
    Draining Abort => Closed: "",
    Draining Failed => Closed: "",
    Flushing Flushed => Closed: "half-close first; if the peer ended",
    Flushing Flushed => Lingering: "half-close first; if the peer has not ended",
    Flushing Limit(HalfCloseIdle) => Closed: "if the peer ended",
    Flushing Limit(Linger) => Closed: "if stopped; if the peer ended, not before the drain limit",
    Flushing Limit(Idle) => Closed: "",
    Flushing Limit(MaxAge) => Closed: "",
    Flushing Abort => Closed: "",
    Flushing Failed => Closed: "",
    Lingering Eof => Closed: "the peer ended after all",
    Lingering Limit(Linger) => Closed: "",
    Lingering Limit(Idle) => Closed: "",
    Lingering Limit(MaxAge) => Closed: "",
    Lingering Abort => Closed: "",
    Lingering Failed => Closed: "",
}

impl EchoServer {
    /// A session that begins at `now`.
    pub fn new(config: Arc<ServerConfig>, now: Time) -> Self {
        let config = config.bounded();
        Self {
            watched: config.is_timed(),
            config,
            recv: Recv::Open,
            send: Send::Open,
            queue: Queue::default(),
            outstanding: 0,
            received: 0,
            echoed: 0,
            refused: 0,
            born: now,
            moved: now,
            progress: now,
            stopped: None,
            end: None,
        }
    }

    /// Where the session stands.
    pub const fn phase(&self) -> Phase {
        match (self.end, self.recv, self.send, self.stopped) {
            (Some(_), ..) => Phase::Closed,
            (None, Recv::Open, _, None) => Phase::Open,
            (None, Recv::Open, _, Some(_)) => Phase::Draining,
            (None, Recv::Discard | Recv::Eof, Send::Open, _) => Phase::Flushing,
            (None, Recv::Discard | Recv::Eof, Send::Shut, _) => Phase::Lingering,
        }
    }

    /// Bytes held: queued, or handed out in a write that is not covered yet. At most `buffer`.
    pub const fn held(&self) -> usize {
        self.queue.bytes() + self.outstanding
    }

    /// Separate chunks queued: at most `max_chunks + 1`.
    pub fn chunks(&self) -> usize {
        self.queue.chunks()
    }

    /// Bytes received so far.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Bytes echoed so far.
    pub const fn echoed(&self) -> u64 {
        self.echoed
    }

    /// The earliest limit that applies, and which it is. Its passing is what `poll` acts on.
    fn next_limit(&self) -> Option<(Time, Limit)> {
        let config = &*self.config;
        let mut next = None;
        let mut consider = |since: Time, limit, which| {
            let passing = (since.after(limit), which);
            if next.is_none_or(|earliest| passing < earliest) {
                next = Some(passing);
            }
        };
        if let Some(idle) = config.idle {
            consider(self.moved, idle, Limit::Idle);
        }
        if let Some(max_age) = config.max_age {
            consider(self.born, max_age, Limit::MaxAge);
        }
        match (self.recv, self.stopped) {
            (Recv::Open, None) => {}
            (Recv::Open, Some(stopped)) => {
                consider(stopped, config.drain, Limit::Drain);
                // A peer that we keep from sending is not quiet.
                if self.held() == 0 {
                    consider(self.moved.max(stopped), config.quiet, Limit::Quiet);
                }
            }
            (Recv::Discard, _) => consider(self.progress, config.linger, Limit::Linger),
            (Recv::Eof, stopped) => {
                if let Some(limit) = config.half_close_idle {
                    consider(self.progress, limit, Limit::HalfCloseIdle);
                }
                // A stop ends in bounded time whatever the peer does, its end included.
                if let Some(stopped) = stopped {
                    let patience = self.progress.max(stopped.after(config.drain));
                    consider(patience, config.linger, Limit::Linger);
                }
            }
        }
        next
    }

    /// Acts on every limit that has passed; the next one.
    #[inline(never)]
    fn pass_limits(&mut self, now: Time) -> Option<Time> {
        while self.end.is_none() {
            match self.next_limit() {
                Some((at, limit)) if at <= now => self.pass(now, limit),
                next => return next.map(|(at, _)| at),
            }
        }
        None
    }

    fn pass(&mut self, now: Time, limit: Limit) {
        match limit {
            Limit::Quiet | Limit::Drain => {
                self.recv = Recv::Discard;
                self.progress = now;
            }
            Limit::Linger => self.end(End::Stopped),
            Limit::Idle | Limit::HalfCloseIdle | Limit::MaxAge => self.end(End::TimedOut(limit)),
        }
    }

    fn end(&mut self, end: End) {
        self.end = Some(end);
        self.watched = true;
    }

    /// The peer has finished and all that will be written is written.
    fn finish(&mut self) {
        self.end(if self.received == self.echoed { End::Clean } else { End::Stopped });
    }

    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver or two")]
    #[inline(always)]
    fn data(&mut self, now: Time, bytes: Bytes) {
        let delivered = bytes.len() as u64;
        self.received += delivered;
        self.moved = now;
        if self.recv == Recv::Open {
            self.queue.push(bytes, self.config.max_chunks);
        } else {
            self.refused += delivered;
        }
    }

    fn eof(&mut self, now: Time) {
        self.recv = Recv::Eof;
        self.watched = true;
        self.moved = now;
        self.progress = now;
        if self.send == Send::Shut {
            self.finish();
        }
    }

    #[expect(clippy::inline_always, reason = "on the message path, called in one place of a driver or two")]
    #[inline(always)]
    const fn wrote(&mut self, now: Time, wrote: usize) {
        self.outstanding -= wrote;
        self.echoed += wrote as u64;
        self.moved = now;
        self.progress = now;
    }

    /// All that will be written is written.
    #[cold]
    fn shut(&mut self) -> Action<Infallible, ServerOutcome> {
        self.send = Send::Shut;
        if self.recv == Recv::Eof {
            self.finish();
        }
        Action::ShutdownWrite
    }

    #[cold]
    fn close(&self, end: End) -> Action<Infallible, ServerOutcome> {
        // An orderly end says "this is all": it must not follow a part.
        let how = match end {
            End::Clean | End::Stopped | End::TimedOut(_) if self.held() == 0 => Teardown::Graceful,
            End::Clean | End::Stopped | End::TimedOut(_) | End::Aborted | End::Failed(_) => Teardown::Reset,
        };
        let dropped = self.received - self.echoed;
        let Self { received, echoed, refused, .. } = *self;
        Action::Close { how, outcome: ServerOutcome { end, received, echoed, dropped, refused } }
    }
}

impl Machine for EchoServer {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ServerOutcome;

    #[expect(
        clippy::inline_always,
        reason = "a driver knows which input it brings: one method is left of this"
    )]
    #[inline(always)]
    fn handle(&mut self, now: Time, input: Input) {
        if self.end.is_some() {
            return;
        }
        match input {
            Input::Data(bytes) => self.data(now, bytes),
            Input::Eof => self.eof(now),
            Input::Wrote(wrote) => self.wrote(now, wrote),
            Input::Command(never) => match never {},
            Input::Stop => {
                self.stopped.get_or_insert(now);
                self.watched = true;
            }
            Input::Abort => self.end(End::Aborted),
            Input::Failed(failure) => self.end(End::Failed(failure)),
        }
    }

    #[expect(clippy::inline_always, reason = "on the message path; what is rare is not in it")]
    #[inline(always)]
    fn poll(&mut self, now: Time) -> Action<Infallible, ServerOutcome> {
        let mut deadline = None;
        if self.watched {
            deadline = self.pass_limits(now);
            if let Some(end) = self.end {
                return self.close(end);
            }
        }
        if self.outstanding == 0 && self.send == Send::Open {
            if let Some(chunk) = self.queue.pop() {
                self.outstanding = chunk.len();
                return Action::Write(chunk);
            }
            if self.recv != Recv::Open {
                return self.shut();
            }
        }
        let read = match self.recv {
            Recv::Open => self.config.chunk.min(self.config.buffer - self.held()),
            Recv::Discard => self.config.chunk.min(self.config.buffer),
            Recv::Eof => 0,
        };
        Action::Wait(Wait { read, commands: 0, deadline })
    }

    fn discards_input(&self) -> bool {
        self.recv == Recv::Discard
    }
}
