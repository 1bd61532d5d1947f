//! Records that are not as they were written: each is told, on the right line, and none is taken for whole.

use quickcheck::quickcheck;
use roundtrip_record::{Position, Record, ReplayError, ReplayErrorCause, Replayed, hash};

use crate::common::{echo, replay_echo, two_echoes};

/// The line that a byte is in, and where that begins.
fn line_of(record: &[u8], at: usize) -> Position {
    let before = &record[..at];
    let lines: Vec<_> = before.split(|byte| *byte == b'\n').collect();
    Position { line: lines.len() as u64, offset: (at - lines[lines.len() - 1].len()) as u64 }
}

/// Where a replay stopped: an error, or the end of what there is. None if it is the same and whole.
fn stopped(replayed: Result<Replayed, ReplayError>) -> Option<Position> {
    match replayed {
        Ok(replayed) => replayed.torn,
        Err(error) => Some(error.position),
    }
}

#[test]
fn a_flipped_byte_is_told_with_its_position() {
    let record = two_echoes();
    for at in 0..record.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255, b'\n' ^ record[at], b' ' ^ record[at]] {
            if flip == 0 {
                continue;
            }
            let mut flipped = record.clone();
            flipped[at] ^= flip;
            let replayed = replay_echo(&flipped, 64);
            let told = format!("{replayed:?}");
            assert_eq!(stopped(replayed), Some(line_of(&record, at)), "byte {at} ^ {flip}: {told}");
            // Nothing but the checksum is to blame, where there is one already, and is all there.
            if at > "roundtrip-record 1".len() && at + 1 < record.len() {
                assert!(told.contains("Damaged"), "byte {at} ^ {flip}: {told}");
            }
        }
    }
}

#[test]
fn a_record_cut_anywhere_goes_as_far_as_it_goes() {
    let record = two_echoes();
    let whole = replay_echo(&record, 64).unwrap();
    let header = record.iter().position(|byte| *byte == b'\n').unwrap();
    for cut in 0..record.len() {
        let replayed = replay_echo(&record[..cut], 64);
        if cut <= header {
            let cause = replayed.unwrap_err().cause;
            let is_told = matches!(cause, ReplayErrorCause::NotARecord | ReplayErrorCause::Torn);
            assert!(is_told, "{cut}: {cause:?}");
        } else {
            let replayed = replayed.unwrap();
            assert_eq!(replayed.torn, Some(line_of(&record, cut)), "{cut}");
            assert!(replayed.inputs <= whole.inputs && replayed.actions <= whole.actions, "{cut}");
        }
    }
}

fn lines(record: &[u8]) -> Vec<&[u8]> {
    record.split_inclusive(|byte| *byte == b'\n').collect()
}

#[test]
fn lines_that_are_lost_doubled_or_swapped_are_told() {
    let record = two_echoes();
    let lines = lines(&record);
    let stopped_at = |lines: &[&[u8]]| stopped(replay_echo(&lines.concat(), 64)).unwrap().line;
    for at in 0..lines.len() {
        let lost = [&lines[..at], &lines[at + 1..]].concat();
        assert_eq!(stopped_at(&lost), at as u64 + 1, "lost {at}");
        let doubled = [&lines[..=at], &lines[at..]].concat();
        assert_eq!(stopped_at(&doubled), at as u64 + 2, "doubled {at}");
        for other in at + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            assert_eq!(stopped_at(&swapped), at as u64 + 1, "swapped {at} and {other}");
        }
    }
}

#[test]
fn what_follows_the_end_is_told() {
    let record = two_echoes();
    let end = Position { line: lines(&record).len() as u64 + 1, offset: record.len() as u64 };
    for more in [&b"x"[..], b"\n", b"whole\n", &record] {
        let error = replay_echo(&[&record, more].concat(), 64).unwrap_err();
        assert!(matches!(error.cause, ReplayErrorCause::Trailing), "{error}");
        assert_eq!(error.position, end);
    }
}

fn opened(bytes: &[u8]) -> ReplayErrorCause {
    Record::open(bytes).unwrap_err().cause
}

#[test]
fn a_file_that_is_no_record_or_a_newer_one_is_refused() {
    let long = [&b"roundtrip-record 1 a "[..], &vec![b'x'; 70_000], b"\n"].concat();
    for bytes in [
        &b""[..],
        b"\n",
        b"\x7fELF",
        b"{\"roundtrip-trace\":1}\n",
        b"roundtrip-record \n",
        b"roundtrip-record 0 \n",
    ] {
        assert!(matches!(opened(bytes), ReplayErrorCause::NotARecord), "{}", bytes.escape_ascii());
    }
    for newer in [&b"roundtrip-record 2 anything else"[..], b"roundtrip-record 2\n"] {
        assert!(matches!(opened(newer), ReplayErrorCause::Newer(2)));
    }
    assert!(matches!(opened(&long), ReplayErrorCause::TooLong));
    let zeros = std::io::repeat(0);
    assert!(matches!(Record::open(zeros).unwrap_err().cause, ReplayErrorCause::NotARecord));
}

