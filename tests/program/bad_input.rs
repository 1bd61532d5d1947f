//! Bad input of every kind: one line of cause, one of advice, the right exit code, nothing on standard output,
//! and never a panic.

#[cfg(unix)]
use std::ffi::OsStr;
use std::net::TcpListener;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
#[cfg(unix)]
use std::process::Command;

use crate::common::{Finished, Server, nobody, roundtrip, run, run_into};
#[cfg(unix)]
use crate::common::{ROUNDTRIP, after, have, namespace::Namespace, nobody_for_datagrams, ping, skip};

/// What is advised where it would help, and is there.
const REACTOR: &str =
    if cfg!(unix) { "choose --driver reactor, or leave out --spin" } else { "leave out --spin" };

const USAGE: i32 = 2;
#[cfg(unix)]
const INCOMPLETE: i32 = 3;
const UNREACHABLE: i32 = 4;

/// Two lines on standard error, nothing on standard output; the cause and the advice.
#[track_caller]
fn refused(finished: &Finished, code: i32) -> (String, String) {
    let Finished { stdout, stderr, .. } = finished;
    assert_eq!((finished.code, &**stdout), (Some(code), ""), "{stderr}");
    let lines: Vec<_> = stderr.split_inclusive('\n').collect();
    let [cause, advice] = lines[..] else { panic!("not two lines: {stderr:?}") };
    let text = |line: &str, prefix| {
        let text = line.strip_prefix(prefix).and_then(|text| text.strip_suffix('\n'));
        let text = text.filter(|text| !text.is_empty() && text.trim() == *text);
        text.unwrap_or_else(|| panic!("not `{prefix}…`: {line:?}")).to_owned()
    };
    assert!(!stderr.contains("panicked") && !stderr.contains("os error"), "{stderr}");
    (text(cause, "error: "), text(advice, "  try: "))
}

/// Each with its exit code, a part of the cause, and a part of the advice.
fn table(table: &[(&[&str], i32, &str, &str)]) {
    for (args, code, cause, advice) in table {
        let finished = run(&mut roundtrip(*args));
        let told = refused(&finished, *code);
        assert!(told.0.contains(cause) && told.1.contains(advice), "{args:?}: {told:?}");
    }
}

#[test]
fn verbs_and_options_that_do_not_exist() {
    table(&[
        (&[], USAGE, "no verb", "--help"),
        (&["frobnicate"], USAGE, "'frobnicate'", "--help"),
        (&["chek"], USAGE, "'chek'", "'check'"),
        (&[""], USAGE, "''", "--help"),
        (&["--frobnicate"], USAGE, "'--frobnicate'", ""),
        (&["check", "--frobnicate"], USAGE, "'--frobnicate'", ""),
        (&["check", "--byte", "1"], USAGE, "'--byte'", "'--bytes'"),
        (&["serve", "--bytes", "1"], USAGE, "'--bytes'", ""),
        (&["two\nlines"], USAGE, "", ""),
        (&["check", "--two\n\nparagraphs"], USAGE, "", ""),
        (&["serve", "-x"], USAGE, "'-x'", ""),
        (&["check", "localhost", "extra"], USAGE, "'extra'", ""),
        (&["send", "localhost", "text", "extra"], USAGE, "'extra'", ""),
        (&["serve", "--driver", "magic"], USAGE, "'magic'", ""),
        (&["serve", "--driver"], USAGE, "--driver", ""),
        (
            &["serve", "--driver", "std", "--threads", "2"],
            USAGE,
            "--threads makes no sense with --driver std",
            "--driver smol",
        ),
        (
            &["serve", "--driver", "smol", "--spin", "50us"],
            USAGE,
            "--spin makes no sense with --driver smol",
            REACTOR,
        ),
        (
            &["load", "--driver", "std", "--spin", "50us"],
            USAGE,
            "--spin makes no sense with --driver std",
            REACTOR,
        ),
        (&["serve", "--spin", "1s"], USAGE, "longer than 10ms", "100us"),
        (&["serve", "--driver", "smol", "--threads", "0"], USAGE, "must not be 0", "leave the option out"),
        (&["serve", "--driver", "smol", "--threads", "999999999999999999"], USAGE, "1024 threads", "cores"),
        (&["serve", "--driver", "smol", "--threads", "-1"], USAGE, "'-1'", ""),
        (&["check", "--seed"], USAGE, "--seed", ""),
    ]);
}

