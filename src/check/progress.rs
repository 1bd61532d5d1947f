//! How far a check has come: each second on a terminal, every ten seconds elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roundtrip_core::{Action, Input, Machine, Observe, Time};
use roundtrip_echo::EchoClient;
use roundtrip_std::{Clock, SystemClock};

use crate::out;
use crate::problem::Problem;
use crate::units::{bytes, grouped, per_second, rate};

/// From one line to the next, on a terminal and in a log.
const ON_TERMINAL: Duration = Duration::from_secs(1);
const IN_LOG: Duration = Duration::from_secs(10);

/// Counts the bytes that come back to a client, for `back`, and passes on what it sees.
pub(super) struct Counting<O> {
    pub(super) observer: O,
    pub(super) back: Arc<AtomicU64>,
}

impl<O: Observe<EchoClient>> Observe<EchoClient> for Counting<O> {
    fn input(&mut self, now: Time, input: &Input<<EchoClient as Machine>::Command>) {
        if let Input::Data(bytes) = input {
            self.back.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        self.observer.input(now, input);
    }

    fn action(
        &mut self,
        now: Time,
        action: &Action<<EchoClient as Machine>::Event, <EchoClient as Machine>::Outcome>,
    ) {
        self.observer.action(now, action);
    }
}

/// Does `work`, and shows on standard error meanwhile how many of the `total` bytes are back.
pub(super) fn shown<R>(back: &AtomicU64, total: u64, work: impl FnOnce() -> R) -> Result<R, Problem> {
    let (clock, bar) = (SystemClock::new(), out::progress_line());
    let period = if bar.is_some() { ON_TERMINAL } else { IN_LOG };
    let show = || {
        let line = line(back.load(Ordering::Relaxed), total, clock.now().since(Time::ZERO));
        match &bar {
            Some(bar) => {
                bar.set_message(line);
                bar.tick();
            }
            None => out::complain(line),
        }
    };
    out::meanwhile(period, show, work)
}

/// `5,000,000 of 10,000,000 bytes back after 10 s, 500 kB/s, 10 s left`
fn line(back: u64, total: u64, since: Duration) -> String {
    let pace = per_second(back, since);
    let left = total.saturating_sub(back);
    let rest = match left {
        0 => "waiting for the end".to_owned(),
        _ if back == 0 => "time left unknown".to_owned(),
        // The bytes that are back took `since`.
        _ => format!("{} s left", grouped(since.as_secs().saturating_mul(left) / back)),
    };
    let seconds = since.as_secs();
    format!("{} of {} back after {seconds} s, {}, {rest}", grouped(back), bytes(total), rate(pace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_is_back_and_how_long_the_rest_takes() {
        let line = |back, seconds| line(back, 10_000_000, Duration::from_secs(seconds));
        assert_eq!(line(5_000_000, 10), "5,000,000 of 10,000,000 bytes back after 10 s, 500 kB/s, 10 s left");
        assert_eq!(line(2_500_000, 10), "2,500,000 of 10,000,000 bytes back after 10 s, 250 kB/s, 30 s left");
        assert_eq!(line(0, 20), "0 of 10,000,000 bytes back after 20 s, 0.00 B/s, time left unknown");
        assert_eq!(
            line(10_000_000, 20),
            "10,000,000 of 10,000,000 bytes back after 20 s, 500 kB/s, waiting for the end"
        );
    }

    #[test]
    fn a_seconds_work_leaves_no_line_behind() {
        assert_eq!(shown(&AtomicU64::new(0), 10, || 7).unwrap(), 7);
    }
}
