//! Probes on connections that are silent.

use std::io;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

/// When TCP probes a silent connection, and gives it up: RFC 9293 section 3.8.4, tcp(7). Without probes, the connection of a
/// peer that vanished stays open forever.
///
/// A connection with bytes in flight is not silent: there, retransmissions end it.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Keepalive {
    /// Silence before the first probe: `TCP_KEEPIDLE`, 60 s by default.
    pub idle: Duration,
    /// Time between two probes: `TCP_KEEPINTVL`, 10 s by default.
    pub interval: Duration,
    /// Probes without an answer until the connection is given up: `TCP_KEEPCNT`, 6 by default, maximum 127. Windows before version
    /// 1703 of Windows 10 has a number of its own.
    pub probes: u32,
}

impl Default for Keepalive {
    /// A vanished peer is noticed after two minutes.
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), interval: Duration::from_secs(10), probes: 6 }
    }
}

/// The longest time that Linux takes: `MAX_TCP_KEEPIDLE`.
const MAX_SECONDS: u64 = 32_767;
/// `MAX_TCP_KEEPCNT`.
const MAX_PROBES: u32 = 127;

/// The system has no such option.
#[cfg(windows)]
const WSAENOPROTOOPT: i32 = windows_sys::Win32::Networking::WinSock::WSAENOPROTOOPT;

impl Keepalive {
    roundtrip_core::setters! {
        idle: Duration,
        interval: Duration,
        probes: u32,
    }

    /// Systems count in whole seconds: times are rounded up, and cut to what Linux takes.
    pub(super) fn apply(self, socket: &Socket) -> io::Result<()> {
        let seconds = |time: Duration| {
            let part = u64::from(time.subsec_nanos() > 0);
            Duration::from_secs(time.as_secs().saturating_add(part).clamp(1, MAX_SECONDS))
        };
        let options = TcpKeepalive::new().with_time(seconds(self.idle));
        #[cfg(windows)]
        let without_probes = options.clone().with_interval(seconds(self.interval));
        #[cfg(any(
            target_os = "linux",
            target_os = "android",
            target_vendor = "apple",
            target_os = "freebsd",
            windows
        ))]
        let options =
            options.with_interval(seconds(self.interval)).with_retries(self.probes.clamp(1, MAX_PROBES));
        let set = socket.set_tcp_keepalive(&options);
        #[cfg(windows)]
        if set.as_ref().is_err_and(|error| error.raw_os_error() == Some(WSAENOPROTOOPT)) {
            return socket.set_tcp_keepalive(&without_probes);
        }
        set
    }
}
