//! `serve`, `check` and `load` over datagrams: all is well where it is, and whatever a peer does to them is told for what it
//! is, and counted exactly.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

#[cfg(target_os = "linux")]
use crate::common::nobody_for_datagrams;
use crate::common::schema;
use crate::common::{Finished, PATIENCE, Running, roundtrip, run};
#[cfg(unix)]
use crate::common::{Signal, poll};
use serde_json::{Value, json};

/// `roundtrip serve` on one endpoint of datagrams, and where.
fn serving(endpoint: &str, options: &[&str]) -> (Running, String) {
    let mut running = Running::start(&mut roundtrip(["serve", endpoint].iter().chain(options)));
    let line = running.line();
    let bound = line.strip_prefix("listening ").unwrap_or_else(|| panic!("{line}"));
    (running, bound.replacen(' ', ":", 1))
}

#[cfg(unix)]
fn stop(running: Running) -> Finished {
    running.signal(Signal::TERM);
    running.wait()
}

/// Has a server end by itself, and say what became of all that came. No test can on Windows, where it is killed: what it
/// says there is shown by `tests/program/wine.rs`.
#[cfg_attr(unix, expect(clippy::unnecessary_wraps, reason = "elsewhere there is none"))]
fn ended(running: Running) -> Option<Finished> {
    #[cfg(unix)]
    return Some(stop(running));
    #[cfg(not(unix))]
    {
        drop(running);
        None
    }
}

fn udp(options: &[&str]) -> (Running, String) {
    serving("udp:127.0.0.1:0", options)
}

/// As many as a socket's queue has room for, and time for each, on a machine that is busy with other tests.
const CALM: &[&str] = &["--window", "8kB", "--bytes", "1MB", "--wait", "20s"];

fn checked(endpoint: &str, options: &[&str]) -> Finished {
    run(&mut roundtrip(["check", endpoint].iter().chain(options)))
}

fn document(schema: &schema::Schema, args: &[&str]) -> Value {
    schema::document(schema, &run(roundtrip(args).arg("--json")))
}

#[test]
fn what_comes_back_is_well_on_each_driver_over_each_transport() {
    let path = std::env::temp_dir().join(format!("roundtrip-dgram-{}", std::process::id()));
    let mut endpoints = vec!["udp:127.0.0.1:0".to_owned()];
    if cfg!(unix) {
        endpoints.push(format!("unix-dgram:{}", path.display()));
    }
    if UdpSocket::bind("[::1]:0").is_ok() {
        endpoints.push("udp:[::1]:0".to_owned());
    }
    if cfg!(target_os = "linux") {
        endpoints.push(format!("unix-dgram:@roundtrip-{}", std::process::id()));
    }
    for endpoint in &endpoints {
        for driver in ["std", "smol"] {
            let (server, bound) = serving(endpoint, &["--driver", driver, "--max-rate", "off"]);
            let options = [CALM, &["--driver", driver]].concat();
            let Finished { code, stdout, stderr, .. } = checked(&bound, &options);
            assert_eq!((code, &*stderr), (Some(0), ""), "{stdout}");
            assert!(
                stdout.starts_with("ok  834 datagrams of 1,200 bytes back, once and in order, "),
                "{stdout}"
            );
            if let Some(Finished { code, stderr, .. }) = ended(server) {
                assert_eq!((code, stderr), (Some(0), format!("{bound}: 834 came, 834 echoed\n")));
            }
        }
    }
    assert!(!path.exists());
}

