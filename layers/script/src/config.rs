//! How a script is bounded, and what came of it.

use std::time::Duration;

use roundtrip_core::Failure;

/// How a [`Script`](crate::Script) bounds memory and time. Bounds of 0 are taken as 1, times of 0 as 1 ns.
///
/// | field | default | meaning |
/// | --- | --- | --- |
/// | `inbox` | 64 KiB | bytes received and not taken by the script; no single read gives more |
/// | `outbox` | 64 KiB | bytes queued and not written; [`write`](crate::ScriptIo::write) waits for room |
/// | `events` | 16 | events not handed over; [`event`](crate::ScriptIo::event) waits for room |
/// | `idle` | none | longest time without a byte moved either way; after the end of the script, without one written; then a reset |
/// | `grace` | 5 s | after a stop: how long the script, and the writing of what it queued, may go on |
/// | `linger` | 2 s | after the script's end and the half-close: longest wait for the peer's end |
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ScriptConfig {
    /// Bytes received and not taken, at least 1.
    pub inbox: usize,
    /// Bytes queued and not written, at least 1.
    pub outbox: usize,
    /// Events not handed over, at least 1.
    pub events: usize,
    /// Longest time without a byte moved. For a quiet end between two messages, limit the read instead:
    /// [`timeout`](crate::ScriptIo::timeout).
    pub idle: Option<Duration>,
    /// Time from a stop to the end of the conversation. Shorter than the drain of the server, or the driver aborts first.
    pub grace: Duration,
    /// Longest wait for the peer's end.
    pub linger: Duration,
}

impl Default for ScriptConfig {
    fn default() -> Self {
        Self {
            inbox: 64 << 10,
            outbox: 64 << 10,
            events: 16,
            idle: None,
            grace: Duration::from_secs(5),
            linger: Duration::from_secs(2),
        }
    }
}

impl ScriptConfig {
    roundtrip_core::setters! {
        inbox: usize,
        outbox: usize,
        events: usize,
        idle: Option<Duration>,
        grace: Duration,
        linger: Duration,
    }
}

/// How a session came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScriptEnd {
    /// The script returned, and all it queued was written.
    Finished,
    /// The script returned after it had asked for a [reset](crate::ScriptIo::reset).
    Reset,
    /// It was stopped and not done when the grace period was over: the connection was reset.
    Stopped,
    /// No byte moved for the configured time: the connection was reset.
    Idle,
    /// It was aborted.
    Aborted,
    /// The transport failed.
    Failed(Failure),
}

/// What came of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ScriptOutcome<O> {
    /// How it came to its end.
    pub end: ScriptEnd,
    /// What the script returned; `None` if it was dropped before it did. The transport may fail after the script returned:
    /// then there is an output, and the end is not [`ScriptEnd::Finished`].
    pub output: Option<O>,
    /// Bytes received.
    pub received: u64,
    /// Bytes that the transport took.
    pub sent: u64,
    /// Of those received, bytes that the script did not take.
    pub unread: u64,
    /// Bytes queued that were not written.
    pub unsent: usize,
}