#[test]
fn endpoints_that_cannot_be_used() {
    table(&[
        (&["check", "stdio:"], UNREACHABLE, "stdio: cannot be connected to", "HOST:PORT"),
        (&["check", "systemd:"], UNREACHABLE, "systemd: cannot be connected to", "HOST:PORT"),
        (&["serve", "stdio:", "127.0.0.1:0"], USAGE, "stdio: is one connection", "leave out"),
        (&["serve", "stdio:", "--once", "--transcript"], USAGE, "stdio: is one connection", "leave out"),
        (&["serve", "systemd:", "systemd:"], USAGE, "all sockets that were passed", "once"),
    ]);
}

#[cfg(unix)]
#[test]
fn paths_that_cannot_be_used() {
    let long = format!("unix:{}", "a".repeat(200));
    table(&[
        (
            &["serve", "unix:/no/such/folder/socket"],
            UNREACHABLE,
            "No such file",
            "a folder that you may write to",
        ),
        (&["serve", &long], UNREACHABLE, "path", "107 bytes"),
        (&["serve", "unix:/dev/null"], UNREACHABLE, "in use", "choose another path"),
        (&["check", &long], UNREACHABLE, "path", "check the path"),
        (&["check", "unix:/no/such/socket"], UNREACHABLE, "No such file", "nobody listens"),
        (&["check", "unix:/dev/null"], UNREACHABLE, "refused", "nobody listens"),
    ]);
}

/// Every scheme is read on every platform, and what the platform lacks is refused by its name.
#[cfg(windows)]
#[test]
fn what_only_other_systems_have() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = &*listener.local_addr().unwrap().to_string();
    let empty = &*nobody().to_string();
    table(&[
        (&["serve", "unix:C:/echo.sock"], UNREACHABLE, "unix:C:/echo.sock", "listen on HOST:PORT"),
        (&["serve", "unix:@echo"], UNREACHABLE, "unix:@echo cannot be listened on", "listen on HOST:PORT"),
        (&["serve", "systemd:"], UNREACHABLE, "systemd: cannot be listened on", "listen on HOST:PORT"),
        (&["check", "unix:C:/echo.sock"], UNREACHABLE, "unix:C:/echo.sock", "connect to HOST:PORT"),
        (&["serve", "unix-dgram:C:/echo"], UNREACHABLE, "unix-dgram:C:/echo", "listen on HOST:PORT"),
        (&["serve", "unix-dgram:@echo"], UNREACHABLE, "unix-dgram:@echo", "listen on HOST:PORT"),
        (&["check", "unix-dgram:C:/echo"], UNREACHABLE, "unix-dgram:C:/echo", "connect to HOST:PORT"),
        (&["listen", "unix-dgram:@news"], UNREACHABLE, "cannot listen on unix-dgram:@news", "udp:HOST:PORT"),
        (&["post", "unix-dgram:C:/news", "x"], UNREACHABLE, "cannot post to unix-dgram:C:/news", "udp:HOST:"),
        (&["serve", "unix:C:/echo,type=seqpacket"], UNREACHABLE, "type=seqpacket", "listen on HOST:PORT"),
        (&["serve", "--driver", "reactor"], USAGE, "no --driver reactor", "--driver smol"),
        (&["check", "--driver", "uring"], USAGE, "no --driver uring: only Linux", "--driver smol"),
        (&["serve", taken], UNREACHABLE, taken, "another program"),
        (&["check", empty], UNREACHABLE, empty, "roundtrip serve"),
        (&["check", "-6", "127.0.0.1:7"], UNREACHABLE, "family", "-4 and -6"),
        (&["check", "--record", "C:/no/such/folder/x"], USAGE, "cannot write C:/no/such/folder/x", "folder"),
    ]);
}