/// Streams and datagrams of one server, each size of datagram, several sockets, several rounds.
#[test]
fn one_server_has_both_kinds() {
    let both = ["serve", "127.0.0.1:0", "udp:127.0.0.1:0", "--max-rate", "off"];
    // What drives the streams need not drive the datagrams.
    let driver: &[_] = if cfg!(unix) { &["--driver", "reactor", "--threads", "2"] } else { &[] };
    let mut running = Running::start(&mut roundtrip(both.iter().chain(driver)));
    let stream = running.line().replacen("listening tcp ", "", 1);
    let datagrams = running.line().replacen("listening udp ", "udp:", 1);
    assert!(checked(&stream, &["--bytes", "1MB"]).stdout.starts_with("ok  1,000,000 bytes back in order"));
    let sizes = ["--sizes", "16,100kB", "--write", "16"];
    let finished = checked(
        &datagrams,
        &[&sizes[..], &["-c", "3", "--repeat", "2", "--window", "160"], PATIENT].concat(),
    );
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let rounds: Vec<_> = finished.stdout.lines().collect();
    assert_eq!(rounds.len(), 4, "{rounds:?}");
    assert!(rounds[3].starts_with("ok  3 sockets, 6,250 datagrams of 16 bytes each, back,"), "{rounds:?}");
    let large = checked(&datagrams, &["--write", "65507", "--bytes", "1MB"]);
    assert!(large.stdout.starts_with("ok  16 datagrams of 65,507 bytes"), "{large:?}");
    let Some(Finished { code, stderr, .. }) = ended(running) else { return };
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("draining: 0 connections") && stderr.contains("37,522 came, 37,522 echoed"),
        "{stderr}"
    );
}

/// While it runs, also beside streams.
#[cfg(unix)]
#[test]
fn a_signal_has_the_counters_of_each_socket_printed() {
    let path = std::env::temp_dir().join(format!("roundtrip-dgram-counters-{}", std::process::id()));
    for (driver, stream) in [("std", &[][..]), ("smol", &["127.0.0.1:0"])] {
        let endpoint = format!("unix-dgram:{}", path.display());
        let args = ["serve", "udp:127.0.0.1:0", &endpoint, "--driver", driver];
        let mut running = Running::start(&mut roundtrip(args.iter().chain(stream)));
        let mut lines: Vec<_> = (0..2 + stream.len()).map(|_| running.line()).collect();
        // Streams come first.
        lines.drain(..stream.len());
        let udp = lines[0].replacen("listening udp ", "udp:", 1);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(udp.strip_prefix("udp:").unwrap()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for count in 1..=3 {
            socket.send(&[count]).unwrap();
            socket.recv(&mut [0]).unwrap();
        }
        running.signal(Signal::USR1);
        if !stream.is_empty() {
            assert!(running.error_line().starts_with("counters: 0 open, 0 closed"));
        }
        assert_eq!(running.error_line(), format!("counters: {udp}: 3 came, 3 echoed"));
        assert_eq!(running.error_line(), format!("counters: {endpoint}: 0 came, 0 echoed"));
        assert_eq!(stop(running).code, Some(0));
    }
}

/// Nothing is given up, however busy the machine is.
const PATIENT: &[&str] = &["--wait", "20s"];

/// What a peer does to a datagram, by how many it has seen.
type Mischief = fn(&UdpSocket, SocketAddr, u64, &[u8], &mut Vec<Vec<u8>>);

/// A peer that echoes, but for its mischief. It lives as long as the test.
fn adversary(mischief: Mischief) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    thread::spawn(move || {
        let (mut buffer, mut held) = (vec![0; 65_536], Vec::new());
        for number in 0.. {
            let Ok((len, from)) = socket.recv_from(&mut buffer) else { break };
            mischief(&socket, from, number, &buffer[..len], &mut held);
        }
    });
    format!("udp:{address}")
}

fn send(socket: &UdpSocket, to: SocketAddr, data: &[u8]) {
    socket.send_to(data, to).unwrap();
}

/// A hundred datagrams of 100 bytes, ten at a time unless `options` say more.
fn hundred(endpoint: &str, options: &[&str]) -> Value {
    let usual = ["--bytes", "10000", "--write", "100", "--seed", "7"];
    let window = if options.contains(&"--window") { &[][..] } else { &["--window", "1000"] };
    let options = [&usual[..], window, options].concat();
    let args = [&["check", endpoint][..], &options].concat();
    let document = document(schema::check(), &args);
    let check = &document["checks"][0];
    let text = run(&mut roundtrip(&args));
    if check["fault"].is_object() {
        // The same in both forms.
        let expected = format!("FAIL  {}\n", check["fault"]["summary"].as_str().unwrap());
        assert!(text.stdout.starts_with(&expected), "{text:?}");
        assert!(text.stdout.contains("\n  again: roundtrip check udp:"), "{text:?}");
    }
    assert_eq!(text.code, document["exit"].as_i64().map(|code| i32::try_from(code).unwrap()));
    check.clone()
}

