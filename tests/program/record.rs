//! `--record` and `replay`: sessions recorded on sockets do the same again in another process, and a record that is not as
//! it was written is told, with its position.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{Finished, Server, noise, poll, round_trip, roundtrip, run, run_with, with_every_driver};
#[cfg(unix)]
use crate::common::{Signal, connect, ping};
use roundtrip_core::bytes::Bytes;
use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Driven, Step, Tap, Time};
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_record::Recorder;

/// A file of the test's own.
fn file(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.record"));
    let _ = fs::remove_file(&path);
    path
}

fn replay(path: &Path) -> Finished {
    run(roundtrip(["replay"]).arg(path))
}

/// The exit code, and all that is told.
fn told(path: &Path) -> (i32, String) {
    let Finished { code, stdout, stderr, .. } = replay(path);
    assert!(stdout.is_empty() || stderr.is_empty(), "{stdout}{stderr}");
    (code.unwrap(), stdout + &stderr)
}

with_every_driver! {
    #[cfg(unix)]
    what_a_server_did_it_does_again
    what_clients_did_they_do_again
    a_server_that_is_killed_leaves_what_is_over
}

#[cfg(unix)]
fn what_a_server_did_it_does_again(driver: &str) {
    let path = file(&format!("server-{driver}"));
    let options =
        ["--buffer", "1000", "--idle", "1h", "--driver", driver, "--record", path.to_str().unwrap()];
    let server = Server::start(&options);
    let (address, sent) = (server.address, noise(300_000));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert!(round_trip(connect(address), &sent).unwrap() == sent));
        }
        // One that is reset, and one that is stopped.
        let mut stream = connect(address);
        ping(&mut stream).unwrap();
        crate::common::reset(stream);
    });
    let mut open = server.connect();
    ping(&mut open).unwrap();
    let stopping = server.running;
    stopping.signal(Signal::TERM);
    drop(open);
    assert_eq!(stopping.wait().code, Some(0));
    let (code, told) = told(&path);
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("ok  5 sessions, "), "{told}");
    assert!(told.ends_with(" inputs, 900,002 bytes: every action the same\n"), "{told}");
    let header = fs::read(&path).unwrap();
    assert!(header.starts_with(b"roundtrip-record 1 echo-server {\"buffer\":1000,"));
}

fn what_clients_did_they_do_again(driver: &str) {
    let path = file(&format!("clients-{driver}"));
    let args =
        ["check", "-c", "3", "--repeat", "2", "--bytes", "100kB", "--write", "777", "--driver", driver];
    let checked = run(roundtrip(args).arg("--record").arg(&path));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let (code, told) = told(&path);
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("ok  6 sessions, ") && told.contains(" 600,000 bytes: "), "{told}");
}

fn a_server_that_is_killed_leaves_what_is_over(driver: &str) {
    let path = file(&format!("killed-{driver}"));
    let mut server = Server::start(&["--driver", driver, "--record", path.to_str().unwrap()]);
    assert_eq!(round_trip(server.connect(), b"abc").unwrap(), b"abc");
    let is_over = |record: Vec<u8>| String::from_utf8(record).unwrap().contains(" gone ").then_some(());
    poll("the session is written", || is_over(fs::read(&path).unwrap()));
    server.running.kill();
    assert_ne!(server.running.wait().code, Some(0));
    let (code, told) = told(&path);
    assert_eq!(code, 3, "{told}");
    assert!(told.starts_with("INCOMPLETE  1 session, ") && told.contains(" 3 bytes: every action"), "{told}");
    let end = fs::metadata(&path).unwrap().len();
    assert!(told.contains(" breaks off in line ") && told.contains(&format!("at byte {end}\n")), "{told}");
}

#[test]
fn standard_input_is_recorded_as_well() {
    let path = file("stdio");
    let mut serve = roundtrip(["serve", "stdio:", "--record"]);
    let served = run_with(serve.arg(&path), b"this is a test".to_vec());
    assert_eq!((served.code, &*served.stdout), (Some(0), "this is a test"));
    let (code, told) = told(&path);
    assert!(code == 0 && told.starts_with("ok  1 session, ") && told.contains(" 14 bytes: "), "{told}");
}