#[test]
fn messages_that_cannot_be_posted_or_heard() {
    table(&[
        (&["post"], USAGE, "<ENDPOINT>", "--help"),
        (&["post", "239.1.2.3:7", "x"], USAGE, "carries a stream of bytes", "udp:239.1.2.3:7"),
        (&["listen", "tcp:localhost:7"], USAGE, "carries a stream of bytes", "udp:localhost:7"),
        (&["post", "unix:/tmp/x", "x"], USAGE, "carries a stream of bytes", "udp:HOST:PORT"),
        (&["listen", "stdio:"], USAGE, "carries a stream of bytes", "udp:HOST:PORT"),
        (&["post", "udp:127.0.0.1:0", "x"], UNREACHABLE, "port 0", "give a port"),
        (&["post", "udp:127.0.0.1:7,if=127.0.0.1", "x"], UNREACHABLE, "one host's", "only for a group"),
        (&["listen", "udp:127.0.0.1:7,if=127.0.0.1"], UNREACHABLE, "one host's", "only for a group"),
        (&["listen", "udp:239.1.2.3:7,if=::1"], UNREACHABLE, "other family", "same family"),
        (
            &["post", "udp:127.0.0.1:9,max=3", "x", "long"],
            USAGE,
            "message 2 has more than the 3 bytes",
            "3 bytes of text",
        ),
        (
            &["post", "udp:127.0.0.1:9,max=14", "--number", "hello"],
            USAGE,
            "with its number",
            "4 bytes of text",
        ),
        (
            &["post", "udp:127.0.0.1:9", "--count", "10", "--size", "3"],
            USAGE,
            "no room for the number",
            "11 bytes or more",
        ),
        (
            &["post", "udp:127.0.0.1:9", "--count", "1", "--size", "64KiB"],
            USAGE,
            "more than the 65,507 bytes",
            "of text",
        ),
        (&["post", "udp:127.0.0.1:9", "--count", "3", "x", "y"], USAGE, "there are 2", "quote the text"),
        (&["post", "udp:127.0.0.1:9", "--size", "3"], USAGE, "--count", "--help"),
        (&["post", "udp:127.0.0.1:9", "--rate", "0"], USAGE, "must not be 0", ""),
        (&["listen", "udp:localhost:x"], USAGE, "`x` is no port", "0 to 65535"),
    ]);
}

/// Windows has them.
#[cfg(unix)]
#[test]
fn mailslots_are_not_here() {
    table(&[
        (&["listen", "mailslot:x"], UNREACHABLE, "no such thing", "udp:HOST:PORT"),
        (&["post", "mailslot:x", "y"], UNREACHABLE, "no such thing", "udp:HOST:PORT"),
    ]);
}

/// In the words of the system.
#[cfg(unix)]
#[test]
fn messages_that_the_system_does_not_take() {
    let nobody = &*format!("udp:{}", nobody_for_datagrams());
    table(&[
        (&["listen", "udp:192.0.2.1:7"], UNREACHABLE, "assign requested address", "ip address"),
        (&["listen", "udp:239.1.2.3:7,if=192.0.2.1"], UNREACHABLE, "No such device", "if="),
        (&["post", "udp:255.255.255.255:7", "x"], UNREACHABLE, "Permission denied", ",broadcast"),
        (&["post", "unix-dgram:/no/such", "x"], UNREACHABLE, "No such file", "roundtrip listen"),
        (
            &["listen", "unix-dgram:/no/such/socket"],
            UNREACHABLE,
            "No such file",
            "a folder that you may write to",
        ),
        (&["listen", "unix-dgram:/dev/null"], UNREACHABLE, "in use", "choose another path"),
        (&["post", nobody, "x"], UNREACHABLE, "refused", "roundtrip listen"),
    ]);
}

/// In the words of the system, or of wine.
#[cfg(windows)]
#[test]
fn messages_that_the_system_does_not_take() {
    table(&[
        (&["listen", "udp:239.1.2.3:7,if=192.0.2.1"], UNREACHABLE, "cannot listen on udp:239.", "if="),
        (&["post", "udp:255.255.255.255:7", "x"], UNREACHABLE, "cannot post to udp:255.", ",broadcast"),
    ]);
}

