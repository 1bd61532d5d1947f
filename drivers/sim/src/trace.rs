//! Traces: a failure as a file, in JSON lines, that later releases can still run.
//!
//! ```text
//! {"roundtrip-trace":1,"scenario":"echo","seed":7,"verdict":"stuck","found":"…","events":9,"time":4000000,"hash":"…"}
//! {"who":"client.0","site":"short-write","k":0,"n":64,"v":3}
//! {"t":1000000,"e":2,"who":"client.0","what":"connected","n":0}
//! {"decisions":1,"lines":1}
//! ```
//!
//! The first line says what it is, then come the decisions, which are all that a replay reads, then what happened,
//! which it only compares, and last how much there was, so that a torn file is noticed. Times are nanoseconds.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::choose::{Decision, Entity, Family, Replay, Site};
use crate::line::{Line, What};
use crate::run::{Recording, Runner, Simulation};

/// The version that is written, and the newest that is read.
const VERSION: u64 = 1;

/// A recorded run, on its way to a file or from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The scenario's name.
    pub scenario: String,
    /// The seed with which it was found; none if it was not found with one.
    pub seed: Option<u64>,
    /// The verdict's [id](crate::Verdict::id).
    pub verdict: String,
    /// What was found, in words.
    pub found: String,
    /// Events that happened.
    pub events: u64,
    /// How long it took, in nanoseconds of its own.
    pub time: u64,
    /// The hash of the run.
    pub hash: u64,
    /// The choices that were not benign, sorted.
    pub decisions: Vec<Decision>,
    /// What happened.
    pub lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(rename = "roundtrip-trace")]
    version: u64,
    scenario: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    verdict: String,
    found: String,
    events: u64,
    time: u64,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionLine {
    who: String,
    site: String,
    k: u32,
    n: u32,
    v: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    t: u64,
    e: u64,
    who: String,
    what: String,
    n: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Foot {
    decisions: usize,
    lines: usize,
}

/// Enough of the first line to tell what it is, whatever later versions add to it.
#[derive(Deserialize)]
struct Version {
    #[serde(rename = "roundtrip-trace")]
    version: Option<u64>,
}

/// A trace that cannot be read: in which line, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub cause: TraceErrorCause,
}

/// What is wrong with a line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceErrorCause {
    /// The file is empty, or does not begin like a trace.
    NotATrace,
    /// It was written by a later release.
    Newer(u64),
    /// It is no line of a trace: what the parser says.
    Malformed(String),
    /// A name that nothing has in this release.
    Unknown(String),
    /// A decision that nobody can have made.
    Impossible,
    /// The same choice twice.
    Twice,
    /// The file ends before the trace does.
    Truncated,
    /// It says that there is another number of decisions or lines than there is.
    Miscounted,
    /// There is more after the end.
    Trailing,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.cause {
            TraceErrorCause::NotATrace => f.write_str("this is no trace"),
            TraceErrorCause::Newer(version) => {
                write!(f, "the trace has version {version}, and this release reads up to {VERSION}")
            }
            TraceErrorCause::Malformed(why) => f.write_str(why),
            TraceErrorCause::Unknown(name) => {
                write!(f, "nothing is called `{}` in this release", name.escape_debug())
            }
            TraceErrorCause::Impossible => f.write_str("no choice can have been so: it takes 0 < v < n"),
            TraceErrorCause::Twice => f.write_str("this choice was made before"),
            TraceErrorCause::Truncated => f.write_str("the file ends before the trace does"),
            TraceErrorCause::Miscounted => f.write_str("decisions or lines are missing before this"),
            TraceErrorCause::Trailing => f.write_str("the trace has ended before this"),
        }
    }
}

impl Error for TraceError {}

