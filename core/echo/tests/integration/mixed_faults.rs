//! Faults beyond the plain ones: blocks from far back, two faults at once, and what no observer can tell apart.

use std::sync::Arc;

use roundtrip_core::{Driven, Step, Time};
use roundtrip_echo::{ClientConfig, ClientOutcome, EchoClient, Fault, FaultKind, Payload, Verdict};

const LEN: usize = 200;

fn sent() -> Vec<u8> {
    let mut sent = vec![0; LEN];
    Payload::seeded(9, LEN as u64).fill(0, &mut sent);
    sent
}

/// What the client says when these blocks come back, and then the end.
fn verdict(blocks: &[&[u8]]) -> Verdict {
    outcome(blocks).verdict
}

fn outcome(blocks: &[&[u8]]) -> ClientOutcome {
    let config = ClientConfig::default().window(LEN);
    let now = Time::ZERO;
    let mut client = Driven::new(EchoClient::new(Arc::new(config), Payload::seeded(9, LEN as u64), now));
    let mut unread = bytes::Bytes::from(blocks.concat());
    for _ in 0..20 {
        match client.step(now) {
            Step::Write => client.wrote(now, client.pending().len()),
            Step::ShutdownWrite | Step::Event(_) => {}
            Step::Wait(_) if unread.is_empty() => client.eof(now),
            Step::Wait(_) => unread = client.data(now, unread),
            Step::Close { outcome, .. } => return outcome,
        }
    }
    panic!("no verdict");
}

fn faulty(at: usize, kind: FaultKind) -> Verdict {
    Verdict::Faulty(Fault { at: at as u64, kind })
}

#[test]
fn a_block_from_farther_back_that_is_put_in_is_duplicated() {
    let s = sent();
    for bytes in [16, 17, 40] {
        let twice = FaultKind::Duplicated { bytes: bytes as u64 };
        assert_eq!(verdict(&[&s[..100], &s[20..20 + bytes], &s[100..]]), faulty(100, twice));
        assert_eq!(
            verdict(&[&s[..190], &s[20..20 + bytes], &s[190..]]),
            faulty(190, twice),
            "few bytes left"
        );
        assert_eq!(verdict(&[&s, &s[20..20 + bytes]]), faulty(LEN, twice), "after everything");
    }
}

#[test]
fn a_block_from_farther_back_in_place_of_another_is_corrupted() {
    let s = sent();
    assert_eq!(verdict(&[&s[..100], &s[20..60], &s[140..]]), faulty(100, FaultKind::Corrupted));
    assert_eq!(verdict(&[&s[..100], &s[20..60], &s[120..]]), faulty(100, FaultKind::Corrupted));
    assert_eq!(verdict(&[&s[..100], &s[20..60], &s[150..]]), faulty(100, FaultKind::Corrupted));
    assert_eq!(verdict(&[&s[..160], &s[20..60]]), faulty(160, FaultKind::Corrupted), "to the end");
}

#[test]
fn a_short_block_from_elsewhere_is_inserted_or_corrupts() {
    let s = sent();
    let inserted = FaultKind::Inserted { bytes: 10 };
    assert_eq!(verdict(&[&s[..100], &s[20..30], &s[100..]]), faulty(100, inserted), "put in");
    assert_eq!(verdict(&[&s[..100], &s[20..30], &s[110..]]), faulty(100, FaultKind::Corrupted), "in place");
}

/// At the front, in the middle, and before fewer bytes than tell where they belong.
#[test]
fn foreign_bytes_put_in_are_inserted_and_after_everything_trailing() {
    let s = sent();
    for bytes in [1, 15, 16, 100, 240] {
        let foreign = vec![0; bytes];
        for at in [0, 100, LEN - 15, LEN - 1] {
            let inserted = FaultKind::Inserted { bytes: bytes as u64 };
            // Of bytes that happen to be right, none is wrong.
            assert!(s[at] != 0);
            assert_eq!(verdict(&[&s[..at], &foreign, &s[at..]]), faulty(at, inserted), "{bytes} at {at}");
        }
        assert_eq!(
            verdict(&[&s, &foreign, &s[100..]]),
            faulty(LEN, FaultKind::Trailing),
            "and then a repeat"
        );
    }
}

/// The first of them are right by chance.
#[test]
fn foreign_bytes_that_begin_with_what_was_due_are_inserted() {
    let s = sent();
    for right in 1..4 {
        let foreign = [&s[100..100 + right], &[0; 6]].concat();
        let inserted = FaultKind::Inserted { bytes: foreign.len() as u64 };
        assert_eq!(verdict(&[&s[..100], &foreign, &s[100..]]), faulty(100 + right, inserted), "{right}");
    }
}

/// Too many to be followed.
#[test]
fn a_flood_of_foreign_bytes_is_corrupted() {
    let s = sent();
    assert_eq!(verdict(&[&s[..100], &[0; 300], &s[100..]]), faulty(100, FaultKind::Corrupted));
}

#[test]
fn a_block_replaced_by_another_number_of_foreign_bytes_is_corrupted() {
    let s = sent();
    for (missing, foreign) in [(40, 39), (40, 3), (100, 1), (3, 40), (40, 41)] {
        let replaced = [&s[..50], &vec![0; foreign], &s[50 + missing..]];
        assert_eq!(verdict(&replaced), faulty(50, FaultKind::Corrupted), "{missing} by {foreign}");
    }
}

