//! Every state of the server that small bounds allow, each visited once, breadth first.
//!
//! The letters are what a driver can do at any moment: deliver, report a write or the end, stop, abort, fail, let
//! time pass, poll once. Because a poll is a letter like any other, inputs come between polls in every order
//! that the contract allows. Two states are one if the machine and what its driver remembers are equal with all
//! times taken relative to now; ages beyond every limit are one age. The first violation found is at the end of
//! a shortest path, and that path is the counterexample.

mod planted;
mod rules;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::hash::DefaultHasher;

use bytes::Bytes;

use super::{EchoServer, Phase, ServerOutcome};
use crate::config::ServerConfig;
use roundtrip_core::{Failure, Input, Machine, Time};

/// What the peer sends; no two bytes are the same.
const STREAM: &[u8] = b"abcd";

/// One thing that a driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Letter {
    Poll,
    Data(usize),
    Eof,
    Wrote1,
    WroteAll,
    Stop,
    Abort,
    Failed,
    Tick,
    ToDeadline,
}

const ALPHABET: [Letter; 11] = [
    Letter::Poll,
    Letter::Data(1),
    Letter::Data(2),
    Letter::Eof,
    Letter::Wrote1,
    Letter::WroteAll,
    Letter::Stop,
    Letter::Abort,
    Letter::Failed,
    Letter::Tick,
    Letter::ToDeadline,
];

/// What the search needs to know of a machine, beyond the contract.
trait Subject:
    Machine<Command = Infallible, Event = Infallible, Outcome = ServerOutcome> + Clone + Eq + Hash + fmt::Debug
{
    fn server(&self) -> &EchoServer;

    /// The same machine, its times turned into ages at `now`, of which none is larger than `oldest`.
    fn aged(&self, now: Time, oldest: Duration) -> Self;
}

impl Subject for EchoServer {
    fn server(&self) -> &EchoServer {
        self
    }

    fn aged(&self, now: Time, oldest: Duration) -> Self {
        let age = |time: Time| Time::ZERO.after(now.since(time).min(oldest));
        Self {
            born: age(self.born),
            moved: age(self.moved),
            progress: age(self.progress),
            stopped: self.stopped.map(age),
            ..self.clone()
        }
    }
}

/// A machine and what its driver remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that happened")]
struct State<M> {
    machine: M,
    now: Time,
    /// Bytes of [`STREAM`] delivered.
    fed: usize,
    /// Bytes that the machine asked to be written.
    written: usize,
    /// Those of them not reported as written.
    outstanding: usize,
    credit: usize,
    deadline: Option<Time>,
    ended: bool,
    shut: bool,
    /// `Abort` or `Failed` was told.
    doomed: bool,
    closed: bool,
}

impl<M: Subject> State<M> {
    /// The state with all times relative to now: what makes two states one.
    fn key(&self, oldest: Duration) -> Self {
        Self {
            machine: self.machine.aged(self.now, oldest),
            now: Time::ZERO,
            deadline: self.deadline.map(|at| Time::ZERO.after(at.since(self.now))),
            ..self.clone()
        }
    }

    /// What follows if the driver does `letter`; nothing if it cannot, and the broken rule if there is one.
    fn next(&self, letter: Letter) -> Result<Option<Self>, String> {
        let mut next = self.clone();
        match letter {
            Letter::Poll => rules::poll(&mut next)?,
            Letter::Tick => next.now = self.now.after(Duration::from_nanos(1)),
            Letter::ToDeadline => match self.deadline {
                Some(at) if at > self.now => next.now = at,
                _ => return Ok(None),
            },
            Letter::Data(_)
            | Letter::Eof
            | Letter::Wrote1
            | Letter::WroteAll
            | Letter::Stop
            | Letter::Abort
            | Letter::Failed => match next.input(letter) {
                Some(input) => rules::tell(&mut next, &input),
                None => return Ok(None),
            },
        }
        rules::check(&next)?;
        Ok(Some(next))
    }

    fn input(&self, letter: Letter) -> Option<Input> {
        match letter {
            Letter::Data(n) if n <= self.credit && self.fed + n <= STREAM.len() => {
                Some(Input::Data(Bytes::from_static(&STREAM[self.fed..self.fed + n])))
            }
            Letter::Eof if !self.ended => Some(Input::Eof),
            Letter::Wrote1 if self.outstanding > 1 => Some(Input::Wrote(1)),
            Letter::WroteAll if self.outstanding > 0 => Some(Input::Wrote(self.outstanding)),
            Letter::Stop => Some(Input::Stop),
            Letter::Abort => Some(Input::Abort),
            Letter::Failed => Some(Input::Failed(Failure::Reset)),
            Letter::Poll
            | Letter::Data(_)
            | Letter::Eof
            | Letter::Wrote1
            | Letter::WroteAll
            | Letter::Tick
            | Letter::ToDeadline => None,
        }
    }
}

/// How far a search came.
#[derive(Debug)]
struct Report {
    states: usize,
    /// Letters to the farthest state.
    depth: usize,
    phases: BTreeSet<Phase>,
}

/// A shortest way to break a rule.
#[derive(Debug, PartialEq, Eq)]
struct Counterexample {
    letters: Vec<Letter>,
    broken: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {:?}", self.broken, self.letters)
    }
}

