//! What must hold wherever a driver goes: the invariants I1 to I7, as far as one step shows them.

use alloc::format;
use alloc::string::String;

use bytes::Bytes;

use super::super::{End, Phase};
use super::{STREAM, State, Subject};
use roundtrip_core::{Action, Input, Teardown, Time};

/// Polls in a row after which a server must have come to rest: a write or a half-close, and the rest itself.
const BURST: usize = 3;

macro_rules! rule {
    ($holds:expr, $($broken:tt)*) => {
        if !$holds {
            return Err(format!($($broken)*));
        }
    };
}

/// The driver tells the machine something legal.
pub(super) fn tell<M: Subject>(state: &mut State<M>, input: &Input) {
    match input {
        Input::Data(bytes) => {
            state.fed += bytes.len();
            state.credit -= bytes.len();
        }
        Input::Wrote(n) => state.outstanding -= n,
        Input::Eof => {
            state.ended = true;
            state.credit = 0;
        }
        Input::Abort | Input::Failed(_) => {
            state.doomed = true;
            state.credit = 0;
        }
        Input::Stop => {}
        Input::Command(never) => match *never {},
    }
    state.machine.handle(state.now, input.clone());
}

/// The driver polls once and does as it is told.
pub(super) fn poll<M: Subject>(state: &mut State<M>) -> Result<(), String> {
    let action = state.machine.poll(state.now);
    rule!(!state.doomed || matches!(action, Action::Close { .. }), "I3: {action:?} after Abort or Failed");
    match action {
        Action::Write(bytes) => {
            rule!(state.outstanding == 0, "I7: a second write");
            rule!(!state.shut, "I7: a write after the half-close");
            rule!(!bytes.is_empty(), "I5: a write of nothing");
            let due = STREAM.get(state.written..state.written + bytes.len());
            rule!(due == Some(&bytes[..]), "I1: {bytes:?} written where {due:?} is due");
            state.written += bytes.len();
            state.outstanding = bytes.len();
        }
        Action::ShutdownWrite => {
            rule!(state.outstanding == 0, "I7: half-close before all is written");
            rule!(!state.shut, "I7: a second half-close");
            state.shut = true;
        }
        Action::Event(never) => match never {},
        Action::Wait(wait) => {
            let readable = wait.read > 0 && !state.ended;
            let ends = state.outstanding > 0 || readable || wait.commands > 0 || wait.deadline.is_some();
            rule!(ends, "I4: a wait that nothing can end");
            rule!(wait.deadline.is_none_or(|at| at > state.now), "I5: {wait:?} at {:?}", state.now);
            rule!(wait.read >= state.credit, "I6: the credit fell from {} to {}", state.credit, wait.read);
            rule!(wait.read == 0 || !state.ended, "I6: credit after the end");
            let mut again = state.machine.clone();
            rule!(again.poll(state.now) == Action::Wait(wait), "I5: a second poll gives something else");
            rule!(again == state.machine, "I5: a second poll changes the machine");
            state.credit = wait.read;
            state.deadline = wait.deadline;
        }
        Action::Close { how, outcome } => {
            let mut late = state.machine.clone();
            for input in [Input::Data(Bytes::from_static(b"x")), Input::Eof, Input::Wrote(9), Input::Stop] {
                late.handle(state.now, input);
                let same = late.poll(Time::MAX) == Action::Close { how, outcome };
                rule!(same && late == state.machine, "I3: Close does not last");
            }
            let (fed, written) = (state.fed as u64, state.written as u64);
            rule!(
                outcome.received <= fed && outcome.echoed <= written,
                "I1: more than there was: {outcome:?}"
            );
            rule!(outcome.dropped == outcome.received - outcome.echoed, "I1: {outcome:?}");
            if outcome.end == End::Clean {
                let all = outcome.received == fed && outcome.echoed == fed && written == fed;
                rule!(all && state.ended && state.shut, "I1: {outcome:?} with {written} of {fed} written");
            }
            rule!(how == Teardown::Reset || state.outstanding == 0, "a graceful end after a part of a write");
            state.closed = true;
        }
    }
    Ok(())
}

/// What holds in every state.
pub(super) fn check<M: Subject>(state: &State<M>) -> Result<(), String> {
    let server = state.machine.server();
    rule!(server.held() <= server.config.buffer, "I2: {} bytes held", server.held());
    rule!(server.chunks() <= server.config.max_chunks + 1, "I2: {} chunks queued", server.chunks());
    if server.phase() != Phase::Closed {
        rule!(server.received() == state.fed as u64, "I1: {} received of {}", server.received(), state.fed);
        let echoed = (state.written - state.outstanding) as u64;
        rule!(server.echoed() == echoed, "I1: {} echoed of {echoed}", server.echoed());
        let accounted = server.echoed() + server.held() as u64;
        let dropping = server.stopped.is_some();
        rule!(
            accounted <= server.received(),
            "I1: {accounted} accounted for, {} received",
            server.received()
        );
        rule!(dropping || accounted == server.received(), "I1: bytes dropped without a stop");
        rule!(!state.doomed, "I3: Abort or Failed was passed over");
    }
    let mut rests = state.machine.clone();
    let rest = (0..BURST).any(|_| matches!(rests.poll(state.now), Action::Wait(_) | Action::Close { .. }));
    rule!(rest, "I5: no rest after {BURST} polls");
    Ok(())
}