fn assert_found(check: &Value, kind: &str, counts: &[(&str, u64)]) {
    let mut expected = json!({
        "sent": 100, "back": 100, "lost": 0, "late": 0, "duplicated": 0, "reordered": 0, "corrupted": 0, "strays": 0,
    });
    for (name, count) in counts {
        expected[*name] = json!(count);
    }
    for (name, count) in expected.as_object().unwrap() {
        assert_eq!(&check["findings"][name], count, "{name}: {check:#}");
    }
    assert_eq!(check["fault"]["kind"], kind, "{check:#}");
}

/// Those that are lost come twice in a hundred, the 4th and 5th of each fifty, at any place of the window.
#[test]
fn loss_is_counted() {
    let endpoint = adversary(|socket, from, number, data, _| {
        if !matches!(number % 50, 3 | 4) {
            send(socket, from, data);
        }
    });
    let check = hundred(&endpoint, &["--wait", "2s"]);
    assert_found(&check, "lost", &[("back", 96), ("lost", 4)]);
    assert_eq!(
        (&check["findings"]["first_lost"], &check["findings"]["longest_loss"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(check["fault"]["summary"], "lost: 4 of 100 datagrams did not come back");
}

#[test]
fn duplicates_are_counted() {
    let endpoint = adversary(|socket, from, number, data, _| {
        send(socket, from, data);
        if number % 10 == 9 {
            send(socket, from, data);
        }
    });
    assert_found(&hundred(&endpoint, PATIENT), "duplicated", &[("duplicated", 10)]);
}

/// Each second and third of ten change places.
#[test]
fn reordering_is_counted() {
    let endpoint = adversary(|socket, from, number, data, held| match number % 10 {
        1 => held.push(data.to_vec()),
        2 => {
            send(socket, from, data);
            send(socket, from, &held.pop().unwrap());
        }
        _ => send(socket, from, data),
    });
    assert_found(&hundred(&endpoint, PATIENT), "reordered", &[("reordered", 10)]);
}

/// By a buffer that is too small, and by a relay that reads a stream.
#[test]
fn datagrams_that_are_cut_or_merged_are_named() {
    let endpoint = adversary(|socket, from, _, data, _| send(socket, from, &data[..60]));
    let check = hundred(&endpoint, PATIENT);
    assert_found(
        &check,
        "corrupted",
        &[("back", 0), ("corrupted", 100), ("cut", 100), ("shortest_cut_bytes", 60)],
    );
    assert_eq!(check["fault"]["summary"], "cut: 100 datagrams came back with the first 60 of 100 bytes");
    let endpoint = adversary(|socket, from, number, data, held| {
        if number % 2 == 0 {
            held.push(data.to_vec());
        } else {
            send(socket, from, &[&held.pop().unwrap(), data].concat());
        }
    });
    let split = adversary(|socket, from, _, data, _| {
        send(socket, from, &data[..70]);
        send(socket, from, &data[70..]);
    });
    let check = hundred(&split, PATIENT);
    assert_found(
        &check,
        "corrupted",
        &[("back", 0), ("corrupted", 100), ("cut", 100), ("split", 100), ("shortest_cut_bytes", 70)],
    );
    let summary = "split: 100 datagrams came back in pieces, the first with 70 of 100 bytes";
    assert_eq!(check["fault"]["summary"], summary);
    // What was merged is waited for in vain.
    let check = hundred(&endpoint, &["--wait", "300ms"]);
    assert_found(&check, "corrupted", &[("back", 0), ("lost", 50), ("corrupted", 50), ("merged", 50)]);
    let summary = "merged: 50 datagrams came back with another behind it in one datagram";
    assert_eq!(check["fault"]["summary"], summary);
}

#[test]
fn damage_is_counted() {
    let endpoint = adversary(|socket, from, number, data, _| {
        let mut data = data.to_vec();
        match number % 100 {
            7 => data[99] ^= 1,
            8 => data[0] ^= 1,
            9 => data.truncate(50),
            10 => data.push(0),
            _ => {}
        }
        send(socket, from, &data);
    });
    let check = hundred(&endpoint, PATIENT);
    assert_found(&check, "corrupted", &[("back", 96), ("corrupted", 4), ("cut", 1), ("merged", 1)]);
    assert_eq!(check["findings"]["first_corrupted"], 7);
}

#[test]
fn strays_are_counted() {
    let endpoint = adversary(|socket, from, number, data, _| {
        send(socket, from, data);
        if number % 50 == 0 {
            send(socket, from, b"nobody sent this, and it is no part of it");
        }
    });
    assert_found(&hundred(&endpoint, PATIENT), "strays", &[("strays", 2)]);
}

/// One at a time: that the next one comes shows that the one before it was given up.
#[test]
fn what_comes_late_is_not_lost() {
    let endpoint = adversary(|socket, from, number, data, held| match number % 100 {
        40 => held.push(data.to_vec()),
        41 => {
            send(socket, from, &held.pop().unwrap());
            send(socket, from, data);
        }
        _ => send(socket, from, data),
    });
    let check = hundred(&endpoint, &["--window", "100", "--wait", "2s"]);
    assert_found(&check, "late", &[("back", 99), ("late", 1)]);
    assert!(check["findings"]["slowest_late_seconds"].as_f64().unwrap() >= 2.0, "{check:#}");
    let likely = check["fault"]["likely"].as_str().unwrap();
    assert!(
        likely.starts_with("a long queue on the path, or a server that is slow: the slowest took "),
        "{likely}"
    );
}

/// The last one comes when nothing else is awaited any more.
#[test]
fn the_last_is_waited_for_after_it_was_given_up() {
    let endpoint = adversary(|socket, from, number, data, _| {
        if number % 100 == 99 {
            // The path holds it for twice the wait.
            thread::park_timeout(Duration::from_millis(600));
        }
        send(socket, from, data);
    });
    let check = hundred(&endpoint, &["--window", "100", "--wait", "300ms"]);
    assert_eq!(
        (&check["fault"]["kind"], &check["findings"]["lost"]),
        (&json!("late"), &json!(0)),
        "{check:#}"
    );
}

#[test]
fn a_rate_bounds_what_is_sent() {
    let endpoint = adversary(|socket, from, _, data, _| send(socket, from, data));
    let check = hundred(&endpoint, &["--wait", "20s", "--rate", "1k"]);
    assert_eq!(check["findings"]["back"], 100, "{check:#}");
    // The last is due 99 ms after the first.
    assert!(check["seconds"].as_f64().unwrap() >= 0.099, "{check:#}");
}

#[test]
fn a_peer_that_says_nothing_is_told_from_loss() {
    let endpoint = adversary(|_, _, _, _, _| {});
    let check = hundred(&endpoint, &["--wait", "2s", "--window", "10000"]);
    assert_found(&check, "timed_out", &[("back", 0), ("lost", 100)]);
    assert_eq!(check["fault"]["summary"], "timed out: none of 100 datagrams came back");
}

/// A socket that is bound to all addresses may answer from another one, and a relay from another port.
#[test]
fn answers_from_another_address_are_named() {
    let endpoint = adversary(|_, from, _, data, _| {
        let other = UdpSocket::bind("127.0.0.2:0").unwrap();
        send(&other, from, data);
    });
    let checked = checked(&endpoint, &["--bytes", "12kB", "--timeout", "1s"]);
    assert_eq!(checked.code, Some(3), "{checked:?}");
    let address = endpoint.strip_prefix("udp:").unwrap();
    let likely = checked.stdout.lines().find(|line| line.starts_with("  likely: ")).unwrap_or_default();
    assert!(
        likely.starts_with("  likely: answers come from 127.0.0.")
            && likely.contains(&format!(", not from {address}: ")),
        "{checked:?}"
    );
}

/// It tells by size alone, as a path does that carries no larger packets.
#[test]
fn the_longest_datagram_that_passes_is_found() {
    for (limit, likely) in [
        (
            1272,
            "datagrams of up to 1272 bytes come back: the path drops larger packets (MTU); --write 1272 passes",
        ),
        (1472, "datagrams of up to 1472 bytes come back: the path carries no fragments"),
    ] {
        let endpoint = match limit {
            1272 => adversary(|socket, from, _, data, _| {
                if data.len() <= 1272 {
                    send(socket, from, data);
                }
            }),
            _ => adversary(|socket, from, _, data, _| {
                if data.len() <= 1472 {
                    send(socket, from, data);
                }
            }),
        };
        let checked = checked(&endpoint, &["--write", "1500", "--bytes", "15kB", "--timeout", "1s"]);
        assert_eq!(checked.code, Some(3), "{checked:?}");
        assert!(checked.stdout.contains(&format!("\n  likely: {likely}\n")), "{checked:?}");
    }
}

/// The system tells, by what ICMP said.
#[cfg(target_os = "linux")]
#[test]
fn nobody_there_is_told_at_once() {
    let endpoint = format!("udp:{}", nobody_for_datagrams());
    for verb in ["check", "load"] {
        let Finished { code, stdout, stderr, .. } = run(&mut roundtrip([verb, &endpoint]));
        assert_eq!((code, &*stdout), (Some(4), ""));
        assert!(
            stderr.starts_with(&format!("error: cannot reach {endpoint}: Connection refused\n  try: ")),
            "{stderr}"
        );
    }
}

#[test]
fn a_load_is_told_in_both_forms() {
    let (server, bound) = udp(&["--max-rate", "off"]);
    let schema = schema::load();
    for options in [&["--count", "2000", "-c", "4"][..], &["--rate", "200", "-d", "500ms", "-c", "2"]] {
        let args = [&["load", &bound][..], options].concat();
        let loaded = document(schema, &args);
        assert_eq!((&loaded["result"], &loaded["fault"]), (&json!("ok"), &Value::Null), "{loaded:#}");
        let sent = if options[0] == "--count" { 2000 } else { 100 };
        assert_eq!((&loaded["findings"]["back"], &loaded["scheduled"]), (&json!(sent), &json!(sent)));
        assert!(loaded["latency_seconds"]["p50"].as_f64().unwrap() > 0.0);
        let text = run(&mut roundtrip(&args));
        let lines: Vec<_> = text.stdout.lines().collect();
        assert_eq!((text.code, lines.len()), (Some(0), 5), "{text:?}");
        assert!(lines[0].starts_with("ok  ") && lines[3].trim().starts_with("p50 "), "{text:?}");
    }
    assert!(ended(server).is_none_or(|ended| ended.code == Some(0)));
}

/// What is lost counts in the percentiles for as long as it was waited for.
#[test]
fn what_a_load_loses_is_in_its_latencies() {
    let endpoint = adversary(|socket, from, number, data, _| {
        if number % 10 != 0 {
            send(socket, from, data);
        }
    });
    let loaded = document(schema::load(), &["load", &endpoint, "--count", "100", "-c", "1", "--rate", "1k"]);
    assert_eq!((&loaded["result"], &loaded["exit"]), (&json!("failed"), &json!(1)), "{loaded:#}");
    assert_eq!((&loaded["findings"]["lost"], &loaded["fault"]["kind"]), (&json!(10), &json!("lost")));
    assert!(loaded["latency_seconds"]["p99"].as_f64().unwrap() > 0.9, "{loaded:#}");
    assert!(loaded["latency_seconds"]["p50"].as_f64().unwrap() < 0.9, "{loaded:#}");
    // The second in which nothing was sent, and what was lost was waited for, does not count.
    let [seconds, sending, pace] =
        ["seconds", "sending_seconds", "datagrams_per_second"].map(|name| loaded[name].as_f64().unwrap());
    assert!(sending < seconds - 0.5 && (pace - 90.0 / sending).abs() < 1.0, "{loaded:#}");
    let likely = loaded["fault"]["likely"].as_str().unwrap();
    assert!(
        likely.contains("--max-rate") && likely.ends_with("a smaller --rate shows whether it is only that")
    );
}

/// A peer that sends back whatever comes stands for another server: one of a thousand is not answered, and that was it.
#[test]
fn what_goes_round_between_two_ends() {
    const ENOUGH: &[u8] = b"enough";
    for driver in ["std", "smol"] {
        let (mut server, bound) = udp(&["--driver", driver, "--max-rate", "off"]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(bound.strip_prefix("udp:").unwrap()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let other = socket.try_clone().unwrap();
        let other = thread::spawn(move || {
            let (mut buffer, mut came) = ([0; 16], 0);
            loop {
                let len = other.recv(&mut buffer).unwrap();
                if &buffer[..len] == ENOUGH {
                    return came;
                }
                came += 1;
                other.send(&buffer[..len]).unwrap();
            }
        });
        socket.send(b"round").unwrap();
        let line = server.error_line();
        assert!(line.contains("the same datagram again and again: it may be going round"), "{line}");
        socket.send(ENOUGH).unwrap();
        assert_eq!(other.join().unwrap(), 999);
        if let Some(Finished { code, stderr, .. }) = ended(server) {
            assert_eq!(code, Some(0));
            assert!(stderr.ends_with("1,001 came, 1,000 echoed, 1 not answered\n"), "{stderr}");
        }
    }
}

/// What anybody can start with forged datagrams, and here without: each server has the other one for its peer, as an address
/// translator would show it.
#[cfg(unix)]
#[test]
fn a_loop_between_two_servers_dies_out() {
    let [(mut first, first_at), (mut second, second_at)] = [(); 2].map(|()| udp(&["--max-rate", "off"]));
    let [to_first, to_second] = [&first_at, &second_at].map(|server| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.strip_prefix("udp:").unwrap()).unwrap();
        socket
    });
    let pass_on = |from: &UdpSocket, to: &UdpSocket| {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        from.set_read_timeout(Some(PATIENCE)).unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 16];
            while let Ok(len) = from.recv(&mut buffer) {
                // A server that has ended takes nothing.
                let _ = to.send(&buffer[..len]);
            }
        });
    };
    pass_on(&to_first, &to_second);
    pass_on(&to_second, &to_first);
    for round in ["round", "and round", "they go"] {
        to_first.send(round.as_bytes()).unwrap();
    }
    // The three may end at either, at the one that counts to a thousand first.
    poll("each of the three has ended", || {
        let ended = [&mut first, &mut second].map(|server| {
            server.signal(Signal::USR1);
            let mut counters = std::iter::repeat_with(|| server.error_line());
            number(&counters.find(|line| line.starts_with("counters: ")).unwrap(), "not answered")
        });
        (ended.iter().sum::<u64>() == 3).then_some(())
    });
    // Nothing comes any more: a loop would keep both until their time is up, and then they are cut off.
    let ended = [stop(first), stop(second)];
    assert!(
        ended.iter().any(|ended| ended.stderr.contains("the same datagram again and again")),
        "{ended:?}"
    );
    assert!(ended.iter().all(|ended| ended.code == Some(0)), "{ended:?}");
    let count =
        |what| ended.iter().map(|ended| number(ended.stderr.lines().last().unwrap(), what)).sum::<u64>();
    let (came, unanswered) = (count("came"), count("not answered"));
    assert_eq!(unanswered, 3, "each of the three ends");
    assert!((3 * 1000..=3 * 2001).contains(&came), "{came}");
}