/// A failed session is what a record is for: its verdict is in it.
#[test]
fn a_check_that_fails_does_so_again() {
    let path = file("failed");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let wrong = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"something else").unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    });
    let args = ["check", &address, "--bytes", "1kB", "--seed", "3", "--record"];
    let checked = run(roundtrip(args).arg(&path));
    wrong.join().unwrap();
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let (code, told) = told(&path);
    assert!(code == 0 && told.contains(" 14 bytes: every action the same"), "{told}");
    assert!(fs::read_to_string(&path).unwrap().contains("verdict: Faulty"));
}

/// The record of one small session with the program's own server.
fn small(name: &str) -> (PathBuf, Vec<u8>) {
    let path = file(name);
    let checked = run(roundtrip(["check", "--bytes", "100", "--seed", "3", "--record"]).arg(&path));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let record = fs::read(&path).unwrap();
    (path, record)
}

#[test]
fn a_flipped_byte_is_told_with_its_position() {
    let (path, record) = small("flipped");
    let starts: Vec<_> = record
        .split_inclusive(|byte| *byte == b'\n')
        .scan(0, |at, line| {
            *at += line.len();
            Some((*at - line.len(), line.len()))
        })
        .collect();
    assert!(starts.len() > 10, "{starts:?}");
    for (number, (start, len)) in (1..).zip(&starts) {
        for at in [*start + 19.min(len / 2), start + len / 2, start + len - 2] {
            let mut flipped = record.clone();
            flipped[at] ^= 1;
            fs::write(&path, flipped).unwrap();
            let (code, told) = told(&path);
            let position = format!(" is damaged: line {number}, which begins at byte {start}: ");
            assert!(code == 1 && told.contains(&position), "byte {at}: {code}, {told}");
        }
    }
}

#[test]
fn a_record_that_breaks_off_is_incomplete() {
    let (path, record) = small("cut");
    for (cut, told_of_it) in
        [(100, "breaks off in its first line"), (record.len() - 1, "every action the same\n")]
    {
        fs::write(&path, &record[..cut]).unwrap();
        let (code, told) = told(&path);
        assert!(code == 3 && told.contains(told_of_it), "{cut}: {told}");
    }
}

#[test]
fn an_older_record_is_written_over() {
    let path = file("over");
    fs::write(&path, noise(1_000_000)).unwrap();
    let checked = run(roundtrip(["check", "--bytes", "100", "--record"]).arg(&path));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(told(&path).0, 0);
}

/// The session is told as ever; that the record is not whole is told beside it.
#[cfg(unix)]
#[test]
fn a_record_without_room_makes_it_incomplete() {
    use crate::common::schema;

    let check = ["check", "--bytes", "1kB", "--record", "/dev/full"];
    let finished = run(&mut roundtrip(check));
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stdout.starts_with("ok  1,000 bytes back in order"), "{finished:?}");
    assert!(finished.stderr.starts_with("error: cannot write /dev/full: No space left"), "{finished:?}");
    let document = schema::document(schema::check(), &run_quietly(&check));
    assert_eq!((&document["result"], &document["exit"]), (&"incomplete".into(), &3.into()));
    assert_eq!(document["checks"][0]["result"], "ok");
    let server = Server::start(&["--record", "/dev/full"]);
    assert_eq!(round_trip(server.connect(), b"abc").unwrap(), b"abc");
    let stopped = server.stop();
    assert!(stopped.code == Some(3) && stopped.stderr.contains("cannot write /dev/full"), "{stopped:?}");
}

/// With `--json`, and without what is told beside the document.
#[cfg(unix)]
fn run_quietly(args: &[&str]) -> Finished {
    let finished = run(roundtrip(args).arg("--json"));
    Finished { stderr: String::new(), ..finished }
}

