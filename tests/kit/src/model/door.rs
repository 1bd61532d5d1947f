//! A door, the driver that keeps it, and the rules it holds the admission policy to.

use std::collections::VecDeque;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::admission::{
    Accept, AcceptError, Admission, AdmissionAction, AdmissionInput, AdmissionMisuse, AdmissionStats, Limits,
};

pub const MS: Duration = Duration::from_millis(1);

/// What happens at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Somebody from this source knocks.
    Arrive(u8),
    /// The driver accepts who has waited longest, if it may; in a sweep it reports when nobody waits.
    Accept,
    AcceptFailed(AcceptError),
    /// One of the live connections ends.
    End(usize),
    Stop,
    Force,
    AdvanceMs(u32),
    AdvanceToDeadline,
    /// Illegal: the end of a connection that never was.
    EndOfNobody,
}

/// Whom it lets in, and what happens there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    pub limits: Limits,
    pub ops: Vec<Op>,
}

/// A driver that keeps the contract, its world, and the rules it holds the policy to.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that happened")]
pub struct Door {
    policy: Admission<u8>,
    limits: Limits,
    pub now: Time,
    pub backlog: VecDeque<u8>,
    pub live: Vec<u8>,
    admitted: u64,
    refused: u64,
    failed: u64,
    peak: usize,
    /// What the last wait said.
    pub accept: Accept,
    deadline: Option<Time>,
    /// When the drain's time is up, and whether it was forced.
    pub stopping: Option<Time>,
    forced: bool,
    pub swept: bool,
    told_stop: bool,
    pub told_abort: bool,
    pub drained: bool,
}

impl Door {
    pub fn open(limits: Limits) -> Self {
        let now = Time::from_nanos(7);
        let mut door = Self {
            policy: Admission::new(limits.clone()),
            limits,
            now,
            backlog: VecDeque::new(),
            live: Vec::new(),
            admitted: 0,
            refused: 0,
            failed: 0,
            peak: 0,
            accept: Accept::Closed,
            deadline: None,
            stopping: None,
            forced: false,
            swept: false,
            told_stop: false,
            told_abort: false,
            drained: false,
        };
        door.settle();
        door
    }

    pub fn pass(day: &Day) -> Self {
        let mut door = Self::open(day.limits.clone());
        for &op in &day.ops {
            door.apply(op);
        }
        door
    }

    /// Every stop ends by its deadline: by then all are told to go, and when they have gone it is drained for good.
    pub fn assert_a_stop_ends(day: &Day) {
        let mut door = Self::pass(day);
        door.apply(Op::Stop);
        door.now = door.now.max(door.stopping.expect("stopping"));
        door.settle();
        assert!(door.told_abort || door.drained);
        while !door.live.is_empty() {
            door.apply(Op::End(0));
        }
        assert!(door.drained);
        // Terminal, whatever else is said.
        door.apply(Op::Stop);
        door.apply(Op::Force);
        assert!(door.drained);
    }

    /// A stop that everybody heeds sweeps the backlog and aborts nobody.
    pub fn assert_a_heeded_stop_sweeps(day: &Day) {
        let mut door = Self::open(day.limits.clone().total(None));
        for &op in &day.ops {
            if !matches!(op, Op::Stop | Op::Force) {
                door.apply(op);
            }
        }
        door.apply(Op::Stop);
        // Within the same instant; a pause after an error is waited out if it is shorter than the drain.
        while !door.drained {
            let before = (door.live.len(), door.backlog.len(), door.accept, door.now);
            door.apply(Op::Accept);
            door.apply(Op::End(0));
            if door.accept == Accept::Paused && door.live.is_empty() {
                door.apply(Op::AdvanceToDeadline);
            }
            let after = (door.live.len(), door.backlog.len(), door.accept, door.now);
            assert!(door.drained || before != after, "stuck at {after:?}");
        }
        assert!(!door.told_abort);
        assert!(door.swept || door.out_of_time());
        assert!(!door.swept || door.backlog.is_empty(), "swept, and somebody was left");
    }

    pub fn apply(&mut self, op: Op) {
        let may_accept = matches!(self.accept, Accept::Open | Accept::Sweep) && !self.drained;
        match op {
            Op::Arrive(source) => self.backlog.push_back(source),
            Op::Accept if may_accept => match self.backlog.pop_front() {
                Some(source) => self.accepted(source),
                None if self.accept == Accept::Sweep => {
                    self.swept = true;
                    self.tell(&AdmissionInput::Swept);
                }
                None => {}
            },
            Op::AcceptFailed(error) if may_accept => {
                self.failed += 1;
                self.tell(&AdmissionInput::AcceptFailed(error));
            }
            Op::End(which) if !self.live.is_empty() => {
                let source = self.live.swap_remove(which % self.live.len());
                self.tell(&AdmissionInput::Ended(source));
            }
            Op::Accept | Op::AcceptFailed(_) | Op::End(_) => {}
            Op::Stop => {
                self.stopping.get_or_insert(self.now.after(self.limits.drain));
                self.tell(&AdmissionInput::Stop);
            }
            Op::Force => {
                self.stopping.get_or_insert(self.now);
                self.forced = true;
                self.tell(&AdmissionInput::Force);
            }
            Op::AdvanceMs(ms) => self.now = self.now.after(MS * ms),
            Op::AdvanceToDeadline => self.now = self.now.max(self.deadline.unwrap_or(self.now)),
            Op::EndOfNobody => {
                if self.live.is_empty() || self.limits.per_source.is_some() {
                    self.refuses(&AdmissionInput::Ended(9), AdmissionMisuse::NotAdmitted);
                }
            }
        }
        if self.stopping.is_none() {
            self.refuses(&AdmissionInput::Swept, AdmissionMisuse::NotSweeping);
        }
        self.settle();
    }

