//! `load`: what it measures, what it finds, and how it ends when it cannot go on.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use crate::common::adversary;
use crate::common::adversary::{Adversary, Fault, Transport};
use crate::common::schema;
use crate::common::{
    Finished, Running, Server, Signal, after, nobody, roundtrip, run, run_into, with_every_driver,
};
use serde_json::Value;

const STALL: Duration = Duration::from_secs(1);

/// The one document that `load` prints with these options.
#[track_caller]
fn load(endpoint: &str, options: &[&str]) -> Value {
    let finished = run(roundtrip(["load", endpoint, "--json", "--seed", "24301"]).args(options));
    schema::document(schema::load(), &finished)
}

fn count(document: &Value, path: &str) -> u64 {
    document.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path}: {document:#}"))
}

fn seconds(document: &Value, quantile: &str) -> f64 {
    document["latency_seconds"][quantile].as_f64().unwrap_or_else(|| panic!("no {quantile}: {document:#}"))
}

with_every_driver! {
    every_message_is_sent_verified_and_counted
    a_stall_is_seen_by_all_that_was_due
    every_fault_is_found_where_it_is
    connections_that_are_mixed_up_are_found
    a_server_that_goes_silent_is_given_up
    what_never_comes_back_counts_for_as_long_as_it_was_waited_for
    an_interrupted_ramp_is_incomplete
    interrupted_it_gets_back_what_is_on_its_way
    a_second_interrupt_ends_what_does_not_end
    what_the_rate_asks_for_and_the_path_does_not_carry_is_told
}

fn every_message_is_sent_verified_and_counted(driver: &str) {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let on = |options: &[&str]| load(&address, &[options, &["--driver", driver]].concat());
    for (options, scheduled) in [
        (&["--count", "1000", "-c", "7"][..], 1000),
        (&["--count", "3", "-c", "5", "--size", "100kB"], 3),
        (&["--count", "500", "--size", "1", "--in-flight", "64", "-c", "2"], 500),
        (&["--rate", "2000", "-d", "500ms", "-c", "3"], 1000),
        (&["--rate", "1000", "--count", "100", "--ramp", "50ms"], 100),
        (&["--count", "100", "--half-close", "off"], 100),
    ] {
        let document = on(options);
        assert_eq!(document["result"], "ok", "{options:?}: {document:#}");
        assert_eq!(count(&document, "/messages/scheduled"), scheduled, "{options:?}");
        assert_eq!(count(&document, "/messages/sent"), scheduled, "{options:?}");
        assert_eq!(count(&document, "/messages/ok"), scheduled, "{options:?}");
        let course = document["course"]["messages"].as_array().unwrap();
        assert_eq!(course.iter().filter_map(Value::as_u64).sum::<u64>(), scheduled, "{options:?}");
        assert_eq!(document["driver"], *driver);
    }
    let document = on(&["-d", "200ms", "-c", "3"]);
    assert_eq!((&document["result"], &document["messages"]["scheduled"]), (&"ok".into(), &Value::Null));
    assert!(count(&document, "/messages/ok") > 0);
    assert_eq!(server.stop().code, Some(0));
}

/// The server stalls for a second, once. At 200 messages a second some 200 are due meanwhile; in a closed loop the one
/// that is in flight is all that sees it.
fn a_stall_is_seen_by_all_that_was_due(driver: &str) {
    let stall = Fault::Delay { at: 64 * 100, time: STALL };
    let run = |options: &[&str]| {
        let server = Adversary::once(stall);
        let document = load(&server.endpoint, &[&["-c", "1", "--driver", driver], options].concat());
        assert_eq!((&document["result"], count(&document, "/messages/ok")), (&"ok".into(), 400));
        assert!(seconds(&document, "max") >= 0.99, "{document:#}");
        document
    };
    let open = run(&["--rate", "200", "--count", "400"]);
    // The same if what is due cannot even be sent.
    let late = run(&["--rate", "200", "--count", "400", "--in-flight", "1"]);
    assert!(seconds(&late, "p90") >= 0.5 && count(&late, "/late_starts/count") >= 100, "{late:#}");
    let lag = &late["lag"];
    assert!(lag["matters"].is_boolean(), "{late:#}");
    assert!(
        lag["max_seconds"].as_f64() >= late["late_starts"]["latest_seconds"].as_f64().map(|at| at * 0.99)
    );
    let closed = run(&["--count", "400"]);
    // Of those that were due in the stall, half waited for half of it or longer: a quarter of all.
    assert!(seconds(&open, "p90") >= 0.5, "{open:#}");
    assert!(seconds(&open, "p99_9") >= 0.9, "{open:#}");
    assert!(seconds(&closed, "p99") < seconds(&open, "p90"), "{closed:#}");
    let longest = open["course"]["longest_seconds"].as_array().unwrap().iter().filter_map(Value::as_f64);
    assert!(longest.fold(0.0, f64::max) >= 0.99, "the course shows it");
}