/// The number before `what` in a line of counters; 0 if it is not there.
#[cfg(unix)]
fn number(line: &str, what: &str) -> u64 {
    let Some((before, _)) = line.split_once(&format!(" {what}")) else { return 0 };
    before.rsplit(' ').next().unwrap().replace(',', "").parse().unwrap()
}

/// A connected peer's own queue has no bound (unix(7)): what it leaves unread fills the server's.
#[cfg(target_os = "linux")]
#[test]
fn a_unix_peer_that_never_reads_is_told_once_and_silences_nobody() {
    use std::os::unix::net::UnixDatagram;
    let folder = std::env::temp_dir();
    let file = |what: &str| folder.join(format!("roundtrip-{what}-{}", std::process::id()));
    let (here, deaf) = (file("deaf-server"), file("deaf-peer"));
    let endpoint = format!("unix-dgram:{}", here.display());
    for driver in ["std", "smol"] {
        let options = ["--driver", driver, "--max-rate", "off", "--socket-buffer", "64KiB"];
        let (mut server, bound) = serving(&endpoint, &options);
        let peer = UnixDatagram::bind(&deaf).unwrap();
        peer.connect(&here).unwrap();
        // Linux counts at least 768 bytes for each.
        for _ in 0..300 {
            peer.send(b"x").unwrap();
        }
        let checked = checked(&bound, &["--window", "1200", "--bytes", "120kB", "--wait", "20s"]);
        assert_eq!(checked.code, Some(0), "{checked:?}");
        let line = server.error_line();
        let expected = format!("not answered: {}, it leaves earlier answers unread", deaf.display());
        assert!(line.contains(&expected), "{line}");
        let Finished { code, stderr, .. } = stop(server);
        assert_eq!((code, stderr.lines().count()), (Some(0), 2), "{stderr}");
        assert!(stderr.contains("400 came, ") && stderr.ends_with(" not answered\n"), "{stderr}");
        std::fs::remove_file(&deaf).unwrap();
    }
}

