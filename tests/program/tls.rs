//! `serve --tls-cert` and `check --tls-ca`, with each other and with `openssl` as the other side.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::{
    Finished, Running, Server, connect, have, nobody, poll, roundtrip, run, with_every_driver,
};
use roundtrip_core::{Driven, Step, Time};
use roundtrip_echo::{ClientConfig, EchoClient, Payload};
use roundtrip_testkit::pki::{Authority, Signed};
use roundtrip_tls::LayerConfig;

/// A file of this process's own.
pub(crate) fn file(text: &str) -> String {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path: PathBuf =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{}-{number}.pem", std::process::id()));
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.into_os_string().into_string().unwrap()
}

/// A certificate and its key, as files.
struct Files {
    cert: String,
    key: String,
}

impl Files {
    fn of(signed: &Signed) -> Self {
        Self { cert: file(&signed.certificate), key: file(&signed.key) }
    }
}

/// Whoever has the key is the server.
#[test]
fn a_key_that_others_can_read_is_told_once() {
    let Files { cert, key } = Files::of(&Authority::new().server());
    let serve = ["127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
    for (mode, is_open) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o620, true)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let stopped = Server::of(roundtrip(["serve"]).args(serve)).stop();
        let warning = format!(
            "warning: the private key {key} is open to other users (mode {mode:04o})\n  try: chmod 600 {key}\n"
        );
        assert_eq!(stopped.code, Some(0), "{stopped:?}");
        assert_eq!(stopped.stderr.matches(&warning).count(), usize::from(is_open), "{stopped:?}");
        assert_eq!(stopped.stderr.matches("warning").count(), usize::from(is_open), "{stopped:?}");
    }
}

fn serve(driver: &str, signed: &Signed, more: &[&str]) -> Server {
    let Files { cert, key } = Files::of(signed);
    let options = ["--driver", driver, "--tls-cert", &cert, "--tls-key", &key];
    Server::start(&options.iter().chain(more).copied().collect::<Vec<_>>())
}

fn check(driver: &str, address: SocketAddr, options: &[&str]) -> Finished {
    let address = address.to_string();
    run(&mut roundtrip(["check", &address, "--bytes", "1MB", "--driver", driver].iter().chain(options)))
}

/// What a check is refused with, and what the server says of it.
fn refused(driver: &str, server: Server, options: &[&str]) -> (String, String) {
    let checked = check(driver, server.address, options);
    assert_eq!((checked.code, &*checked.stdout), (Some(4), ""), "{}", checked.stderr);
    let (cause, advice) = checked.stderr.split_once("\n  try: ").unwrap();
    assert!(!advice.is_empty());
    let served = server.stop();
    assert_eq!(served.code, Some(0), "{}", served.stderr);
    (cause.to_owned(), served.stderr)
}

with_every_driver! {
    every_byte_comes_back_over_tls
    whom_we_do_not_trust_is_named
    a_certificate_is_shown_where_one_is_required
    who_speaks_no_tls_is_told_so
    a_stream_that_is_cut_is_no_success
    a_record_that_is_not_whole_when_a_stop_is_over_is_told_as_lost
    what_had_come_when_a_drain_cuts_is_lost_and_not_refused
    openssl_is_a_client
    openssl_is_refused_for_a_reason
    failed_handshakes_are_counted_and_do_not_fill_the_log
    bytes_of_a_handshake_that_is_cut_are_not_lost
}

fn every_byte_comes_back_over_tls(driver: &str) {
    let authority = Authority::new();
    let ca = file(&authority.pem);
    let server = serve(driver, &authority.server(), &[]);
    for options in [&[][..], &["--half-close", "off"], &["-c", "5", "--repeat", "2"], &["--window", "100MB"]]
    {
        let checked = check(driver, server.address, &[&["--tls-ca", &ca], options].concat());
        assert_eq!(checked.code, Some(0), "{options:?}: {}{}", checked.stdout, checked.stderr);
        assert!(checked.stdout.contains("back in order over TLS"), "{}", checked.stdout);
    }
    let served = server.stop();
    assert!(served.code == Some(0) && served.stderr.contains(" 0 bytes lost"), "{served:?}");
}

