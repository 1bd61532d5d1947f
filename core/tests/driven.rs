//! What [`Driven`] remembers, and what it does about a driver or a machine that breaks the contract. The package
//! `roundtrip-optimized` runs it in release as well, where misuse does not panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use roundtrip_core::{Action, Driven, Failure, Input, Machine, Step, Teardown, Time, Wait};

const NOW: Time = Time::from_nanos(50);

/// A machine that does as it is told, right or wrong, and notes what it hears.
#[derive(Clone, Debug, Default)]
struct Script {
    actions: VecDeque<Action<&'static str, u32>>,
    heard: Rc<RefCell<Vec<Input<u8>>>>,
    unread: u64,
}

impl Machine for Script {
    type Command = u8;
    type Event = &'static str;
    type Outcome = u32;

    fn handle(&mut self, _: Time, input: Input<u8>) {
        self.heard.borrow_mut().push(input);
    }

    fn poll(&mut self, _: Time) -> Action<&'static str, u32> {
        self.actions.pop_front().unwrap_or(CLOSE)
    }

    fn note_unread(&mut self, bytes: u64) {
        self.unread += bytes;
    }
}

const CLOSE: Action<&'static str, u32> = Action::Close { how: Teardown::Graceful, outcome: 7 };

const fn wait(read: usize, commands: usize) -> Action<&'static str, u32> {
    Action::Wait(Wait { read, commands, deadline: Some(Time::from_nanos(99)) })
}