/// A state found, and how: the state it follows from, and by which letter.
struct Found<M> {
    state: State<M>,
    from: Option<(usize, Letter)>,
    depth: usize,
}

/// Visits every state that `machine`, which begins at [`Time::ZERO`], can come to within the bounds.
fn search<M: Subject>(machine: M, oldest: Duration) -> Result<Report, Counterexample> {
    let start = State {
        machine,
        now: Time::ZERO,
        fed: 0,
        written: 0,
        outstanding: 0,
        credit: 0,
        deadline: None,
        ended: false,
        shut: false,
        doomed: false,
        closed: false,
    };
    let mut known = Known::default();
    known.insert(start.key(oldest));
    let mut found = alloc::vec![Found { state: start, from: None, depth: 0 }];
    let mut phases = BTreeSet::new();
    let mut at = 0;
    while at < found.len() {
        phases.insert(found[at].state.machine.server().phase());
        if !found[at].state.closed {
            for letter in ALPHABET {
                match found[at].state.next(letter) {
                    Ok(None) => {}
                    Ok(Some(state)) => {
                        if known.insert(state.key(oldest)) {
                            let depth = found[at].depth + 1;
                            found.push(Found { state, from: Some((at, letter)), depth });
                        }
                    }
                    Err(broken) => {
                        let mut letters = path(&found, at);
                        letters.push(letter);
                        return Err(Counterexample { letters, broken });
                    }
                }
            }
        }
        at += 1;
    }
    let depth = found.last().map_or(0, |last| last.depth);
    Ok(Report { states: found.len(), depth, phases })
}

fn path<M>(found: &[Found<M>], to: usize) -> Vec<Letter> {
    let mut letters = Vec::new();
    let mut at = to;
    while let Some((from, letter)) = found[at].from {
        letters.push(letter);
        at = from;
    }
    letters.reverse();
    letters
}

/// The states seen, exactly: by hash, then compared.
struct Known<M> {
    by_hash: BTreeMap<u64, Vec<State<M>>>,
}

impl<M> Default for Known<M> {
    fn default() -> Self {
        Self { by_hash: BTreeMap::new() }
    }
}

impl<M: Subject> Known<M> {
    /// Whether it is new.
    fn insert(&mut self, key: State<M>) -> bool {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let same_hash = self.by_hash.entry(hasher.finish()).or_default();
        if same_hash.contains(&key) {
            return false;
        }
        same_hash.push(key);
        true
    }
}

/// A configuration small enough to search, and the age beyond which its limits make no difference.
struct Bounds {
    buffer: usize,
    chunk: usize,
    max_chunks: usize,
    idle: Option<u64>,
    half_close_idle: Option<u64>,
    max_age: Option<u64>,
    quiet: u64,
    drain: u64,
    linger: u64,
}

impl Bounds {
    const WITHOUT_LIMITS: Self = Self {
        buffer: 3,
        chunk: 2,
        max_chunks: 1,
        idle: None,
        half_close_idle: None,
        max_age: None,
        quiet: 1,
        drain: 2,
        linger: 1,
    };
    const WITH_LIMITS: Self =
        Self { idle: Some(2), half_close_idle: Some(1), max_age: Some(3), ..Self::WITHOUT_LIMITS };

    fn start(&self) -> EchoServer {
        EchoServer::new(self.config(), Time::ZERO)
    }

    fn config(&self) -> Arc<ServerConfig> {
        let nanos = Duration::from_nanos;
        ServerConfig::default()
            .buffer(self.buffer)
            .chunk(self.chunk)
            .max_chunks(self.max_chunks)
            .idle(self.idle.map(nanos))
            .half_close_idle(self.half_close_idle.map(nanos))
            .max_age(self.max_age.map(nanos))
            .quiet(nanos(self.quiet))
            .drain(nanos(self.drain))
            .linger(nanos(self.linger))
            .into()
    }

    fn oldest(&self) -> Duration {
        let limits = [self.idle, self.half_close_idle, self.max_age];
        let required = [self.quiet, self.drain, self.linger];
        Duration::from_nanos(required.into_iter().chain(limits.into_iter().flatten()).max().unwrap())
    }
}

fn assert_searched(name: &str, bounds: &Bounds) {
    let report = match search(bounds.start(), bounds.oldest()) {
        Ok(report) => report,
        Err(counterexample) => panic!("{name}: {counterexample}"),
    };
    std::println!("{name}: {} states, {} letters deep", report.states, report.depth);
    assert!(report.states >= 10_000, "{name}: only {} states", report.states);
    assert!(report.depth >= 12, "{name}: only {} letters deep", report.depth);
    assert_eq!(report.phases.len(), 5, "{name}: only {:?}", report.phases);
}

#[test]
fn every_state_of_a_server_without_limits_keeps_the_invariants() {
    assert_searched("without limits", &Bounds::WITHOUT_LIMITS);
}

#[test]
fn every_state_of_a_server_with_all_limits_keeps_the_invariants() {
    assert_searched("with all limits", &Bounds::WITH_LIMITS);
}

#[test]
fn every_state_of_a_server_with_two_chunks_keeps_the_invariants() {
    let bounds = Bounds { buffer: 2, chunk: 2, max_chunks: 2, quiet: 2, ..Bounds::WITHOUT_LIMITS };
    assert_searched("two chunks, quiet as long as drain", &bounds);
}