    fn tell(&mut self, input: &AdmissionInput<u8>) {
        assert_eq!(self.policy.handle(self.now, input.clone()), Ok(()), "{input:?}");
    }

    fn refuses(&mut self, input: &AdmissionInput<u8>, misuse: AdmissionMisuse) {
        let before = self.policy.clone();
        assert_eq!(self.policy.handle(self.now, input.clone()), Err(misuse), "{input:?}");
        assert_eq!(self.policy, before, "{misuse} changed the policy");
        assert!(misuse.to_string().starts_with("driver misuse: "));
    }

    /// The answer to a connection is the next action, and it is the one that the limits say.
    fn accepted(&mut self, source: u8) {
        let from_source = self.live_from(source);
        let room = self.live.len() < self.limits.connections
            && self.limits.per_source.is_none_or(|limit| from_source < limit)
            && !self.total_reached();
        self.tell(&AdmissionInput::Accepted(source));
        self.refuses(&AdmissionInput::Accepted(source), AdmissionMisuse::Undecided);
        let answer = self.policy.poll(self.now);
        if room {
            assert_eq!(answer, AdmissionAction::Admit(source));
            assert!(!self.told_abort, "admitted after AbortAll");
            self.live.push(source);
            self.admitted += 1;
            self.peak = self.peak.max(self.live.len());
        } else {
            assert_eq!(answer, AdmissionAction::Refuse(source));
            self.refused += 1;
        }
    }

    fn live_from(&self, source: u8) -> usize {
        self.live.iter().map(|&live| usize::from(live == source)).sum()
    }

    fn total_reached(&self) -> bool {
        self.limits.total.is_some_and(|total| self.admitted >= total)
    }

    pub fn settle(&mut self) {
        for _ in 0..3 {
            match self.policy.poll(self.now) {
                AdmissionAction::StopAll => {
                    assert!(self.stopping.is_some() && !self.told_stop && !self.told_abort);
                    self.told_stop = true;
                }
                AdmissionAction::AbortAll => {
                    assert!(self.out_of_time(), "AbortAll before the deadline");
                    assert!(self.told_stop && !self.told_abort && !self.live.is_empty());
                    self.told_abort = true;
                }
                AdmissionAction::Wait { accept, deadline } => return self.waits(accept, deadline),
                AdmissionAction::Drained => return self.drains(),
                action @ (AdmissionAction::Admit(_) | AdmissionAction::Refuse(_)) => {
                    panic!("{action:?}, and nobody was accepted")
                }
            }
        }
        panic!("no rest after 3 actions");
    }

    pub fn out_of_time(&self) -> bool {
        self.forced || self.stopping.is_some_and(|deadline| deadline <= self.now)
    }

    fn closes(&self) -> bool {
        self.total_reached() || self.swept || self.out_of_time() || self.accept == Accept::Closed
    }

    fn waits(&mut self, accept: Accept, deadline: Option<Time>) {
        assert!(!self.drained, "{accept:?} after Drained");
        assert!(deadline.is_none_or(|deadline| deadline > self.now), "a deadline that has passed");
        let before = self.policy.clone();
        assert_eq!(self.policy.poll(self.now), AdmissionAction::Wait { accept, deadline }, "a second poll");
        assert_eq!(self.policy, before, "a second poll changed the policy");
        let full = self.live.len() >= self.limits.connections;
        match accept {
            Accept::Open => assert!(!full && self.stopping.is_none() && !self.total_reached()),
            Accept::Sweep => assert!(!full && self.stopping.is_some() && !self.total_reached()),
            // In a pause after an error there is a time to go on.
            Accept::Paused => assert!(full || deadline.is_some(), "paused for ever"),
            Accept::Closed => {
                assert!(!self.live.is_empty(), "nobody left, and not drained");
                let told = self.admitted > 0 && self.total_reached();
                assert!(told || self.swept || self.out_of_time(), "closed without a sweep");
            }
        }
        if let Some(until) = self.stopping {
            assert!(self.told_stop, "nobody was told to stop");
            assert!(!self.out_of_time() || self.told_abort, "the deadline was let pass");
            let in_time = deadline.is_some_and(|deadline| deadline <= until);
            assert!(self.out_of_time() || in_time, "the drain has no deadline");
        }
        for &source in &self.live {
            let live = self.live_from(source);
            assert!(self.limits.per_source.is_none_or(|limit| live <= limit), "{live} from {source}");
        }
        assert!(self.live.len() <= self.limits.connections);
        (self.accept, self.deadline) = (accept, deadline);
        self.count();
    }

    fn drains(&mut self) {
        assert!(self.live.is_empty(), "drained with somebody left");
        assert!(self.closes(), "drained with the listener open");
        let before = self.policy.clone();
        assert_eq!(self.policy.poll(Time::MAX), AdmissionAction::Drained);
        assert_eq!(self.policy, before, "Drained is not the last word");
        (self.accept, self.deadline, self.drained) = (Accept::Closed, None, true);
        self.count();
    }

    fn count(&self) {
        let AdmissionStats { admitted, refused, failed, live, peak, .. } = self.policy.stats();
        assert_eq!((admitted, refused, failed), (self.admitted, self.refused, self.failed));
        assert_eq!((live, peak), (self.live.len(), self.peak));
    }
}