impl Trace {
    /// The trace of a recording.
    pub fn new(scenario: &str, seed: Option<u64>, recording: Recording) -> Self {
        let Recording { run, decisions, lines } = recording;
        Self {
            scenario: scenario.to_owned(),
            seed,
            verdict: run.verdict.id().to_owned(),
            found: run.verdict.found().to_owned(),
            events: run.events,
            time: run.time,
            hash: run.hash,
            decisions,
            lines,
        }
    }

    /// Reads a trace.
    ///
    /// # Errors
    ///
    /// The first line that is wrong, and why.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        // Pasted into a test, it may be indented.
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let fail = |line, cause| TraceError { line, cause };
        let malformed =
            |line| move |error: serde_json::Error| fail(line, TraceErrorCause::Malformed(plain(&error)));
        let first = lines.next().map(|(_, line)| line).unwrap_or_default();
        match serde_json::from_str::<Version>(first) {
            Ok(Version { version: Some(version) }) if version > VERSION => {
                return Err(fail(1, TraceErrorCause::Newer(version)));
            }
            Ok(Version { version: Some(1..) }) => {}
            _ => return Err(fail(1, TraceErrorCause::NotATrace)),
        }
        let head: Head = serde_json::from_str(first).map_err(malformed(1))?;
        let hash = u64::from_str_radix(&head.hash, 16).map_err(|_| {
            fail(1, TraceErrorCause::Malformed("the hash is no number of base 16".to_owned()))
        })?;
        let mut trace = Self {
            scenario: head.scenario,
            seed: head.seed,
            verdict: head.verdict,
            found: head.found,
            events: head.events,
            time: head.time,
            hash,
            decisions: Vec::new(),
            lines: Vec::new(),
        };
        let mut last = 1;
        for (number, line) in lines.by_ref() {
            last = number;
            if line.starts_with("{\"who\"") {
                let decision = decision(line, number)?;
                trace.decisions.push(decision);
            } else if line.starts_with("{\"t\"") {
                trace.lines.push(event(line, number)?);
            } else {
                let foot: Foot = serde_json::from_str(line).map_err(malformed(number))?;
                if (foot.decisions, foot.lines) != (trace.decisions.len(), trace.lines.len()) {
                    return Err(fail(number, TraceErrorCause::Miscounted));
                }
                if let Some((number, _)) = lines.next() {
                    return Err(fail(number, TraceErrorCause::Trailing));
                }
                trace.decisions.sort_unstable();
                let twice = trace
                    .decisions
                    .windows(2)
                    .any(|two| (two[0].who, two[0].site, two[0].k) == (two[1].who, two[1].site, two[1].k));
                return if twice { Err(fail(number, TraceErrorCause::Twice)) } else { Ok(trace) };
            }
        }
        Err(fail(last, TraceErrorCause::Truncated))
    }

    /// Runs it again and compares what happens.
    ///
    /// # Errors
    ///
    /// Where the run goes another way: the machine, the scenario or the simulator is not what it was.
    pub fn replay<S: Simulation>(&self, scenario: &S) -> Result<Recording, Box<Divergence>> {
        let recording = Runner::new(scenario).record(Replay::new(&self.decisions));
        let is_same = self.lines == recording.lines
            && self.verdict == recording.run.verdict.id()
            && self.hash == recording.run.hash;
        if is_same { Ok(recording) } else { Err(Box::new(Divergence::between(&self.lines, recording))) }
    }

    /// A choice of the scenario's that its replay was not asked for again, or not from as many values: then it stands for
    /// another workload, and what the replay came to says nothing about the failure that was recorded. The model's own
    /// choices may come and go with the bug.
    pub fn stale(&self, replayed: &Recording) -> Option<Decision> {
        let is_asked = |then: &Decision| {
            let same =
                |now: &Decision| (now.who, now.site, now.k, now.n) == (then.who, then.site, then.k, then.n);
            replayed.decisions.iter().any(same)
        };
        let workload = |decision: &&Decision| decision.site.family() == Family::Workload;
        self.decisions.iter().filter(workload).find(|decision| !is_asked(decision)).copied()
    }
}

