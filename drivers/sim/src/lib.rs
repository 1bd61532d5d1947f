//! Any sans-IO machine, any seed, any fault, and the shortest schedule that fails.
//!
//! A [`Scenario`] puts the machines of two sides together: who listens, who dials, what must hold. A run takes them
//! through a hostile network in virtual time: windows of a byte, short reads and writes, writes that complete late,
//! half-closes that cross, resets that destroy data or overtake it, stalls, crashes, clocks that jump. Then all heals,
//! and everything must end. No executor, no sockets, no threads inside a run.
//!
//! ```text
//!  Seeded ─┐                                      ┌─▶ Run: verdict, hash, goals reached
//!  Replay ─┼─▶ choices ─▶ [ Scenario in a world ] ┤
//!  Fuzz ───┤   0: benign                          └─▶ Recording ─▶ shrink ─▶ diagram, html, Trace
//!  Exhaust ┘
//! ```
//!
//! Every choice that a run makes is asked of one [`Chooser`](choose::Chooser), by name, and 0 is always the benign one. So
//! a run is its decisions: the few choices that were not 0. They are what is recorded, replayed and shrunk.
//!
//! Start with the [tutorial]: a machine with a bug, the seed that finds it, the picture, the fix. In a test it is one line:
//!
//! ```
//! # use roundtrip_scenarios::Echo;
//! roundtrip_sim::check(&Echo, 0..1000);
//! ```
//!
//! | to | use |
//! | --- | --- |
//! | test in `#[test]` | [`check`], [`replay()`] |
//! | run one schedule | [`Runner`] with [`Seeded`](choose::Seeded), [`Replay`](choose::Replay), [`FuzzBytes`](choose::FuzzBytes) or [`Exhaustive`](choose::Exhaustive) |
//! | run millions | [`campaign`] |
//! | understand a failure | [`shrink()`], [`diagram()`], [`html()`], [`Trace`] |
//!
//! A [`DatagramScenario`], run as [`OverDatagrams`], does the same with machines of datagrams: they are lost, repeated,
//! delayed, damaged, and refused, and nothing else is promised.
//!
//! # What a verdict means
//!
//! | verdict | what happened |
//! | --- | --- |
//! | the name of an invariant | [`Scenario::check`] or [`Scenario::finished`] found it broken |
//! | `I3`, `I4`, `I5`, `I7` | a machine broke its [contract](roundtrip_core::Machine) |
//! | `misuse` | a machine was told what it had not asked for |
//! | `stuck` | something did not end after all faults had: it says who waits for what |
//! | `livelock` | something went on without an end |
//! | `panic` | a machine, a hub or a check panicked |
//!
//! # The same run, always
//!
//! A run depends on its scenario and its choices alone: integers only, no clock, no order of a hash table. The hash of a run
//! covers what happened, when and to whom, every input and action, all bytes written, and the verdict. It is the same in
//! debug and release, on any number of threads, after any other run.
//!
//! # What the model leaves out
//!
//! Two sides, one server. Of streams, bytes never vanish in the middle of a stream, because TCP sends them again: loss is a
//! stall. Acknowledgements take no time. There is no Nagle algorithm, no delayed acknowledgement, no urgent data, no
//! `TIME_WAIT`. A table in `tests/conformance` of the repository compares it with a kernel, and its scripts run on both.

#![forbid(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "one path is run for every event of every schedule, and its cost is counted"
)]

pub mod campaign;
mod check;
pub mod choose;
mod connection;
mod context;
mod datagram;
mod diagram;
mod driver;
mod hash;
mod html;
mod line;
mod node;
mod pipe;
mod place;
mod queue;
mod quiet;
mod run;
mod scenario;
mod short;
mod shrink;
mod trace;
#[doc = include_str!("../TUTORIAL.md")]
pub mod tutorial {}
mod world;

pub use check::{check, replay};
pub use connection::{Connection, Did, End, Injected, Side};
pub use datagram::{Clients, DatagramScenario, DatagramSetup, OverDatagrams, Passed};
pub use diagram::diagram;
pub use hash::Rolling;
pub use html::html;
pub use line::{Line, What};
pub use run::{Recording, Run, Runner, Simulation, Verdict};
pub use scenario::{
    ConnectionOf, Draw, DriverFlaw, Moment, Order, Reached, Scenario, Setup, Violation, client_and_round,
};
pub use shrink::{Shrunk, shrink};
pub use trace::{Divergence, Trace, TraceError, TraceErrorCause};
