//! The transcripts of the seed's two programs, printed by `serve --once --transcript` and by `send`.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use roundtrip_testkit::own_loopback;

#[cfg(unix)]
use crate::common::namespace::Namespace;
use crate::common::{
    IN_USE, RESET, ROUNDTRIP, Server, bounded, nobody, ping, reset, resets_are_told, round_trip, roundtrip,
    run,
};

const ECHOED: &str = "Bytes Sent: 14\nBytes received: 14\nConnection closed\n";

fn once() -> Server {
    Server::start(&["--once", "--transcript"])
}

/// A server for one client; what it does with it.
fn serve_one(with: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || with(bounded(listener.accept().unwrap().0)));
    address
}

fn echo(mut stream: TcpStream) {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    stream.write_all(&all).unwrap();
}

#[test]
fn a_server_whose_client_sends_14_bytes_prints_three_lines() {
    let server = once();
    assert_eq!(round_trip(server.connect(), b"this is a test").unwrap(), b"this is a test");
    let finished = server.running.wait();
    assert_eq!(finished.stdout, "Bytes received: 14\nBytes sent: 14\nConnection closing...\n");
    assert_eq!(finished.code, Some(0));
}

#[test]
fn a_server_receives_2000_bytes_in_pieces_of_512() {
    let server = once();
    let bytes = crate::common::noise(2000);
    assert_eq!(round_trip(server.connect(), &bytes).unwrap(), bytes);
    let piece = |size| format!("Bytes received: {size}\nBytes sent: {size}\n");
    let expected = format!("{}{}Connection closing...\n", piece(512).repeat(3), piece(464));
    let finished = server.running.wait();
    assert_eq!(finished.stdout, expected);
    assert_eq!(finished.code, Some(0));
}

#[test]
fn a_server_whose_client_only_half_closes_prints_one_line() {
    let server = once();
    assert_eq!(round_trip(server.connect(), b"").unwrap(), b"");
    let finished = server.running.wait();
    assert_eq!((finished.code, &*finished.stdout), (Some(0), "Connection closing...\n"));
}

/// As with the tutorial's server, which closes its listener before it serves its client.
#[test]
fn a_second_client_is_refused_once_the_first_was_accepted() {
    let address = format!("{}:0", own_loopback());
    for _ in 0..20 {
        let server = Server::of(&mut roundtrip(["serve", &address, "--once", "--transcript"]));
        let mut first = server.connect();
        ping(&mut first).unwrap();
        let second = TcpStream::connect(server.address).map_err(|error| error.kind());
        assert_eq!(second.err(), Some(ErrorKind::ConnectionRefused));
        ping(&mut first).unwrap();
        drop(first);
        let finished = server.running.wait();
        let pinged = "Bytes received: 1\nBytes sent: 1\n".repeat(2);
        assert_eq!((finished.code, finished.stdout), (Some(0), pinged + "Connection closing...\n"));
    }
}

#[test]
fn a_server_names_the_error_when_its_client_resets() {
    if !resets_are_told() {
        return;
    }
    let server = once();
    let mut client = server.connect();
    ping(&mut client).unwrap();
    reset(client);
    let finished = server.running.wait();
    let expected = format!("Bytes received: 1\nBytes sent: 1\nrecv failed with error: {RESET}\n");
    assert_eq!((finished.code, finished.stdout), (Some(1), expected));
}

#[test]
fn a_server_names_the_error_when_its_port_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = run(&mut roundtrip(["serve", "--once", "--transcript", &address]));
    let expected = format!("bind failed with error: {IN_USE}\n");
    assert_eq!((finished.code, finished.stdout), (Some(1), expected));
}

#[test]
fn a_client_sends_receives_and_sees_the_end() {
    for options in [&[][..], &["--transcript"]] {
        let address = serve_one(echo);
        let finished = run(roundtrip(["send", &address]).args(options));
        assert_eq!((finished.code, &*finished.stdout, &*finished.stderr), (Some(0), ECHOED, ""));
    }
}

#[test]
fn a_client_and_a_server_print_both_transcripts() {
    let server = once();
    let client = run(&mut roundtrip(["send", &server.address.to_string()]));
    assert_eq!((client.code, &*client.stdout), (Some(0), ECHOED));
    let finished = server.running.wait();
    assert_eq!(finished.stdout, "Bytes received: 14\nBytes sent: 14\nConnection closing...\n");
    assert_eq!(finished.code, Some(0));
}

#[test]
fn a_client_sends_the_text_it_is_given() {
    let server = Server::start(&[]);
    let finished = run(&mut roundtrip(["send", &server.address.to_string(), "five\u{20ac}"]));
    assert_eq!(finished.stdout, "Bytes Sent: 7\nBytes received: 7\nConnection closed\n");
    assert_eq!(finished.code, Some(0));
}

/// As the tutorial's does: it says so, and still ends well.
#[test]
fn a_client_names_the_error_when_its_server_resets() {
    if !resets_are_told() {
        return;
    }
    let address = serve_one(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        reset(stream);
    });
    let finished = run(&mut roundtrip(["send", "--transcript", &address]));
    let expected = format!("Bytes Sent: 14\nrecv failed with error: {RESET}\n");
    assert_eq!((finished.code, finished.stdout), (Some(0), expected));
}

