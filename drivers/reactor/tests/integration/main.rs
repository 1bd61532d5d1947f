//! The integration tests of the reactor, linked as one program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod edges;
mod suite;

#[global_allocator]
static ALLOCATOR: roundtrip_testkit::counting::Counting = roundtrip_testkit::counting::Counting;

/// In the steady state.
#[test]
fn no_message_allocates() {
    for size in [64, 16 << 10] {
        let allocations =
            roundtrip_testkit::allocations::a_message(roundtrip_reactor::Reactor::default(), size, 8);
        assert!(allocations == 0.0, "{allocations} a message of {size} bytes");
    }
}