/// The first of them is too short to tell where it belongs.
#[test]
fn blocks_in_another_order_are_reordered_however_short_the_first_is() {
    let s = sent();
    let blocks = [&s[..50], &s[60..68], &s[100..], &s[50..60], &s[68..100]];
    assert_eq!(verdict(&blocks), faulty(50, FaultKind::Reordered));
}

#[test]
fn the_first_wrong_bytes_are_kept() {
    let s = sent();
    let evidence = |blocks: &[&[u8]]| outcome(blocks).evidence;
    assert_eq!(evidence(&[&s]).bytes(), b"");
    assert_eq!(evidence(&[&s[..100]]).bytes(), b"");
    assert_eq!(evidence(&[&s[..100], b"no"]).bytes(), b"no");
    let came = [b"HTTP/1.1 400 Bad Request", &[0; 100][..]].concat();
    assert_eq!(evidence(&[&came]).bytes(), &came[..64]);
    assert_eq!(format!("{:?}", evidence(&[b"\r\n"])), r#""\r\n""#);
}

#[test]
fn blocks_that_change_places_over_a_distance_are_reordered_if_the_first_to_come_can_be_located() {
    let s = sent();
    for (first, second) in [(16, 16), (16, 40), (40, 16), (5, 30)] {
        let (a, b) = (40..40 + first, 120..120 + second);
        let swapped = [&s[..40], &s[b.clone()], &s[a.end..b.start], &s[a.clone()], &s[b.end..]];
        assert_eq!(verdict(&swapped), faulty(40, FaultKind::Reordered), "{first} and {second} bytes");
    }
}

#[test]
fn a_byte_moved_to_an_equal_one_is_reordered_and_not_taken_for_a_duplicate() {
    // The byte that moves is the same as the one it is moved in front of: until the place it came from is
    // reached, this looks as if that one had come twice.
    let s = sent();
    let (to, from) = (0..100)
        .flat_map(|to| (to + 20..160).map(move |from| (to, from)))
        .find(|&(to, from)| s[to] == s[from] && s[to + 1] != s[to])
        .expect("there are equal bytes");
    let moved = [&s[..to], &s[from..=from], &s[to..from], &s[from + 1..]];
    assert_eq!(verdict(&moved), faulty(to + 1, FaultKind::Reordered));
}

#[test]
fn the_first_of_two_faults_is_named() {
    let s = sent();
    let mut flipped = s.clone();
    flipped[150] ^= 1;
    let lost = faulty(50, FaultKind::Lost { bytes: 20 });
    assert_eq!(verdict(&[&s[..50], &s[70..100], &s[130..]]), lost, "lost, and lost");
    assert_eq!(verdict(&[&s[..50], &flipped[70..]]), lost, "lost, and corrupted");
    assert_eq!(verdict(&[&s[..50], &s[70..120]]), lost, "lost, and cut short");
    assert_eq!(verdict(&[&s[..50], &s[70..], &[0; 3]]), lost, "lost, and trailing");
    assert_eq!(verdict(&[&s[..50], &s[70..], &[0; 20]]), lost, "lost, and as many foreign bytes");
    assert_eq!(verdict(&[&s[..50], &s[70..], &[0; 300]]), lost, "lost, and a flood");
    assert_eq!(verdict(&[&s[..50], &s[70..120], &s[10..30], &s[120..]]), lost, "lost, and an old block");
    let mut inside = s.clone();
    inside[90] ^= 1;
    let again = [&s[..100], &inside[60..100], &s[100..]];
    assert_eq!(
        verdict(&again),
        faulty(100, FaultKind::Duplicated { bytes: 40 }),
        "twice, and corrupted inside"
    );
    let twice = faulty(50, FaultKind::Duplicated { bytes: 20 });
    assert_eq!(verdict(&[&s[..50], &s[30..100], &s[120..]]), twice, "twice, and lost");
    assert_eq!(verdict(&[&s[..50], &flipped[30..]]), twice, "twice, and corrupted");
    assert_eq!(verdict(&[&s[..50], &s[30..195]]), twice, "twice, and cut short");
    assert_eq!(verdict(&[&s[..50], &s[30..], &[0; 300]]), twice, "twice, and a flood");
}

#[test]
fn a_few_wrong_bytes_before_an_early_end_are_corrupted() {
    let s = sent();
    for end in 181..196 {
        let mut cut = s[..end].to_vec();
        for byte in &mut cut[180..] {
            *byte ^= 0x55;
        }
        assert_eq!(verdict(&[&cut]), faulty(180, FaultKind::Corrupted), "cut at {end}");
    }
}

#[test]
fn a_change_that_leaves_the_same_bytes_is_reordered() {
    let s = sent();
    let at = (0..LEN - 1).find(|&at| s[at] != s[at + 1]).expect("there are different neighbours");
    let mut flipped = s.clone();
    let mask = s[at] ^ s[at + 1];
    flipped[at] ^= mask;
    flipped[at + 1] ^= mask;
    assert_eq!(verdict(&[&flipped]), faulty(at, FaultKind::Reordered));
}
