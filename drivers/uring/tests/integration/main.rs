//! The integration tests of the driver of completions, linked as one program.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod edges;
#[cfg(target_pointer_width = "64")]
mod forbidden;
mod suite;

#[global_allocator]
static ALLOCATOR: roundtrip_testkit::counting::Counting = roundtrip_testkit::counting::Counting;

/// In the steady state.
#[test]
fn no_message_allocates() {
    let allocations = roundtrip_testkit::allocations::a_message(roundtrip_uring::Uring::default(), 64, 8);
    assert!(allocations == 0.0, "{allocations} a message of 64 bytes");
}

/// What comes while the part before it is being sent is copied, so that it keeps no buffer of the ring.
#[test]
fn of_a_message_that_comes_in_parts_only_those_allocate_that_wait() {
    let allocations =
        roundtrip_testkit::allocations::a_message(roundtrip_uring::Uring::default(), 16 << 10, 8);
    assert!(allocations < 1.0, "{allocations} a message of 16 KiB");
}
