//! The fuzz targets, as plain functions of bytes: they return, or panic with what is wrong.
//!
//! No fuzzer is in here. `fuzz/` links each of them to one; `tests/integration/main.rs` replays what fuzzers have found
//! of interest under plain `cargo test`. How to run them, and their figures: `docs/fuzzing.md`.
//!
//! | target | bytes are | what is held to what |
//! | --- | --- | --- |
//! | `server_ops` | operations on a server session | the reference model, I1–I8 and I10, I9 against the same history unsliced |
//! | `client_ops` | operations on a client session, a peer that tampers | I3–I8, I9 as a differential, an honest echo is verified |
//! | `pinger_ops` | operations on a load's session, the same peer | I3–I8; when each message was due, sent and back |
//! | `session_ops` | operations on a session of a protocol that does what the bytes say | I2–I8, the answers against a simple reading of the bytes, every stop ends |
//! | `admission_ops` | a day at a door | the rules of the door; every stop ends |
//! | `config_ops` | numbers for every configuration | the documented bounds |
//! | `datagram_ops` | operations on the machines of datagrams | bounded work, I3–I5, what is answered was asked, every stop ends |
//! | `schedule` | the choices of a simulated run | every invariant of the scenario |
//! | `trace_parse` | a trace's file | printed and read back it is the same; its replay holds |
//! | `report_parse` | a campaign's report | printed and read back it is the same; merging does not panic |
//! | `endpoint_parse` | an endpoint | printed and read back it is the same |
//! | `script_parse` | a conformance script | printed and read back it is the same |
//! | `record_parse` | a record of sessions; the same, summed up anew; operations | no panic, and a position; what is recorded of the operations is replayed, and with a byte flipped it is not |
//! | `resp_ops` | what a peer of `examples/resp` sends | the same sent in other pieces; replies are read back, calls end once |
//! | `http_ops` | requests to `examples/http` | the same sent in other pieces; as many responses as requests, each well formed |
//! | `units_parse` | sizes, counts, rates, threads, times of the command line | their bounds; what is printed is read back |

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a target panics where something is wrong"
)]

mod datagrams;
mod driving;
mod http;
mod ops;
mod parsers;
mod records;
mod resp;
pub mod schedule;
#[cfg(feature = "seeds")]
pub mod seeds;
mod sessions;
#[allow(dead_code, reason = "the program uses all of it")]
// The program has no library that could be linked.
#[path = "../../../src/units.rs"]
mod units;

pub use datagrams::datagram_ops;
pub use http::http_ops;
pub use ops::{admission_ops, client_ops, config_ops, pinger_ops, server_ops};
pub use parsers::{endpoint_parse, report_parse, script_parse, trace_parse, units_parse};
pub use records::record_parse;
pub use resp::resp_ops;
pub use schedule::schedule;
pub use sessions::session_ops;

use roundtrip_testkit::model;

/// A target's name and what it is.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 16] = [
    ("server_ops", server_ops),
    ("client_ops", client_ops),
    ("pinger_ops", pinger_ops),
    ("session_ops", session_ops),
    ("admission_ops", admission_ops),
    ("config_ops", config_ops),
    ("datagram_ops", datagram_ops),
    ("schedule", schedule),
    ("trace_parse", trace_parse),
    ("report_parse", report_parse),
    ("endpoint_parse", endpoint_parse),
    ("script_parse", script_parse),
    ("record_parse", record_parse),
    ("units_parse", units_parse),
    ("resp_ops", resp_ops),
    ("http_ops", http_ops),
];
