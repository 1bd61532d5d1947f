//! Who gets in: the policy around a server's sessions, as a pure state machine.
//!
//! It decides how many connections there are, how many from one source, what follows an accept error, and how
//! a drain proceeds. It has no bytes, so it is no [`Machine`](crate::Machine), but it is written the same way:
//! inputs in, actions out, no clock. Every driver obeys it and none has a back-off of its own.
//!
//! ```text
//!              Stop                      Swept                  nobody left
//!   serving ──────────▶ sweeping the ──────────▶ listener closed ─────────▶ drained
//!      │      StopAll   backlog                    │        ▲
//!      └── total reached ──────────────────────────┘        │ deadline or Force: AbortAll
//! ```

use alloc::collections::BTreeMap;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::Time;

/// First pause after an accept error that is not one connection's; doubled each time, up to [`BACK_OFF_MAX`].
const BACK_OFF_MIN: Duration = Duration::from_millis(10);
/// Longest pause: a server short of descriptors recovers within this, at two attempts a second.
const BACK_OFF_MAX: Duration = Duration::from_millis(500);

/// So many errors of one connection after another are no longer one connection's: a filter, or a network that is
/// down, gives them for ever.
const FAILURES_IN_A_ROW: u32 = 16;

/// Limits of an [`Admission`]. Every value is valid.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum open connections; default no limit. At the limit nothing is accepted: clients wait in the backlog. At 0 nothing is
    /// ever accepted.
    pub connections: usize,
    /// Maximum open connections from one source; default no limit. More are refused.
    pub per_source: Option<usize>,
    /// Leading bits of an IPv6 address that drivers take for one source, 0 to 128; default 64. More than 128 count as 128. One site
    /// has a network of 64 (RFC 4291 section 2.5.4), and could use another address of it for each connection.
    pub ipv6_prefix: u8,
    /// Maximum connections in all; default no limit. After them the listener is closed, and when they end the server is drained.
    pub total: Option<u64>,
    /// After a stop: grace period of the sessions, after which they are aborted; default 10 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: usize::MAX,
            per_source: None,
            ipv6_prefix: 64,
            total: None,
            drain: Duration::from_secs(10),
        }
    }
}

impl Limits {
    crate::setters! {
        connections: usize,
        per_source: Option<usize>,
        ipv6_prefix: u8,
        total: Option<u64>,
        drain: Duration,
    }
}

/// What the driver tells the policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AdmissionInput<S> {
    /// A connection from this source was accepted. Poll before anything else: the answer is the next action.
    Accepted(S),
    /// Accepting failed.
    AcceptFailed(AcceptError),
    /// During [`Accept::Sweep`], nobody was waiting any more.
    Swept,
    /// A connection from this source, admitted before, is gone.
    Ended(S),
    /// Finish gracefully.
    Stop,
    /// Do not wait for the drain's deadline.
    Force,
}

/// What an accept error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AcceptError {
    /// One connection was gone before it was accepted (`ECONNABORTED` and, on Linux, its pending network
    /// errors: accept(2)). The next one may be fine.
    Connection,
    /// Out of descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), or an error nobody foresaw:
    /// trying again at once would spin.
    Exhausted,
}

/// What the driver does next. Obey it, then poll again, until `Wait` or `Drained`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "an action that is not carried out is lost"]
pub enum AdmissionAction<S> {
    /// Serve the connection that was accepted.
    Admit(S),
    /// Close the connection that was accepted.
    Refuse(S),
    /// Stop every session, and those that are admitted from now on as soon as they begin.
    StopAll,
    /// Abort every session.
    AbortAll,
    /// Nothing to do until a connection may be accepted, one ends, or the deadline passes.
    Wait {
        /// What to do with the listener.
        accept: Accept,
        /// Poll again no later than this. Always after `now`.
        deadline: Option<Time>,
    },
    /// The listener is closed and nobody is left. Terminal: every later poll gives the same.
    Drained,
}

/// What a driver may do with its listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Accept {
    /// Accept the next connection when it comes.
    Open,
    /// Leave connections in the backlog.
    Paused,
    /// Accept one that is already waiting, without blocking; report [`AdmissionInput::Swept`] if there is none.
    /// Clients in the backlog believe that they are connected: closing the listener resets them.
    Sweep,
    /// Close the listener.
    Closed,
}

/// The driver broke the contract; the policy did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AdmissionMisuse {
    /// A second connection before the first was decided.
    Undecided,
    /// A connection ended that was never admitted.
    NotAdmitted,
    /// [`AdmissionInput::Swept`] outside a sweep.
    NotSweeping,
}

impl fmt::Display for AdmissionMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Undecided => "driver misuse: a connection before the last was decided",
            Self::NotAdmitted => "driver misuse: a connection ended that was never admitted",
            Self::NotSweeping => "driver misuse: a sweep ended that was never asked for",
        })
    }
}

impl Error for AdmissionMisuse {}

/// What has happened at the door so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct AdmissionStats {
    /// Connections admitted.
    pub admitted: u64,
    /// Connections refused.
    pub refused: u64,
    /// Accept errors.
    pub failed: u64,
    /// Connections open now.
    pub live: usize,
    /// Connections open at one time, at the most.
    pub peak: usize,
}