/// Root may send from a well-known port; a namespace keeps that from everybody else's.
#[cfg(target_os = "linux")]
#[test]
fn a_well_known_port_is_not_answered() {
    use crate::common::namespace::Namespace;
    let Some(namespace) = Namespace::new("well-known", "127.0.0.1 localhost\n") else { return };
    if !crate::common::have(&["socat"]) {
        return;
    }
    let mut server =
        Running::start(namespace.command(crate::common::ROUNDTRIP).args(["serve", "udp:127.0.0.1:7007"]));
    assert_eq!(server.line(), "listening udp 127.0.0.1:7007");
    let ask = |port: u16| {
        let mut command = namespace.command("socat");
        // The server has its own port of the first address of this machine.
        command.args(["-t", "0.2", "-", &format!("UDP4:127.0.0.1:7007,bind=127.0.0.2:{port}")]);
        crate::common::run_with(&mut command, b"hello?".to_vec()).stdout
    };
    assert_eq!(ask(7), "");
    let line = server.error_line();
    assert!(line.contains("not answered: 127.0.0.2:7, a well-known port"), "{line}");
    assert_eq!(ask(7007), "");
    assert_eq!(ask(40_000), "hello?");
    let Finished { code, stderr, .. } = stop(server);
    assert_eq!(code, Some(0));
    assert!(stderr.ends_with("udp:127.0.0.1:7007: 3 came, 1 echoed, 2 not answered\n"), "{stderr}");
}

