//! In the steady state no message costs an allocation.

use roundtrip_testkit::allocations;

#[test]
fn no_message_allocates() {
    let allocations = allocations::a_message(roundtrip_uring::Uring::default(), 64, 8);
    assert!(allocations == 0.0, "{allocations} a message of 64 bytes");
}

/// What comes while the part before it is being sent is copied, so that it keeps no buffer of the ring.
#[test]
fn of_a_message_that_comes_in_parts_only_those_allocate_that_wait() {
    let allocations = allocations::a_message(roundtrip_uring::Uring::default(), 16 << 10, 8);
    assert!(allocations < 1.0, "{allocations} a message of 16 KiB");
}
