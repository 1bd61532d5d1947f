//! What `load --json` prints: `docs/schema/load.json`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::LoadArgs;
use super::record::Record;
use super::report::{QUANTILES, Report, quantile_of};
use crate::json::{self, Fault};

/// The whole document.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    result: &'static str,
    exit: u8,
    endpoint: Option<&'a str>,
    driver: &'static str,
    seed: u64,
    r#loop: &'static str,
    connections: u64,
    size_bytes: u64,
    in_flight: usize,
    rate_per_second: Option<u64>,
    half_close: bool,
    timeout_seconds: f64,
    seconds: f64,
    messages: Messages,
    late_starts: Option<Late>,
    lag: Option<Lag>,
    latency_seconds: Option<BTreeMap<String, f64>>,
    throughput: Throughput,
    connections_ok: usize,
    connections_failed: usize,
    connections_not_made: u64,
    not_made_because: Option<&'a str>,
    fault: Option<Fault>,
    course: Course,
    again: &'a str,
}

#[derive(Serialize)]
struct Messages {
    scheduled: Option<u64>,
    sent: u64,
    ok: u64,
    wrong: u64,
    unanswered: u64,
}

#[derive(Serialize)]
pub(super) struct Late {
    count: u64,
    latest_seconds: f64,
}

impl Late {
    pub(super) const fn of(record: &Record) -> Self {
        Self { count: record.late, latest_seconds: record.latest.as_secs_f64() }
    }
}

/// How late the generator itself was.
#[derive(Serialize)]
pub(super) struct Lag {
    p50_seconds: f64,
    p90_seconds: f64,
    p99_seconds: f64,
    max_seconds: f64,
    matters: bool,
}

impl Lag {
    pub(super) fn of(record: &Record) -> Self {
        let at = |quantile| Duration::from_nanos(record.lag.value_at_quantile(quantile)).as_secs_f64();
        Self {
            p50_seconds: at(0.5),
            p90_seconds: at(0.9),
            p99_seconds: at(0.99),
            max_seconds: at(1.0),
            matters: record.lags(),
        }
    }
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "documents tell units")]
struct Throughput {
    messages_per_second: f64,
    sent_bytes_per_second: f64,
    received_bytes_per_second: f64,
}

#[derive(Serialize)]
pub(super) struct Course {
    interval_seconds: f64,
    messages: Vec<u64>,
    longest_seconds: Vec<f64>,
}

impl Course {
    pub(super) fn of(record: &Record) -> Self {
        let intervals = record.course.intervals();
        Self {
            interval_seconds: record.course.width().as_secs_f64(),
            messages: intervals.iter().map(|interval| interval.messages).collect(),
            longest_seconds: intervals.iter().map(|interval| interval.longest.as_secs_f64()).collect(),
        }
    }
}

/// By name; none if nothing was measured.
pub(super) fn latency_of(record: &Record) -> Option<BTreeMap<String, f64>> {
    let seconds = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64();
    (!record.latency.is_empty()).then(|| {
        let mut all = BTreeMap::new();
        for (name, quantile) in QUANTILES {
            // With a dot, a name would need quotes in a filter of jq.
            all.insert(name.replace('.', "_"), quantile_of(record, quantile).as_secs_f64());
        }
        all.insert("min".to_owned(), seconds(record.latency.min()));
        all.insert("mean".to_owned(), record.latency.mean() / 1e9);
        all.insert("max".to_owned(), seconds(record.latency.max()));
        all
    })
}

impl<'a> Document<'a> {
    pub(super) fn of(args: &'a LoadArgs, seed: u64, report: &'a Report<'_>) -> Self {
        let (record, judged) = (&report.record, &report.judged);
        Self {
            result: json::result(report.exit(), judged.found.is_some()),
            exit: report.exit() as u8,
            endpoint: args.endpoint.as_deref(),
            driver: args.driver.of_streams().name(),
            seed,
            r#loop: if args.rate.is_some() { "open" } else { "closed" },
            connections: args.connections,
            size_bytes: report.size,
            in_flight: report.in_flight,
            rate_per_second: args.rate,
            half_close: report.checked.half_close,
            timeout_seconds: args.client.timeout.as_secs_f64(),
            seconds: report.took.as_secs_f64(),
            messages: Messages {
                scheduled: report.scheduled,
                sent: report.sent,
                ok: report.ok(),
                wrong: report.wrong(),
                unanswered: report.unanswered(),
            },
            late_starts: args.rate.map(|_| Late::of(record)),
            lag: args.rate.map(|_| Lag::of(record)),
            latency_seconds: latency_of(record),
            throughput: Throughput {
                messages_per_second: report.per_second(report.ok()),
                sent_bytes_per_second: report.per_second(report.sent_bytes),
                received_bytes_per_second: report.per_second(report.received_bytes),
            },
            connections_ok: judged.verified,
            connections_failed: judged.failed,
            connections_not_made: report.unconnected,
            not_made_because: report.unconnected_why,
            fault: judged.found.as_ref().map(|found| Fault::of(found, seed)),
            course: Course::of(record),
            again: &report.checked.again,
        }
    }
}
