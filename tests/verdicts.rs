//! `check` against servers that misbehave, each in its own way: the kind of the fault, its exact offset and
//! the exit code are told, and the command that is printed does the same again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;

use common::{Finished, PATIENCE, Running, Signal, bounded, nobody, reset, roundtrip, run};

const TOTAL: usize = 200_000;

/// Serves its first client with `misbehave`, and every later one well.
fn server(misbehave: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let accept = || bounded(listener.accept().unwrap().0);
        misbehave(accept());
        loop {
            let mut stream = accept();
            let mut writer = stream.try_clone().unwrap();
            let _ = std::io::copy(&mut stream, &mut writer);
        }
    });
    address
}

/// Reads all there is, and answers with what `change` makes of it. The client has to send without waiting.
fn answers(change: impl FnOnce(&mut Vec<u8>) + Send + 'static) -> String {
    server(|mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), TOTAL);
        change(&mut bytes);
        // The client has seen enough before the end.
        let _ = stream.write_all(&bytes);
    })
}

/// Echoes the first `len` bytes as they come: the client waits for some before it sends the rest.
fn echo(stream: &TcpStream, len: usize) {
    let mut writer = stream;
    let echoed = std::io::copy(&mut stream.take(len as u64), &mut writer).unwrap();
    assert_eq!(echoed, len as u64);
}

fn drain(stream: &mut TcpStream) {
    let _ = std::io::copy(stream, &mut std::io::sink());
}

fn check(address: &str, options: &[&str]) -> Finished {
    let total = TOTAL.to_string();
    let args = ["check", address, "--bytes", &total, "--seed", "24301"];
    run(roundtrip(args).args(options))
}

/// What `check` says of the first client, then of the second, with the command that it prints.
fn expect(address: &str, options: &[&str], code: i32, first: &str, second: &str) {
    let checked = check(address, options);
    let lines: Vec<_> = checked.stdout.lines().collect();
    assert_eq!((checked.code, lines[0]), (Some(code), first), "{checked:?}");
    // How many milliseconds later is not ours to say.
    let (before, after) = second.split_once('*').unwrap_or((second, ""));
    assert!(lines[1].starts_with(before) && lines[1].ends_with(after), "{} is not {second}", lines[1]);
    assert_eq!(checked.stderr, "");
    let again = lines.last().unwrap().strip_prefix("  again: roundtrip ").unwrap();
    let words: Vec<_> = again.split(' ').collect();
    assert!(words.windows(2).any(|pair| pair == ["--seed", "24301"]), "{again}");
    let checked = run(&mut roundtrip(words));
    assert_eq!(checked.code, Some(0), "{again}: {checked:?}");
    assert!(checked.stdout.starts_with("ok  200,000 bytes back in order, clean end, "));
}

/// So that a server can read everything first.
const AT_ONCE: &[&str] = &["--window", "1MiB"];

fn wrong_at(offset: usize) -> String {
    format!("  first wrong offset {offset}; every byte before it is right")
}

#[test]
fn a_flipped_bit_is_corruption_at_its_byte() {
    for offset in [0, 1, 65_536, 123_457, TOTAL - 1] {
        let address = answers(move |bytes| bytes[offset] ^= 0x10);
        let line = "FAIL  corrupted: bytes came that were never sent";
        expect(&address, AT_ONCE, 1, line, &wrong_at(offset));
    }
}

#[test]
fn lost_bytes_are_counted_where_the_first_is_missing() {
    for (offset, lost, words) in [(0, 1, "1 byte is"), (100_001, 1000, "1,000 bytes are")] {
        let address = answers(move |bytes| drop(bytes.drain(offset..offset + lost)));
        let line = format!("FAIL  lost: {words} missing in the middle");
        expect(&address, AT_ONCE, 1, &line, &wrong_at(offset));
    }
}

#[test]
fn duplicated_bytes_are_counted_where_the_first_comes_again() {
    for (offset, twice) in [(4096, 4096), (100_003, 77)] {
        let address = answers(move |bytes| {
            let block = bytes[offset - twice..offset].to_vec();
            drop(bytes.splice(offset..offset, block));
        });
        let line = if twice == 77 { "77" } else { "4,096" };
        let line = format!("FAIL  duplicated: {line} bytes came twice");
        expect(&address, AT_ONCE, 1, &line, &wrong_at(offset));
    }
}

#[test]
fn two_swapped_blocks_are_reordered_bytes_from_the_first_on() {
    let address = answers(|bytes| bytes[50_000..50_000 + 2 * 4096].rotate_left(4096));
    expect(&address, AT_ONCE, 1, "FAIL  reordered: the right bytes in the wrong order", &wrong_at(50_000));
}

#[test]
fn bytes_after_the_end_are_trailing() {
    let address = answers(|bytes| bytes.extend(b"OK\r\n!"));
    let line = "FAIL  trailing: at least 5 bytes more came than were sent";
    expect(&address, AT_ONCE, 1, line, &wrong_at(TOTAL));
}

