//! A second opinion on the echo server, written from the design's tables: two counters, one state, and a list
//! of chunk lengths. It holds no bytes, because what a server writes next is told by the offset it has reached.

use std::collections::VecDeque;
use std::ops::Range;

use roundtrip_core::{Failure, Input};
use roundtrip_echo::{Cause, End, Limit, Phase};

use super::op::ServerSetup;

/// The one state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Draining { since: u64 },
    Flushing { peer_ended: bool },
    Lingering,
    Closed(End),
}

/// What the server should do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Write the received bytes of these offsets.
    Write(Range<u64>),
    ShutdownWrite,
    Wait {
        read: usize,
        deadline: Option<u64>,
    },
    Close {
        reset: bool,
        end: End,
        received: u64,
        echoed: u64,
        dropped: u64,
        refused: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    len: u64,
    /// Whether what comes later is added to it: the tail, until it is first in line.
    grows: bool,
}

/// What a server session should be like.
#[derive(Clone, Debug)]
pub struct Reference {
    setup: ServerSetup,
    state: State,
    queued: VecDeque<Chunk>,
    outstanding: u64,
    received: u64,
    echoed: u64,
    refused: u64,
    born: u64,
    last_byte: u64,
    /// When the session was told to stop.
    stop: Option<u64>,
    /// The cut, the peer's end, or the last write after it.
    last_progress: u64,
    /// Every change of phase so far, and its cause.
    pub changes: Vec<(Phase, Cause, Phase)>,
}

