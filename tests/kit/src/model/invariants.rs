//! The invariants of a machine, as what must hold of a bench's record.

use std::convert::Infallible;
use std::fmt::Debug;

use bytes::Bytes;
use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};
use roundtrip_echo::{EchoClient, EchoServer, End};

use super::bench::{BURST, Bench, Entry, Happened};
use super::op::{ClientSetup, ServerSetup, content};

/// I3 to I7: what holds of every machine.
pub fn assert_contract<M>(bench: &Bench<M>)
where
    M: Machine<Command = Infallible, Event = Infallible> + Clone + PartialEq + Debug,
    M::Outcome: PartialEq + Debug,
{
    assert_close_is_final(bench);
    assert_rest_can_end(bench);
    assert_rest_is_stable(bench);
    assert_credit_is_kept(bench);
    assert_writes_take_turns(bench);
}

/// I1: what is written is a prefix of what was received, and all of it when the end is clean.
pub fn assert_bytes_are_conserved(bench: &Bench<EchoServer>) {
    let received = content(0, bench.machine.received());
    assert!(received.starts_with(&bench.written));
    for entry in &bench.record {
        if let Happened::Polled(Action::Close { how, outcome }) = &entry.happened {
            assert_eq!(outcome.dropped, outcome.received - outcome.echoed);
            assert!(outcome.echoed <= bench.written.len() as u64);
            if outcome.end == End::Clean {
                assert!(entry.ended, "clean without the peer's end");
                assert_eq!(bench.written, received);
                assert_eq!(outcome.echoed, outcome.received);
                assert_eq!(*how, Teardown::Graceful);
            }
        }
    }
}

/// What a client says of itself: never more sent than was written, and at the end what its outcome says.
pub fn assert_counts_are_right(setup: &ClientSetup, bench: &Bench<EchoClient>) {
    let payload = setup.payload();
    assert_eq!((payload.len(), payload.is_empty()), (setup.len as u64, setup.len == 0));
    for (offset, byte) in (0..).zip(&bench.written) {
        assert_eq!(payload.byte(offset), Some(*byte), "it sends its payload");
    }
    assert_eq!(payload.byte(setup.len as u64), None);
    for (index, entry) in bench.record.iter().enumerate() {
        let client = bench.after(index);
        assert!(client.sent() <= bench.written.len() as u64);
        if let Happened::Polled(Action::Close { outcome, .. }) = &entry.happened {
            assert_eq!((outcome.sent, outcome.received), (client.sent(), client.received()));
        }
    }
}

/// I2: what is held is bounded by the configuration.
pub fn assert_memory_is_bounded(setup: &ServerSetup, bench: &Bench<EchoServer>) {
    for server in bench.before.iter().chain([&bench.machine]) {
        assert!(server.held() <= setup.buffer);
        assert!(server.chunks() <= setup.max_chunks + 1);
    }
}

/// I10, O(1) a poll, as far as a record can show it: a bounded number of actions for every input, and no write of
/// less than all that one chunk holds. `allocations.rs` counts what they cost.
pub fn assert_work_is_bounded(bench: &Bench<EchoServer>) {
    let told = bench.record.iter().filter(|entry| matches!(entry.happened, Happened::Told(..))).count();
    let acted = bench
        .record
        .iter()
        .filter(|entry| match &entry.happened {
            Happened::Polled(action) => matches!(action, Action::Write(_) | Action::ShutdownWrite),
            Happened::Told(..) => false,
        })
        .count();
    assert!(acted <= told + 1, "{acted} actions for {told} inputs");
}

fn polls<O: Clone>(record: &[Entry<O>]) -> impl Iterator<Item = (usize, &Action<Infallible, O>)> {
    record.iter().enumerate().filter_map(|(index, entry)| match &entry.happened {
        Happened::Polled(action) => Some((index, action)),
        Happened::Told(..) => None,
    })
}