/// A line that never ends is not read into memory.
#[test]
fn a_line_without_an_end_is_refused() {
    let mut record = two_echoes();
    let first = record.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    record.truncate(first);
    let endless = std::io::Read::chain(&record[..], std::io::repeat(b'7'));
    let record = Record::open(endless).unwrap();
    let error = record.replay(|opened| echo(64, opened.at)).unwrap_err();
    assert!(matches!(error.cause, ReplayErrorCause::TooLong), "{error}");
    assert_eq!(error.position, Position { line: 2, offset: first as u64 });
}

/// The record with these lines after its first, each with the checksum that it takes.
fn forged(lines: &[String]) -> Vec<u8> {
    let (mut record, mut sum) = (Vec::new(), 0);
    for line in std::iter::once("roundtrip-record 1 test ").chain(lines.iter().map(String::as_str)) {
        sum = hash::mix(sum, line.as_bytes());
        record.extend(format!("{line} {sum:016x}\n").into_bytes());
    }
    record
}

#[test]
fn a_line_that_says_nothing_known_is_told_whatever_its_checksum() {
    let open = "1 5 open";
    for line in [
        "",
        " ",
        "1",
        "1 5",
        "1 5 ",
        "1 5 sing",
        "1 5 in",
        "1 5 in sing",
        "1 5 in data 7",
        "1 5 in wrote",
        "1 5 in wrote -1",
        "1 5 in wrote 18446744073709551616",
        "1 5 in command 00",
        "1 4 gone",
        "2 5 gone",
        "1 5 open",
        "2 5 in eof",
        "x 5 in eof",
        "1 x in eof",
        "1 99999999999999999999 in eof",
        "whole ",
        "in eof",
    ] {
        let record = forged(&[open.to_owned(), line.to_owned()]);
        let error = replay_echo(&record, 64).unwrap_err();
        assert!(matches!(error.cause, ReplayErrorCause::Malformed), "{line}: {error}");
        assert_eq!(error.position.line, 3, "{line}");
    }
}

quickcheck! {
    fn a_changed_byte_a_changed_sum_and_one_byte_more_change_the_hash(sum: u64, bytes: Vec<u8>, at: usize, by: u8) -> bool {
        let (hash, by) = (hash::mix(sum, &bytes), by.max(1));
        let mut changed = bytes.clone();
        let is_changed = match changed.get_mut(at % bytes.len().max(1)) {
            Some(byte) => {
                *byte ^= by;
                hash::mix(sum, &changed) != hash
            }
            None => true,
        };
        let longer = [&bytes[..], &[0]].concat();
        is_changed && hash::mix(sum ^ u64::from(by), &bytes) != hash && hash::mix(sum, &longer) != hash
    }

    fn no_bytes_are_taken_for_a_record(bytes: Vec<u8>) -> bool {
        stopped(replay_echo(&bytes, 64)).is_some()
    }

    fn no_bytes_after_a_first_line_are_taken_for_a_record(bytes: Vec<u8>) -> bool {
        let record = two_echoes();
        let first = lines(&record)[0];
        stopped(replay_echo(&[first, &bytes].concat(), 64)).is_some()
    }

    /// Lines with right checksums, of any inputs in any order: no panic, and an end.
    fn a_forged_record_is_refused_or_replayed(ops: Vec<(u8, u8, u8)>) -> bool {
        let line = |(what, connection, n): &(u8, u8, u8)| {
            let what = match what % 20 {
                0 | 1 => "open".to_owned(),
                2 => "gone".to_owned(),
                3 => "in eof".to_owned(),
                4 => "in stop".to_owned(),
                5 => "in abort".to_owned(),
                6 => "in failed io".to_owned(),
                7 => format!("in wrote {}", u64::MAX - u64::from(*n)),
                8 => format!("in wrote {n}"),
                9 => "in data ".to_owned(),
                10 => format!("in command {n:02x}"),
                11 => "out shutdown".to_owned(),
                12 => "out wait 64 0 -".to_owned(),
                _ => format!("in data {}", "00".repeat(usize::from(*n))),
            };
            format!("{} {} {what}", connection % 3, if n % 50 == 49 { u64::MAX } else { 5 })
        };
        let record = forged(&ops.iter().map(line).collect::<Vec<_>>());
        stopped(replay_echo(&record, 64)).is_some()
    }
}