fn every_fault_is_found_where_it_is(driver: &str) {
    let at = 5000;
    for (fault, kind, offset) in [
        (Fault::Flip { at }, "corrupted", 5000),
        (Fault::Lose { at, bytes: 100 }, "lost", 5000),
        (Fault::Duplicate { at, bytes: 100 }, "duplicated", 5000),
        (Fault::Swap { at, bytes: 64 }, "reordered", 5000),
        (Fault::Trailing(b"and more"), "trailing", 64_000),
        (Fault::EarlyFin { at }, "truncated", 5000),
        (Fault::Reset { at, read: 6400 }, "truncated", 5000),
        (Fault::DropAfterHalfClose { at: 6400 }, "truncated", 6400),
    ] {
        for transport in [Transport::Tcp, Transport::Unix] {
            if !fault.is_possible(transport) {
                continue;
            }
            // The second connection is served well.
            let server = Adversary::start(transport, &[fault]);
            let options = ["-c", "2", "--count", "2000", "--in-flight", "1000", "--driver", driver];
            let document = load(&server.endpoint, &options);
            let found = &document["fault"];
            let told = (found["kind"].as_str(), found["offset_bytes"].as_u64(), document["exit"].as_u64());
            assert_eq!(told, (Some(kind), Some(offset), Some(1)), "{fault:?} on {transport:?}: {document:#}");
            let connections = (&document["connections_ok"], &document["connections_failed"]);
            assert_eq!(connections, (&1.into(), &1.into()), "{document:#}");
            let wrong = u64::from(kind != "truncated" && kind != "trailing");
            assert_eq!(count(&document, "/messages/wrong"), wrong, "{document:#}");
            assert!(count(&document, "/messages/ok") >= 1000 + offset / 64 - 1, "{document:#}");
        }
    }
}

/// Each has bytes of its own.
fn connections_that_are_mixed_up_are_found(driver: &str) {
    let (address, crossing) = adversary::crossing();
    let options = ["-c", "2", "--size", "1000", "--count", "2", "--driver", driver];
    let document = load(&address, &options);
    let found = &document["fault"];
    assert_eq!(
        (found["kind"].as_str(), found["offset_bytes"].as_u64()),
        (Some("corrupted"), Some(0)),
        "{document:#}"
    );
    assert_eq!(document["connections_failed"], 2);
    drop(crossing.join().unwrap());
}

fn a_server_that_goes_silent_is_given_up(driver: &str) {
    let server = Adversary::once(Fault::Stall { at: 6400 });
    let document =
        load(&server.endpoint, &["-c", "1", "--count", "1k", "--timeout", "300ms", "--driver", driver]);
    let found = &document["fault"];
    let told = (found["kind"].as_str(), found["offset_bytes"].as_u64(), document["exit"].as_u64());
    assert_eq!(told, (Some("timed_out"), Some(6400), Some(3)), "{document:#}");
    assert_eq!((count(&document, "/messages/ok"), count(&document, "/messages/unanswered")), (100, 1));
}