fn whom_we_do_not_trust_is_named(driver: &str) {
    let (ours, other) = (Authority::new(), Authority::new());
    let ca = file(&ours.pem);
    let told = |signed: &Signed, options: &[&str]| {
        refused(driver, serve(driver, signed, &[]), &[&["--tls-ca", &ca], options].concat())
    };

    let (cause, served) = told(&other.server(), &[]);
    assert!(cause.ends_with("TLS: the peer's certificate is signed by nobody we trust"), "{cause}");
    assert!(served.contains("TLS: the peer refused: unknown_ca"), "{served}");

    let (cause, served) = told(&ours.valid(2001, 2002), &["--tls-name", "localhost"]);
    assert!(cause.ends_with("TLS: the peer's certificate has expired"), "{cause}");
    assert!(served.contains("TLS: the peer refused: certificate_expired"), "{served}");

    let (cause, _) = told(&ours.server(), &["--tls-name", "example.org"]);
    assert!(cause.ends_with("TLS: the peer's certificate is for another name"), "{cause}");
}

fn a_certificate_is_shown_where_one_is_required(driver: &str) {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (ca, client_ca) = (file(&ours.pem), file(&theirs.pem));
    let start = || serve(driver, &ours.server(), &["--tls-client-ca", &client_ca]);
    let with = |signed: &Signed| {
        let Files { cert, key } = Files::of(signed);
        ["--tls-ca".to_owned(), ca.clone(), "--tls-cert".to_owned(), cert, "--tls-key".to_owned(), key]
    };

    let server = start();
    let shown = with(&theirs.client());
    let checked = check(driver, server.address, &shown.each_ref().map(String::as_str));
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);

    let (cause, served) = refused(driver, server, &["--tls-ca", &ca]);
    assert!(cause.ends_with("TLS: the peer refused: certificate_required"), "{cause}");
    assert!(served.contains("TLS: the peer showed no certificate"), "{served}");

    let shown = with(&ours.client());
    let (cause, served) = refused(driver, start(), &shown.each_ref().map(String::as_str));
    assert!(cause.ends_with("TLS: the peer refused: unknown_ca"), "{cause}");
    assert!(served.contains("TLS: the peer's certificate is signed by nobody we trust"), "{served}");
}

fn who_speaks_no_tls_is_told_so(driver: &str) {
    let authority = Authority::new();
    let ca = file(&authority.pem);
    // An echo of our hello is no answer of a server.
    let (cause, _) = refused(driver, Server::start(&["--driver", driver]), &["--tls-ca", &ca]);
    assert!(cause.ends_with("TLS: the peer does not speak TLS"), "{cause}");

    let server = serve(driver, &authority.server(), &[]);
    let mut stream = connect(server.address);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut alert = [0; 2];
    stream.read_exact(&mut alert).unwrap();
    assert_eq!(alert, [21, 3]);
    drop(stream);
    let served = server.stop();
    assert!(served.stderr.contains("TLS: the peer does not speak TLS"), "{served:?}");
}

/// Passes everything on, but changes this byte of what comes back.
fn flipped_at(server: SocketAddr, offset: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = connect(server);
        let mut there = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || drop(std::io::copy(&mut there.0, &mut there.1)));
        let _ = std::io::copy(&mut (&server).take(offset), &mut &client);
        let mut byte = [0];
        (&server).read_exact(&mut byte).unwrap();
        (&client).write_all(&[byte[0] ^ 1]).unwrap();
        let _ = std::io::copy(&mut &server, &mut &client);
    });
    address
}

/// Passes everything on, but ends what comes back after so many bytes.
fn cut_after(server: SocketAddr, bytes: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = connect(server);
        let mut there = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || drop(std::io::copy(&mut there.0, &mut there.1)));
        let _ = std::io::copy(&mut (&server).take(bytes), &mut &client);
        let _ = client.shutdown(Shutdown::Write);
        // What the client still sends is taken, so that nothing is reset.
        let _ = std::io::copy(&mut &server, &mut std::io::sink());
    });
    address
}

fn a_stream_that_is_cut_is_no_success(driver: &str) {
    let authority = Authority::new();
    let ca = file(&authority.pem);
    let server = serve(driver, &authority.server(), &[]);
    let path = cut_after(server.address, 500_000);
    let checked = check(driver, path, &["--tls-ca", &ca]);
    assert_eq!((checked.code, &*checked.stderr), (Some(1), ""));
    assert!(checked.stdout.starts_with("FAIL  stream cut: "), "{}", checked.stdout);
    assert!(
        checked.stdout.contains("likely: TLS: the stream was cut, it ended without close_notify"),
        "{}",
        checked.stdout
    );
    // What is changed on the way is found, and is no refusal either: the path was open.
    let path = flipped_at(server.address, 3000);
    let checked = check(driver, path, &["--tls-ca", &ca]);
    assert_eq!((checked.code, &*checked.stderr), (Some(1), ""), "{}", checked.stdout);
    assert!(checked.stdout.contains("likely: TLS: cannot decrypt peer's message"), "{}", checked.stdout);
    // In the handshake there is nobody yet who could have sent anything.
    let path = cut_after(server.address, 100);
    let checked = check(driver, path, &["--tls-ca", &ca]);
    assert_eq!(checked.code, Some(4), "{}", checked.stderr);
}

