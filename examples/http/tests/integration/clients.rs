//! Independent HTTP clients on every driver: curl, ab, wrk, and h11 for Python.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use crate::exchanges::{pattern, summary};

/// The server, killed when this is dropped.
struct Server {
    child: Child,
    port: String,
}

impl Server {
    fn start(driver: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roundtrip-http"));
        let mut child = command.args(["127.0.0.1:0", driver]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim_end().strip_prefix("listening tcp:127.0.0.1:").unwrap().to_owned();
        Self { child, port }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn skip(what: &str) {
    assert!(std::env::var_os("ROUNDTRIP_SKIP_NOTHING").is_none(), "there is no {what} here");
    eprintln!("skipped: there is no {what} here");
}

/// What a program does with this input; none if it is not installed.
fn run<A: AsRef<str>>(program: &str, args: &[A], input: &[u8]) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(args.iter().map(AsRef::as_ref));
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        skip(program);
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // It is dropped at the end, and that is the input's.
        scope.spawn(move || stdin.write_all(input));
        Some(child.wait_with_output().unwrap())
    })
}

/// What it prints; it must succeed.
fn printed<A: AsRef<str>>(program: &str, args: &[A], input: &[u8]) -> Option<Vec<u8>> {
    let output = run(program, args, input)?;
    assert!(output.status.success(), "{program}: {output:?}");
    Some(output.stdout)
}

macro_rules! on_every_driver {
    ($($test:ident)*) => {
        mod on_std { $(#[test] fn $test() { super::$test("std"); })* }
        mod on_smol { $(#[test] fn $test() { super::$test("smol"); })* }
        #[cfg(unix)]
        mod on_tokio { $(#[test] fn $test() { super::$test("tokio"); })* }
        #[cfg(unix)]
        mod on_reactor { $(#[test] fn $test() { super::$test("reactor"); })* }
        #[cfg(target_os = "linux")]
        mod on_uring { $(#[test] fn $test() { super::$test("uring"); })* }
    };
}

on_every_driver! {
    curl_downloads_and_uploads
    curl_sees_refusals_and_closes
    ab_keeps_connections_and_makes_new_ones
    wrk_gets_nothing_but_successes
    h11_takes_every_response_for_valid
}

fn curl_downloads_and_uploads(driver: &str) {
    let server = Server::start(driver);
    let curl = |args: &[&str], path: &str, input: &[u8]| {
        let url = server.url(path);
        let always = ["--silent", "--show-error", "--max-time", "60", "--fail"];
        printed("curl", &[&always[..], args, &[&url]].concat(), input)
    };
    let Some(text) = curl(&[], "/", b"") else { return };
    assert_eq!(text, b"hello\n");
    let large = pattern(3_000_000);
    assert!(curl(&[], "/bytes/3000000", b"").unwrap() == large);
    // curl asks with `Expect: 100-continue` before a large body.
    let length = ["--data-binary", "@-"];
    let chunked = ["--data-binary", "@-", "--header", "Transfer-Encoding: chunked"];
    for args in [&length[..], &chunked[..]] {
        assert!(curl(args, "/echo", &large).unwrap() == large);
        let counted = curl(args, "/count", &large).unwrap();
        assert_eq!(String::from_utf8(counted).unwrap(), summary(&large));
    }
    // On one connection, with HTTP/1.0, and with a head alone.
    let twice = [&*server.url("/bytes/3"), "--write-out", " %{num_connects}"];
    assert_eq!(curl(&twice, "/", b"").unwrap(), b"ABC 1hello\n 0");
    assert_eq!(curl(&["--http1.0"], "/", b"").unwrap(), b"hello\n");
    let head = String::from_utf8(curl(&["--head"], "/bytes/12", b"").unwrap()).unwrap();
    assert_eq!(head, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n");
}

fn curl_sees_refusals_and_closes(driver: &str) {
    let server = Server::start(driver);
    let long = format!("A: {}", "b".repeat(9000));
    for (args, path, status) in [
        (&[][..], "/none", "404"),
        (&[], "/echo", "405"),
        (&["--request", "DELETE"], "/", "405"),
        (&["--header", "Host:"], "/", "400"),
        (&["--header", "Host: a b"], "/", "400"),
        (&["--header", &long], "/", "431"),
        (&["--header", "Expect: a"], "/", "417"),
        (&["--header", "Content-Length: 99999999999", "--request", "POST"], "/", "413"),
        (&["--header", "Transfer-Encoding: gzip", "--data", "a"], "/", "501"),
    ] {
        let url = server.url(path);
        let always = ["--silent", "--max-time", "60", "--output", "-", "--write-out", "%{http_code}"];
        let Some(printed) = printed("curl", &[&always[..], args, &[&url]].concat(), b"") else { return };
        assert_eq!(String::from_utf8(printed).unwrap(), status, "{args:?} {path}");
    }
}

fn ab_keeps_connections_and_makes_new_ones(driver: &str) {
    let server = Server::start(driver);
    for args in [&["-k", "-n", "5000"][..], &["-n", "500"]] {
        let url = server.url("/");
        let Some(printed) = printed("ab", &[&["-q", "-c", "20"][..], args, &[&url]].concat(), b"") else {
            return;
        };
        let printed = String::from_utf8(printed).unwrap();
        let value = |name: &str| printed.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        assert_eq!(value("Complete requests:"), Some(args[args.len() - 1]), "{printed}");
        assert_eq!(value("Failed requests:"), Some("0"), "{printed}");
        assert_eq!(value("Document Length:"), Some("6 bytes"), "{printed}");
        let kept = value("Keep-Alive requests:");
        assert_eq!(kept, args.contains(&"-k").then_some("5000"), "{printed}");
    }
}

fn wrk_gets_nothing_but_successes(driver: &str) {
    let server = Server::start(driver);
    for path in ["/", "/bytes/100000"] {
        let url = server.url(path);
        let Some(printed) = printed("wrk", &["-t1", "-c20", "-d1s", "--timeout", "60s", &url], b"") else {
            return;
        };
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.contains(" requests in ") && !printed.contains(" 0 requests in "), "{printed}");
        assert!(!printed.contains("Socket errors") && !printed.contains("Non-2xx"), "{printed}");
    }
}

fn h11_takes_every_response_for_valid(driver: &str) {
    let has_h11 = |python: &&&str| {
        Command::new(python)
            .args(["-c", "import h11"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    // The package of Debian is for the system's.
    let Some(python) = ["python3", "/usr/bin/python3"].iter().find(has_h11) else { return skip("h11") };
    let server = Server::start(driver);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/h11_client.py");
    let checks = printed(python, &[script, "127.0.0.1", &server.port], b"").unwrap();
    assert_eq!(String::from_utf8(checks).unwrap().lines().count(), 8);
}
