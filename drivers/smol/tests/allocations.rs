//! In the steady state no message costs an allocation of ours: `async-io` collects whom to wake in a new vector at each look
//! of its poller, which several messages share.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss, reason = "tests fail by panicking")]

#[path = "../../suite/allocations.rs"]
mod allocations;
#[path = "../../../core/tests/counting/mod.rs"]
mod counting;

use roundtrip_smol as driver;

#[test]
fn only_looks_allocate() {
    for size in [64, 16 << 10] {
        let allocations = allocations::a_message(size, 8);
        assert!(allocations < 1.0, "{allocations} a message of {size} bytes");
    }
}
