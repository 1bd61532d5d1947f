//! A fault planted at every offset and in many sizes: the client names the very byte, the kind and the size.

mod fault;
mod path;

use fault::Planted;
use path::{Ending, PAUSE, Path};
use roundtrip_echo::{FaultKind, PeerEnd, Verdict};

/// All that a fault of a stream of `len` bytes can be, once each.
fn every_fault(len: usize) -> Vec<Planted> {
    let mut faults = Vec::new();
    for at in 0..len {
        for bytes in 1..=len - at {
            faults.push(Planted::Lost { at, bytes });
            faults.push(Planted::Duplicated { at, bytes });
            faults.extend((1..=len - at - bytes).map(|next| Planted::Swapped {
                at,
                first: bytes,
                second: next,
            }));
        }
        faults.extend([1, 0x80, 0xff].map(|mask| Planted::Flipped { at, mask, times: 1, apart: 1 }));
        faults.extend([2, 3, 9, 20].map(|apart| Planted::Flipped { at, mask: 4, times: 3, apart }));
    }
    faults.extend([1, 2, 15, 16, 17, 300].map(|bytes| Planted::Trailing { bytes }));
    faults.extend((0..len).map(|to| Planted::Cut { to }));
    faults.push(Planted::None);
    faults
}

/// 32 bytes are the fewest that promise a kind; 37 end in the middle of a word.
#[test]
fn every_fault_of_a_small_payload_is_named_exactly() {
    let mut count = 0;
    for len in [32, 37] {
        for (index, fault) in every_fault(len).into_iter().enumerate() {
            let slice = [1, 7, usize::MAX][index % 3];
            let seed = (index / 3 + len) as u64;
            fault.assert_named(&Path { seed, len, window: len, chunk: 64, slice, ..Path::default() });
            count += 1;
        }
    }
    println!("{count} faults");
}

/// A number below `below`, from a sequence that is the same each time.
fn next(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from((*state >> 33) % below as u64).expect("below a usize")
}

fn some_fault(state: &mut u64, len: usize, most: usize) -> Planted {
    let sizes = [1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 100, 255, 256, 257, 1000, 4096, most];
    let mut size = |limit: usize| sizes[next(state, sizes.len())].min(most).min(limit).max(1);
    let (bytes, second) = (size(len - 1), size(len - 1));
    let at = next(state, len - bytes);
    match next(state, 7) {
        0 => Planted::Lost { at, bytes },
        1 => Planted::Duplicated { at, bytes },
        2 | 3 => Planted::Swapped { at, first: bytes, second: second.min(len - at - bytes) },
        4 => Planted::Flipped { at, mask: 0x10, times: 1 + next(state, 20), apart: 1 + next(state, 40) },
        5 => Planted::Trailing { bytes },
        _ => Planted::Cut { to: at },
    }
}

/// All is under way before anything comes back.
#[test]
fn faults_of_payloads_as_large_as_the_window_are_named_exactly() {
    let mut state = 7;
    for len in [64, 100, 1000, 4096, 65_536, 65_543] {
        for round in 0..if len > 10_000 { 30 } else { 200 } {
            let fault = some_fault(&mut state, len, len);
            let slice = [7, 1000, usize::MAX][round % 3];
            fault.assert_named(&Path {
                seed: round as u64,
                len,
                window: len,
                chunk: 65_536,
                slice,
                ..Path::default()
            });
        }
    }
}

/// The fault shows while more is still to be sent: the client stops, and judges by what it has sent.
#[test]
fn faults_of_payloads_larger_than_the_window_are_named_exactly() {
    let mut state = 11;
    for (window, len) in [(64, 640), (256, 2000), (4096, 16_000)] {
        for round in 0..120 {
            // Both blocks of a swap have to be under way together.
            let fault = some_fault(&mut state, len, window / 3);
            let slice = [7, 100, usize::MAX][round % 3];
            let chunk = [window, window / 2 + 1][round % 2];
            fault.assert_named(&Path { seed: round as u64, len, window, chunk, slice, ..Path::default() });
        }
    }
}

#[test]
fn a_stream_cut_short_says_where_by_whom_and_how_long_after_our_own_end() {
    let path = Path { seed: 3, len: 50, window: 50, chunk: 64, slice: 7, ..Path::default() };
    for (ending, by) in [
        (Ending::Fin, PeerEnd::Fin),
        (Ending::Reset, PeerEnd::Reset),
        (Ending::Truncated, PeerEnd::Truncated),
        (Ending::Io, PeerEnd::Error),
    ] {
        for to in 0..50 {
            let fault = Planted::Cut { to };
            let (_, outcome) = Path { ending, ..path }.run(&fault);
            let kind = FaultKind::Truncated { by, after: Some(PAUSE) };
            assert_eq!(outcome.verdict, Verdict::Faulty(roundtrip_echo::Fault { at: to as u64, kind }));
            assert_eq!((outcome.sent, outcome.received), (50, to as u64));
        }
    }
}

#[test]
fn only_an_orderly_end_verifies_a_whole_echo() {
    let path = Path { seed: 3, len: 50, window: 50, chunk: 64, slice: 7, ..Path::default() };
    assert_eq!(path.run(&Planted::None).1.verdict, Verdict::Verified);
    for (ending, by) in [
        (Ending::Reset, PeerEnd::Reset),
        (Ending::Truncated, PeerEnd::Truncated),
        (Ending::Io, PeerEnd::Error),
    ] {
        let (_, outcome) = Path { ending, ..path }.run(&Planted::None);
        let kind = FaultKind::Truncated { by, after: Some(PAUSE) };
        assert_eq!(outcome.verdict, Verdict::Faulty(roundtrip_echo::Fault { at: 50, kind }));
    }
}

#[test]
fn silence_is_timed_out_where_it_begins_unless_a_fault_showed_before() {
    let path = Path { seed: 3, len: 64, window: 64, chunk: 64, slice: 7, ending: Ending::Silence };
    for to in 0..=64 {
        let (_, outcome) = path.run(&Planted::Cut { to });
        let fault = roundtrip_echo::Fault { at: to as u64, kind: FaultKind::TimedOut };
        assert_eq!(outcome.verdict, Verdict::Faulty(fault));
    }
    let (_, outcome) = path.run(&Planted::Lost { at: 20, bytes: 4 });
    let fault = roundtrip_echo::Fault { at: 20, kind: FaultKind::Lost { bytes: 4 } };
    assert_eq!(outcome.verdict, Verdict::Faulty(fault));
}

/// Whatever is wrong with a payload that tells nothing about itself, the place is exact.
#[test]
fn in_payloads_too_short_to_be_located_only_the_place_is_named() {
    for len in 1..32 {
        for (index, fault) in every_fault(len).into_iter().enumerate() {
            let path = Path { seed: index as u64, len, window: len, chunk: 64, slice: 5, ..Path::default() };
            let (delivered, outcome) = path.run(&fault);
            let sent = path.stream();
            let at = sent.iter().zip(&delivered).take_while(|(sent, came)| sent == came).count();
            let kind = if delivered == sent {
                assert_eq!(outcome.verdict, Verdict::Verified, "{fault:?}");
                continue;
            } else if at == delivered.len() {
                FaultKind::Truncated { by: PeerEnd::Fin, after: Some(PAUSE) }
            } else if at == len {
                FaultKind::Trailing
            } else {
                FaultKind::Corrupted
            };
            let expected = roundtrip_echo::Fault { at: at as u64, kind };
            assert_eq!(outcome.verdict, Verdict::Faulty(expected), "{fault:?} of {len}");
        }
    }
}
