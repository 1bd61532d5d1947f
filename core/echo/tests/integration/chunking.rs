//! I9: however a stream is sliced, into reads and into writes, the same comes out of it.

use quickcheck::quickcheck;
use roundtrip_testkit::model::op::{ClientSetup, ServerSetup};
use roundtrip_testkit::model::slicing::{
    Damage, Round, Slicing, assert_judged_alike, assert_served_alike, assert_verified,
};

quickcheck! {
    fn i9_a_server_does_not_care_how_its_streams_are_sliced(
        setup: ServerSetup, rounds: Vec<Round>, one: Slicing, other: Slicing
    ) -> bool {
        assert_served_alike(&setup, &rounds[..rounds.len().min(12)], &one, &other);
        true
    }

    fn i9_a_client_gives_the_same_verdict_however_its_streams_are_sliced(
        setup: ClientSetup, damage: Damage, reset: bool, one: Slicing, other: Slicing
    ) -> bool {
        assert_judged_alike(setup, damage, reset, &one, &other);
        true
    }

    fn i9_an_honest_echo_is_verified_however_it_is_sliced(setup: ClientSetup, slicing: Slicing) -> bool {
        assert_verified(&setup, &slicing);
        true
    }
}
