//! The credit that a layer gave, as it is spent.

use crate::{Input, Time, Wait};

/// What a machine has asked for and not been given yet. Keeps its read credit from falling (I6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct CreditTracker {
    read: usize,
    outstanding: usize,
    eof: bool,
}

impl CreditTracker {
    /// Counts what an input spends.
    pub(super) const fn spend<C>(&mut self, input: &Input<C>) {
        match input {
            Input::Data(bytes) => self.read = self.read.saturating_sub(bytes.len()),
            Input::Eof => {
                self.eof = true;
                self.read = 0;
            }
            Input::Wrote(wrote) => self.outstanding = self.outstanding.saturating_sub(*wrote),
            Input::Command(_) | Input::Stop | Input::Abort | Input::Failed(_) => {}
        }
    }

    /// A write of `bytes` bytes is handed out.
    pub(super) const fn write(&mut self, bytes: usize) {
        self.outstanding = bytes;
    }

    /// Bytes of the outstanding write that the transport has not taken.
    pub(super) const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether the peer's end was told.
    pub(super) const fn eof(&self) -> bool {
        self.eof
    }

    /// A wait for `read` bytes, or for as many as were allowed before, if that is more: a read may be under way.
    pub(super) fn wait(&mut self, read: usize, commands: usize, deadline: Option<Time>) -> Wait {
        self.read = if self.eof { 0 } else { self.read.max(read) };
        Wait { read: self.read, commands, deadline }
    }
}
