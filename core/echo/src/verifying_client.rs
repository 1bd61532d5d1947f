//! What the sessions that send and verify have in common: all but when to send how much.

use core::time::Duration;

use super::diagnosis::{Fault, FaultKind, PeerEnd};
use super::evidence::Evidence;
use super::payload::Payload;
use super::verifier::{Check, Verifier};
use roundtrip_core::{Action, Failure, Input, Teardown, Time, Wait};

/// Whether the path carried the bytes faithfully, both ways, to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// All that was to be sent came back in order, and then an orderly end.
    Verified,
    /// It did not.
    Faulty(Fault),
    /// Stopped before all was sent; what was sent came back in order, and then an orderly end.
    Stopped,
    /// Aborted before there was a verdict.
    Aborted,
}

/// What came of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ClientOutcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Bytes that the transport took.
    pub sent: u64,
    /// Bytes that came back, wrong ones included.
    pub received: u64,
    /// How long before the verdict a byte last moved, either way, or began to be awaited.
    pub idle: Duration,
    /// How long before the verdict our half-close was; none if it was still to come.
    pub shut: Option<Duration>,
    /// How long before the verdict the session began.
    pub age: Duration,
    /// How long before the verdict the configured pause began; none if it was over, or still to come.
    pub pause: Option<Duration>,
    /// What came instead of what was due, if a byte was wrong.
    pub evidence: Evidence,
}

impl ClientOutcome {
    /// An outcome with this verdict, of a session that sent and received nothing.
    pub const fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            sent: 0,
            received: 0,
            idle: Duration::ZERO,
            shut: None,
            age: Duration::ZERO,
            pause: None,
            evidence: Evidence::NONE,
        }
    }
}

/// When a session sends how much.
pub(super) trait SendPolicy {
    /// What it has to tell.
    type Event;

    /// Largest read credit, bytes.
    fn chunk(&self) -> usize;

    /// Longest time without a byte moved either way while one is awaited.
    fn timeout(&self) -> Option<Duration>;

    /// Whether to half-close, and to wait for the peer's end.
    fn half_close(&self) -> bool;

    /// Until when nothing is read, and the time-out does not count.
    fn stall(&self) -> Option<Time> {
        None
    }

    /// Since when it rests of its own accord.
    fn paused_since(&self) -> Option<Time> {
        None
    }

    /// Whether it has waited for all that is in flight before the half-close.
    fn waits_for_tail(&self) -> bool {
        false
    }

    /// What to do now that the last write is through.
    fn next(&mut self, now: Time, verifier: &Verifier) -> Next;

    /// Whether all that was to be sent has been.
    fn is_done(&self, verifier: &Verifier) -> bool;

    /// So many bytes are back in all, and right.
    fn back(&mut self, now: Time, received: u64);

    /// What there is to tell now.
    fn event(&mut self) -> Option<Self::Event>;
}

/// What a [`SendPolicy`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send so many bytes, at least one and not more than are left.
    Send(usize),
    /// Nothing, until this time, or until something comes back.
    Nothing(Option<Time>),
    /// Nothing any more.
    Done,
}

/// A session that sends as its [`SendPolicy`] wants, half-closes, and verifies every byte that comes back.
///
/// At the first wrong byte it stops sending, half-closes, and reads on only until the kind of the fault is
/// clear, and for no longer than the time-out: what comes after a wrong byte is no progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct VerifyingClient<P> {
    pace: P,
    verifier: Verifier,
    /// Bytes of the outstanding write that the transport has not taken.
    outstanding: usize,
    /// Nothing more is to be sent, for `Stop` or for a fault.
    cut: bool,
    /// When sending was over.
    shut: Option<Time>,
    /// Bytes that were in flight then, although they had been waited for.
    withheld: u64,
    began: Time,
    /// When a byte last moved, either way, or began to be awaited.
    moved: Time,
    /// When the first wrong byte came.
    wrong: Option<Time>,
    /// The verdict, and when it came.
    verdict: Option<(Verdict, Time)>,
}

impl<P: SendPolicy> VerifyingClient<P> {
    pub(super) fn new(pace: P, payload: Payload, now: Time) -> Self {
        Self {
            pace,
            verifier: Verifier::new(payload),
            outstanding: 0,
            cut: false,
            shut: None,
            withheld: 0,
            began: now,
            moved: now,
            wrong: None,
            verdict: None,
        }
    }

    /// Bytes that the transport took so far.
    pub(super) const fn sent(&self) -> u64 {
        self.verifier.sent() - self.outstanding as u64
    }

    /// Bytes that came back so far.
    pub(super) const fn received(&self) -> u64 {
        self.verifier.received()
    }

    /// The pace.
    pub(super) const fn pace(&self) -> &P {
        &self.pace
    }