/// It prints what comes, to the end, and verifies none of it.
#[test]
fn a_client_reads_whatever_comes_to_the_end() {
    let received = |sizes: &[usize]| {
        let lines = sizes.iter().map(|size| format!("Bytes received: {size}\n")).collect::<Vec<_>>();
        format!("Bytes Sent: 14\n{}Connection closed\n", lines.concat())
    };
    for (answer, sizes) in [
        (vec![7; 2000], &[512, 512, 512, 464][..]),
        (b"this is a test, and more".to_vec(), &[24]),
        (b"this".to_vec(), &[4]),
        (b"another thing!".to_vec(), &[14]),
        (Vec::new(), &[]),
    ] {
        let address = serve_one(move |mut stream| {
            stream.read_to_end(&mut Vec::new()).unwrap();
            stream.write_all(&answer).unwrap();
        });
        let finished = run(&mut roundtrip(["send", "--transcript", &address]));
        assert_eq!((finished.code, finished.stdout, &*finished.stderr), (Some(0), received(sizes), ""));
    }
}

/// A peer that never ends is waited for as long as it was told to, and no longer.
#[test]
fn a_client_whose_peer_is_silent_ends_all_the_same() {
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let address = serve_one(move |stream| {
        let _ = ended.recv();
        drop(stream);
    });
    let finished = run(&mut roundtrip(["send", "--transcript", &address, "--timeout", "50ms"]));
    assert_eq!(
        (finished.code, &*finished.stdout),
        (Some(3), "Bytes Sent: 14\nrecv failed with error: timed out\n")
    );
    drop(done);
}

/// More than the tutorial's: it sends one buffer's worth, we as much as there is.
#[test]
fn a_client_sends_a_long_text_whole_and_an_empty_one_too() {
    // On Windows, a command line has at most 32,767 characters.
    let (texts, bytes) = if cfg!(windows) { (5000, 20_000) } else { (20_000, 80_000) };
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let long = run(&mut roundtrip(["send", &address, &"text".repeat(texts)]));
    let mut lines = long.stdout.lines();
    let received: usize = lines
        .by_ref()
        .filter_map(|line| line.strip_prefix("Bytes received: "))
        .map(|size| size.parse::<usize>().unwrap())
        .inspect(|size| assert!(*size <= 512))
        .sum();
    assert_eq!((long.code, received), (Some(0), bytes));
    assert!(
        long.stdout.contains(&format!("Bytes Sent: {bytes}\n"))
            && long.stdout.ends_with("Connection closed\n")
    );
    let empty = run(&mut roundtrip(["send", &address, ""]));
    assert_eq!((empty.code, &*empty.stdout), (Some(0), "Bytes Sent: 0\nConnection closed\n"));
}

/// How far a client comes that is reset at once is a race. Each of its transcripts is one of the tutorial's:
/// it tells a failed `send`, which ends it, from a failed `recv`, which does not.
#[test]
fn a_client_that_is_reset_before_it_sends_names_the_send() {
    if !resets_are_told() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It ends with the test.
    thread::spawn(move || listener.incoming().for_each(|stream| reset(stream.unwrap())));
    for _ in 0..100 {
        let finished = run(&mut roundtrip(["send", "--transcript", &address]));
        let expected = match &*finished.stdout.replace(&RESET.to_string(), "RESET") {
            "Bytes Sent: 14\nrecv failed with error: RESET\n" => 0,
            "Unable to connect to server!\n" | "send failed with error: RESET\n" => 1,
            other => panic!("not a transcript of the tutorial's: {other:?}"),
        };
        assert_eq!(finished.code, Some(expected), "{}", finished.stdout);
    }
}

#[test]
fn a_client_without_a_server_says_so() {
    let finished = run(&mut roundtrip(["send", "--transcript", &nobody().to_string()]));
    assert_eq!((finished.code, &*finished.stdout), (Some(1), "Unable to connect to server!\n"));
}

#[test]
fn a_client_without_an_argument_prints_its_usage() {
    let finished = run(&mut roundtrip(["send", "--transcript"]));
    assert_eq!(finished.code, Some(1));
    assert_eq!(finished.stdout, format!("usage: {ROUNDTRIP} server-name\n"));
}

#[test]
fn without_the_transcript_the_programs_own_errors_and_codes_stand() {
    let finished = run(&mut roundtrip(["send", &nobody().to_string()]));
    assert_eq!((finished.code, &*finished.stdout), (Some(4), ""));
    let address = serve_one(|mut stream| {
        let _ = stream.read(&mut [0; 100]);
    });
    let finished = run(&mut roundtrip(["send", &address]));
    assert_eq!((finished.code, &*finished.stdout), (Some(1), "Bytes Sent: 14\nConnection closed\n"));
    assert!(finished.stderr.starts_with("FAIL  peer closed early: 0 of 14 bytes came back\n"));
}

/// A name with an address of each family, where only IPv4 listens.
#[cfg(unix)]
#[test]
fn a_client_tries_every_address_of_a_name() {
    let Some(namespace) = Namespace::new("every-address", "::1 both\n127.0.0.1 both\n") else { return };
    let resolved = run(namespace.command("getent").args(["ahosts", "both"]));
    let families = ["::1", "127.0.0.1"].map(|address| resolved.stdout.contains(address));
    assert_eq!(families, [true, true], "{resolved:?}");
    for options in [&[][..], &["--transcript"]] {
        let serve = ["serve", "--once", "--transcript", "127.0.0.1:0"];
        let server = Server::of(namespace.command(ROUNDTRIP).args(serve));
        let name = format!("both:{}", server.address.port());
        let send = |option: &[&str]| run(namespace.command(ROUNDTRIP).args(["send", &name]).args(option));
        let only_six = send(&["-6"]);
        assert_ne!(only_six.stdout, ECHOED, "somebody listens on ::1, too");
        let client = send(options);
        assert_eq!((client.code, &*client.stdout), (Some(0), ECHOED));
        assert_eq!(server.running.wait().code, Some(0));
    }
}