#[test]
fn an_end_before_ours_is_early_and_no_reset() {
    let address = server(|mut stream| {
        echo(&stream, 100_000);
        stream.shutdown(Shutdown::Write).unwrap();
        drain(&mut stream);
    });
    let line = "FAIL  peer closed early: 100,000 of 200,000 bytes came back";
    let detail = "  first missing offset 100000; every byte before it is right; FIN, not RST, before our FIN";
    expect(&address, &[], 1, line, detail);
}

/// What a proxy does that takes a half-close for the end.
#[test]
fn an_end_that_answers_our_half_close_is_told_from_an_earlier_one() {
    for (kept, words) in [(0, "0"), (150_000, "150,000")] {
        let address = answers(move |bytes| bytes.truncate(kept));
        let line = format!("FAIL  peer closed early: {words} of 200,000 bytes came back");
        let detail = format!(
            "  first missing offset {kept}; every byte before it is right; FIN, not RST, * ms after our FIN"
        );
        expect(&address, AT_ONCE, 1, &line, &detail);
    }
}

/// Less than a quarter of the client's window is echoed, so that it waits for more, and reads all of that
/// before the reset.
#[test]
fn a_reset_is_told_from_an_end() {
    let address = server(|mut stream| {
        let mut bytes = vec![0; 65_536];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes[..10_000]).unwrap();
        reset(stream);
    });
    let line = "FAIL  connection reset: 10,000 of 200,000 bytes came back";
    let detail = "  first missing offset 10000; every byte before it is right; RST, not FIN, before our FIN";
    expect(&address, &["--window", "64KiB"], 1, line, detail);
}

#[test]
fn a_reset_after_every_byte_is_no_clean_end() {
    let address = server(|mut stream| {
        echo(&stream, TOTAL);
        drain(&mut stream);
        reset(stream);
    });
    let line = "FAIL  connection reset: 200,000 of 200,000 bytes came back";
    expect(&address, &[], 1, line, "  every byte is right; RST, not FIN, * ms after our FIN");
}

/// A server that waits for its client, as the client waits for it.
#[test]
fn a_server_that_never_answers_is_given_up() {
    let address = server(|mut stream| drain(&mut stream));
    let line = "FAIL  timed out: 0 of 200,000 bytes came back, then nothing moved for 300ms";
    let detail = "  first missing offset 0; every byte before it is right";
    expect(&address, &["--timeout", "300ms"], 3, line, detail);
}

#[test]
fn a_server_that_stops_answering_is_given_up() {
    let address = server(|mut stream| {
        echo(&stream, 10_000);
        drain(&mut stream);
    });
    let line = "FAIL  timed out: 10,000 of 200,000 bytes came back, then nothing moved for 1s";
    let detail = "  first missing offset 10000; every byte before it is right";
    expect(&address, &["--timeout", "1s"], 3, line, detail);
}

#[test]
fn a_half_close_that_is_not_passed_on_is_given_up_with_every_byte_back() {
    let address = server(|mut stream| {
        echo(&stream, TOTAL);
        drain(&mut stream);
        // It resets when it gives up, and not before may we close.
        common::poll("the client has given up", || stream.take_error().unwrap());
    });
    let line = "FAIL  timed out: 200,000 of 200,000 bytes came back, then nothing moved for 1s";
    expect(&address, &["--timeout", "1s"], 3, line, "  every byte is right");
}

#[test]
fn an_interrupted_check_is_incomplete() {
    for signal in [Signal::INT, Signal::TERM] {
        let (sender, received) = channel();
        let address = server(move |mut stream| {
            stream.read_exact(&mut [0; 100]).unwrap();
            sender.send(()).unwrap();
            drain(&mut stream);
        });
        let checking = Running::start(&mut roundtrip(["check", &address, "--bytes", "10MB"]));
        received.recv_timeout(PATIENCE).unwrap();
        checking.signal(signal);
        let checked = checking.wait();
        assert_eq!(checked.code, Some(3), "{checked:?}");
        assert!(checked.stdout.starts_with("INCOMPLETE  stopped after 0 of 10,000,000 bytes came back"));
    }
}

/// Too few bytes to tell where they belong.
#[test]
fn a_single_byte_is_checked() {
    let good = server(|stream| echo(&stream, 1));
    let checked = run(&mut roundtrip(["check", &good, "--bytes", "1"]));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let bad = server(|mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(&[!byte[0]]).unwrap();
    });
    let checked = run(&mut roundtrip(["check", &bad, "--bytes", "1"]));
    assert_eq!(checked.code, Some(1));
    assert!(checked.stdout.contains("corrupted") && checked.stdout.contains(&wrong_at(0)), "{checked:?}");
}

#[test]
fn nobody_there_is_neither_a_success_nor_a_fault() {
    for target in [nobody().to_string(), "no-such-host.invalid:7".to_owned()] {
        let checked = check(&target, &[]);
        assert_eq!((checked.code, &*checked.stdout), (Some(4), ""), "{target}: {}", checked.stderr);
    }
}

#[test]
fn without_an_endpoint_the_loopback_is_checked() {
    let checked = run(&mut roundtrip(["check", "--bytes", "100kB"]));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.starts_with("ok  100,000 bytes back in order, clean end, "));
    assert_eq!(checked.stderr, "");
}
