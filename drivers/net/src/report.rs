//! What came of a connection, and of a server.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use roundtrip_core::admission::AdmissionStats;

/// What came of driving one connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectionReport<O> {
    /// The machine's own outcome.
    pub outcome: O,
    /// Bytes that the transport took, what completed after the machine's end included.
    pub written: u64,
    /// Bytes that were still readable when the connection was torn down: the peer sent them, its TCP got them
    /// acknowledged, and they were not read.
    pub unread: u64,
    /// Bytes that were readable when the machine [began to discard](roundtrip_core::Machine::discards_input) what it reads; none if it did not.
    pub unread_at_cut: Option<u64>,
    /// Bytes that were written and not acknowledged when the connection was reset: up to this many of `written` never
    /// arrived. 0 after an orderly close, which delivers them.
    pub destroyed: u64,
    /// Events that were dropped after an abort, because their channel was full.
    pub undelivered: u64,
    /// What the system's TCP knew of the connection right before it was closed; none without TCP, and on other systems than
    /// Linux.
    pub tcp: Option<TcpInfo>,
    /// What the operating system said, if the transport failed.
    pub failure: Option<CallFailed>,
}

impl<O> ConnectionReport<O> {
    /// An end with this outcome, of a connection that neither moved nor lost a byte.
    pub const fn new(outcome: O) -> Self {
        Self {
            outcome,
            written: 0,
            unread: 0,
            unread_at_cut: None,
            destroyed: 0,
            undelivered: 0,
            tcp: None,
            failure: None,
        }
    }

    /// The same end with another outcome.
    pub fn map<T>(self, map: impl FnOnce(O) -> T) -> ConnectionReport<T> {
        let Self { outcome, written, unread, unread_at_cut, destroyed, undelivered, tcp, failure } = self;
        ConnectionReport {
            outcome: map(outcome),
            written,
            unread,
            unread_at_cut,
            destroyed,
            undelivered,
            tcp,
            failure,
        }
    }

    /// Bytes that the peer had sent and that the outcome does not account for, as lost and refused: those that it sent before
    /// the conversation was cut, and after that. The machine says how many it `discarded` after the cut; what it dropped before
    /// is not among them.
    pub fn unaccounted(&self, discarded: u64) -> (u64, u64) {
        let after = discarded + self.unread;
        match self.unread_at_cut {
            None => (after, 0),
            Some(at_cut) => (after.min(at_cut), after.saturating_sub(at_cut)),
        }
    }
}

/// What the system's TCP knows of a connection: `TCP_INFO` of tcp(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// Bytes that were written and never sent: the receive window of the peer or the congestion window is full, or this host
    /// drops what is sent.
    pub unsent: u64,
    /// Segments that were sent and are not acknowledged.
    pub segments_unacknowledged: u32,
    /// Retransmission timeouts in a row without an acknowledgement in between (RFC 6298 section 5).
    pub timeouts: u32,
    /// Segments that were sent again, in all.
    pub retransmissions: u32,
    /// Bytes that the peer's TCP would take (its receive window); none if the system does not tell.
    pub window: Option<u32>,
    /// Maximum bytes of a segment that is sent (MSS, RFC 9293 section 3.7.1).
    pub segment: u32,
    /// Smoothed round-trip time (RFC 6298 section 2).
    pub round_trip: Duration,
}

/// A call to the operating system failed, and with it the transport.
#[derive(Debug)]
#[non_exhaustive]
pub struct CallFailed {
    /// The call.
    pub call: Call,
    /// What the system said.
    pub error: io::Error,
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = match self.call {
            Call::Read => "cannot read",
            Call::Write => "cannot write",
            Call::HalfClose => "cannot half-close",
            Call::Wait => "cannot wait",
        };
        write!(f, "{call}: {}", self.error)
    }
}

impl Error for CallFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// A call that a driver makes for a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// Reading: recv(2).
    Read,
    /// Writing: send(2).
    Write,
    /// Half-closing: shutdown(2).
    HalfClose,
    /// Waiting: poll(2).
    Wait,
}

impl Call {
    /// What to make of an error of this call.
    pub fn failed(self) -> impl FnOnce(io::Error) -> CallFailed {
        move |error| CallFailed { call: self, error }
    }
}

/// What came of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections admitted, refused and failed.
    pub admission: AdmissionStats,
    /// Panics of a machine or of the application: a connection whose machine panicked was reset, the others went on.
    pub panicked: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_before_the_cut_is_lost_and_the_rest_refused() {
        let ended =
            |unread, unread_at_cut| ConnectionReport { unread, unread_at_cut, ..ConnectionReport::new(()) };
        assert_eq!(ended(5, None).unaccounted(0), (5, 0));
        assert_eq!(ended(5, Some(0)).unaccounted(7), (0, 12));
        assert_eq!(ended(5, Some(9)).unaccounted(7), (9, 3));
        // The peer reset what was there.
        assert_eq!(ended(0, Some(9)).unaccounted(7), (7, 0));
    }
}
