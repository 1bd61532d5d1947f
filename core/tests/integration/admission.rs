//! The door: properties of the admission policy over random days, and its tables one by one.

use std::time::Duration;

use quickcheck::quickcheck;
use roundtrip_core::Time;
use roundtrip_core::admission::{
    Accept, AcceptError, Admission, AdmissionAction, AdmissionInput, AdmissionMisuse, Limits,
};
use roundtrip_testkit::model::door::{Day, Door, MS};

quickcheck! {
    /// All rules of [`Door`]: limits, answers, deadlines, rest, sweep before close, drained when empty.
    fn a_door_keeps_its_rules_all_day(day: Day) -> bool {
        Door::pass(&day);
        true
    }

    fn every_stop_ends_by_its_deadline(day: Day) -> bool {
        Door::assert_a_stop_ends(&day);
        true
    }

    fn a_stop_that_everybody_heeds_sweeps_the_backlog_and_aborts_nobody(day: Day) -> bool {
        Door::assert_a_heeded_stop_sweeps(&day);
        true
    }
}

const START: Time = Time::from_nanos(1_000_000);

fn policy(limits: Limits) -> Admission<u8> {
    Admission::new(limits)
}

fn wait(accept: Accept, deadline: Option<Time>) -> AdmissionAction<u8> {
    AdmissionAction::Wait { accept, deadline }
}

#[test]
fn the_pause_after_an_accept_error_doubles_from_10_ms_to_500_ms() {
    let mut policy = policy(Limits::default());
    let mut now = START;
    for ms in [10, 20, 40, 80, 160, 320, 500, 500] {
        assert_eq!(policy.poll(now), wait(Accept::Open, None));
        policy.handle(now, AdmissionInput::AcceptFailed(AcceptError::Exhausted)).unwrap();
        let until = now.after(MS * ms);
        assert_eq!(policy.poll(now), wait(Accept::Paused, Some(until)));
        let almost = Time::from_nanos(until.as_nanos() - 1);
        assert_eq!(policy.poll(almost), wait(Accept::Paused, Some(until)));
        now = until;
    }
    assert_eq!(policy.stats().failed, 8);
}

#[test]
fn a_connection_accepted_starts_the_back_off_anew() {
    let mut policy = policy(Limits::default());
    for _ in 0..3 {
        policy.handle(START, AdmissionInput::AcceptFailed(AcceptError::Exhausted)).unwrap();
    }
    policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Admit(1));
    assert_eq!(policy.poll(START), wait(Accept::Open, None));
    policy.handle(START, AdmissionInput::AcceptFailed(AcceptError::Exhausted)).unwrap();
    assert_eq!(policy.poll(START), wait(Accept::Paused, Some(START.after(MS * 10))));
}

#[test]
fn a_connection_that_ends_ends_the_pause() {
    let mut policy = policy(Limits::default());
    policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Admit(1));
    policy.handle(START, AdmissionInput::AcceptFailed(AcceptError::Exhausted)).unwrap();
    policy.handle(START, AdmissionInput::Ended(1)).unwrap();
    assert_eq!(policy.poll(START), wait(Accept::Open, None));
}

#[test]
fn an_error_of_one_connection_pauses_nothing() {
    let mut policy = policy(Limits::default());
    policy.handle(START, AdmissionInput::AcceptFailed(AcceptError::Connection)).unwrap();
    assert_eq!(policy.poll(START), wait(Accept::Open, None));
    assert_eq!(policy.stats().failed, 1);
}

#[test]
fn errors_of_one_connection_after_another_are_no_longer_one_connections() {
    let mut policy = policy(Limits::default());
    for _ in 0..15 {
        policy.handle(START, AdmissionInput::AcceptFailed(AcceptError::Connection)).unwrap();
        assert_eq!(policy.poll(START), wait(Accept::Open, None));
    }
    policy.handle(START, AdmissionInput::AcceptFailed(AcceptError::Connection)).unwrap();
    assert_eq!(policy.poll(START), wait(Accept::Paused, Some(START.after(MS * 10))));
    // One that is accepted starts the count anew.
    policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Admit(1));
    policy.handle(START, AdmissionInput::AcceptFailed(AcceptError::Connection)).unwrap();
    assert_eq!(policy.poll(START), wait(Accept::Open, None));
}

#[test]
fn in_a_drain_the_nearer_of_pause_and_deadline_counts() {
    for (drain, nearer) in [(5, 5), (10, 10), (50, 10)] {
        let mut policy = policy(Limits::default().drain(MS * drain));
        policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
        assert_eq!(policy.poll(START), AdmissionAction::Admit(1));
        policy.handle(START, AdmissionInput::Stop).unwrap();
        policy.handle(START, AdmissionInput::AcceptFailed(AcceptError::Exhausted)).unwrap();
        assert_eq!(policy.poll(START), AdmissionAction::StopAll);
        assert_eq!(policy.poll(START), wait(Accept::Paused, Some(START.after(MS * nearer))));
    }
}

