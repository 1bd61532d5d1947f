//! What came of a load, in words.

use std::fmt::Write;
use std::time::Duration;

use super::plan::Plan;
use super::record::Record;
use crate::problem::Exit;
use crate::units::{bytes, grouped, latency, many, rate};
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
    /// Bytes that the transports took, and that came back.
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    /// Connects that failed, and why the first did.
    pub(super) unconnected: u64,
    pub(super) unconnected_why: Option<&'a str>,
    /// From the start until the last message was back.
    pub(super) took: Duration,
    /// It was stopped because what was due was not sent for too long.
    pub(super) overdue: bool,
    /// Whether the files that were asked for are written.
    pub(super) is_written: bool,
}

impl Report<'_> {
    /// Messages that were sent, whole.
    pub(super) const fn sent(&self) -> u64 {
        self.sent_bytes / self.size
    }

    /// Messages that came back, every byte right.
    pub(super) fn ok(&self) -> u64 {
        self.record.latency.len()
    }

    /// Connections on which a byte was wrong: what comes after it on a connection is not judged.
    pub(super) fn wrong(&self) -> u64 {
        self.judged.wrong as u64
    }

    /// Messages that were to be sent and were not.
    pub(super) fn unsent(&self) -> u64 {
        self.plan.messages().map_or(0, |messages| messages.saturating_sub(self.sent()))
    }

    /// So many a second.
    #[expect(clippy::cast_precision_loss, reason = "told to a few digits")]
    pub(super) fn per_second(&self, count: u64) -> f64 {
        let seconds = self.took.as_secs_f64();
        if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
    }

    pub(super) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.record.latency.value_at_quantile(quantile))
    }

    /// How the program ends.
    pub(super) fn exit(&self) -> Exit {
        let is_whole = self.unconnected == 0 && self.is_written;
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
        if plan.rate.is_some() {
            let _ = write!(text, "   late starts {}", grouped(self.record.late));
            if self.record.late > 0 {
                let _ = write!(text, " (the latest by {})", latency(self.record.latest));
            }
        }
        if self.ok() > 0 {
            text.push_str("\n ");
            for (name, quantile) in QUANTILES {
                let _ = write!(text, " {name} {}  ", latency(self.quantile(quantile)));
            }
            let _ = write!(text, " max {}", latency(Duration::from_nanos(self.record.latency.max())));
        }
        let _ = write!(
            text,
            "\n  {} messages/s, {} there, {} back",
            grouped(whole(self.per_second(self.ok()))),
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
        if self.judged.exit == Exit::Ok && self.unconnected == 0 {
            return format!("ok  {what} back in order, {end}, {seconds:.3} s");
        }
        let why = match self.unconnected_why {
            Some(why) => format!(
                "{} of {} did not connect: {why}",
                grouped(self.unconnected),
                connections(self.plan.connections)
            ),
            None if self.overdue => {
                format!("the rate was not reached: {} never sent", many(self.unsent(), "message"))
            }
            None => "stopped".to_owned(),
        };
        format!("INCOMPLETE  {why}; {what} back in order, {seconds:.3} s")
    }

    fn of_all(&self) -> String {
        match self.plan.messages() {
            Some(all) if all != self.sent() => format!("{} of {}", grouped(self.sent()), grouped(all)),
            _ => grouped(self.sent()),
        }
    }
}

fn connections(number: usize) -> String {
    many(number as u64, "connection")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is neither that large nor negative"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