#[test]
fn endpoints_that_are_none() {
    for verb in ["serve", "send", "check"] {
        table(&[
            (&[verb, "localhost:99999"], USAGE, "`99999` is no port", "0 to 65535"),
            (&[verb, "localhost:65536"], USAGE, "`65536` is no port", "0 to 65535"),
            (&[verb, "localhost:-1"], USAGE, "`-1` is no port", "0 to 65535"),
            (&[verb, "localhost:http"], USAGE, "`http` is no port", "0 to 65535"),
            (&[verb, "localhost:"], USAGE, "port after the colon is missing", "0 to 65535"),
            (&[verb, "tpc:localhost:7"], USAGE, "unknown scheme `tpc`", "tcp"),
            (&[verb, "http://localhost"], USAGE, "unknown scheme `http`", "tcp"),
            (&[verb, "8080"], USAGE, "`8080` is no host", "localhost:8080"),
            (&[verb, ""], USAGE, "the host is missing", "HOST:PORT"),
            (&[verb, "unix:"], USAGE, "the path is missing", "unix:PATH"),
            (&[verb, "unix:a%zz"], USAGE, "`a%zz` is no path", "%25"),
            (&[verb, "unix:a,mode=rwx"], USAGE, "`mode=rwx` has no such value", "octal"),
            (&[verb, "localhost:7,mode=0600"], USAGE, "`mode=0600` is no option here", "v6only"),
            (&[verb, "stdio:0"], USAGE, "`0` is an address where none belongs", "stdio:"),
            (&[verb, ":7"], USAGE, "the host is missing", "HOST:PORT"),
            (&[verb, "tcp:"], USAGE, "the host is missing", "HOST:PORT"),
            (&[verb, "[::1"], USAGE, "`[::1`", "[ADDRESS]:PORT"),
            (&[verb, "::1:zz:80"], USAGE, "`::1:zz:80`", "[ADDRESS]:PORT"),
            (&[verb, "::1:7106"], USAGE, "is an address, or an address with a port", "[::1]:7106"),
            (&[verb, "fe80::1%v0:7"], USAGE, "`fe80::1%v0:7`", "[fe80::1%v0]:7"),
            (
                &[verb, "[fe80::1]:7"],
                USAGE,
                "a link-local address without its interface",
                "[fe80::1%eth0]:PORT",
            ),
            (&[verb, "unix:./a,b.sock"], USAGE, "`b.sock` is no option here", "%2C"),
            (&[verb, "a b:7"], USAGE, "`a b` is no host", "HOST:PORT"),
            (&[verb, "a\nb\x1b[2J:7"], USAGE, "a\\nb\\u{1b}[2J", "HOST:PORT"),
        ]);
    }
    table(&[(&["send"], USAGE, "<ENDPOINT>", "--help")]);
}

#[test]
fn values_that_are_out_of_bounds() {
    table(&[
        (&["check", "--bytes", "0"], USAGE, "0 bytes", "at least 1 byte"),
        (&["check", "--bytes", "ten"], USAGE, "not a size", "10MB"),
        (&["check", "--bytes", "two\n\nparagraphs"], USAGE, "not a size", "10MB"),
        (&["check", "--bytes", "\n"], USAGE, "not a size", "10MB"),
        (&["check", "--bytes", ""], USAGE, "--bytes", ""),
        (&["check", "--bytes=-1"], USAGE, "not a size", "10MB"),
        // What the libraries take for less, or panic at.
        (&["check", "--bytes", "184467440737095516155"], USAGE, "not a size", "10MB"),
        (&["check", "--timeout", "18446744073709551610.5s5.5s"], USAGE, "not a time", "10s"),
        (&["check", "--timeout", "2000y"], USAGE, "a thousand years", "1000y"),
        (&["check", "--bytes", "99999999999999999999EB"], USAGE, "not a size", "10MB"),
        (&["check", "--window", "0"], USAGE, "must not be 0", "default"),
        (&["check", "--window", "2GiB"], USAGE, "more than 1 GiB", "1GiB"),
        (&["check", "--sizes", ""], USAGE, "not a size", "10MB"),
        (&["check", "--sizes", "1,,2"], USAGE, "not a size", "10MB"),
        (&["check", "--sizes", "1,ten"], USAGE, "'ten'", "10MB"),
        (&["check", "--sizes", "1,0"], USAGE, "0 bytes", "at least 1 byte"),
        (&["check", "--write", "0"], USAGE, "must not be 0", "default"),
        (&["check", "--write", "2GiB"], USAGE, "more than 1 GiB", "1GiB"),
        (&["check", "--read", "0"], USAGE, "must not be 0", "default"),
        (&["check", "--read", "byte"], USAGE, "not a size", "10MB"),
        (&["check", "--half-close", "maybe"], USAGE, "neither on nor off", "on or off"),
        (&["check", "--half-close"], USAGE, "--half-close", ""),
        (&["check", "--pause", "0s"], USAGE, "must not be 0", "default"),
        (&["check", "--pause", "long"], USAGE, "not a time", "10s"),
        (&["check", "--stall", "0s"], USAGE, "must not be 0", "default"),
        (&["check", "--stall", "5"], USAGE, "not a time", "10s"),
        (&["check", "-c", "0"], USAGE, "must not be 0", "default"),
        (&["check", "-c", "1.5"], USAGE, "not a count", "whole number"),
        (&["check", "--repeat", "0"], USAGE, "must not be 0", "default"),
        (&["check", "--repeat", "twice"], USAGE, "not a count", "whole number"),
        (&["check", "--driver", "magic"], USAGE, "'magic'", ""),
        (&["check", "--json=yes"], USAGE, "--json", ""),
        (&["check", "--seed", "x"], USAGE, "--seed", ""),
        (&["check", "--seed", "18446744073709551616"], USAGE, "--seed", ""),
        (&["check", "--timeout", "0s"], USAGE, "must not be 0", "default"),
        (&["check", "--timeout", "10"], USAGE, "not a time", "10s"),
        (&["check", "--connect-timeout", "0ms"], USAGE, "must not be 0", "default"),
        (&["send", "localhost", "--timeout", "-1s"], USAGE, "", ""),
        (&["serve", "--buffer", "0"], USAGE, "must not be 0", "default"),
        (&["serve", "--buffer", "2GiB"], USAGE, "more than 1 GiB", "1GiB"),
        (&["serve", "--max-conns", "0"], USAGE, "must not be 0", "default"),
        (&["serve", "--max-per-source", "0"], USAGE, "must not be 0", "default"),
        (&["serve", "--idle", "0s"], USAGE, "must not be 0", "default"),
        (&["serve", "--half-close-idle", "0s"], USAGE, "must not be 0", "default"),
        (&["serve", "--max-age", "0s"], USAGE, "must not be 0", "default"),
        (&["serve", "--drain", "soon"], USAGE, "not a time", "10s"),
        (&["serve", "--max-conns", "many"], USAGE, "not a count", "whole number"),
        (&["serve", "--max-conns", "1.5"], USAGE, "not a count", "whole number"),
    ]);
}

