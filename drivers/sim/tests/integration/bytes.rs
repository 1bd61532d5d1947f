//! Any bytes are a schedule: what a fuzzer needs.

use roundtrip_scenarios::{Echo, Server};
use roundtrip_sim::Runner;
use roundtrip_sim::choose::{FuzzBytes, mix};

/// So many bytes from a seed, `zeroes` of 256 of them 0.
fn bytes(seed: u64, len: u64, zeroes: u64) -> Vec<u8> {
    let word = |index| mix(mix(seed) ^ index);
    let byte = |index| if word(index) >> 8 & 0xff < zeroes { 0 } else { word(index).to_le_bytes()[0] };
    (0..len).map(byte).collect()
}

#[test]
fn any_bytes_are_a_schedule_that_ends_well() {
    let (mut echo, mut server) = (Runner::new(&Echo), Runner::new(&Server));
    let (mut events, mut decisions) = (0, 0);
    for seed in 0..150 {
        for zeroes in [0, 128, 250] {
            let bytes = bytes(seed, 1 << (seed % 12), zeroes);
            let run = echo.run(FuzzBytes::new(&bytes));
            assert!(run.verdict.is_pass(), "echo {seed} {zeroes}: {:?}", run.verdict);
            let recording = server.record(FuzzBytes::new(&bytes));
            assert!(recording.run.verdict.is_pass(), "server {seed} {zeroes}: {:?}", recording.run.verdict);
            events += run.events + recording.run.events;
            decisions += recording.decisions.len();
        }
    }
    assert!(events > 10_000 && decisions > 10_000, "{events} {decisions}");
}

#[test]
fn no_bytes_are_the_calm_schedule() {
    let calm = Runner::new(&Echo).record(FuzzBytes::new(&[]));
    assert!(calm.run.verdict.is_pass() && calm.decisions.is_empty());
    assert_eq!(calm, Runner::new(&Echo).record(FuzzBytes::new(&[0; 50])));
}