/// What a recorder writes of a server with a buffer of so many bytes, under this name and configuration.
fn forged(name: &str, machine: &str, config: &str, buffer: usize) -> PathBuf {
    let path = file(name);
    let recorder = Recorder::new(fs::File::create(&path).unwrap(), machine, config).unwrap();
    let observer = recorder.open(ConnectionId::new(7), Time::ZERO);
    let config = Arc::new(ServerConfig::default().buffer(buffer));
    let mut session = Driven::new(Tap::new(EchoServer::new(config, Time::ZERO), observer));
    assert!(matches!(session.step(Time::ZERO), Step::Wait(_)));
    assert!(session.data(Time::ZERO, Bytes::from_static(b"x")).is_empty());
    assert_eq!(session.step(Time::ZERO), Step::Write);
    drop(session);
    recorder.finish().unwrap();
    path
}

const CONFIG: &str = "{\"buffer\":1000,\"chunk\":1000,\"max_chunks\":16,\"idle_ns\":null,\"half_close_idle_ns\":null,\
    \"max_age_ns\":null,\"quiet_ns\":1,\"drain_ns\":1,\"linger_ns\":1}";

#[test]
fn a_session_that_goes_another_way_is_told() {
    assert_eq!(told(&forged("same", "echo-server", CONFIG, 1000)).0, 0);
    let path = forged("diverges", "echo-server", CONFIG, 999);
    let (code, told) = told(&path);
    let start = fs::read_to_string(&path).unwrap().find("7 0 out").unwrap();
    let expected = format!(
        "FAIL  line 3, which begins at byte {start}: connection 7 goes another way at 0.000000000s\n  \
         recorded  wait 999 0 -\n  replayed  wait 1000 0 -\n  likely: "
    );
    assert!(code == 1 && told.starts_with(&expected), "{told}");
    assert!(told.ends_with(&format!("again: roundtrip replay {}\n", path.display())), "{told}");
}

/// A record may come from a stranger, who can compute its checksums.
#[test]
fn what_a_forged_line_says_is_shown_as_what_it_is() {
    let path = forged("hostile", "echo-server", CONFIG, 1000);
    let (mut sum, mut record) = (0, String::new());
    for line in fs::read_to_string(&path).unwrap().lines() {
        let text = line.rsplit_once(' ').unwrap().0.replace("wait 1000", "\u{1b}]0;x\u{7}\u{202e}wait");
        sum = roundtrip_record::hash::mix(sum, text.as_bytes());
        let _ = writeln!(record, "{text} {sum:016x}");
    }
    fs::write(&path, record).unwrap();
    let (code, told) = told(&path);
    assert!(code == 1 && told.contains("  recorded  \\u{1b}]0;x\\u{7}\\u{202e}wait 0 -\n"), "{told:?}");
    assert!(!told.contains(|c: char| c != '\n' && roundtrip_core::text::is_hidden(c)), "{told:?}");
}

#[test]
fn what_is_no_record_of_this_program_is_refused() {
    let no_buffer = CONFIG.replace("1000", "0");
    for (name, machine, config, cause) in [
        ("other", "resp", "", "of machines of another program: resp"),
        ("config", "echo-server", "{}", "is none of this release"),
        ("more", "echo-server", &*CONFIG.replace('}', ",\"more\":1}"), "is none of this release"),
        ("client", "echo-client", CONFIG, "is none of this release"),
        ("zero", "echo-server", &no_buffer, "buffer must not be zero"),
    ] {
        let (code, told) = told(&forged(name, machine, config, 1000));
        assert!(code == 2 && told.contains(cause) && told.contains("\n  try: "), "{name}: {told}");
    }
    let newer = file("newer");
    fs::write(&newer, "roundtrip-record 2 in another form").unwrap();
    let (code, told) = told(&newer);
    assert!(code == 2 && told.contains("version 2") && told.contains("the release that wrote it"), "{told}");
}