#[test]
fn loads_that_make_no_sense() {
    table(&[
        (&["load", "--rate", "0"], USAGE, "must not be 0", "default"),
        (&["load", "--rate", "2G"], USAGE, "one a nanosecond", "1G"),
        (&["load", "--rate", "fast"], USAGE, "not a count", "whole number"),
        (&["load", "--size", "0"], USAGE, "must not be 0", "default"),
        (&["load", "--size", "2GiB"], USAGE, "more than 1 GiB", "1GiB"),
        (&["load", "--count", "0.5"], USAGE, "not a count", "whole number"),
        (&["load", "--count", "5", "-d", "3s"], USAGE, "--duration", ""),
        (&["load", "-d", "0s"], USAGE, "must not be 0", "default"),
        (&["load", "--ramp", "10s"], USAGE, "as long as the whole load", "--duration"),
        (&["load", "--in-flight", "0"], USAGE, "must not be 0", "default"),
        (&["load", "--in-flight", "2M"], USAGE, "too much for messages of 64 bytes", "1048576"),
        (&["load", "--in-flight", "2k", "--size", "1MiB"], USAGE, "too much for", "1024"),
        (&["load", "-c", "0"], USAGE, "must not be 0", "default"),
        (&["load", "--driver", "std", "--threads", "2"], USAGE, "--threads makes no sense", "--driver smol"),
        (&["load", "--half-close", "maybe"], USAGE, "neither on nor off", "on or off"),
        (&["load", "--svg"], USAGE, "--svg", ""),
        (&["load", "--size", "200MB", "-c", "10"], USAGE, "too much memory", "--size 107374182"),
        (&["load", "stdio:"], UNREACHABLE, "stdio: cannot be connected to", "HOST:PORT"),
        (&["load", "tcp::"], USAGE, "port", "number from 0 to 65535"),
    ]);
}

#[cfg(unix)]
#[test]
fn loads_that_the_system_has_no_room_for() {
    table(&[
        (&["load", "-c", "1G"], USAGE, "file descriptors", "ulimit -n"),
        (&["load", "--svg", "/dev/null", "--hgrm", "/dev/null"], USAGE, "the same file", "two"),
        (&["load", "--svg", "/no/such/folder/x.svg"], USAGE, "cannot write /no/such/folder/x.svg", "folder"),
        (&["load", "--hgrm", "/"], USAGE, "cannot write /", "folder"),
        (&["load", "--svg", ""], USAGE, "cannot write ", "folder"),
        (&["load", "--svg", "none/"], USAGE, "cannot write none/", "folder"),
        (&["sim", "run", "echo", "--report", "/"], USAGE, "cannot write /", "folder"),
    ]);
}