#[test]
fn what_means_nothing_over_datagrams_is_refused() {
    let is_here = cfg!(target_os = "linux");
    let uring = if is_here { "--driver uring drives no datagrams" } else { "no --driver uring: only Linux" };
    for (args, cause) in [
        (&["serve", "udp:0.0.0.0:0"][..], "is all addresses"),
        (&["serve", "udp:[::]:0"], "is all addresses"),
        (&["serve", "udp:239.1.2.3:0"], "is for many at one time"),
        (&["serve", "udp:127.0.0.1:0", "--once"], "--once makes no sense over datagrams"),
        (&["serve", "udp:127.0.0.1:0", "--idle", "1s"], "--idle makes no sense over datagrams"),
        (&["serve", "udp:127.0.0.1:0", "--record", "x"], "--record makes no sense over datagrams"),
        (&["serve", "udp:127.0.0.1:0", "--driver", "uring"], uring),
        (&["serve", "udp:127.0.0.1:0", "--threads", "2"], "--threads makes no sense over datagrams"),
        (&["serve", "--max-rate", "5"], "--max-rate is for datagrams"),
        (&["serve", "udp:127.0.0.1:0", "--max-rate", "0"], "--max-rate"),
        (&["serve", "mailslot:a"], "goes one way"),
        (&["check", "udp:127.0.0.1:1", "--half-close", "on"], "--half-close makes no sense over datagrams"),
        (&["check", "udp:127.0.0.1:1", "--half-close", "off"], "--half-close makes no sense over datagrams"),
        (&["check", "udp:127.0.0.1:1", "--pause", "1s"], "--pause makes no sense over datagrams"),
        (&["check", "udp:127.0.0.1:1", "--stall", "1s"], "--stall makes no sense over datagrams"),
        (&["check", "udp:127.0.0.1:1", "--read", "1"], "--read makes no sense over datagrams"),
        (&["check", "udp:127.0.0.1:1", "--write", "15"], "--write must be at least 16 over datagrams"),
        (&["check", "udp:127.0.0.1:1", "--write", "65508"], "--write must be at most 65507 over datagrams"),
        (&["check", "udp:127.0.0.1:1,max=424"], "longer than max=424"),
        (
            &["check", "udp:127.0.0.1:1", "--write", "16", "--window", "1GiB"],
            "--window is more than 1,048,576 datagrams",
        ),
        (&["check", "udp:239.1.2.3:1"], "is for many at one time"),
        (&["check", "localhost:1", "--wait", "1s"], "--wait is for datagrams"),
        (&["check", "localhost:1", "--rate", "1k"], "--rate is for datagrams"),
        (&["load", "udp:127.0.0.1:1", "--half-close", "on"], "--half-close makes no sense over datagrams"),
        (&["load", "udp:127.0.0.1:1", "--size", "1"], "--size must be at least 16 over datagrams"),
        (&["send", "udp:127.0.0.1:1"], "udp:127.0.0.1:1"),
        (&["check", "pipe:a", "--half-close", "on"], "pipe:a has no half-close"),
    ] {
        let Finished { code, stdout, stderr, .. } = run(&mut roundtrip(args));
        assert_eq!((code, &*stdout), (Some(if args[0] == "send" { 4 } else { 2 }), ""), "{args:?}: {stderr}");
        let lines: Vec<_> = stderr.lines().collect();
        assert!(
            lines.len() == 2 && lines[0].contains(cause) && lines[1].starts_with("  try: "),
            "{args:?}: {stderr}"
        );
    }
}

