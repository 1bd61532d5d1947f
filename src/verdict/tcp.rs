//! What the system's TCP tells of a connection on which nothing moved any more: whether the path carries the bytes, or the
//! peer has them and does not answer.

use roundtrip_echo::ClientOutcome;
use roundtrip_std::{ConnectionReport, TcpInfo};

use crate::units::{bytes, grouped};

/// Retransmission timeouts in a row from which on bytes count as lost on the path. One may be chance.
const LOST: u32 = 2;
/// Every path carries packets of 576 bytes (RFC 791 section 3.1), with up to 120 bytes of headers. A larger segment may be too
/// large.
const SMALL_SEGMENT: u64 = 456;

/// What the system's TCP knew of a connection when it was closed.
#[derive(Clone, Copy)]
pub(crate) struct Tcp {
    pub(crate) info: TcpInfo,
    /// Bytes that the peer's TCP acknowledged. Of TLS, these are its records.
    pub(crate) acknowledged: u64,
    /// Bytes that were sent and not acknowledged.
    pub(crate) unacknowledged: u64,
}

impl Tcp {
    pub(super) fn of(report: &ConnectionReport<ClientOutcome>) -> Option<Self> {
        let mut info = report.tcp?;
        // Our FIN is a segment like the others, and behind them.
        if report.outcome.shut.is_some() {
            info.segments_unacknowledged = info.segments_unacknowledged.saturating_sub(1);
        }
        Some(Self {
            info,
            acknowledged: report.written.saturating_sub(report.destroyed),
            unacknowledged: report.destroyed.saturating_sub(info.unsent),
        })
    }

    /// `the peer's TCP acknowledged 0 of 65,536 bytes, and what followed was sent 4 times again`
    pub(super) fn words(&self) -> Option<String> {
        let Self { info, acknowledged, unacknowledged } = *self;
        let written = acknowledged + unacknowledged + info.unsent;
        if written == 0 {
            return None;
        }
        let resent = match info.timeouts {
            0 => String::new(),
            timeouts => format!(", and what followed was sent {timeouts} times again"),
        };
        let closed = if self.is_window_full() { ", and its receive window is full" } else { "" };
        let of = format!("{} of {}", grouped(acknowledged), bytes(written));
        Some(format!("the peer's TCP acknowledged {of}{resent}{closed}"))
    }

    /// The cause, if it is the path: what was sent again and again is not acknowledged. `passed` bytes came back before.
    pub(super) fn lost_on_path(&self, passed: Option<u64>) -> Option<String> {
        let Self { info, unacknowledged, .. } = *self;
        if unacknowledged == 0 && info.unsent > 0 && info.window.is_some_and(|window| window > info.segment) {
            return Some(
                "this host sends nothing: its firewall, queue or network device drops it".to_owned(),
            );
        }
        if unacknowledged == 0 || info.timeouts < LOST {
            return None;
        }
        // What is sent again is the first of these segments, which is as long as the others on the average.
        let average = unacknowledged.div_ceil(u64::from(info.segments_unacknowledged.max(1)));
        let segment = unacknowledged.min(u64::from(info.segment));
        if average <= SMALL_SEGMENT {
            return Some(
                "the path carries nothing any more: it is broken, or a firewall drops it".to_owned(),
            );
        }
        let small = passed.filter(|passed| *passed <= segment);
        let proof = match small {
            Some(passed) => format!("{} passed before", bytes(passed)),
            None => "--sizes 400,1200,1400 shows what passes".to_owned(),
        };
        Some(format!(
            "the path drops large packets, here of up to {} and headers (MTU): lower the MTU, or clamp the MSS; {proof}",
            bytes(segment)
        ))
    }

    /// The cause, if the peer's TCP has all that it takes and nothing came back. Without a half-close the peer may wait for more.
    pub(super) fn unanswered(&self, is_half_closed: bool) -> Option<String> {
        let words = if self.is_window_full() {
            "the peer does not read: it is no echo server, or stuck"
        } else if self.unacknowledged + self.info.unsent > 0 || self.acknowledged == 0 {
            return None;
        } else if is_half_closed {
            "the peer has it all and sent nothing: it is no echo server, or stuck, or the path back is broken"
        } else {
            "the peer has it all and sent nothing: it is no echo server, or waits for more, or the path back is broken"
        };
        Some(words.to_owned())
    }