/// Where a replay went another way than the recorded run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// So many lines were the same.
    pub at: usize,
    /// What happened next when it was recorded.
    pub then: Option<Line>,
    /// What happens next now.
    pub now: Option<Line>,
    /// What happens now, as a whole.
    pub recording: Recording,
}

impl Divergence {
    /// The first line in which `recording` is not what happened `then`.
    pub fn between(then: &[Line], recording: Recording) -> Self {
        let at = then.iter().zip(&recording.lines).take_while(|(then, now)| then == now).count();
        Self { at, then: then.get(at).copied(), now: recording.lines.get(at).copied(), recording }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut side = |name: &str, line: Option<Line>| match line {
            Some(line) => writeln!(f, "  {name}: {line}"),
            None => writeln!(f, "  {name}: nothing more"),
        };
        side("then", self.then)?;
        side("now ", self.now)?;
        write!(f, "  after {} lines that are the same", self.at)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.time / 1_000_000_000, self.time % 1_000_000_000);
        write!(
            f,
            "{seconds}.{nanos:09} s, event {}: {} {} {}",
            self.event,
            self.who,
            self.what.name(),
            self.n
        )
    }
}

impl fmt::Display for Trace {
    /// The trace as it is in a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = Head {
            version: VERSION,
            scenario: self.scenario.clone(),
            seed: self.seed,
            verdict: self.verdict.clone(),
            found: self.found.clone(),
            events: self.events,
            time: self.time,
            hash: format!("{:016x}", self.hash),
        };
        writeln!(f, "{}", json(&head)?)?;
        for Decision { who, site, k, n, v } in &self.decisions {
            let line = DecisionLine { who: who.to_string(), site: site.to_string(), k: *k, n: *n, v: *v };
            writeln!(f, "{}", json(&line)?)?;
        }
        for Line { time, event, who, what, n } in &self.lines {
            let line =
                EventLine { t: *time, e: *event, who: who.to_string(), what: what.name().to_owned(), n: *n };
            writeln!(f, "{}", json(&line)?)?;
        }
        writeln!(f, "{}", json(&Foot { decisions: self.decisions.len(), lines: self.lines.len() })?)
    }
}

fn json(value: &impl Serialize) -> Result<String, fmt::Error> {
    serde_json::to_string(value).map_err(|_| fmt::Error)
}

/// What the parser says, without its own count of lines, which is that of one line.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line 1 column ") {
        Some((cause, column)) => format!("{cause} (column {column})"),
        None => text,
    }
}

fn decision(line: &str, number: usize) -> Result<Decision, TraceError> {
    let fail = |cause| TraceError { line: number, cause };
    let DecisionLine { who, site, k, n, v } =
        serde_json::from_str(line).map_err(|error| fail(TraceErrorCause::Malformed(plain(&error))))?;
    let who: Entity = who.parse().map_err(|_| fail(TraceErrorCause::Unknown(who)))?;
    let site: Site = site.parse().map_err(|_| fail(TraceErrorCause::Unknown(site)))?;
    if v == 0 || v >= n {
        return Err(fail(TraceErrorCause::Impossible));
    }
    Ok(Decision { who, site, k, n, v })
}

fn event(line: &str, number: usize) -> Result<Line, TraceError> {
    let fail = |cause| TraceError { line: number, cause };
    let EventLine { t, e, who, what, n } =
        serde_json::from_str(line).map_err(|error| fail(TraceErrorCause::Malformed(plain(&error))))?;
    let who: Entity = who.parse().map_err(|_| fail(TraceErrorCause::Unknown(who)))?;
    let found = What::ALL.iter().find(|known| known.name() == what);
    let what = *found.ok_or_else(|| fail(TraceErrorCause::Unknown(what)))?;
    Ok(Line { time: t, event: e, who, what, n })
}