#[test]
fn a_full_house_waits_in_the_backlog_and_one_source_too_many_is_refused() {
    let mut policy = policy(Limits::default().connections(2).per_source(Some(1)));
    policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Admit(1));
    assert_eq!(policy.poll(START), wait(Accept::Open, None));
    policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Refuse(1));
    policy.handle(START, AdmissionInput::Accepted(2)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Admit(2));
    assert_eq!(policy.poll(START), wait(Accept::Paused, None));
    policy.handle(START, AdmissionInput::Ended(1)).unwrap();
    assert_eq!(policy.poll(START), wait(Accept::Open, None));
}

/// An accept that was under way when the policy closed the door, as with a completion queue.
#[test]
fn who_comes_through_a_door_that_has_just_closed_is_refused() {
    for limits in [
        Limits::default().connections(1),
        Limits::default().total(Some(1)),
        Limits::default().per_source(Some(1)),
    ] {
        let mut policy = policy(limits);
        policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
        assert_eq!(policy.poll(START), AdmissionAction::Admit(1));
        policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
        assert_eq!(policy.poll(START), AdmissionAction::Refuse(1));
        assert_eq!((policy.stats().admitted, policy.stats().refused), (1, 1));
    }
}

#[test]
fn who_comes_after_the_sweep_is_refused() {
    let mut policy = policy(Limits::default());
    policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Admit(1));
    policy.handle(START, AdmissionInput::Stop).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::StopAll);
    let until = Some(START.after(Duration::from_secs(10)));
    assert_eq!(policy.poll(START), wait(Accept::Sweep, until));
    policy.handle(START, AdmissionInput::Swept).unwrap();
    assert_eq!(policy.poll(START), wait(Accept::Closed, until));
    policy.handle(START, AdmissionInput::Accepted(2)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Refuse(2));
}

#[test]
fn a_second_stop_does_not_put_the_deadline_off_and_force_brings_it_forward() {
    let mut policy = policy(Limits::default().drain(MS * 20));
    policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Admit(1));
    policy.handle(START, AdmissionInput::Stop).unwrap();
    policy.handle(START.after(MS * 5), AdmissionInput::Stop).unwrap();
    assert_eq!(policy.poll(START.after(MS * 5)), AdmissionAction::StopAll);
    assert_eq!(policy.poll(START.after(MS * 5)), wait(Accept::Sweep, Some(START.after(MS * 20))));
    policy.handle(START.after(MS * 6), AdmissionInput::Force).unwrap();
    assert_eq!(policy.poll(START.after(MS * 6)), AdmissionAction::AbortAll);
    assert_eq!(policy.poll(START.after(MS * 6)), wait(Accept::Closed, None));
    policy.handle(START.after(MS * 30), AdmissionInput::Force).unwrap();
    assert_eq!(policy.poll(START.after(MS * 30)), wait(Accept::Closed, None));
    policy.handle(START.after(MS * 30), AdmissionInput::Ended(1)).unwrap();
    assert_eq!(policy.poll(START.after(MS * 30)), AdmissionAction::Drained);
}

#[test]
fn a_total_of_none_closes_the_door_before_it_opens() {
    assert_eq!(policy(Limits::default().total(Some(0))).poll(START), AdmissionAction::Drained);
}

#[test]
fn the_last_of_a_total_closes_the_listener_and_its_end_drains() {
    let mut policy = policy(Limits::default().total(Some(1)));
    policy.handle(START, AdmissionInput::Accepted(1)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Admit(1));
    assert_eq!(policy.poll(START), wait(Accept::Closed, None));
    policy.handle(START, AdmissionInput::Ended(1)).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Drained);
    policy.handle(START, AdmissionInput::Stop).unwrap();
    assert_eq!(policy.poll(START), AdmissionAction::Drained);
}

#[test]
fn misuse_says_what_the_driver_did() {
    let text = |misuse: AdmissionMisuse| misuse.to_string();
    assert!(text(AdmissionMisuse::Undecided).contains("before the last was decided"));
    assert!(text(AdmissionMisuse::NotAdmitted).contains("never admitted"));
    assert!(text(AdmissionMisuse::NotSweeping).contains("never asked for"));
}

#[test]
fn a_drain_takes_ten_seconds_unless_told_otherwise() {
    let limits = Limits::default();
    assert_eq!((limits.connections, limits.per_source, limits.total), (usize::MAX, None, None));
    assert_eq!(limits.drain, Duration::from_secs(10));
}