    pub(super) fn handle(&mut self, now: Time, input: Input) {
        if self.verdict.is_some() {
            return;
        }
        match input {
            Input::Data(bytes) => {
                self.moved = now;
                match self.verifier.receive(&bytes) {
                    Check::Right => {}
                    Check::Wrong => {
                        self.cut = true;
                        self.wrong.get_or_insert(now);
                    }
                    Check::Fault(fault) => self.verdict = Some((Verdict::Faulty(fault), now)),
                }
                self.pace.back(now, self.verifier.right());
            }
            Input::Eof => self.ended(now, PeerEnd::Fin),
            Input::Wrote(wrote) => {
                self.outstanding -= wrote;
                self.moved = now;
            }
            Input::Command(never) => match never {},
            Input::Stop => {
                // Until the end of a stall the timeout did not count.
                if let Some(until) = self.stall() {
                    self.moved = self.moved.max(until.min(now));
                }
                self.cut = true;
            }
            Input::Abort => self.verdict = Some((Verdict::Aborted, now)),
            Input::Failed(Failure::Reset) => self.ended(now, PeerEnd::Reset),
            Input::Failed(Failure::Truncated) => self.ended(now, PeerEnd::Truncated),
            Input::Failed(Failure::Io) => self.ended(now, PeerEnd::Error),
        }
    }

    pub(super) fn poll(&mut self, now: Time) -> Action<P::Event, ClientOutcome> {
        if let Some(event) = self.pace.event() {
            return Action::Event(event);
        }
        if self.verdict.is_none() && self.deadline().is_some_and(|at| at <= now) {
            self.fail(now, FaultKind::TimedOut);
        }
        let mut wake = None;
        if self.verdict.is_none() && self.outstanding == 0 && self.shut.is_none() {
            match if self.cut { Next::Done } else { self.pace.next(now, &self.verifier) } {
                Next::Send(size) => {
                    self.await_from(now);
                    self.outstanding = size;
                    return Action::Write(self.verifier.send(size));
                }
                Next::Done if self.pace.half_close() => {
                    self.await_from(now);
                    self.shut = Some(now);
                    if !self.cut && self.pace.waits_for_tail() {
                        self.withheld = self.verifier.in_flight() as u64;
                    }
                    return Action::ShutdownWrite;
                }
                Next::Done if self.verifier.is_whole() => self.whole(now),
                Next::Done => {}
                Next::Nothing(until) => wake = until,
            }
        }
        if let Some((verdict, ended)) = self.verdict {
            let how = match verdict {
                Verdict::Verified | Verdict::Stopped => Teardown::Graceful,
                Verdict::Faulty(_) | Verdict::Aborted => Teardown::Reset,
            };
            return Action::Close { how, outcome: self.outcome(verdict, ended) };
        }
        let stalled = self.stall().filter(|until| *until > now);
        let read = if stalled.is_some() { 0 } else { self.pace.chunk() };
        let deadline = [self.deadline(), wake, stalled].into_iter().flatten().min();
        Action::Wait(Wait { read, commands: 0, deadline })
    }

    /// The stream is over, for the reason `kind` unless a fault is being diagnosed.
    fn fail(&mut self, now: Time, kind: FaultKind) {
        self.verdict = Some((Verdict::Faulty(self.verifier.finish(kind)), now));
    }

    fn outcome(&self, verdict: Verdict, ended: Time) -> ClientOutcome {
        ClientOutcome {
            verdict,
            sent: self.sent(),
            received: self.received(),
            idle: ended.since(self.moved),
            shut: self.shut.map(|shut| ended.since(shut)),
            age: ended.since(self.began),
            pause: self.pace.paused_since().filter(|_| self.shut.is_none()).map(|began| ended.since(began)),
            evidence: self.verifier.evidence(),
        }
    }

    fn ended(&mut self, now: Time, by: PeerEnd) {
        let is_done = self.cut || self.pace.is_done(&self.verifier);
        if is_done && self.verifier.is_whole() && by == PeerEnd::Fin {
            self.whole(now);
        } else {
            self.fail(now, FaultKind::Truncated { by, after: self.shut.map(|shut| now.since(shut)) });
        }
    }

    /// All is back that was sent: so the transport took it, whether or not the driver has said so yet.
    fn whole(&mut self, now: Time) {
        self.outstanding = 0;
        let verdict = match self.withheld {
            0 if self.pace.is_done(&self.verifier) => Verdict::Verified,
            0 => Verdict::Stopped,
            bytes => Verdict::Faulty(Fault {
                at: self.verifier.sent() - bytes,
                kind: FaultKind::Withheld { bytes },
            }),
        };
        self.verdict = Some((verdict, now));
    }

    /// Something is on its way, or is not reported as written, or the peer's end is to come.
    fn is_awaiting(&self) -> bool {
        self.outstanding > 0 || self.verifier.in_flight() > 0 || self.shut.is_some()
    }

    /// From now on something is awaited, if nothing was before.
    fn await_from(&mut self, now: Time) {
        if !self.is_awaiting() {
            self.moved = now;
        }
    }

    /// Until when nothing is read; a session that is cut reads on at once.
    fn stall(&self) -> Option<Time> {
        self.pace.stall().filter(|_| !self.cut)
    }

    /// From a wrong byte on, the time for a verdict is bounded. Before, where nothing is read nothing can move in, and soon nothing moves out: the time-out counts from the stall's
    /// end on.
    fn deadline(&self) -> Option<Time> {
        let timeout = self.pace.timeout()?;
        if let Some(wrong) = self.wrong {
            return Some(wrong.after(timeout));
        }
        if !self.is_awaiting() {
            return None;
        }
        Some(self.stall().map_or(self.moved, |until| until.max(self.moved)).after(timeout))
    }
}
