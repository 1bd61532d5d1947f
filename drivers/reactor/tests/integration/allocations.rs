//! In the steady state no message costs an allocation.

use roundtrip_testkit::allocations;

#[test]
fn no_message_allocates() {
    for size in [64, 16 << 10] {
        let allocations = allocations::a_message(roundtrip_reactor::Reactor::default(), size, 8);
        assert!(allocations == 0.0, "{allocations} a message of {size} bytes");
    }
}
