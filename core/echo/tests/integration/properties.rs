//! One property for each invariant of a machine, over random histories of the echo sessions.
//!
//! `QUICKCHECK_TESTS` sets how many cases each property gets.

use quickcheck::quickcheck;
use roundtrip_echo::EchoServer;
use roundtrip_testkit::model::bench::Bench;
use roundtrip_testkit::model::invariants::{
    assert_bytes_are_conserved, assert_close_is_final, assert_counts_are_right, assert_credit_is_kept,
    assert_memory_is_bounded, assert_rest_can_end, assert_rest_is_stable, assert_work_is_bounded,
    assert_writes_take_turns,
};
use roundtrip_testkit::model::op::Served;
use roundtrip_testkit::model::peer::{Session, Visited};
use roundtrip_testkit::model::twin::Twin;

fn serve(case: &Served) -> Bench<EchoServer> {
    Twin::run(&case.setup, &case.ops).bench
}

quickcheck! {
    /// Before anything else: the server does what the reference says, action for action.
    fn the_server_agrees_with_the_reference(case: Served) -> bool {
        Twin::run(&case.setup, &case.ops);
        true
    }

    fn i1_conservation_what_is_written_is_a_prefix_of_what_was_received(case: Served) -> bool {
        assert_bytes_are_conserved(&serve(&case));
        true
    }

    fn i2_memory_is_bounded_by_the_configuration(case: Served) -> bool {
        assert_memory_is_bounded(&case.setup, &serve(&case));
        true
    }

    fn i3_close_is_the_last_word_of_a_server(case: Served) -> bool {
        assert_close_is_final(&serve(&case));
        true
    }

    fn i3_close_is_the_last_word_of_a_client(case: Visited) -> bool {
        assert_close_is_final(&Session::run(&case.setup, &case.ops).bench);
        true
    }

    fn i4_a_server_at_rest_waits_for_something(case: Served) -> bool {
        assert_rest_can_end(&serve(&case));
        true
    }

    fn i4_a_client_at_rest_waits_for_something(case: Visited) -> bool {
        assert_rest_can_end(&Session::run(&case.setup, &case.ops).bench);
        true
    }

    fn i5_a_server_does_not_spin(case: Served) -> bool {
        assert_rest_is_stable(&serve(&case));
        true
    }

    fn i5_a_client_does_not_spin(case: Visited) -> bool {
        assert_rest_is_stable(&Session::run(&case.setup, &case.ops).bench);
        true
    }

    fn i6_credit_falls_by_what_was_delivered_only(case: Served) -> bool {
        assert_credit_is_kept(&serve(&case));
        true
    }

    fn i6_the_credit_of_a_client_falls_by_what_was_delivered_only(case: Visited) -> bool {
        assert_credit_is_kept(&Session::run(&case.setup, &case.ops).bench);
        true
    }

    fn i7_a_server_writes_one_thing_at_a_time_and_nothing_after_its_half_close(case: Served) -> bool {
        assert_writes_take_turns(&serve(&case));
        true
    }

    fn i7_a_client_writes_one_thing_at_a_time_and_nothing_after_its_half_close(case: Visited) -> bool {
        assert_writes_take_turns(&Session::run(&case.setup, &case.ops).bench);
        true
    }

    fn a_client_counts_what_it_sends_and_gets(case: Visited) -> bool {
        assert_counts_are_right(&case.setup, &Session::run(&case.setup, &case.ops).bench);
        true
    }

    fn i10_an_input_causes_a_bounded_number_of_actions(case: Served) -> bool {
        assert_work_is_bounded(&serve(&case));
        true
    }
}
