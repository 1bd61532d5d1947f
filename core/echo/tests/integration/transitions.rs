//! The table of transitions is neither short nor long: what it lists happens, and nothing else does.

use std::collections::BTreeSet;

use quickcheck::{Arbitrary, Gen};
use roundtrip_echo::TRANSITIONS;
use roundtrip_testkit::model::op::{Op, Served};
use roundtrip_testkit::model::twin::Twin;

/// The reference names the cause of each change; the server is held to its phases all the way, so a change that
/// only one of them makes fails there.
#[test]
fn every_change_of_phase_is_in_the_table_and_every_row_of_it_happens() {
    let table: BTreeSet<_> = TRANSITIONS.iter().copied().collect();
    assert_eq!(table.len(), TRANSITIONS.len(), "a row is listed twice");
    let mut seen = BTreeSet::new();
    let mut g = Gen::from_size_and_seed(100, 862);
    for _ in 0..4000 {
        let mut case = Served::arbitrary(&mut g);
        // Abort, failure and time end a history in every phase, not only by chance.
        for last in [Op::Abort, Op::Failed(roundtrip_core::Failure::Io), Op::Advance(200)] {
            case.ops.truncate(40);
            case.ops.extend([last, Op::Settle]);
            seen.extend(Twin::run(&case.setup, &case.ops).reference.changes);
            case.ops.truncate(case.ops.len() - 2);
        }
    }
    let strange: Vec<_> = seen.difference(&table).collect();
    assert!(strange.is_empty(), "not in the table: {strange:?}");
    let missing: Vec<_> = table.difference(&seen).collect();
    assert!(missing.is_empty(), "never happens: {missing:?}");
}
