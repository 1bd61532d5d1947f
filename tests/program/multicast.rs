//! `post` and `listen`: messages to one, to a group, and to every host, in networks that the tests make; and what
//! `listen` says of those that are missing.

use std::io::Write;
use std::process::Command;

#[cfg(target_os = "linux")]
use crate::common::schema::document;
use crate::common::{Finished, Running, roundtrip, run, run_with};
#[cfg(target_os = "linux")]
use crate::common::{ROUNDTRIP, Signal, namespace::Namespace, poll, skip};
#[cfg(target_os = "linux")]
use serde_json::json;

/// Two namespaces with a wire between them.
#[cfg(target_os = "linux")]
fn wired(test: &str) -> Option<[Namespace; 2]> {
    let names = ["left", "right"].map(|side| format!("{test}-{side}"));
    let [left, right] = names.map(|name| Namespace::new(&name, "127.0.0.1 localhost\n"));
    let both = [left?, right?];
    both[0].wire_to(&both[1]);
    Some(both)
}

#[cfg(target_os = "linux")]
fn inside(namespace: &Namespace, args: &[&str]) -> Command {
    let mut command = namespace.command(ROUNDTRIP);
    command.args(args);
    command
}

/// `roundtrip listen` that has begun to, and where.
fn listening(command: &mut Command) -> (Running, String) {
    let mut running = Running::start(command);
    let line = running.error_line();
    let bound = line.strip_prefix("listening ").unwrap_or_else(|| panic!("{line}"));
    (running, bound.replacen(' ', ":", 1))
}

/// `roundtrip listen` on this machine alone.
fn listen(endpoint: &str, options: &[&str]) -> (Running, String) {
    listening(roundtrip(["listen", endpoint]).args(options))
}

/// Posts these texts, as they are.
fn post(endpoint: &str, texts: &[&str]) {
    let Finished { code, stderr, .. } = run(&mut roundtrip(["post", endpoint].iter().chain(texts)));
    assert_eq!((code, &*stderr), (Some(0), ""));
}

