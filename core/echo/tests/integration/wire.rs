//! Histories as bytes: what is written is read back, and any bytes are a history that the machines keep to.

use std::fmt::Debug;

use quickcheck::quickcheck;
use roundtrip_testkit::model::door::{Day, Door};
use roundtrip_testkit::model::invariants::assert_contract;
use roundtrip_testkit::model::op::{Op, Served};
use roundtrip_testkit::model::peer::{Session, Visited};
use roundtrip_testkit::model::pinging::{Pinged, assert_timed};
use roundtrip_testkit::model::slicing::{Damage, Slicing};
use roundtrip_testkit::model::twin::Twin;
use roundtrip_testkit::model::wire::{Damaged, MOST_OPS, Wire};

fn assert_read_back<W: Wire + PartialEq + Debug>(wire: &W) {
    assert_eq!(W::decode(&wire.encode()), *wire);
}

/// An entry with these bytes as its records, of which half have a tag that is known.
fn entry(bytes: &[u8], tags: &[u8]) -> Vec<u8> {
    let records = bytes.chunks(2).flat_map(|two| match two {
        [tag, number] if tag % 2 == 0 => vec![tags[usize::from(*tag / 2) % tags.len()], *number],
        other => other.to_vec(),
    });
    [1].into_iter().chain(records).collect()
}

/// The tags of one kind of history.
fn tags(ranges: &[std::ops::RangeInclusive<u8>]) -> Vec<u8> {
    ranges.iter().cloned().flatten().collect()
}

quickcheck! {
    fn what_is_written_is_read_back(
        served: Served, visited: Visited, day: Day, slicing: Slicing, damage: Damage, reset: bool
    ) -> bool {
        assert_read_back(&served);
        assert_read_back(&visited);
        let ops = day.ops[..day.ops.len().min(MOST_OPS)].to_vec();
        assert_read_back(&Day { ops, ..day });
        assert_read_back(&slicing);
        assert_eq!(Damaged::decode(&Damaged::of(damage, reset).encode()).damage(), damage);
        true
    }

    fn any_bytes_are_a_history_of_a_server(bytes: Vec<u8>) -> bool {
        let served = Served::decode(&entry(&bytes, &tags(&[1..=17, 64..=72])));
        assert_read_back(&served);
        assert_contract(&Twin::run(&served.setup, &served.ops).bench);
        true
    }

    fn any_bytes_are_a_history_of_a_client(bytes: Vec<u8>) -> bool {
        let visited = Visited::decode(&entry(&bytes, &tags(&[1..=17, 20..=23, 20..=23, 80..=89])));
        assert_read_back(&visited);
        assert_contract(&Session::run(&visited.setup, &visited.ops).bench);
        true
    }

    fn any_bytes_are_a_history_of_a_load(bytes: Vec<u8>) -> bool {
        let pinged = Pinged::decode(&entry(&bytes, &tags(&[1..=17, 20..=23, 20..=23, 104..=113])));
        assert_read_back(&pinged);
        let bench = pinged.run();
        assert_contract(&bench);
        assert_timed(&pinged.setup, &bench);
        true
    }

    fn any_bytes_are_a_day_at_a_door(bytes: Vec<u8>) -> bool {
        let day = Day::decode(&entry(&bytes, &tags(&[7..=7, 11..=11, 30..=36, 96..=99])));
        assert_read_back(&day);
        Door::pass(&day);
        true
    }
}

/// What is kept must be read by every later release: these bytes never change.
#[test]
fn the_bytes_of_an_entry_are_as_they_always_were() {
    let served = Served::decode(&[1, 64, 4, 65, 2, 67, 0x81, 0x01, 3, 2, 2, 0, 5, 1, 9, 1, 250, 7, 7]);
    assert_eq!((served.setup.buffer, served.setup.chunk, served.setup.idle), (4, 2, Some(129)));
    let failed = Op::Failed(roundtrip_core::Failure::Truncated);
    assert_eq!(served.ops, [Op::Data(2), Op::Settle, Op::Wrote(1), failed, Op::Stop]);
    assert_eq!(
        served.encode(),
        [
            1, 64, 4, 65, 2, 66, 4, 67, 0x81, 0x01, 68, 0, 69, 0, 70, 8, 71, 24, 72, 12, 3, 2, 2, 0, 5, 1, 9,
            1, 7, 0
        ]
    );
}

#[test]
fn an_entry_of_another_version_is_empty_and_a_long_one_is_cut() {
    assert_eq!(Served::decode(&[2, 3, 1]), Served::start());
    assert_eq!(Served::decode(&[]), Served::start());
    let long: Vec<u8> = [1].into_iter().chain([4, 0].repeat(1000)).collect();
    assert_eq!(Served::decode(&long).ops, vec![Op::Eof; MOST_OPS]);
    // A number of more than 64 bits.
    let number = [vec![1, 87], vec![0xff; 30], vec![0]].concat();
    assert_eq!(Visited::decode(&number).setup.seed, u64::MAX);
}
