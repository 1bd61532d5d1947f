//! What came of a load, in words.

use std::fmt::Write;
use std::time::Duration;

use super::plan::Plan;
use super::record::Record;
use crate::problem::Exit;
use crate::units::{bytes, grouped, latency, many, per_second, rate};
use crate::verdict::{Checked, Judged};

/// What is told of the latency.
pub(super) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// What came of a load.
pub(super) struct Report<'a> {
    pub(super) plan: Plan,
    /// Bytes of a message.
    pub(super) size: u64,
    /// Messages on their way on a connection, at the most.
    pub(super) in_flight: usize,
    pub(super) record: Record,
    pub(super) checked: Checked,
    pub(super) judged: Judged,
    /// Messages that were to be sent, where that is known.
    pub(super) scheduled: Option<u64>,
    /// Messages that were sent, whole.
    pub(super) sent: u64,
    /// Bytes that the transports took, and that came back.
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    /// Connects that failed, and why the first did.
    pub(super) unconnected: u64,
    pub(super) unconnected_why: Option<&'a str>,
    /// From the start until all was over, or was to be over if that is later.
    pub(super) took: Duration,
    /// It was stopped because what was due was not sent for too long.
    pub(super) overdue: bool,
    /// Something failed beside the messages: a file is not written, a connection could not be driven.
    pub(super) impaired: bool,
}

impl Report<'_> {
    /// Messages that came back, every byte right.
    pub(super) fn ok(&self) -> u64 {
        self.record.ok
    }

    /// Connections on which a byte was wrong: what comes after it on a connection is not judged.
    pub(super) fn wrong(&self) -> u64 {
        self.judged.wrong as u64
    }

    /// Messages that were to be sent and were not.
    pub(super) fn unsent(&self) -> u64 {
        self.scheduled.map_or(0, |scheduled| scheduled.saturating_sub(self.sent))
    }

    /// Messages that were sent, and are neither back nor wrong.
    pub(super) fn unanswered(&self) -> u64 {
        self.sent.saturating_sub(self.ok() + self.wrong())
    }

    /// So many a second.
    pub(super) fn per_second(&self, count: u64) -> f64 {
        per_second(count, self.took)
    }

    /// How the program ends.
    pub(super) fn exit(&self) -> Exit {
        let is_whole = self.unconnected == 0 && !self.impaired && self.sent > 0;
        if self.judged.exit == Exit::Ok && !is_whole { Exit::Incomplete } else { self.judged.exit }
    }

    /// The lines to print.
    pub(super) fn lines(&self) -> String {
        let mut text = self.headline();
        let plan = &self.plan;
        let _ = match plan.rate {
            Some(rate) => write!(
                text,
                "\n  open loop, {}/s on {}: latency counts from when a message was due",
                grouped(rate),
                connections(plan.connections)
            ),
            None => write!(
                text,
                "\n  closed loop on {}: a stall is seen only by what is in flight (--rate sees all of it)",
                connections(plan.connections)
            ),
        };
        let _ =
            write!(text, "\n  sent {}   ok {}   wrong {}", self.of_all(), grouped(self.ok()), self.wrong());
        if self.unanswered() > 0 {
            let _ = write!(text, "   unanswered {}", grouped(self.unanswered()));
        }
        if plan.rate.is_some() {
            let _ = write!(text, "   late starts {}", grouped(self.record.late));
            if self.record.late > 0 {
                let _ = write!(text, " (the latest by {})", latency(self.record.latest));
            }
            lag_words(&mut text, &self.record);
        }
        latency_line(&mut text, &self.record);
        if waits_for_acknowledgements(&self.record) {
            text.push_str(
                "\n  note: most messages took 40 ms, as where Nagle's algorithm waits for a delayed acknowledgement: set TCP_NODELAY \
                 on the server and on each proxy",
            );
        }
        let _ = write!(
            text,
            "\n  {} messages/s, {} there, {} back",
            pace(self.per_second(self.ok())),
            rate(self.per_second(self.sent_bytes)),
            rate(self.per_second(self.received_bytes))
        );
        text
    }

    /// The first of them, with what explains it.
    pub(super) fn headline(&self) -> String {
        if self.judged.found.is_some() {
            return self.judged.lines(&self.checked);
        }
        let what = format!("{} of {}", many(self.ok(), "message"), bytes(self.size));
        let end = if self.checked.half_close { "clean end" } else { "not half-closed" };
        let seconds = self.took.as_secs_f64();
        if self.judged.exit == Exit::Ok && self.unconnected == 0 && self.sent > 0 {
            return format!("ok  {what} back in order, {end}, {seconds:.3} s");
        }
        let why = match self.unconnected_why {
            Some(why) => format!(
                "{} of {} did not connect: {why}",
                grouped(self.unconnected),
                connections(self.plan.connections)
            ),
            None if self.overdue && self.unsent() > 0 => {
                format!("the rate was not reached: {} never sent", many(self.unsent(), "message"))
            }
            None if self.judged.exit == Exit::Ok => "nothing was sent".to_owned(),
            None => "stopped".to_owned(),
        };
        format!("INCOMPLETE  {why}; {what} back in order, {seconds:.3} s")
    }

    fn of_all(&self) -> String {
        match self.scheduled {
            Some(all) if all != self.sent => format!("{} of {}", grouped(self.sent), grouped(all)),
            _ => grouped(self.sent),
        }
    }
}

