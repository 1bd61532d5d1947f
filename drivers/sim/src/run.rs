//! Runs a scenario once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::choose::{Chooser, Decision, Family, Logged};
use crate::context::{Recorded, Told, Unheard};
use crate::line::Line;
use crate::quiet;
use crate::scenario::{Reached, Scenario, Violation};
use crate::world::{Parts, World};

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything ended, and nothing was wrong.
    Pass,
    /// An invariant does not hold.
    Violation(Violation),
    /// Something did not end: who waits for what.
    Stuck(String),
    /// Something went on without an end.
    Livelock(String),
    /// A machine, a hub or a check panicked.
    Panic(String),
}

impl Verdict {
    /// Whether nothing was wrong.
    pub const fn is_pass(&self) -> bool {
        matches!(self, Self::Pass)
    }

    /// What stays the same while a failure is shrunk: the invariant's name, `stuck`, `livelock` or `panic`; `pass`
    /// if there is none. A breach of the machine's contract that [`Driven`](roundtrip_core::Driven) found is the
    /// invariant's number, such as `I4`.
    pub fn id(&self) -> &str {
        match self {
            Self::Pass => "pass",
            Self::Violation(violation) => violation.id,
            Self::Stuck(_) => "stuck",
            Self::Livelock(_) => "livelock",
            Self::Panic(message) => contract(message).unwrap_or("panic"),
        }
    }

    /// What was found, in words; empty for a pass.
    pub fn found(&self) -> &str {
        match self {
            Self::Pass => "",
            Self::Violation(Violation { found, .. }) | Self::Stuck(found) | Self::Livelock(found) => found,
            // Its number is the id.
            Self::Panic(found) => match contract(found) {
                Some(id) => found.strip_prefix(id).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(found),
                None => found,
            },
        }
    }
}

/// The invariant that a panic of `Driven` names: `I4: a wait that nothing can end`.
pub(crate) fn contract(message: &str) -> Option<&str> {
    if message.starts_with("driver misuse") {
        return Some("misuse");
    }
    let (id, _) = message.split_once(": ")?;
    let number = id.strip_prefix('I')?;
    (!number.is_empty() && number.len() < 3 && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

/// A run, without what happened in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// What came of it.
    pub verdict: Verdict,
    /// Events that happened.
    pub events: u64,
    /// How long it took, in nanoseconds of its own.
    pub time: u64,
    /// A hash of all that happened, the verdict included.
    pub hash: u64,
    /// The goals that it reached.
    pub reached: Reached,
}

/// A run with all that happened in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recording {
    /// What came of it.
    pub run: Run,
    /// The choices that were not benign: all it takes to run it again.
    pub decisions: Vec<Decision>,
    /// What happened.
    pub lines: Vec<Line>,
}

/// What can be run: a [`Scenario`], or a scenario [over datagrams](crate::OverDatagrams). Nothing else can be: it is made of
/// what is private to the simulator.
pub trait Simulation: Sync {
    /// What one run leaves to the next.
    #[doc(hidden)]
    type Memory: Default;

    /// What traces and reports call it.
    fn title(&self) -> &'static str;

    /// States that a campaign must reach somewhere, or it fails.
    fn aims(&self) -> &'static [&'static str];

    /// Whether choices of this family are made in its world: deciding others leads nowhere.
    #[doc(hidden)]
    fn has(&self, family: Family) -> bool;

    /// Runs it once.
    #[doc(hidden)]
    fn simulate<C: Told>(&self, memory: &mut Self::Memory, chooser: C) -> (Run, C);
}

impl<S: Scenario> Simulation for S {
    type Memory = Parts<S>;

    fn title(&self) -> &'static str {
        self.name()
    }

    fn aims(&self) -> &'static [&'static str] {
        self.goals()
    }

    fn has(&self, family: Family) -> bool {
        family != Family::Datagram
    }

    fn simulate<C: Told>(&self, parts: &mut Parts<S>, chooser: C) -> (Run, C) {
        let mut world = World::new(self, chooser, parts);
        let halted = quiet::during(|| catch_unwind(AssertUnwindSafe(|| world.run())));
        let verdict = match halted {
            Ok(Ok(())) => Verdict::Pass,
            Ok(Err(halt)) => halt.into(),
            Err(payload) => Verdict::Panic(world.explain(&quiet::message(&*payload), quiet::place())),
        };
        let run = world.cx.finish(verdict, world.reached);
        // A panic may have left anything in the connections: they are not used again.
        let chooser =
            if matches!(run.verdict, Verdict::Panic(_)) { world.cx.chooser } else { world.dismantle(parts) };
        (run, chooser)
    }
}

/// Runs a scenario again and again, in the same memory.
pub struct Runner<'s, S: Simulation> {
    scenario: &'s S,
    memory: S::Memory,
}

impl<S: Simulation> std::fmt::Debug for Runner<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("scenario", &self.scenario.title()).finish_non_exhaustive()
    }
}

impl<'s, S: Simulation> Runner<'s, S> {
    /// Runs of `scenario`.
    pub fn new(scenario: &'s S) -> Self {
        Self { scenario, memory: S::Memory::default() }
    }

    /// Whether choices of this family are made.
    pub(crate) fn has(&self, family: Family) -> bool {
        self.scenario.has(family)
    }

    /// Runs it once, as `chooser` chooses. The whole simulator is compiled for each type of chooser: pass
    /// `&mut dyn Chooser` where speed does not matter.
    pub fn run(&mut self, chooser: impl Chooser) -> Run {
        self.scenario.simulate(&mut self.memory, Unheard(chooser)).0
    }

    /// Runs it once and records it.
    pub fn record(&mut self, mut chooser: impl Chooser) -> Recording {
        let chooser: &mut dyn Chooser = &mut chooser;
        let recorded = Recorded { chooser: Logged::new(chooser), lines: Vec::new() };
        let (run, recorded) = self.scenario.simulate(&mut self.memory, recorded);
        Recording { run, decisions: recorded.chooser.into_decisions(), lines: recorded.lines }
    }
}