#[cfg(unix)]
#[test]
fn records_that_cannot_be_written_or_read() {
    table(&[
        (&["check", "--record"], USAGE, "--record", ""),
        (&["check", "--record", "/no/such/folder/x"], USAGE, "cannot write /no/such/folder/x", "folder"),
        (&["serve", "127.0.0.1:0", "--record", "/"], USAGE, "cannot write /: is a directory", "folder"),
        (&["send", "localhost", "--record", "x"], USAGE, "'--record'", ""),
        (&["replay"], USAGE, "<FILE>", "--help"),
        (&["replay", "a", "b"], USAGE, "'b'", ""),
        (&["replay", "/no/such/file"], USAGE, "cannot read /no/such/file: No such file", "--record"),
        (&["replay", "/"], USAGE, "cannot read /: Is a directory", "--record"),
        (&["replay", "/dev/null"], USAGE, "cannot read /dev/null: it is no record", "--record"),
        (&["replay", "/dev/zero"], USAGE, "no record", "--record"),
        (&["replay", "two\nlines"], USAGE, "two\\nlines", "--record"),
    ]);
}

#[cfg(unix)]
#[test]
fn certificates_and_keys_that_are_none() {
    let key = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
    let file = crate::common::place("no-certificate.pem", |path| std::fs::write(path, key).unwrap());
    let file = file.to_str().unwrap();
    let serve = "127.0.0.1:0";
    table(&[
        (&["serve", serve, "--tls-cert", file], USAGE, "--tls-key", ""),
        (&["serve", serve, "--tls-key", file], USAGE, "--tls-cert", ""),
        (&["serve", serve, "--tls-client-ca", file], USAGE, "--tls-cert", ""),
        (
            &["serve", serve, "--tls-cert", "/no/such", "--tls-key", file],
            USAGE,
            "cannot read /no/such",
            "PEM",
        ),
        (
            &["serve", serve, "--tls-cert", "/", "--tls-key", file],
            USAGE,
            "cannot read /: Is a directory",
            "PEM",
        ),
        (
            &["serve", serve, "--tls-cert", file, "--tls-key", file],
            USAGE,
            "no certificate",
            "BEGIN CERTIFICATE",
        ),
        (&["serve", "--once", "--transcript", "--tls-cert", "x", "--tls-key", "y"], USAGE, "--tls-cert", ""),
        (&["check", "--tls-ca", file], USAGE, "<ENDPOINT>", ""),
        (&["check", "localhost", "--tls-name", "x"], USAGE, "--tls-ca", ""),
        (
            &["check", "localhost", "--tls-ca", file],
            USAGE,
            "nobody to trust: no certificate",
            "BEGIN CERTIFICATE",
        ),
        (
            &["check", "localhost", "--tls-ca", "/dev/zero"],
            USAGE,
            "cannot read /dev/zero: file too large",
            "PEM",
        ),
        (
            &["check", "localhost", "--tls-ca", "/dev/null"],
            USAGE,
            "nobody to trust: no certificate",
            "BEGIN CERTIFICATE",
        ),
        (&["send", "localhost", "--tls-ca", file], USAGE, "'--tls-ca'", ""),
    ]);
}

#[test]
fn options_that_exclude_or_need_each_other() {
    table(&[
        (&["serve", "-4", "-6"], USAGE, "'-6'", ""),
        (&["check", "-4", "-6"], USAGE, "'-6'", ""),
        (&["send", "localhost", "-6", "-4"], USAGE, "'-4'", ""),
        (&["check", "--bytes", "1", "--sizes", "1,2"], USAGE, "--bytes", ""),
        (&["serve", "--transcript"], USAGE, "--once", ""),
        (&["serve", "--once", "--transcript", "--record", "x"], USAGE, "--record", ""),
        (&["check", "--sizes", "1,2", "--record", "x"], USAGE, "--record", ""),
        (&["load", "--svg", "-", "--hgrm", "-"], USAGE, "name the same file", "two"),
        (
            &["sim", "replay", "echo", "--seed", "1", "--trace", "-", "--html", "-"],
            USAGE,
            "both",
            "--trace FILE",
        ),
        (&["serve", "stdio:", "--record", "-"], USAGE, "both write to standard output", "--record FILE"),
    ]);
}

