//! A trace is read back as it was written, and refused when it was not.

use roundtrip_scenarios::Server;
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{Runner, Trace, TraceErrorCause};

fn text(seed: u64) -> String {
    let recording = Runner::new(&Server).record(Seeded::new(seed, Faults::SWARM));
    Trace::new("server", Some(seed), recording).to_string()
}

/// The line and the cause with which a text is refused.
/// The shortest in which enough happens: what is done at every byte of it takes the square of its length.
fn short_text() -> String {
    let texts = (0..20).map(text).filter(|text| text.lines().count() > 100);
    texts.min_by_key(String::len).unwrap()
}

fn refused(text: &str) -> (usize, TraceErrorCause) {
    let error = Trace::parse(text).expect_err("it is no whole trace");
    assert!(error.to_string().starts_with(&format!("line {}: ", error.line)));
    (error.line, error.cause)
}

#[test]
fn a_trace_survives_the_file_and_replays() {
    for seed in 0..100 {
        let text = text(seed);
        let trace = Trace::parse(&text).unwrap();
        assert_eq!(trace.to_string(), text);
        let recording = trace.replay(&Server).unwrap();
        assert_eq!(recording.run.hash, trace.hash);
    }
}

#[test]
fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    let text = short_text();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.len() > 20);
    for kept in 1..lines.len() {
        let torn = lines[..kept].join("\n");
        assert_eq!(refused(&torn), (kept, TraceErrorCause::Truncated), "{kept} lines");
    }
    assert_eq!(refused(""), (1, TraceErrorCause::NotATrace));
    for bytes in (0..text.len() - 2).step_by(7) {
        // A cut in the middle of a line is no line.
        assert!(text.is_char_boundary(bytes) && Trace::parse(&text[..bytes]).is_err(), "{bytes} bytes");
    }
}

#[test]
fn a_damaged_byte_is_refused_or_changes_no_more_than_it_says() {
    let text = short_text();
    let whole = Trace::parse(&text).unwrap();
    let mut refused = 0;
    for at in (0..text.len()).step_by(5) {
        let mut damaged = text.clone().into_bytes();
        damaged[at] ^= 1;
        let Ok(damaged) = String::from_utf8(damaged) else { continue };
        match Trace::parse(&damaged) {
            Err(error) => {
                let line = text[..at].matches('\n').count() + 1;
                // A line that became another kind of line is missed where they are counted; two lines that became one
                // are noticed at the second.
                assert!(error.line >= line, "byte {at} of line {line}: {error}");
                refused += 1;
            }
            Ok(trace) => assert!(trace != whole, "byte {at}"),
        }
    }
    assert!(refused > text.len() / 10, "{refused} of {}", text.len());
}

#[test]
fn each_cause_has_its_line() {
    let text = text(3);
    let lines: Vec<_> = text.lines().collect();
    let with = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number - 1] = line;
        lines.join("\n")
    };
    let newer = lines[0].replacen("\"roundtrip-trace\":1", "\"roundtrip-trace\":2,\"later\":true", 1);
    assert_eq!(refused(&with(1, &newer)), (1, TraceErrorCause::Newer(2)));
    assert_eq!(refused(&with(1, "{}")), (1, TraceErrorCause::NotATrace));
    assert_eq!(refused(&with(1, "not json")), (1, TraceErrorCause::NotATrace));
    assert!(matches!(
        refused(&with(1, &lines[0].replace("\"hash\":\"", "\"hash\":\"x"))),
        (1, TraceErrorCause::Malformed(_))
    ));
    let decision = |who: &str, site: &str, n: u32, v: u32| {
        format!("{{\"who\":\"{who}\",\"site\":\"{site}\",\"k\":0,\"n\":{n},\"v\":{v}}}")
    };
    assert_eq!(
        refused(&with(2, &decision("nobody", "tie", 2, 1))),
        (2, TraceErrorCause::Unknown("nobody".into()))
    );
    assert_eq!(
        refused(&with(2, &decision("world", "nowhere", 2, 1))),
        (2, TraceErrorCause::Unknown("nowhere".into()))
    );
    for (n, v) in [(2, 0), (2, 2), (0, 0), (5, 9)] {
        assert_eq!(refused(&with(2, &decision("world", "tie", n, v))), (2, TraceErrorCause::Impossible));
    }
    assert!(matches!(refused(&with(3, "{\"who\":\"world\"}")), (3, TraceErrorCause::Malformed(_))));
    let event = "{\"t\":1,\"e\":1,\"who\":\"world\",\"what\":\"something\",\"n\":0}";
    assert_eq!(refused(&with(2, event)), (2, TraceErrorCause::Unknown("something".into())));
    assert_eq!(refused(&with(2, lines[2])), (lines.len(), TraceErrorCause::Twice));
    let short = [&lines[..1], &lines[2..]].concat().join("\n");
    assert_eq!(refused(&short), (lines.len() - 1, TraceErrorCause::Miscounted));
    assert_eq!(refused(&format!("{text}{}\n", lines[1])), (lines.len() + 1, TraceErrorCause::Trailing));
}

#[test]
fn a_trace_of_another_run_diverges_where_it_differs() {
    let mut trace = Trace::parse(&text(4)).unwrap();
    let at = trace.lines.len() / 2;
    trace.lines[at].n += 1;
    let divergence = trace.replay(&Server).unwrap_err();
    assert_eq!(divergence.at, at);
    assert_eq!(divergence.now.map(|line| line.n + 1), divergence.then.map(|line| line.n));
}

/// What `replay` says of a trace.
fn told(text: &str) -> String {
    let panicked =
        std::panic::catch_unwind(|| roundtrip_sim::replay(&Server, text)).expect_err("it is refused");
    *panicked.downcast::<String>().unwrap()
}

#[test]
fn a_trace_of_another_scenario_or_another_workload_is_no_regression_test() {
    let seed = (0..100)
        .find(|seed| {
            let passes = Trace::parse(&text(*seed)).unwrap().verdict == "pass";
            passes && text(*seed).contains("\"site\":\"workload.0\"")
        })
        .unwrap();
    let good = text(seed);
    roundtrip_sim::replay(&Server, &good);
    assert!(
        told(&good.replace("\"scenario\":\"server\"", "\"scenario\":\"other\""))
            .contains("of scenario other")
    );
    // There was one value less to choose from when it was recorded, so the same number meant another one.
    let decision = good.lines().find(|line| line.contains("workload.0")).unwrap();
    let (before, after) = decision.split_once("\"n\":").unwrap();
    let (n, rest) = after.split_once(',').unwrap();
    let n: u32 = n.parse().unwrap();
    let stale = good.replace(decision, &format!("{before}\"n\":{},{rest}", n + 1));
    assert!(told(&stale).contains("the trace is stale: world chose"), "{}", told(&stale));
}