fn a_record_that_is_not_whole_when_a_stop_is_over_is_told_as_lost(driver: &str) {
    let authority = Authority::new();
    let server = serve(driver, &authority.server(), &["--drain", "1s"]);
    let mut stream = connect(server.address);
    let client = EchoClient::new(ClientConfig::default().into(), Payload::seeded(1, 50_000), Time::ZERO);
    // Until it wants to send a record of the payload: half of that one goes.
    send(&authority, client, &mut stream, |stream, pending| {
        let is_payload = pending.len() > 10_000;
        stream.write_all(if is_payload { &pending[..5000] } else { pending }).unwrap();
        (!is_payload).then_some(pending.len())
    });
    let served = server.stop();
    assert_eq!(served.code, Some(3), "{}", served.stderr);
    // The end of the handshake goes with it, 80 bytes.
    assert!(served.stderr.contains(": stopped, 4,920 bytes lost"), "{}", served.stderr);
}

/// Drives a client over TLS until `write`, which says how much it wrote of what is to be sent, says no more.
fn send(
    authority: &Authority,
    client: EchoClient,
    stream: &mut TcpStream,
    mut write: impl FnMut(&mut TcpStream, &[u8]) -> Option<usize>,
) {
    let (connector, name) = (authority.connector(), "localhost".parse().unwrap());
    let mut session = Driven::new(connector.connect(&name, client, LayerConfig::default(), Time::ZERO));
    loop {
        match session.step(Time::ZERO) {
            Step::Write => {
                while !session.pending().is_empty() {
                    let Some(wrote) = write(stream, session.pending()) else { return };
                    session.wrote(Time::ZERO, wrote);
                }
            }
            Step::Wait(wait) => {
                let mut bytes = vec![0; wait.read];
                let read = stream.read(&mut bytes).unwrap();
                bytes.truncate(read);
                assert!(session.data(Time::ZERO, bytes.into()).is_empty());
            }
            Step::ShutdownWrite | Step::Event(_) | Step::Close { .. } => panic!("it goes on"),
        }
    }
}

/// It never reads: the server holds what it has no room to echo, some of it not decrypted.
fn what_had_come_when_a_drain_cuts_is_lost_and_not_refused(driver: &str) {
    let authority = Authority::new();
    let server = serve(driver, &authority.server(), &["--drain", "1s"]);
    let mut stream = connect(server.address);
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let config = ClientConfig::default().window(1 << 30).write(16 << 10);
    let client = EchoClient::new(config.into(), Payload::seeded(1, 1 << 30), Time::ZERO);
    send(&authority, client, &mut stream, |stream, pending| stream.write(pending).ok());
    let stream = roundtrip_std::Stream::from(stream);
    // This alone can come after the cut.
    let unacknowledged = stream.unacknowledged();
    let served = server.stop();
    assert_eq!(served.code, Some(3), "{}", served.stderr);
    let last = served.stderr.lines().last().unwrap();
    let refused = last.strip_suffix(" bytes refused").map_or(0, |rest| {
        let (_, number) = rest.rsplit_once(", ").unwrap_or_else(|| panic!("{last}"));
        number.replace(',', "").parse::<u64>().unwrap()
    });
    assert!(refused <= unacknowledged, "{refused} of {unacknowledged}: {last}");
}

/// `openssl s_client`, with what it would like to be told.
fn s_client(address: SocketAddr, options: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address.to_string(), "-quiet", "-no_ign_eof"]);
    command.args(["-verify_return_error"]).args(options);
    command
}

