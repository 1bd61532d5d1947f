//! Everything that reads text: no text panics, and what is read and printed is read as the same.

use std::str::FromStr;

use roundtrip_conformance::{Client, Observed, Script};
use roundtrip_core::{Machine, Time};
use roundtrip_net::Endpoint;
use roundtrip_scenarios::{Datagrams, Echo, Load, Server};
use roundtrip_sim::campaign::Report;
use roundtrip_sim::choose::{Entity, Family, Site};
use roundtrip_sim::{OverDatagrams, Recording, Simulation, Trace, diagram};

use crate::units;

/// Choices of a trace that is replayed, at the most.
const MOST_DECISIONS: usize = 64;

/// The bytes as text; what is no text is left out.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is printed is read as the same.
fn assert_read_back<T>(value: &T, error: impl FnOnce(T::Err))
where
    T: FromStr + ToString + PartialEq + std::fmt::Debug,
{
    let printed = value.to_string();
    match printed.parse::<T>() {
        Ok(again) => assert_eq!(again, *value, "{printed:?}"),
        Err(refused) => {
            error(refused);
            panic!("{printed:?} is printed, and not read");
        }
    }
}

/// An endpoint.
pub fn endpoint_parse(bytes: &[u8]) {
    match text(bytes).parse::<Endpoint>() {
        Ok(endpoint) => assert_read_back(&endpoint, |error| panic!("{error}")),
        Err(error) => {
            assert!(!error.to_string().contains('\n') && !error.to_string().is_empty());
            assert!(!error.advice().contains('\n') && !error.advice().is_empty());
        }
    }
}

/// A trace, and the names that are in it. One that is short is replayed: whatever its choices are, its scenario holds.
pub fn trace_parse(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(site) = text.parse::<Site>() {
        assert_read_back(&site, |error| panic!("{error}"));
    }
    if let Ok(entity) = text.parse::<Entity>() {
        assert_read_back(&entity, |error| panic!("{error}"));
    }
    if let Some(family) = Family::of_name(&text) {
        assert_eq!(family.name(), text);
    }
    match Trace::parse(&text) {
        Ok(trace) => {
            let again = Trace::parse(&trace.to_string());
            assert_eq!(again.as_ref(), Ok(&trace));
            if trace.decisions.len() <= MOST_DECISIONS {
                match &*trace.scenario {
                    "echo" => replay(&Echo, &trace),
                    "server" => replay(&Server, &trace),
                    "load" => replay(&Load, &trace),
                    "datagrams" => replay(&OverDatagrams(Datagrams), &trace),
                    _ => {}
                }
            }
        }
        Err(error) => {
            assert!((1..=text.lines().count().max(1)).contains(&error.line), "{error}");
            assert!(error.to_string().starts_with("line "));
        }
    }
}

fn replay<S: Simulation>(scenario: &S, trace: &Trace) {
    let recording: Recording = match trace.replay(scenario) {
        Ok(recording) => recording,
        Err(divergence) => {
            assert!(divergence.at <= trace.lines.len(), "{divergence}");
            divergence.recording
        }
    };
    assert!(recording.run.verdict.is_pass(), "{:?}", recording.run.verdict);
    let _ = trace.stale(&recording);
    assert!(!diagram(&recording).is_empty());
}

/// A report, alone and put together with others.
pub fn report_parse(bytes: &[u8]) {
    let Ok(report) = Report::parse(&text(bytes)) else { return };
    let printed = report.to_string();
    assert_eq!(Report::parse(&printed).as_ref(), Ok(&report), "{printed}");
    let _ = (report.is_pass(), report.missed().count());
    let _ = Report::merge(std::slice::from_ref(&report)).map_err(|error| error.to_string());
    // The same shard twice is a whole of nothing, and so is a shard with its neighbour if that ran other seeds.
    if let &[(shard, of)] = &*report.shards {
        let twice = [report.clone(), report.clone()];
        assert!(Report::merge(&twice).is_err());
        let mut neighbour = report.clone();
        neighbour.shards = vec![(shard ^ 1, of)];
        if let Ok(whole) = Report::merge(&[report.clone(), neighbour]) {
            let twice = |count: u64| count.saturating_mul(2);
            assert_eq!((whole.runs, whole.failed), (twice(report.runs), twice(report.failed)));
        }
    }
}

/// A script; its clients can be opened, and it judges what it did not see.
pub fn script_parse(bytes: &[u8]) {
    match text(bytes).parse::<Script>() {
        Ok(script) => {
            assert_read_back(&script, |error| panic!("{error}"));
            for client in 0..script.clients().len() {
                let _ = script.open(client, Time::ZERO).poll(Time::ZERO);
            }
            let _ = script.judge(&Observed::default()).map_err(|disagreement| disagreement.to_string());
            assert!(script.bytes() >= script.clients().iter().map(Client::bytes).max().unwrap_or(0));
        }
        Err(error) => assert!(error.to_string().starts_with("line ")),
    }
}

/// Sizes, counts, rates, threads and times, as the command line takes them.
pub fn units_parse(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(size) = units::parse_size(&text) {
        assert_eq!(units::parse_size(&size.to_string()), Ok(size));
        assert_eq!(units::grouped(size).replace(',', ""), size.to_string());
        assert!(units::bytes(size).contains(" byte"));
    }
    if let Ok(size) = units::parse_memory(&text) {
        assert!((1..=1 << 30).contains(&size));
    }
    if let Ok(count) = units::parse_count(&text) {
        assert!(count > 0);
    }
    if let Ok(rate) = units::parse_rate(&text) {
        assert!((1..=1_000_000_000).contains(&rate));
    }
    if let Ok(threads) = units::parse_threads(&text) {
        assert!(threads.get() <= 1024);
    }
    if let Ok(duration) = units::parse_duration(&text) {
        assert!(!duration.is_zero());
        assert_eq!(units::parse_duration(&units::duration(duration)), Ok(duration));
        assert!(!units::elapsed(duration).is_empty() && !units::latency(duration).is_empty());
    }
}