impl Reference {
    pub fn new(setup: ServerSetup, now: u64) -> Self {
        Self {
            setup,
            state: State::Open,
            queued: VecDeque::new(),
            outstanding: 0,
            received: 0,
            echoed: 0,
            refused: 0,
            born: now,
            stop: None,
            last_byte: now,
            last_progress: now,
            changes: Vec::new(),
        }
    }

    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Open => Phase::Open,
            State::Draining { .. } => Phase::Draining,
            State::Flushing { .. } => Phase::Flushing,
            State::Lingering => Phase::Lingering,
            State::Closed(_) => Phase::Closed,
        }
    }

    pub const fn received(&self) -> u64 {
        self.received
    }

    pub const fn echoed(&self) -> u64 {
        self.echoed
    }

    pub fn held(&self) -> u64 {
        self.outstanding + self.queued.iter().map(|chunk| chunk.len).sum::<u64>()
    }

    pub fn chunks(&self) -> usize {
        self.queued.len()
    }

    pub fn handle(&mut self, now: u64, input: &Input) {
        if matches!(self.state, State::Closed(_)) {
            return;
        }
        match input {
            Input::Data(bytes) => {
                self.received += bytes.len() as u64;
                self.last_byte = now;
                if matches!(self.state, State::Open | State::Draining { .. }) {
                    self.queue(bytes.len() as u64);
                } else {
                    self.refused += bytes.len() as u64;
                }
            }
            Input::Eof => {
                // A FIN takes a sequence number: it counts as a byte that moved.
                self.last_byte = now;
                self.last_progress = now;
                match self.state {
                    State::Open | State::Draining { .. } => {
                        self.change(Cause::Eof, State::Flushing { peer_ended: true });
                    }
                    State::Flushing { .. } => self.state = State::Flushing { peer_ended: true },
                    State::Lingering => self.change(Cause::Eof, State::Closed(self.verdict())),
                    State::Closed(_) => unreachable!("it ignores inputs"),
                }
            }
            Input::Wrote(wrote) => {
                self.outstanding -= *wrote as u64;
                self.echoed += *wrote as u64;
                self.last_byte = now;
                self.last_progress = now;
            }
            Input::Stop => {
                self.stop.get_or_insert(now);
                if self.state == State::Open {
                    self.change(Cause::Stop, State::Draining { since: now });
                }
            }
            Input::Abort => self.change(Cause::Abort, State::Closed(End::Aborted)),
            Input::Failed(failure @ (Failure::Reset | Failure::Truncated | Failure::Io)) => {
                self.change(Cause::Failed, State::Closed(End::Failed(*failure)));
            }
            Input::Command(never) => match *never {},
        }
    }

    pub fn poll(&mut self, now: u64) -> Expected {
        while let Some((at, limit)) = self.next_limit()
            && at <= now
        {
            let to = match limit {
                Limit::Quiet | Limit::Drain => {
                    self.last_progress = now;
                    State::Flushing { peer_ended: false }
                }
                Limit::Linger => State::Closed(End::Stopped),
                Limit::Idle | Limit::HalfCloseIdle | Limit::MaxAge => State::Closed(End::TimedOut(limit)),
            };
            self.change(Cause::Limit(limit), to);
        }
        if let State::Closed(end) = self.state {
            return self.close(end);
        }
        if self.outstanding == 0 && self.state != State::Lingering {
            if let Some(chunk) = self.queued.pop_front() {
                if let Some(first) = self.queued.front_mut() {
                    first.grows = false;
                }
                self.outstanding = chunk.len;
                return Expected::Write(self.echoed..self.echoed + chunk.len);
            }
            if let State::Flushing { peer_ended } = self.state {
                let to = if peer_ended { State::Closed(self.verdict()) } else { State::Lingering };
                self.change(Cause::Flushed, to);
                return Expected::ShutdownWrite;
            }
        }
        let read = match self.state {
            State::Open | State::Draining { .. } => {
                let room = self.setup.buffer as u64 - self.held();
                usize::try_from(room).expect("it fits a buffer").min(self.setup.chunk)
            }
            State::Flushing { peer_ended: false } | State::Lingering => self.setup.chunk,
            State::Flushing { peer_ended: true } | State::Closed(_) => 0,
        };
        Expected::Wait { read, deadline: self.next_limit().map(|(at, _)| at) }
    }

    /// The limits of the state, the earliest first; of two at the same moment the one that `Limit` lists first.
    fn next_limit(&self) -> Option<(u64, Limit)> {
        let setup = &self.setup;
        let mut limits = Vec::new();
        if !matches!(self.state, State::Closed(_)) {
            limits.extend(setup.idle.map(|limit| (self.last_byte + limit, Limit::Idle)));
            limits.extend(setup.max_age.map(|limit| (self.born + limit, Limit::MaxAge)));
        }
        match self.state {
            State::Open | State::Closed(_) => {}
            State::Draining { since } => {
                limits.push((since + setup.drain, Limit::Drain));
                if self.held() == 0 {
                    limits.push((since.max(self.last_byte) + setup.quiet, Limit::Quiet));
                }
            }
            State::Flushing { peer_ended: true } => {
                let limit = setup.half_close_idle;
                limits.extend(limit.map(|limit| (self.last_progress + limit, Limit::HalfCloseIdle)));
                // A stop bounds this state, too: the drain, and then no more patience than after a cut.
                limits.extend(
                    self.stop.map(|stop| {
                        (self.last_progress.max(stop + setup.drain) + setup.linger, Limit::Linger)
                    }),
                );
            }
            State::Flushing { peer_ended: false } | State::Lingering => {
                limits.push((self.last_progress + setup.linger, Limit::Linger));
            }
        }
        limits.sort_unstable();
        limits.first().copied()
    }

    fn queue(&mut self, len: u64) {
        let count = self.queued.len();
        match self.queued.back_mut() {
            Some(tail) if tail.grows => tail.len += len,
            _ => self.queued.push_back(Chunk { len, grows: count >= self.setup.max_chunks }),
        }
    }

    const fn verdict(&self) -> End {
        if self.received == self.echoed { End::Clean } else { End::Stopped }
    }

    fn close(&self, end: End) -> Expected {
        let cut_short = matches!(end, End::Aborted | End::Failed(_)) || self.held() > 0;
        let Self { received, echoed, refused, .. } = *self;
        Expected::Close { reset: cut_short, end, received, echoed, dropped: received - echoed, refused }
    }

    fn change(&mut self, cause: Cause, to: State) {
        let from = self.phase();
        self.state = to;
        self.changes.push((from, cause, self.phase()));
    }
}
