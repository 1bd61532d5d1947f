//! `TCP_INFO`, which has no safe wrapper: tcp(7).

use std::mem::offset_of;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::raw_option;
use crate::TcpInfo;

impl TcpInfo {
    /// What Linux knows of a connection; none of a socket that is not a TCP connection.
    pub(super) fn of(socket: BorrowedFd<'_>) -> Option<Self> {
        // SAFETY: the structure holds numbers alone, for which every bit pattern is a value.
        #[allow(unsafe_code, reason = "see above")]
        let (info, len) =
            unsafe { raw_option::get::<libc::tcp_info>(socket, libc::IPPROTO_TCP, libc::TCP_INFO)? };
        // Since Linux 5.4.
        let has_window = len >= offset_of!(libc::tcp_info, tcpi_snd_wnd) + size_of::<u32>();
        Some(Self {
            unsent: u64::from(info.tcpi_notsent_bytes),
            segments_unacknowledged: info.tcpi_unacked,
            timeouts: u32::from(info.tcpi_retransmits),
            retransmissions: info.tcpi_total_retrans,
            window: has_window.then_some(info.tcpi_snd_wnd),
            segment: info.tcpi_snd_mss,
            round_trip: Duration::from_micros(u64::from(info.tcpi_rtt)),
        })
    }
}