    /// Whether the peer's TCP takes no more than it has: what it reads in small pieces is not announced (RFC 9293 section 3.8.6.2.2).
    fn is_window_full(&self) -> bool {
        let Self { info, unacknowledged, .. } = self;
        *unacknowledged == 0 && info.unsent > 0 && info.window.is_some_and(|window| window <= info.segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(acknowledged: u64, unacknowledged: u64, info: impl FnOnce(&mut TcpInfo)) -> Tcp {
        let mut tcp = Tcp { info: TcpInfo::default(), acknowledged, unacknowledged };
        (tcp.info.segment, tcp.info.window) = (1448, Some(65_536));
        info(&mut tcp.info);
        tcp
    }

    /// `segments` of them are on their way, and `timeouts` passed since.
    fn lost(unacknowledged: u64, segments: u32, timeouts: u32) -> Tcp {
        tcp(0, unacknowledged, |info| (info.segments_unacknowledged, info.timeouts) = (segments, timeouts))
    }

    #[test]
    fn large_segments_that_are_sent_again_and_again_tell_of_the_mtu() {
        let likely = |tcp: Tcp, passed| tcp.lost_on_path(passed).unwrap_or_default();
        let words = "the path drops large packets, here of up to 1,448 bytes and headers (MTU): lower the MTU, or clamp the MSS; ";
        assert_eq!(
            likely(lost(14_480, 10, 2), None),
            format!("{words}--sizes 400,1200,1400 shows what passes")
        );
        assert_eq!(likely(lost(14_480, 10, 2), Some(1200)), format!("{words}1,200 bytes passed before"));
        // 9,000 bytes are not one packet.
        assert_eq!(
            likely(lost(14_480, 10, 2), Some(9000)),
            format!("{words}--sizes 400,1200,1400 shows what passes")
        );
    }

    #[test]
    fn one_timeout_is_no_proof() {
        assert_eq!(lost(14_480, 10, 1).lost_on_path(None), None);
        assert_eq!(tcp(100, 0, |_| ()).lost_on_path(None), None);
    }

    #[test]
    fn small_segments_that_are_sent_again_and_again_tell_of_a_broken_path() {
        let likely = lost(100, 1, 4).lost_on_path(None).unwrap();
        assert_eq!(likely, "the path carries nothing any more: it is broken, or a firewall drops it");
    }

    #[test]
    fn what_is_not_sent_although_the_window_is_open_is_dropped_by_this_host() {
        let unsent = |window| tcp(0, 0, |info| (info.unsent, info.window) = (9000, window));
        let likely = unsent(Some(65_536)).lost_on_path(None).unwrap();
        assert_eq!(likely, "this host sends nothing: its firewall, queue or network device drops it");
        assert_eq!(unsent(Some(0)).lost_on_path(None), None);
        assert_eq!(unsent(None).lost_on_path(None), None);
        assert_eq!(
            unsent(Some(0)).unanswered(false).unwrap(),
            "the peer does not read: it is no echo server, or stuck"
        );
        // The system does not tell which of both.
        assert_eq!(unsent(None).unanswered(false), None);
    }

    #[test]
    fn what_the_peer_acknowledged_is_told() {
        let words = |tcp: Tcp| tcp.words().unwrap_or_default();
        assert_eq!(words(tcp(0, 0, |_| ())), "");
        assert_eq!(words(tcp(1000, 0, |_| ())), "the peer's TCP acknowledged 1,000 of 1,000 bytes");
        assert_eq!(
            words(lost(1000, 1, 3)),
            "the peer's TCP acknowledged 0 of 1,000 bytes, and what followed was sent 3 times again"
        );
        assert_eq!(
            words(tcp(1000, 0, |info| (info.unsent, info.window) = (500, Some(0)))),
            "the peer's TCP acknowledged 1,000 of 1,500 bytes, and its receive window is full"
        );
    }
}