/// Or a server that stops for good would have the best percentiles.
fn what_never_comes_back_counts_for_as_long_as_it_was_waited_for(driver: &str) {
    let stall = Fault::Stall { at: 64 * 100 };
    let options = ["-c", "1", "--rate", "1000", "-d", "500ms", "--timeout", "1s", "--driver", driver];
    let document = load(&Adversary::once(stall).endpoint, &options);
    assert_eq!((count(&document, "/messages/ok"), count(&document, "/messages/unanswered")), (100, 400));
    // They were given up a second after the last byte, the one that was due first after the longest wait.
    assert!(seconds(&document, "p50") >= 0.9 && seconds(&document, "max") >= 1.0, "{document:#}");
    let told = document["throughput"]["messages_per_second"].as_f64().unwrap();
    let over_all = document["seconds"].as_f64().unwrap();
    assert!((told * over_all - 100.0).abs() < 0.001 && over_all >= 1.0, "{document:#}");
    let told = run(roundtrip(["load", &Adversary::once(stall).endpoint]).args(options));
    assert!(told.stdout.contains("  sent 500   ok 100   wrong 0   unanswered 400   "), "{told:?}");
}

fn an_interrupted_ramp_is_incomplete(driver: &str) {
    let server = Adversary::start(Transport::Tcp, &[]);
    let options = ["--count", "100", "-c", "10", "--ramp", "1h", "--driver", driver];
    let running = Running::start(roundtrip(["load", &server.endpoint]).args(options));
    server.await_end();
    running.signal(Signal::INT);
    let finished = running.wait();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stdout.starts_with("INCOMPLETE  stopped; 10 messages of 64 bytes"), "{finished:?}");
    assert!(finished.stdout.contains("  sent 10 of 100   ok 10   "), "{finished:?}");
}

fn interrupted_it_gets_back_what_is_on_its_way(driver: &str) {
    for options in
        [&["-d", "10m"][..], &["-d", "10m", "--rate", "10k"], &["--count", "1G", "--in-flight", "9"]]
    {
        let server = Adversary::start(Transport::Tcp, &[]);
        let command = ["load", &server.endpoint, "--json", "--driver", driver];
        let running = Running::start(roundtrip(command).args(options));
        server.await_bytes(64_000);
        running.signal(Signal::INT);
        let finished = running.wait();
        let document = schema::document(schema::load(), &finished);
        assert_eq!((&document["result"], finished.code), (&"incomplete".into(), Some(3)), "{document:#}");
        let sent = count(&document, "/messages/sent");
        assert!(sent > 0 && sent == count(&document, "/messages/ok"), "{document:#}");
    }
}

fn a_second_interrupt_ends_what_does_not_end(driver: &str) {
    let server = Adversary::start(Transport::Tcp, &[Fault::Stall { at: 64_000 }]);
    let options = ["-c", "1", "-d", "10m", "--timeout", "10m", "--in-flight", "10", "--driver", driver];
    let running = Running::start(roundtrip(["load", &server.endpoint]).args(options));
    server.await_bytes(64_000);
    running.signal(Signal::INT);
    // It waits for what is on its way, which never comes.
    server.await_end();
    running.signal(Signal::TERM);
    let finished = running.wait();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stdout.starts_with("INCOMPLETE  stopped; 1,000 messages"), "{finished:?}");
}

/// A server that takes a message only when the one before is through, ten times slower than the rate.
fn what_the_rate_asks_for_and_the_path_does_not_carry_is_told(driver: &str) {
    let slow = Fault::Slow { each: Duration::from_millis(20) };
    let server = Adversary::once(slow);
    let options = ["-c", "1", "--rate", "1000", "-d", "300ms", "--in-flight", "1", "--timeout", "500ms"];
    let document = load(&server.endpoint, &[&options[..], &["--driver", driver]].concat());
    assert_eq!((&document["result"], &document["exit"]), (&"incomplete".into(), &3.into()), "{document:#}");
    let (scheduled, sent) = (count(&document, "/messages/scheduled"), count(&document, "/messages/sent"));
    assert!(scheduled == 300 && sent < 300 && sent == count(&document, "/messages/ok"), "{document:#}");
    assert!(count(&document, "/late_starts/count") > 0, "{document:#}");
    let told = run(roundtrip(["load", &server.endpoint]).args(options));
    assert!(told.stdout.starts_with("ok  300 messages"), "the next is served well: {told:?}");
    let server = Adversary::once(slow);
    let told = run(roundtrip(["load", &server.endpoint]).args(options));
    assert!(told.stdout.starts_with("INCOMPLETE  the rate was not reached: "), "{told:?}");
}