#[cfg(unix)]
#[test]
fn addresses_that_cannot_be_had() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = &*listener.local_addr().unwrap().to_string();
    let empty = &*nobody().to_string();
    table(&[
        (&["serve", taken], UNREACHABLE, "Address already in use", "another port"),
        (&["serve", "127.0.0.1:0", taken], UNREACHABLE, "Address already in use", "another port"),
        (&["serve", "192.0.2.1:0"], UNREACHABLE, "192.0.2.1:0", "127.0.0.1"),
        (&["serve", "no-such-host.invalid:0"], UNREACHABLE, "cannot resolve no-such-host.invalid:0", "name"),
        (&["serve", "-6", "127.0.0.1:0"], UNREACHABLE, "family", "-4 and -6"),
        (&["check", empty], UNREACHABLE, "Connection refused", "roundtrip serve"),
        (&["send", empty], UNREACHABLE, "Connection refused", "roundtrip serve"),
        (&["check", "no-such-host.invalid:7"], UNREACHABLE, "cannot resolve", "name"),
        (&["check", "-6", "127.0.0.1:7"], UNREACHABLE, "family", "-4 and -6"),
    ]);
}

#[cfg(unix)]
#[test]
fn arguments_that_are_not_utf8() {
    let bad = OsStr::from_bytes(b"local\xffhost");
    for args in
        [vec![bad], vec![OsStr::new("check"), bad], vec![OsStr::new("check"), OsStr::new("--bytes"), bad]]
    {
        refused(&run(&mut roundtrip(args)), USAGE);
    }
}

/// What a terminal would obey, and what would hide or reorder what is around it, is shown as what it is.
#[test]
fn nothing_hidden_is_printed() {
    const HOSTILE: &str = "a\u{1b}]0;x\u{7}\u{202e}\u{2066}\u{200b}\u{2028}\u{7f}\u{9b}2Jé";
    let under = |before: &str, after: &str| format!("{before}{HOSTILE}{after}");
    let (path, file) = (under("unix:/no/", ""), under("/no/", "/x"));
    let commands: [&[&str]; 16] = [
        &[HOSTILE],
        &["check", "--bytes", HOSTILE],
        &["check", HOSTILE],
        &["check", &path],
        &["check", &path, "--json"],
        &["send", &path],
        &["send", "--transcript", &path],
        &["serve", &path],
        &["serve", &under("tcp:127.0.0.1:0,", "")],
        &["listen", &under("unix-dgram:/no/", "")],
        &["post", &under("unix-dgram:/no/", ""), "x"],
        &["load", "--svg", &file],
        &["check", "--record", &file],
        &["replay", HOSTILE],
        &["sim", "replay", HOSTILE],
        &["man", &under("/dev/null/", "")],
    ];
    for command in commands {
        let Finished { stdout, stderr, .. } = run(&mut roundtrip(command));
        let hidden = |c: char| c != '\n' && roundtrip_core::text::is_hidden(c);
        assert!(!stdout.contains(hidden) && !stderr.contains(hidden), "{command:?}: {stdout:?} {stderr:?}");
        assert!(!stdout.is_empty() || !stderr.is_empty(), "{command:?}");
    }
}

#[cfg(unix)]
#[test]
fn more_connections_than_descriptors() {
    for (driver, least) in [
        ("std", 20),
        ("smol", 45),
        ("reactor", 45),
        #[cfg(target_os = "linux")]
        ("uring", 45),
    ] {
        let serve = |most: &str| {
            after("ulimit -n 64;", &["serve", "127.0.0.1:0", "--driver", driver, "--max-conns", most], "")
        };
        let finished = run(&mut serve("100"));
        let (cause, advice) = refused(&finished, USAGE);
        assert!(cause.contains("--max-conns 100") && cause.contains("64"), "{cause}");
        assert!(advice.contains("ulimit -n"), "{advice}");
        // What is advised works, and is most of what there is.
        let most = advice.rsplit(' ').next().unwrap();
        let count: usize = most.parse().unwrap();
        assert!(count >= least, "{driver}: {advice}");
        let server = Server::of(&mut serve(most));
        let mut clients: Vec<_> = (0..count).map(|_| server.connect()).collect();
        for client in &mut clients {
            ping(client).unwrap();
        }
        drop(clients);
        let finished = server.stop();
        assert_eq!(
            (finished.code, finished.stderr.contains("cannot accept")),
            (Some(0), false),
            "{finished:?}"
        );
    }
}