fn write(bytes: &'static [u8]) -> Action<&'static str, u32> {
    Action::Write(Bytes::from_static(bytes))
}

fn driven<const N: usize>(actions: [Action<&'static str, u32>; N]) -> Driven<Script> {
    Driven::new(Script { actions: actions.into(), ..Script::default() })
}

fn heard(driven: &Driven<Script>) -> Vec<Input<u8>> {
    driven.machine().heard.borrow().clone()
}

/// 100 bytes in three reads under a credit of 40.
#[test]
fn credit_is_counted_down_over_reads_and_the_rest_is_handed_back_in_order() {
    let mut driven = driven([wait(40, 0), wait(40, 0)]);
    let stream: Vec<u8> = (0..100).collect();
    let stream = Bytes::from(stream);
    assert_eq!(driven.data(NOW, stream.slice(..34)), stream.slice(..34), "no credit before the first wait");
    let _ = driven.step(NOW);
    assert_eq!(driven.credit(), 40);
    assert_eq!(driven.data(NOW, stream.slice(..34)), Bytes::new());
    assert_eq!(driven.credit(), 6);
    assert_eq!(driven.data(NOW, stream.slice(34..67)), stream.slice(40..67));
    assert_eq!(driven.credit(), 0);
    assert_eq!(driven.data(NOW, stream.slice(67..)), stream.slice(67..));
    let _ = driven.step(NOW);
    assert_eq!(driven.data(NOW, stream.slice(40..80)), Bytes::new());
    let expected = [(0, 34), (34, 40), (40, 80)].map(|(from, to)| Input::Data(stream.slice(from..to)));
    assert_eq!(heard(&driven), expected);
}

#[test]
fn an_empty_read_is_not_told() {
    let mut driven = driven([wait(40, 0)]);
    let _ = driven.step(NOW);
    assert_eq!(driven.data(NOW, Bytes::new()), Bytes::new());
    assert_eq!(heard(&driven), []);
}

#[test]
fn the_end_is_told_once_and_takes_the_credit() {
    let mut driven = driven([wait(40, 0), wait(40, 0)]);
    let _ = driven.step(NOW);
    driven.eof(NOW);
    driven.eof(NOW);
    assert_eq!(driven.credit(), 0);
    assert_eq!(heard(&driven), [Input::Eof]);
    let _ = driven.step(NOW);
    assert_eq!(driven.credit(), 0, "nothing can be read after the end");
    assert_eq!(driven.data(NOW, Bytes::from_static(b"late")), "late");
}

#[test]
fn commands_are_counted_down_and_handed_back() {
    let mut driven = driven([wait(0, 2), CLOSE]);
    assert_eq!(driven.command(NOW, 1), Err(1));
    let _ = driven.step(NOW);
    assert_eq!(driven.command_credit(), 2);
    assert_eq!(driven.command(NOW, 1), Ok(()));
    assert_eq!(driven.command(NOW, 2), Ok(()));
    assert_eq!(driven.command_credit(), 0);
    assert_eq!(driven.command(NOW, 3), Err(3));
    assert_eq!(heard(&driven), [Input::Command(1), Input::Command(2)]);
    let _ = driven.step(NOW);
    assert_eq!(driven.command(NOW, 4), Err(4));
}

#[test]
fn a_write_is_pending_until_all_of_it_is_reported() {
    let mut driven = driven([write(b"hello"), wait(1, 0), write(b"!")]);
    assert_eq!(driven.step(NOW), Step::Write);
    assert_eq!(driven.pending(), b"hello");
    driven.wrote(NOW, 0);
    driven.wrote(NOW, 2);
    assert_eq!(driven.pending(), b"llo");
    let rest = Wait { read: 1, commands: 0, deadline: Some(Time::from_nanos(99)) };
    assert_eq!(driven.step(NOW), Step::Wait(rest));
    assert_eq!(driven.deadline(), Some(Time::from_nanos(99)));
    driven.wrote(NOW, 3);
    assert_eq!(driven.pending(), b"");
    assert_eq!(heard(&driven), [Input::Wrote(2), Input::Wrote(3)]);
    assert_eq!(driven.step(NOW), Step::Write);
    assert_eq!(driven.pending(), b"!");
}

#[test]
fn the_last_byte_written_lets_the_block_go() {
    let block = Bytes::from(vec![1; 8]);
    let mut driven =
        Driven::new(Script { actions: [Action::Write(block.clone())].into(), ..Script::default() });
    assert_eq!(driven.step(NOW), Step::Write);
    assert!(!block.is_unique());
    driven.wrote(NOW, 8);
    assert!(block.is_unique());
}

#[test]
fn what_is_pending_can_leave_its_block() {
    let block = Bytes::from(vec![1; 8]);
    let mut driven =
        Driven::new(Script { actions: [Action::Write(block.clone())].into(), ..Script::default() });
    driven.unshare_pending();
    assert_eq!(driven.pending(), b"");
    assert_eq!(driven.step(NOW), Step::Write);
    driven.unshare_pending();
    assert_eq!(driven.pending(), block);
    assert!(block.is_unique());
    // Nobody else holds the copy: it stays where it is.
    let copy = driven.pending().as_ptr();
    driven.unshare_pending();
    assert_eq!(driven.pending().as_ptr(), copy);
}

#[test]
fn events_and_the_half_close_are_passed_on() {
    let mut driven = driven([Action::Event("hear"), Action::ShutdownWrite]);
    assert_eq!(driven.step(NOW), Step::Event("hear"));
    assert_eq!(driven.step(NOW), Step::ShutdownWrite);
    assert_eq!(driven.step(NOW), Step::Close { how: Teardown::Graceful, outcome: 7 });
}

#[test]
fn the_close_takes_credit_and_pending_bytes() {
    let mut driven = driven([write(b"cut off"), wait(9, 9), CLOSE]);
    let _ = driven.step(NOW);
    let _ = driven.step(NOW);
    assert_eq!(driven.step(NOW), Step::Close { how: Teardown::Graceful, outcome: 7 });
    assert_eq!((driven.credit(), driven.command_credit(), driven.pending().len()), (0, 0, 0));
    // A completion may come late.
    driven.wrote(NOW, 3);
    assert_eq!(driven.data(NOW, Bytes::from_static(b"late")), "late");
    assert_eq!(driven.misuse(), None);
    assert_eq!(heard(&driven), []);
}

#[test]
fn abort_and_failure_take_the_credit_and_a_stop_does_not() {
    let mut stopped = driven([wait(9, 9)]);
    let _ = stopped.step(NOW);
    stopped.stop(NOW);
    assert_eq!((stopped.credit(), stopped.command_credit()), (9, 9));
    assert_eq!(heard(&stopped), [Input::Stop]);

    let mut aborted = driven([wait(9, 9)]);
    let _ = aborted.step(NOW);
    aborted.abort(NOW);
    assert_eq!((aborted.credit(), aborted.command_credit()), (0, 0));
    assert_eq!(heard(&aborted), [Input::Abort]);

    let mut failed = driven([wait(9, 9)]);
    let _ = failed.step(NOW);
    failed.failed(NOW, Failure::Reset);
    assert_eq!((failed.credit(), failed.command_credit()), (0, 0));
    assert_eq!(heard(&failed), [Input::Failed(Failure::Reset)]);
}

#[test]
fn the_machine_comes_back_as_it_was() {
    let driven = driven([CLOSE, CLOSE]);
    assert_eq!(driven.into_machine().actions.len(), 2);
}

/// In a debug build a breach is a panic, in which the bug shows at once.
#[cfg(debug_assertions)]
mod debug_builds_panic {
    use super::*;

    #[test]
    #[should_panic(expected = "driver misuse: 4 bytes reported written, 3 outstanding")]
    fn at_more_written_than_was_pending() {
        let mut driven = driven([write(b"abc")]);
        let _ = driven.step(NOW);
        driven.wrote(NOW, 4);
    }

    #[test]
    #[should_panic(expected = "the clock went back")]
    fn at_a_clock_that_goes_back() {
        let mut driven = driven([wait(1, 0), wait(1, 0)]);
        let _ = driven.step(NOW);
        let _ = driven.step(Time::from_nanos(49));
    }

    #[test]
    #[should_panic(expected = "I7: a second write")]
    fn at_a_second_write() {
        let mut driven = driven([write(b"a"), write(b"b")]);
        let _ = driven.step(NOW);
        let _ = driven.step(NOW);
    }

    #[test]
    #[should_panic(expected = "I5: a write of no bytes")]
    fn at_a_write_of_nothing() {
        let _ = driven([write(b"")]).step(NOW);
    }

    #[test]
    #[should_panic(expected = "I7: half-close while")]
    fn at_a_half_close_before_all_is_written() {
        let mut driven = driven([write(b"a"), Action::ShutdownWrite]);
        let _ = driven.step(NOW);
        let _ = driven.step(NOW);
    }

    #[test]
    #[should_panic(expected = "I5: deadline")]
    fn at_a_deadline_that_is_now() {
        let deadline = Some(NOW);
        let _ = driven([Action::Wait(Wait { read: 1, commands: 0, deadline })]).step(NOW);
    }

    #[test]
    #[should_panic(expected = "I4: a wait that nothing can end")]
    fn at_a_wait_for_nothing() {
        let _ = driven([Action::Wait(Wait { read: 0, commands: 0, deadline: None })]).step(NOW);
    }

    #[test]
    #[should_panic(expected = "I4: a wait that nothing can end")]
    fn at_a_wait_for_bytes_after_the_end() {
        let mut driven = driven([Action::Wait(Wait { read: 9, commands: 0, deadline: None })]);
        driven.eof(NOW);
        let _ = driven.step(NOW);
    }
}

/// Each of the four things that can end a wait is enough.
#[test]
fn a_wait_needs_one_thing_that_ends_it() {
    let none = Wait { read: 0, commands: 0, deadline: None };
    let _ = driven([Action::Wait(Wait { read: 1, ..none })]).step(NOW);
    let _ = driven([Action::Wait(Wait { commands: 1, ..none })]).step(NOW);
    let _ = driven([Action::Wait(Wait { deadline: Some(Time::from_nanos(51)), ..none })]).step(NOW);
    let mut writing = driven([write(b"a"), Action::Wait(none)]);
    let _ = writing.step(NOW);
    let _ = writing.step(NOW);
}

/// In a release build the connection is reset, and the driver can say why.
#[cfg(not(debug_assertions))]
mod release_builds_reset {
    use super::*;
    use roundtrip_core::Misuse;

    #[test]
    fn after_more_written_than_was_pending() {
        let mut driven = driven([write(b"abc"), wait(5, 5), CLOSE]);
        let _ = driven.step(NOW);
        let _ = driven.step(NOW);
        driven.wrote(NOW, 4);
        let misuse = Misuse::OverWrote { wrote: 4, outstanding: 3 };
        assert_eq!(driven.misuse(), Some(misuse));
        assert_eq!((driven.credit(), driven.command_credit()), (0, 0));
        assert_eq!(heard(&driven), [Input::Abort]);
        assert_eq!(driven.step(NOW), Step::Close { how: Teardown::Reset, outcome: 7 });
    }
}

/// What fits is taken in the same step, and reported; what does not is pending as ever.
#[test]
fn a_write_is_taken_in_its_step_if_there_is_room() {
    let mut driven = driven([write(b"four"), write(b"fives"), wait(1, 0)]);
    assert_eq!(driven.step_taking(NOW, 4), Ok(Bytes::from_static(b"four")));
    assert_eq!((driven.pending(), heard(&driven)), (&b""[..], vec![Input::Wrote(4)]));
    assert_eq!(driven.step_taking(NOW, 4), Err(Step::Write));
    assert_eq!((driven.pending(), heard(&driven).len()), (&b"fives"[..], 1));
}

#[test]
fn data_beyond_the_credit_is_handed_back_whole() {
    let mut driven = driven([wait(4, 0)]);
    assert!(driven.data_within_credit(NOW, Bytes::from_static(b"a")).is_err());
    let _ = driven.step(NOW);
    let five = Bytes::from_static(b"fives");
    assert_eq!(driven.data_within_credit(NOW, five.clone()), Err(five));
    assert_eq!(driven.data_within_credit(NOW, Bytes::from_static(b"abc")), Ok(()));
    assert_eq!((driven.credit(), heard(&driven)), (1, vec![Input::Data(Bytes::from_static(b"abc"))]));
    assert!(driven.data_within_credit(NOW, Bytes::new()).is_err());
    assert_eq!(driven.data_within_credit(NOW, Bytes::from_static(b"d")), Ok(()), "the last of the credit");
    assert_eq!(driven.credit(), 0);
}

#[test]
fn some_of_what_is_pending_can_be_taken() {
    let mut driven = driven([write(b"abcdef")]);
    assert_eq!(driven.pending_bytes(), None);
    assert_eq!(driven.step(NOW), Step::Write);
    assert_eq!(driven.pending_bytes(), Some(&Bytes::from_static(b"abcdef")));
    assert_eq!((driven.take(NOW, 2), driven.pending()), (Bytes::from_static(b"ab"), &b"cdef"[..]));
    assert_eq!((driven.take(NOW, 9), driven.pending()), (Bytes::from_static(b"cdef"), &b""[..]));
    assert_eq!(heard(&driven), [Input::Wrote(2), Input::Wrote(4)]);
}

#[test]
fn what_was_unread_at_a_cut_is_passed_on_to_the_machine() {
    let mut driven = driven([CLOSE]);
    driven.note_unread(3);
    driven.note_unread(4);
    assert_eq!(driven.machine().unread, 7);
    assert!(!driven.machine().discards_input(), "unless it says so");
}

#[test]
fn as_many_actions_as_are_allowed_may_come_before_a_wait() {
    let event = || Action::Event("again");
    let mut driven = driven([event(), event(), event(), wait(1, 0)]).max_actions(3);
    for _ in 0..3 {
        assert_eq!(driven.step(NOW), Step::Event("again"));
    }
    assert!(matches!(driven.step(NOW), Step::Wait(_)));
}

#[test]
#[should_panic(expected = "gave 3 actions without a wait or a write")]
fn a_machine_that_never_waits_is_broken_off_and_named() {
    let event = || Action::Event("again");
    let mut driven = driven([event(), event(), event(), event()]).max_actions(3);
    for _ in 0..4 {
        let _ = driven.step(NOW);
    }
}

/// A peer that reads as fast as the machine writes, and a machine that waits now and then.
#[test]
fn what_is_written_and_waited_for_does_not_count_as_never_waiting() {
    let actions = (0..5).map(|_| write(b"a")).chain([wait(1, 0), Action::Event("once"), wait(1, 0)]);
    let script = Script { actions: actions.collect(), ..Script::default() };
    let mut driven = Driven::new(script).max_actions(2);
    for _ in 0..5 {
        assert_eq!(driven.step(NOW), Step::Write);
        driven.wrote(NOW, 1);
    }
    for _ in 0..3 {
        let _ = driven.step(NOW);
    }
    let mut taken = driven_of_writes();
    for _ in 0..5 {
        assert_eq!(taken.step_taking(NOW, 9), Ok(Bytes::from_static(b"a")));
    }
}

fn driven_of_writes() -> Driven<Script> {
    driven([write(b"a"), write(b"a"), write(b"a"), write(b"a"), write(b"a")]).max_actions(2)
}