#[test]
fn without_an_endpoint_the_loopback_is_loaded() {
    let finished = run(&mut roundtrip(["load", "--count", "1000", "-c", "4"]));
    assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{finished:?}");
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert!(lines[0].starts_with("ok  1,000 messages of 64 bytes back in order, clean end, "));
    assert!(lines[1].starts_with("  closed loop on 4 connections: "), "{lines:?}");
    assert_eq!(lines[2], "  sent 1,000   ok 1,000   wrong 0");
    assert!(lines[3].starts_with("  p50 ") && lines[3].contains("   max "), "{lines:?}");
    assert!(lines[4].contains(" messages/s, "), "{lines:?}");
}

#[test]
fn the_command_that_is_printed_does_the_same_again() {
    let server = Adversary::start(Transport::Tcp, &[Fault::Flip { at: 70 }, Fault::Flip { at: 70 }]);
    let options =
        ["-c", "1", "--count", "9", "--size", "33", "--seed", "7", "--timeout", "9s", "--ramp", "1ms"];
    let first = run(roundtrip(["load", &server.endpoint]).args(options));
    assert!(first.stdout.starts_with("FAIL  corrupted: bytes came that were never sent\n"), "{first:?}");
    assert!(first.stdout.contains("  first wrong offset 70; every byte before it is right\n"), "{first:?}");
    let again = first.stdout.lines().find_map(|line| line.strip_prefix("  again: roundtrip ")).unwrap();
    let second = run(&mut roundtrip(again.split(' ')));
    let fault = |finished: &Finished| finished.stdout.lines().take(5).collect::<Vec<_>>().join("\n");
    assert_eq!((second.code, fault(&second)), (Some(1), fault(&first)));
    let third = run(&mut roundtrip(again.split(' ')));
    assert_eq!(third.code, Some(0), "{third:?}");
}

#[test]
fn nobody_there_is_told_at_once() {
    let address = nobody().to_string();
    let finished = run(&mut roundtrip(["load", &address, "-c", "100"]));
    assert_eq!((finished.code, &*finished.stdout), (Some(4), ""), "{finished:?}");
    let document = load(&address, &[]);
    assert_eq!((&document["result"], &document["exit"]), (&"error".into(), &4.into()));
}

/// Of the connections some are refused: the others are driven, and the result says that it is not the whole.
#[test]
fn connections_that_cannot_be_made_are_told() {
    let server = Server::start(&["--once"]);
    let document = load(&server.address.to_string(), &["-c", "3", "--count", "30", "--ramp", "300ms"]);
    let failed = count(&document, "/connections_not_made") + count(&document, "/connections_failed");
    assert!(failed > 0 && document["exit"] != 0, "{document:#}");
    assert_eq!(server.running.wait().code, Some(0));
}

#[test]
fn the_files_are_written() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = |name: &str| folder.join(format!("{}-{name}", std::process::id()));
    let (hgrm, svg) = (file("load.hgrm"), file("load.svg"));
    let mut command = roundtrip(["load", "--count", "1000", "--rate", "10k", "-c", "2"]);
    let finished = run(command.arg("--hgrm").arg(&hgrm).arg("--svg").arg(&svg));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let text = std::fs::read_to_string(&hgrm).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("       Value     Percentile TotalCount 1/(1-Percentile)"));
    let rows: Vec<Vec<f64>> = lines
        .by_ref()
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
        .collect();
    assert!(rows.len() > 10);
    assert!(rows.windows(2).all(|pair| (0..3).all(|column| pair[0][column] <= pair[1][column])), "{text}");
    assert_eq!(rows.last().unwrap()[1..3], [1.0, 1000.0]);
    assert!(text.contains("Total count    =         1000]"), "{text}");
    let picture = std::fs::read_to_string(&svg).unwrap();
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"), "{picture}");
    for path in [hgrm, svg] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_disk_without_room_leaves_the_result_and_says_so() {
    for option in ["--svg", "--hgrm"] {
        let finished = run(&mut roundtrip(["load", "--count", "100", "--json", option, "/dev/full"]));
        let document: Value = serde_json::from_str(&finished.stdout).unwrap();
        assert!(schema::load().is_valid(&document) && document["exit"] == 3, "{finished:?}");
        assert_eq!(finished.code, Some(3), "{finished:?}");
        let finished = run(&mut roundtrip(["load", "--count", "100", option, "/dev/full"]));
        assert_eq!(finished.code, Some(3), "{finished:?}");
        assert!(finished.stdout.starts_with("ok  100 messages"), "{finished:?}");
        assert!(finished.stderr.starts_with("error: cannot write /dev/full: No space left"), "{finished:?}");
    }
}

