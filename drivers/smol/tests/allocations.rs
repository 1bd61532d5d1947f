//! A process of its own: the poller of `async-io` is shared by the whole process, so that the allocations for the sockets of
//! other tests would be counted.
//!
//! In the steady state the driver allocates for no message. `async-io` collects the tasks to wake in a new vector each time
//! it polls, and several messages share that.

use roundtrip_testkit::allocations;
use roundtrip_testkit::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn only_looks_allocate() {
    for size in [64, 16 << 10] {
        let allocations = allocations::a_message(roundtrip_smol::Smol::default(), size, 8);
        assert!(allocations < 1.0, "{allocations} a message of {size} bytes");
    }
}