/// A thousand lines, posted as they are typed, are heard by everybody, each once and in order. No more are under way at
/// one time than a socket holds.
fn assert_all_heard(post: &mut Command, mut listeners: Vec<Running>) {
    const LINES: usize = 1000;
    const BATCH: usize = 100;
    let (poster, mut input) = Running::start_to_feed(post);
    let mut sender = None;
    for number in 1..=LINES {
        writeln!(input, "line {number}").unwrap();
        if number % BATCH != 0 {
            continue;
        }
        for listener in &mut listeners {
            for number in number - BATCH + 1..=number {
                let line = listener.line();
                let (head, text) = line.split_once(' ').unwrap();
                assert_eq!(text, format!("line {number}"));
                let (name, at) = head.split_once('#').unwrap();
                assert_eq!((name, at), (&**sender.get_or_insert(name.to_owned()), &*number.to_string()));
            }
        }
    }
    drop(input);
    let sender = sender.unwrap().split_off(1);
    let posted = poster.wait();
    assert_eq!(posted.stdout, format!("posted 1,000 messages as {sender}\n"), "{}", posted.stderr);
    for listener in listeners {
        let Finished { code, stderr, .. } = listener.wait();
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.contains(&format!("\nok  {sender} (")), "{stderr}");
        assert!(stderr.ends_with("1,000 of 1,000 messages came, each once and in order\n"), "{stderr}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn every_member_of_a_group_hears_every_message() {
    let Some([left, right]) = wired("group") else { return };
    for post_to in ["udp:239.1.2.3:7007,if=192.0.2.1", "udp:239.1.2.3:7007"] {
        // Two on one host, and one on the other.
        let here =
            || listening(&mut inside(&left, &["listen", "udp:239.1.2.3:7007,if=192.0.2.1", "--once"])).0;
        let there = || listening(&mut inside(&right, &["listen", "udp:239.1.2.3:7007", "--once"])).0;
        assert_all_heard(&mut inside(&left, &["post", post_to, "--number"]), vec![here(), here(), there()]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn every_member_of_a_group_of_ipv6_hears_every_message() {
    let Some([left, right]) = wired("group-of-6") else { return };
    let address = left.command("ip").args(["-6", "address", "show", "wire"]).output().unwrap();
    if !String::from_utf8(address.stdout).unwrap().contains("2001:db8::1") {
        skip("there is no IPv6 here");
        return;
    }
    let ends = [(&left, "udp:[ff15::7]:7007,if=2001:db8::1"), (&right, "udp:[ff15::7]:7007,if=2001:db8::2")];
    let listeners = ends.map(|(at, endpoint)| listening(&mut inside(at, &["listen", endpoint, "--once"])).0);
    assert_all_heard(&mut inside(&left, &["post", ends[0].1, "--number"]), listeners.into());
}

#[cfg(target_os = "linux")]
#[test]
fn every_host_hears_a_broadcast() {
    let Some([left, right]) = wired("broadcast") else { return };
    for (listen_on, post_to) in [
        ("udp:192.0.2.255:7007,broadcast", "udp:192.0.2.255:7007,broadcast"),
        ("udp:0.0.0.0:7007,broadcast", "udp:255.255.255.255:7007,broadcast,if=192.0.2.1"),
    ] {
        let listener = |at: &Namespace| listening(&mut inside(at, &["listen", listen_on, "--once"])).0;
        let listeners = vec![listener(&left), listener(&right), listener(&right)];
        assert_all_heard(&mut inside(&left, &["post", post_to, "--number"]), listeners);
    }
}

#[test]
fn one_listener_hears_what_is_posted_to_it() {
    let mut endpoints = vec!["udp:127.0.0.1:0".to_owned()];
    if cfg!(target_os = "linux") {
        endpoints.push(format!("unix-dgram:@roundtrip-{}-post", std::process::id()));
    }
    for endpoint in &endpoints {
        let (listener, bound) = listen(endpoint, &["--once"]);
        assert_all_heard(&mut roundtrip(["post", &bound, "--number"]), vec![listener]);
    }
}

/// A sender that leaves numbers out is taken for a network that lost them: each listener says which.
#[cfg(target_os = "linux")]
#[test]
fn each_listener_reports_exactly_the_gap() {
    let Some([left, right]) = wired("gap") else { return };
    let endpoint = "udp:239.1.2.3:7007";
    let args = ["listen", endpoint, "--once"];
    let listeners = [listening(&mut inside(&left, &args)).0, listening(&mut inside(&right, &args)).0];
    let documented = [&args[..], &["--json"]].concat();
    let document_of = listening(&mut inside(&right, &documented)).0;
    let texts = ["@gap#1 a", "@gap#2 b", "@gap#5 e", "@gap#6 f", "@gap#8 h", "@gap!10"];
    let posted = run(&mut inside(&left, &[&["post", endpoint][..], &texts].concat()));
    assert_eq!((posted.code, &*posted.stderr), (Some(0), ""));
    for listener in listeners {
        let Finished { code, stdout, stderr, .. } = listener.wait();
        assert_eq!((code, &*stdout), (Some(1), "@gap#1 a\n@gap#2 b\n@gap#5 e\n@gap#6 f\n@gap#8 h\n"));
        assert!(stderr.contains("\nFAIL  gap (192.0.2.1:"), "{stderr}");
        assert!(stderr.ends_with("5 of 10 messages came\n  missing 5: 3-4, 7, 9-10\n"), "{stderr}");
    }
    let mut finished = document_of.wait();
    // Where it listens is told in any case.
    assert!(finished.stderr.starts_with("listening udp 239.1.2.3:7007\n"));
    finished.stderr.clear();
    let document = document(crate::common::schema::listen(), &finished);
    let sender = &document["senders"][0];
    assert_eq!(sender["gaps"], json!([[3, 4], [7, 7], [9, 10]]), "{document:#}");
    assert_eq!(
        (
            &document["result"],
            &document["ended_by"],
            &document["messages"],
            &sender["total"],
            &sender["missing"]
        ),
        (&json!("failed"), &json!("end_mark"), &json!(5), &json!(10), &json!(5))
    );
}

#[test]
fn what_comes_twice_or_late_is_reported() {
    let (listener, bound) = listen("udp:127.0.0.1:0", &["--once"]);
    post(&bound, &["@x#1 a", "@x#3 c", "@x#2 b", "@x#3 c", "@x!3"]);
    let Finished { code, stdout, stderr, .. } = listener.wait();
    assert_eq!((code, &*stdout), (Some(1), "@x#1 a\n@x#3 c\n@x#2 b\n"), "{stderr}");
    let told = "3 of 3 messages came\n  1 came twice\n  1 came late, after one that was posted later\n";
    assert!(stderr.ends_with(told), "{stderr}");
}

/// A listener that is too slow loses messages, and knows which, and that it was its own fault.
#[cfg(target_os = "linux")]
#[test]
fn what_a_listener_did_not_read_in_time_is_missing() {
    let (mut listener, bound) = listen("udp:127.0.0.1:0", &["--once", "--socket-buffer", "4KiB"]);
    listener.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", listener.id());
    poll("it stands still", || std::fs::read_to_string(&stat).unwrap().contains(") T ").then_some(()));
    let posted = run(&mut roundtrip(["post", &bound, "--count", "1000", "--size", "200"]));
    let sender = posted.stdout.trim_end().rsplit(' ').next().unwrap().to_owned();
    listener.signal(Signal::CONT);
    // There was no room for the end mark either, and there may be none yet.
    poll("it has heard the end mark", || {
        let _posted = run(&mut roundtrip(["post", &bound, &format!("@{sender}!1000")]));
        (!listener.is_running()).then_some(())
    });
    let Finished { code, stdout, stderr, .. } = listener.wait();
    let came = stdout.lines().count();
    assert!((1..1000).contains(&came));
    assert_eq!(code, Some(1));
    let missing = format!("{came} of 1,000 messages came\n  missing {}: {}-1000\n", 1000 - came, came + 1);
    assert!(stderr.contains(&missing), "{stderr}");
    assert!(stderr.contains("messages were dropped here, not read in time"), "{stderr}");
}

#[test]
fn it_ends_when_it_was_asked_to() {
    let (listener, bound) = listen("udp:127.0.0.1:0", &["--count", "2"]);
    post(&bound, &["one", "two"]);
    let Finished { code, stdout, .. } = listener.wait();
    assert_eq!((code, &*stdout), (Some(0), "one\ntwo\n"));
    for (options, code) in [
        (&[][..], 0),
        (&["--for", "1ms"], 0),
        (&["--once"], 3),
        (&["--count", "1"], 3),
        (&["--once", "--for", "1ms"], 3),
        (&["--count", "1", "--for", "1ms"], 3),
    ] {
        let is_limited = options.contains(&"--for");
        // Windows has no signals: there, what ends a listener that has no limit is shown by `tests/program/wine.rs`.
        if cfg!(not(target_os = "linux")) && !is_limited {
            continue;
        }
        let (listener, _) = listen("udp:127.0.0.1:0", options);
        #[cfg(target_os = "linux")]
        if !is_limited {
            listener.signal(Signal::INT);
        }
        let finished = listener.wait();
        assert_eq!((finished.code, &*finished.stdout), (Some(code), ""), "{options:?}: {}", finished.stderr);
        assert_eq!(finished.stderr.contains("\nincomplete: "), code == 3, "{}", finished.stderr);
    }
}

#[test]
fn without_an_end_mark_the_last_may_be_missing() {
    let (listener, bound) = listen("udp:127.0.0.1:0", &["--count", "2"]);
    post(&bound, &["@x#1 a", "@x#2 b"]);
    let Finished { code, stderr, .. } = listener.wait();
    assert_eq!(code, Some(0));
    assert!(stderr.ends_with("2 came, no end mark: the last may be missing\n"), "{stderr}");
}

#[test]
fn messages_are_lines_that_command_no_terminal() {
    for (options, printed) in [(&[][..], "\\u{1b}[2J\\ttext\n"), (&["--raw"], "\x1b[2J\ttext\n")] {
        let (listener, bound) = listen("udp:127.0.0.1:0", &[&["--count", "1"], options].concat());
        post(&bound, &["\x1b[2J\ttext"]);
        assert_eq!(listener.wait().stdout, printed);
    }
}

#[test]
fn each_line_of_standard_input_is_a_message() {
    let (listener, bound) = listen("udp:127.0.0.1:0", &["--count", "4"]);
    let posted = run_with(&mut roundtrip(["post", &bound]), b"one\n\n\xff\r\nlast".to_vec());
    assert_eq!((posted.code, &*posted.stdout), (Some(0), "posted 4 messages\n"), "{}", posted.stderr);
    assert_eq!(listener.wait().stdout, "one\n\n\\xff\\r\nlast\n");
}

/// Those before it are out already, and whoever hears them is told how many there were.
#[test]
fn a_line_that_is_too_long_ends_the_posting() {
    let (listener, bound) = listen("udp:127.0.0.1:0", &["--once"]);
    let lines = format!("one\n{}\nthree\n", "x".repeat(1 << 20)).into_bytes();
    let Finished { code, stdout, stderr, .. } = run_with(&mut roundtrip(["post", &bound, "--number"]), lines);
    assert_eq!((code, &*stdout), (Some(2), ""));
    assert!(stderr.starts_with("error: message 2 has more than the 65,507 bytes"), "{stderr}");
    let heard = listener.wait();
    assert_eq!(heard.code, Some(0));
    assert!(heard.stderr.contains("1 of 1 message came"), "{}", heard.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_post_that_is_interrupted_says_how_many_there_were() {
    let (mut listener, bound) = listen("udp:127.0.0.1:0", &["--once"]);
    let (poster, mut input) = Running::start_to_feed(&mut roundtrip(["post", &bound, "--number"]));
    input.write_all(b"one\n").unwrap();
    listener.line();
    poster.signal(Signal::INT);
    let Finished { code, stderr, .. } = poster.wait();
    assert_eq!(code, Some(3));
    assert!(stderr.starts_with("error: interrupted after 1 message\n"), "{stderr}");
    assert_eq!(listener.wait().code, Some(0));
}

#[test]
fn messages_have_the_size_and_the_number_that_were_asked_for() {
    let (listener, bound) = listen("udp:127.0.0.1:0", &["--once"]);
    let options = ["--count", "12", "--size", "424", "--rate", "1k"];
    let posted = run(&mut roundtrip(["post", &bound].iter().chain(&options)));
    assert_eq!(posted.code, Some(0), "{}", posted.stderr);
    let heard = listener.wait();
    assert_eq!(heard.code, Some(0), "{}", heard.stderr);
    assert_eq!(heard.stdout.lines().map(str::len).collect::<Vec<_>>(), [424; 12]);
}
