//! What a machine has asked for: the record of a forger can hold any input.

use roundtrip_core::{Action, Input};

/// What the machine of a replayed connection has asked for and not been given yet.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    read: usize,
    commands: usize,
    outstanding: usize,
    eof: bool,
    closed: bool,
}

impl Credit {
    /// Spends what `input` needs; `None` if there is less than that. A machine that has closed ignores every input.
    pub(crate) fn spend<C>(&mut self, input: &Input<C>) -> Option<()> {
        if self.closed {
            return Some(());
        }
        match input {
            Input::Data(bytes) => {
                self.read = self.read.checked_sub(bytes.len()).filter(|_| !bytes.is_empty())?;
            }
            Input::Eof if self.eof => return None,
            Input::Eof => {
                self.eof = true;
                self.read = 0;
            }
            Input::Wrote(wrote) => {
                self.outstanding = self.outstanding.checked_sub(*wrote).filter(|_| *wrote > 0)?;
            }
            Input::Command(_) => self.commands = self.commands.checked_sub(1)?,
            Input::Stop => {}
            Input::Abort | Input::Failed(_) => (self.read, self.commands) = (0, 0),
        }
        Some(())
    }

    /// Notes what `action` asks for.
    pub(crate) const fn note<E, O>(&mut self, action: &Action<E, O>) {
        match action {
            Action::Write(bytes) => self.outstanding = bytes.len(),
            Action::Wait(wait) => {
                self.read = if self.eof { 0 } else { wait.read };
                self.commands = wait.commands;
            }
            Action::Close { .. } => self.closed = true,
            Action::ShutdownWrite | Action::Event(_) => {}
        }
    }
}