fn openssl_is_a_client(driver: &str) {
    if !have(&["openssl"]) {
        return;
    }
    let authority = Authority::new();
    let ca = file(&authority.pem);
    let server = serve(driver, &authority.server(), &[]);
    for version in ["-tls1_3", "-tls1_2"] {
        let mut command = s_client(server.address, &["-CAfile", &ca, version]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut client = Running::of(child);
        for line in ["this is a test", "and another"] {
            writeln!(stdin, "{line}").unwrap();
            assert_eq!(client.line(), line, "{version}");
        }
        drop(stdin);
        assert_eq!(client.wait().code, Some(0), "{version}");
    }
    // One that dies does not say that this is all.
    let mut command = s_client(server.address, &["-CAfile", &ca]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut client = Running::of(child);
    writeln!(stdin, "half of what").unwrap();
    assert_eq!(client.line(), "half of what");
    drop(client);
    let served = server.stop();
    let cuts = served.stderr.matches("TLS: the stream was cut, it ended without close_notify").count();
    assert_eq!((served.code, cuts), (Some(0), 1), "{}", served.stderr);
}

fn openssl_is_refused_for_a_reason(driver: &str) {
    if !have(&["openssl"]) {
        return;
    }
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (ca, client_ca) = (file(&ours.pem), file(&theirs.pem));
    let Files { cert, key } = Files::of(&theirs.client());
    // It learns that it was refused from an alert, which nothing destroyed.
    for (options, told, reason) in [
        (
            &["-CAfile", &client_ca][..],
            "unable to get local issuer certificate",
            "the peer refused: unknown_ca",
        ),
        (&["-CAfile", &ca, "-ign_eof"], "alert certificate required", "the peer showed no certificate"),
        (&["-CAfile", &ca, "-cert", &cert, "-key", &key], "", ""),
    ] {
        // A server each: of several such lines in five seconds it prints one.
        let server = serve(driver, &ours.server(), &["--tls-client-ca", &client_ca]);
        let client = run(s_client(server.address, options).stdin(Stdio::null()));
        assert!(client.stderr.contains(told), "{}", client.stderr);
        assert!(client.code == Some(0) || !told.is_empty(), "{}", client.stderr);
        let served = server.stop();
        assert!(served.stderr.contains(reason), "{}", served.stderr);
    }
}

/// How many of `what` were counted in lines about single ones, and in the counts of those that were left out.
fn counted(stderr: &str, what: &str, plural: &str) -> (usize, usize) {
    let lines: Vec<_> = stderr.lines().filter(|line| line.contains(what)).collect();
    let number = |text: &str| text.replace(',', "").parse::<usize>().unwrap();
    let left_out = lines.iter().filter_map(|line| line.split_once(" (")?.1.split_once(" more since"));
    let at_end =
        stderr.lines().filter_map(|line| line.split_once(" more ").filter(|(_, rest)| *rest == plural));
    let more: usize = left_out.chain(at_end).map(|(count, _)| number(count)).sum();
    (lines.len(), lines.len() + more)
}

fn failed_handshakes_are_counted_and_do_not_fill_the_log(driver: &str) {
    let server = serve(driver, &Authority::new().server(), &[]);
    for _ in 0..200 {
        let mut stream = connect(server.address);
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let served = server.stop();
    assert_eq!(served.code, Some(0), "{}", served.stderr);
    let (lines, all) = counted(&served.stderr, "TLS: ", "connections with TLS errors");
    assert!(lines < 20 && all == 200, "{}", served.stderr);
}

fn bytes_of_a_handshake_that_is_cut_are_not_lost(driver: &str) {
    let authority = Authority::new();
    for options in [&["--idle", "100ms"][..], &["--max-age", "100ms"], &[]] {
        let server = serve(driver, &authority.server(), options);
        let mut stream = connect(server.address);
        // The beginning of a ClientHello.
        stream.write_all(&[22, 3, 1, 2, 0, 1, 0]).unwrap();
        if options.is_empty() {
            drop(stream);
        } else {
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let served = server.stop();
        assert!(served.code == Some(0) && served.stderr.contains(" 0 bytes lost"), "{options:?}: {served:?}");
    }
}

/// `openssl s_server`, whose output is its input: an echo, though not one that waits for the end.
#[test]
fn openssl_is_a_server() {
    if !have(&["openssl"]) {
        return;
    }
    let authority = Authority::new();
    let (ca, Files { cert, key }) = (file(&authority.pem), Files::of(&authority.foreign_server()));
    let address = nobody();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-accept", &address.to_string(), "-cert", &cert, "-key", &key]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let _server = Running::of(child);
    thread::spawn(move || drop(std::io::copy(&mut stdout, &mut stdin)));
    poll("it listens", || TcpStream::connect(address).ok());
    for bytes in ["1", "100kB"] {
        let options = ["--half-close", "off", "--tls-ca", &ca];
        let command = ["check", &address.to_string(), "--bytes", bytes];
        let checked = run(&mut roundtrip(command.iter().chain(&options)));
        assert_eq!(checked.code, Some(0), "{bytes}: {}{}", checked.stdout, checked.stderr);
    }
}