/// A server of its own takes as many descriptors as the clients do.
#[cfg(unix)]
#[test]
fn more_connections_to_check_than_descriptors() {
    let good = Server::start(&[]);
    let address = good.address.to_string();
    for (endpoint, driver, least) in [
        (None, "std", 10),
        (None, "smol", 20),
        (None, "reactor", 20),
        #[cfg(target_os = "linux")]
        (None, "uring", 20),
        (Some(&*address), "std", 20),
        (Some(&*address), "smol", 45),
        (Some(&*address), "reactor", 45),
        #[cfg(target_os = "linux")]
        (Some(&*address), "uring", 45),
    ] {
        let args: Vec<_> =
            ["check"].into_iter().chain(endpoint).chain(["--driver", driver, "--bytes", "1kB"]).collect();
        let check = |count: &str| run(&mut after("ulimit -n 64;", &[&args[..], &["-c", count]].concat(), ""));
        let (cause, advice) = refused(&check("100"), USAGE);
        assert!(cause.contains("--connections 100") && cause.contains("64"), "{cause}");
        // What is advised works.
        let most = advice.rsplit(' ').next().unwrap();
        assert!(most.parse::<u32>().unwrap() >= least, "{args:?}: {most}");
        let finished = check(most);
        assert_eq!(finished.code, Some(0), "{args:?} -c {most}: {finished:?}");
    }
}

/// In a namespace, where no setting of the machine gives the lower ports away.
#[cfg(unix)]
#[test]
fn a_privileged_port_as_nobody() {
    const AS_NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    if !have(&["setpriv", "test"]) {
        return;
    }
    let Some(namespace) = Namespace::new("privileged", "127.0.0.1 localhost\n") else { return };
    if run(Command::new("setpriv").args(AS_NOBODY).args(["test", "-x", ROUNDTRIP])).code != Some(0) {
        skip("nobody may not run the program where it lies");
        return;
    }
    let serve = ["serve", "127.0.0.1:80"];
    let finished = run(namespace.command("setpriv").args(AS_NOBODY).arg(ROUNDTRIP).args(serve));
    let (cause, advice) = refused(&finished, UNREACHABLE);
    assert!(cause.contains("Permission denied") && advice.contains("1024"), "{cause}; {advice}");
}

/// Where nothing can be printed: no panic, and the exit code still tells.
#[cfg(unix)]
#[test]
fn a_closed_standard_output() {
    for (args, code) in
        [(&["check", "--bytes", "1000"][..], 0), (&["--help"], 0), (&["check", "--bytes", "0"], 2)]
    {
        let finished = run(&mut after("", args, ">&-"));
        assert_eq!(finished.code, Some(code), "{args:?}: {finished:?}");
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_standard_output_without_room() {
    for args in [&["check", "--bytes", "1000"][..], &["--help"], &["--version"], &["serve", "127.0.0.1:0"]] {
        let (cause, advice) = refused(&run(&mut after("", args, ">/dev/full")), 5);
        assert!(cause.starts_with("cannot write to standard output: "), "{args:?}: {cause}; {advice}");
    }
}

#[test]
fn a_standard_output_that_nobody_reads_any_more() {
    let good = Server::start(&[]);
    let address = good.address.to_string();
    for args in [&["send", &address][..], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let finished = run_into(&mut roundtrip(args), writer.into());
        assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{args:?}");
    }
}

/// A result that nobody took is no success. That no line follows says that the rounds ended with it.
#[cfg(unix)]
#[test]
fn a_result_that_nobody_reads() {
    for args in [
        &["check", "--bytes", "1000"][..],
        &["check", "--bytes", "1000", "--json"],
        &["check", "--bytes", "1000", "--repeat", "1000000000"],
    ] {
        let into_nowhere = |command: &mut Command| {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            run_into(command, writer.into())
        };
        let (cause, _) = refused(&into_nowhere(&mut roundtrip(args)), INCOMPLETE);
        assert!(cause.contains("not delivered"), "{args:?}: {cause}");
        let finished = into_nowhere(&mut after("", args, "2>&-"));
        assert_eq!(finished.code, Some(INCOMPLETE), "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_standard_error_that_takes_nothing() {
    for redirection in ["2>&-", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-"] {
        let finished = run(&mut after("", &["check", "--bytes", "0"], redirection));
        assert_eq!((finished.code, &*finished.stdout), (Some(USAGE), ""), "{redirection}");
        let finished = run(&mut after("", &["check", "--bytes", "1000"], redirection));
        assert_eq!(finished.code, Some(0), "{redirection}");
    }
}