/// The policy of one server. `S` tells sources apart: an address, or `()` where there is only one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Admission<S> {
    limits: Limits,
    stats: AdmissionStats,
    /// Live connections by source; kept only if their number is limited.
    sources: BTreeMap<S, usize>,
    undecided: Option<(S, bool)>,
    paused: Option<Time>,
    back_off: Duration,
    /// Accept errors since the last connection.
    failures: u32,
    /// When the drain's time is up, if there is a drain.
    stopping: Option<Time>,
    /// The listener is closed, or must be.
    closed: bool,
    told: Told,
}

/// What all sessions were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Told {
    Nothing,
    Stop,
    Abort,
}

impl<S: Ord + Clone> Admission<S> {
    /// A policy that lets in whom `limits` allow.
    pub const fn new(limits: Limits) -> Self {
        let closed = matches!(limits.total, Some(0));
        Self {
            limits,
            stats: AdmissionStats { admitted: 0, refused: 0, failed: 0, live: 0, peak: 0 },
            sources: BTreeMap::new(),
            undecided: None,
            paused: None,
            back_off: BACK_OFF_MIN,
            failures: 0,
            stopping: None,
            closed,
            told: Told::Nothing,
        }
    }

    /// What has happened so far.
    pub const fn stats(&self) -> AdmissionStats {
        self.stats
    }

    /// Takes one input.
    ///
    /// # Errors
    ///
    /// [`AdmissionMisuse`] if the input breaks the contract. The policy is then unchanged.
    pub fn handle(&mut self, now: Time, input: AdmissionInput<S>) -> Result<(), AdmissionMisuse> {
        match input {
            AdmissionInput::Accepted(source) => {
                if self.undecided.is_some() {
                    return Err(AdmissionMisuse::Undecided);
                }
                self.back_off = BACK_OFF_MIN;
                self.failures = 0;
                self.paused = None;
                let admit = self.has_room_for(&source);
                if admit {
                    self.admit(source.clone());
                } else {
                    self.stats.refused += 1;
                }
                self.undecided = Some((source, admit));
            }
            AdmissionInput::AcceptFailed(error) => {
                self.stats.failed += 1;
                self.failures = self.failures.saturating_add(1);
                if error == AcceptError::Exhausted || self.failures >= FAILURES_IN_A_ROW {
                    self.paused = Some(now.after(self.back_off));
                    self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
                }
            }
            AdmissionInput::Swept => {
                if self.stopping.is_none() {
                    return Err(AdmissionMisuse::NotSweeping);
                }
                self.closed = true;
            }
            AdmissionInput::Ended(source) => {
                self.release(&source)?;
                // It left a descriptor behind: no need to wait out the pause.
                self.paused = None;
            }
            AdmissionInput::Stop => {
                self.stopping.get_or_insert(now.after(self.limits.drain));
            }
            AdmissionInput::Force => {
                self.stopping = Some(self.stopping.map_or(now, |deadline| deadline.min(now)));
            }
        }
        Ok(())
    }

    /// What to do next. A drain's deadline that has passed by `now` takes effect here.
    pub fn poll(&mut self, now: Time) -> AdmissionAction<S> {
        if let Some((source, admit)) = self.undecided.take() {
            return if admit { AdmissionAction::Admit(source) } else { AdmissionAction::Refuse(source) };
        }
        if self.stopping.is_some() && self.told < Told::Stop && !self.is_drained() {
            self.told = Told::Stop;
            return AdmissionAction::StopAll;
        }
        let out_of_time = self.stopping.is_some_and(|deadline| deadline <= now);
        if out_of_time {
            self.closed = true;
            if self.stats.live > 0 && self.told < Told::Abort {
                self.told = Told::Abort;
                return AdmissionAction::AbortAll;
            }
        }
        if self.is_drained() {
            return AdmissionAction::Drained;
        }
        if self.paused.is_some_and(|until| until <= now) {
            self.paused = None;
        }
        let accept = self.accept();
        let resume = if accept == Accept::Paused { self.paused } else { None };
        let drain = if out_of_time { None } else { self.stopping };
        let deadline = [resume, drain].into_iter().flatten().min();
        AdmissionAction::Wait { accept, deadline }
    }

    const fn accept(&self) -> Accept {
        if self.closed {
            Accept::Closed
        } else if self.paused.is_some() || self.stats.live >= self.limits.connections {
            Accept::Paused
        } else if self.stopping.is_some() {
            Accept::Sweep
        } else {
            Accept::Open
        }
    }

    const fn is_drained(&self) -> bool {
        self.closed && self.stats.live == 0
    }

    fn has_room_for(&self, source: &S) -> bool {
        let from_source = self.sources.get(source).copied().unwrap_or(0);
        !self.closed
            && self.stats.live < self.limits.connections
            && self.limits.per_source.is_none_or(|limit| from_source < limit)
    }

    fn admit(&mut self, source: S) {
        self.stats.admitted += 1;
        self.stats.live += 1;
        self.stats.peak = self.stats.peak.max(self.stats.live);
        if self.limits.per_source.is_some() {
            *self.sources.entry(source).or_insert(0) += 1;
        }
        if self.limits.total.is_some_and(|total| self.stats.admitted >= total) {
            self.closed = true;
        }
    }

    fn release(&mut self, source: &S) -> Result<(), AdmissionMisuse> {
        if self.limits.per_source.is_some() {
            let Some(live) = self.sources.get_mut(source) else { return Err(AdmissionMisuse::NotAdmitted) };
            *live -= 1;
            if *live == 0 {
                self.sources.remove(source);
            }
        }
        self.stats.live = self.stats.live.checked_sub(1).ok_or(AdmissionMisuse::NotAdmitted)?;
        Ok(())
    }
}
