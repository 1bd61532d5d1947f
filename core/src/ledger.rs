//! A machine's own account of the contract.

use crate::{Input, Misuse, Time, Wait};

/// What a machine has asked for and not been given yet, by which misuse is told (I8), and by which credit does not fall
/// (I6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ledger {
    read: usize,
    commands: usize,
    outstanding: usize,
    eof: bool,
}

impl Ledger {
    /// Enters an input.
    ///
    /// # Errors
    ///
    /// [`Misuse`] if it is not what was asked for; then nothing is entered.
    pub(crate) const fn enter<C>(&mut self, input: &Input<C>) -> Result<(), Misuse> {
        match input {
            Input::Data(bytes) => {
                let delivered = bytes.len();
                if delivered == 0 {
                    return Err(Misuse::EmptyData);
                }
                if self.eof {
                    return Err(Misuse::DataAfterEof);
                }
                if delivered > self.read {
                    return Err(Misuse::OverCredit { delivered, credit: self.read });
                }
                self.read -= delivered;
            }
            Input::Eof => {
                if self.eof {
                    return Err(Misuse::SecondEof);
                }
                self.eof = true;
                self.read = 0;
            }
            Input::Wrote(wrote) => {
                if *wrote == 0 {
                    return Err(Misuse::ZeroWrote);
                }
                if *wrote > self.outstanding {
                    return Err(Misuse::OverWrote { wrote: *wrote, outstanding: self.outstanding });
                }
                self.outstanding -= *wrote;
            }
            Input::Command(_) => {
                if self.commands == 0 {
                    return Err(Misuse::OverCommand);
                }
                self.commands -= 1;
            }
            Input::Stop | Input::Abort | Input::Failed(_) => {}
        }
        Ok(())
    }

    /// A write of so many bytes is handed out.
    pub(crate) const fn write(&mut self, bytes: usize) {
        self.outstanding = bytes;
    }

    /// Bytes of the outstanding write that the transport has not taken.
    pub(crate) const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether the peer's end was told.
    pub(crate) const fn eof(&self) -> bool {
        self.eof
    }

    /// Waits for so much. What may be read does not fall below what was allowed before: a read may be under way.
    pub(crate) fn wait(&mut self, read: usize, commands: usize, deadline: Option<Time>) -> Wait {
        self.read = if self.eof { 0 } else { self.read.max(read) };
        self.commands = commands;
        Wait { read: self.read, commands, deadline }
    }
}