/// As timeout(1) interrupts it: the process, and then its group, of which it is a member.
#[cfg(unix)]
#[test]
fn what_was_counted_before_an_interrupt_is_told() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static CAME: AtomicUsize = AtomicUsize::new(0);
    // Every third is lost, and from the thirtieth on all are.
    let endpoint = adversary(|socket, from, number, data, _| {
        CAME.fetch_add(1, Ordering::Relaxed);
        if number < 30 && number % 3 != 0 {
            send(socket, from, data);
        }
    });
    let options = ["--bytes", "12MB", "--window", "36kB", "--wait", "1h", "--timeout", "1h"];
    let running = Running::start(roundtrip(["check", &endpoint]).args(options));
    // Twenty came back, and thirty more than those are on their way.
    poll("it has sent what it may", || (CAME.load(Ordering::Relaxed) >= 50).then_some(()));
    running.signal(Signal::INT);
    running.signal(Signal::INT);
    let checked = running.wait();
    assert_eq!((checked.code, &*checked.stderr), (Some(3), ""), "{checked:?}");
    let lines: Vec<_> = checked.stdout.lines().collect();
    assert_eq!(lines[0], "INCOMPLETE  stopped after 20 datagrams came back");
    assert!(lines[1].starts_with("  sent 50   back 20   lost 0 "), "{checked:?}");
    assert!(lines[1].ends_with("   in flight 30"), "{checked:?}");
}