/// `   lag p50 …   p99 …`: how late the generator itself was, and whether that matters.
pub(super) fn lag_words(text: &mut String, record: &Record) {
    if record.lag.is_empty() {
        return;
    }
    let at = |quantile| latency(Duration::from_nanos(record.lag.value_at_quantile(quantile)));
    let _ = write!(text, "   lag p50 {}   p99 {}", at(0.5), at(0.99));
    if record.lags() {
        text.push_str(" (a tenth of the p50 or more: part of the latencies is waiting to be sent)");
    }
}

/// `p50 …   p90 …`, if anything was measured.
pub(super) fn latency_line(text: &mut String, record: &Record) {
    if record.latency.is_empty() {
        return;
    }
    text.push_str("\n ");
    for (name, quantile) in QUANTILES {
        let _ = write!(text, " {name} {}  ", latency(quantile_of(record, quantile)));
    }
    let _ = write!(text, " max {}", latency(Duration::from_nanos(record.latency.max())));
}

pub(super) fn quantile_of(record: &Record, quantile: f64) -> Duration {
    Duration::from_nanos(record.latency.value_at_quantile(quantile))
}

/// Whether most messages took as long as a delayed acknowledgement: 40 ms on Linux (`TCP_DELACK_MIN`), and some more. Nagle's
/// algorithm holds back what is sent meanwhile (RFC 9293 section 3.7.4).
fn waits_for_acknowledgements(record: &Record) -> bool {
    let delayed = record.latency.count_between(39_000_000, 49_000_000);
    !record.latency.is_empty() && delayed > record.latency.len() / 2
}

fn connections(number: usize) -> String {
    many(number as u64, "connection")
}

/// `12,345`, and `1.25` where that matters.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is neither that large nor negative"
)]
pub(super) fn pace(number: f64) -> String {
    if number < 100.0 { format!("{number:.2}") } else { grouped(number.round() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundtrip_core::Time;
    use roundtrip_echo::RoundTrip;

    #[test]
    fn most_messages_must_have_waited_for_an_acknowledgement() {
        let waits = |millis: &[u64]| {
            let mut record = Record::new(Time::ZERO, Duration::from_secs(1)).unwrap();
            for millis in millis {
                let back = Time::ZERO.after(Duration::from_millis(*millis));
                record.add(RoundTrip { due: Time::ZERO, sent: Time::ZERO, back });
            }
            waits_for_acknowledgements(&record)
        };
        assert!(waits(&[40, 44, 48]) && waits(&[1, 41, 42]));
        assert!(!waits(&[]) && !waits(&[1, 2, 44]) && !waits(&[38, 60, 80]));
    }
}