#[test]
fn what_a_file_held_is_left_until_there_is_a_result() {
    let file = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{}-kept.svg", std::process::id()));
    std::fs::write(&file, "x".repeat(1 << 20)).unwrap();
    let options = ["load", &nobody().to_string(), "--svg"].map(str::to_owned);
    let finished = run(roundtrip(options).arg(&file));
    assert_eq!((finished.code, std::fs::metadata(&file).unwrap().len()), (Some(4), 1 << 20), "{finished:?}");
    let finished = run(roundtrip(["load", "--count", "10", "--svg"]).arg(&file));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(std::fs::read_to_string(&file).unwrap().ends_with("</svg>\n"), "nothing of it is left then");
    std::fs::remove_file(file).unwrap();
}

/// A server of its own must not keep it from ending.
#[test]
fn a_ramp_without_end_is_interrupted_like_any_other() {
    for options in [&["--count", "5", "--rate", "1"][..], &["--count", "5"]] {
        let command = ["load", "--ramp", "1000y", "-c", "2"];
        let running = Running::start(roundtrip(command).args(options).args(["--json", "--timeout", "1s"]));
        crate::common::poll("it heeds signals", || watches(running.id()).then_some(()));
        running.signal(Signal::INT);
        running.signal(Signal::TERM);
        assert_eq!(running.wait().code, Some(3));
    }
}

/// Whether this process watches for signals: there is a thread for it.
fn watches(process: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return false };
    let mut names =
        threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    names.any(|name| name.trim_end() == "signals")
}

#[test]
fn a_file_that_cannot_be_made_is_told_before_anything_is_sent() {
    let finished = run(&mut roundtrip(["load", "--count", "100", "--svg", "/no/such/folder/load.svg"]));
    assert_eq!((finished.code, &*finished.stdout), (Some(2), ""), "{finished:?}");
    assert!(finished.stderr.contains("/no/such/folder/load.svg"), "{finished:?}");
}

#[test]
fn a_result_that_nobody_takes_is_incomplete() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for options in [&["load", "--count", "100"][..], &["load", "--count", "100", "--json"]] {
        let finished = run_into(&mut roundtrip(options), Stdio::from(writer.try_clone().unwrap()));
        assert_eq!(finished.code, Some(3), "{finished:?}");
        assert!(finished.stderr.contains("the result is not delivered"), "{finished:?}");
    }
    // The files are there all the same.
    let svg = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{}-lost.svg", std::process::id()));
    let mut command = roundtrip(["load", "--count", "100", "--svg"]);
    let finished = run_into(command.arg(&svg), Stdio::from(writer));
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(std::fs::read_to_string(&svg).unwrap().ends_with("</svg>\n"));
    std::fs::remove_file(svg).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let finished = run_into(&mut roundtrip(["load", "--count", "100"]), Stdio::from(full));
    assert_eq!(finished.code, Some(5), "{finished:?}");
}

#[test]
fn without_a_standard_error_all_is_as_ever() {
    let finished = run(&mut after("", &["load", "--count", "100"], "2>&-"));
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// Every wrong field is seen, or the schema would prove nothing.
#[test]
fn the_schema_refuses_what_is_no_result() {
    let schema = schema::load();
    if !schema.can_refuse() {
        return;
    }
    let document = load("127.0.0.1:0", &[]);
    assert!(schema.is_valid(&document), "an error is a document");
    let server = Server::start(&[]);
    let good = load(&server.address.to_string(), &["--count", "10"]);
    for field in good.as_object().unwrap().keys() {
        let mut less = good.clone();
        less.as_object_mut().unwrap().remove(field);
        assert!(!schema.is_valid(&less), "without {field}");
        let mut other = good.clone();
        other[field] = Value::from(vec![-1]);
        assert!(!schema.is_valid(&other), "with another {field}");
    }
    let mut more = good.clone();
    more["more"] = Value::Null;
    assert!(!schema.is_valid(&more));
}
