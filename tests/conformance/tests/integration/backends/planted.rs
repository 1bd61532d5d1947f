//! Bugs of drivers, put between driver and session: what they make of a script shows that the scripts see them.

use std::convert::Infallible;

use roundtrip_core::bytes::{Bytes, BytesMut};
use roundtrip_core::{Action, Failure, Input, Machine, Teardown, Time, Wait};
use roundtrip_echo::{EchoServer, ServerOutcome};

/// A bug that a driver could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// It tells a session that is to stop that its peer has finished.
    StopAsEnd,
    /// It loses the last byte before the end.
    LosesTheLastByte,
    /// It resets where it should close.
    ResetsForClose,
    /// It closes where it should reset.
    ClosesForReset,
    /// It tells a session of a failure where its peer has finished.
    EndAsFailure,
    /// It overwrites what it is still writing.
    OverwritesItsBuffer,
    /// It sleeps through deadlines.
    ForgetsDeadlines,
}

/// A session behind a driver with a bug.
pub(crate) struct Falsified {
    session: EchoServer,
    bug: Bug,
    /// The last byte that came, until another one does.
    kept: Option<u8>,
}

impl Falsified {
    pub(crate) const fn new(session: EchoServer, bug: Bug) -> Self {
        Self { session, bug, kept: None }
    }

    /// Adds what was kept back, and keeps back the last byte instead.
    fn keep_one(&mut self, bytes: &Bytes) -> Bytes {
        let mut all = BytesMut::from_iter(self.kept.take());
        all.extend_from_slice(bytes);
        self.kept = all.split_off(all.len() - 1).first().copied();
        all.freeze()
    }
}

impl Machine for Falsified {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ServerOutcome;

    fn handle(&mut self, now: Time, input: Input) {
        let input = match (self.bug, input) {
            (Bug::StopAsEnd, Input::Stop) => Input::Eof,
            (Bug::EndAsFailure, Input::Eof) => Input::Failed(Failure::Reset),
            (Bug::LosesTheLastByte, Input::Data(bytes)) => match self.keep_one(&bytes) {
                bytes if bytes.is_empty() => return,
                bytes => Input::Data(bytes),
            },
            (_, input) => input,
        };
        self.session.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> Action<Infallible, ServerOutcome> {
        match (self.bug, self.session.poll(now)) {
            (Bug::ResetsForClose, Action::Close { outcome, .. }) => {
                Action::Close { how: Teardown::Reset, outcome }
            }
            (Bug::ClosesForReset, Action::Close { outcome, .. }) => {
                Action::Close { how: Teardown::Graceful, outcome }
            }
            (Bug::OverwritesItsBuffer, Action::Write(bytes)) => {
                let mut bytes = BytesMut::from(bytes);
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
                Action::Write(bytes.freeze())
            }
            (Bug::ForgetsDeadlines, Action::Wait(wait)) => Action::Wait(Wait { deadline: None, ..wait }),
            // What is kept back needs room as well.
            (Bug::LosesTheLastByte, Action::Wait(wait)) => {
                Action::Wait(Wait { read: wait.read.saturating_sub(1), ..wait })
            }
            (_, action) => action,
        }
    }
}
