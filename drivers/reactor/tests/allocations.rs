//! In the steady state no message costs an allocation.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss, reason = "tests fail by panicking")]

#[path = "../../suite/allocations.rs"]
mod allocations;
#[path = "../../../core/tests/counting/mod.rs"]
mod counting;

use roundtrip_reactor as driver;

#[test]
fn no_message_allocates() {
    for size in [64, 16 << 10] {
        let allocations = allocations::a_message(size, 8);
        assert!(allocations == 0.0, "{allocations} a message of {size} bytes");
    }
}