pub fn assert_close_is_final<M>(bench: &Bench<M>)
where
    M: Machine<Command = Infallible, Event = Infallible> + Clone + PartialEq + Debug,
    M::Outcome: PartialEq + Debug,
{
    let mut last_word = None;
    let mut given_up = false;
    for (index, entry) in bench.record.iter().enumerate() {
        match &entry.happened {
            Happened::Told(input) => {
                if last_word.is_some() || given_up {
                    assert_eq!(bench.before[index], *bench.after(index), "{input:?} after the end");
                }
                given_up |= matches!(input, Input::Abort | Input::Failed(_));
            }
            Happened::Polled(action) => {
                if let Some(word) = &last_word {
                    assert_eq!(action, word, "after Close");
                } else if matches!(action, Action::Close { .. }) {
                    last_word = Some(action.clone());
                }
                assert!(!given_up || last_word.is_some(), "{action:?} after Abort or Failed");
            }
        }
    }
    if let Some(word) = last_word {
        let mut machine = bench.machine.clone();
        for input in
            [Input::Data(Bytes::from_static(b"x")), Input::Eof, Input::Wrote(1), Input::Stop, Input::Abort]
        {
            machine.handle(bench.now, input);
            assert_eq!(machine.poll(Time::MAX), word);
        }
    }
}

pub fn assert_rest_can_end<M: Machine>(bench: &Bench<M>)
where
    M::Outcome: Clone,
{
    for (index, action) in polls(&bench.record) {
        if let Action::Wait(Wait { read, commands, deadline }) = action {
            let entry = &bench.record[index];
            let readable = *read > 0 && !entry.ended;
            assert!(entry.outstanding > 0 || readable || *commands > 0 || deadline.is_some());
        }
    }
}

pub fn assert_rest_is_stable<M>(bench: &Bench<M>)
where
    M: Machine<Command = Infallible, Event = Infallible> + Clone + PartialEq + Debug,
    M::Outcome: PartialEq + Debug,
{
    for (index, action) in polls(&bench.record) {
        if let Action::Wait(wait) = action {
            let now = bench.record[index].now;
            assert!(wait.deadline.is_none_or(|deadline| deadline > now), "{wait:?} at {now:?}");
            let rested = bench.after(index);
            let mut again = rested.clone();
            assert_eq!(again.poll(now), *action, "a second poll");
            assert_eq!(again, *rested, "a second poll changed the machine");
        }
    }
    for (index, machine) in bench.before.iter().enumerate() {
        let mut machine = machine.clone();
        let rests = (0..BURST)
            .any(|_| matches!(machine.poll(bench.record[index].now), Action::Wait(_) | Action::Close { .. }));
        assert!(rests, "no rest after {BURST} actions");
    }
}

pub fn assert_credit_is_kept<M: Machine>(bench: &Bench<M>)
where
    M::Outcome: Clone,
{
    let mut credit = 0;
    let mut over = false;
    for entry in &bench.record {
        match &entry.happened {
            Happened::Told(Input::Data(bytes)) if !over => credit -= bytes.len(),
            Happened::Told(Input::Eof) => credit = 0,
            Happened::Told(Input::Abort | Input::Failed(_)) | Happened::Polled(Action::Close { .. }) => {
                (credit, over) = (0, true);
            }
            Happened::Polled(Action::Wait(wait)) => {
                assert!(!over, "a wait after the end was decided");
                assert!(wait.read >= credit, "the credit fell from {credit} to {}", wait.read);
                assert!(!entry.ended || wait.read == 0, "credit after the peer's end");
                credit = wait.read;
            }
            Happened::Told(..) | Happened::Polled(_) => {}
        }
    }
}

pub fn assert_writes_take_turns<M: Machine>(bench: &Bench<M>)
where
    M::Outcome: Clone,
{
    let mut outstanding = 0;
    let mut shut = false;
    for entry in &bench.record {
        match &entry.happened {
            Happened::Told(Input::Wrote(wrote)) => {
                outstanding = usize::saturating_sub(outstanding, *wrote);
            }
            Happened::Polled(Action::Write(bytes)) => {
                assert!(!bytes.is_empty(), "a write of nothing");
                assert_eq!(outstanding, 0, "two writes at one time");
                assert!(!shut, "a write after the half-close");
                outstanding = bytes.len();
            }
            Happened::Polled(Action::ShutdownWrite) => {
                assert_eq!(outstanding, 0, "half-close before all is written");
                assert!(!shut, "two half-closes");
                shut = true;
            }
            Happened::Told(..) | Happened::Polled(_) => {}
        }
    }
}
