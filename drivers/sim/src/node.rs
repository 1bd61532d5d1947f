//! What the ends of one side share: their hub, their clock, their mailboxes.

use std::collections::VecDeque;

use roundtrip_core::Machine;
use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub, MAILBOX, Mail, SendError};

pub(crate) type Command<H> = <<H as Hub>::Session as Machine>::Command;

/// One side of the world.
pub(crate) struct Node<H: Hub> {
    pub(crate) hub: H,
    pub(crate) clock: NodeClock,
    /// Suspended until then, in the run's time.
    pub(crate) frozen_until: u64,
    pub(crate) post: Post<Command<H>>,
}

/// A node's own time: ahead of the run's by what it jumped, and fast or slow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NodeClock {
    pub(crate) ahead: u64,
    /// Parts per thousand that it is fast; negative if it is slow.
    pub(crate) drift: i64,
}

impl NodeClock {
    #[inline]
    pub(crate) const fn local(self, now: u64) -> Time {
        let ahead = now + self.ahead;
        if self.drift == 0 {
            return Time::from_nanos(ahead);
        }
        Time::from_nanos(ahead.saturating_add_signed((now / 1000).cast_signed() * self.drift))
    }

    /// When the node's clock shows `local` at the latest, not before `now`, in the run's time.
    #[inline]
    pub(crate) const fn due(self, local: Time, now: u64) -> u64 {
        let elapsed = local.as_nanos().saturating_sub(self.ahead);
        if self.drift == 0 {
            return if elapsed > now { elapsed } else { now };
        }
        // Rounded up to where it has been reached for sure.
        let due = elapsed / (1000 + self.drift).unsigned_abs() * 1000 + 2000;
        if due > now { due } else { now }
    }
}

/// The mailboxes of a hub's connections, by slot.
#[derive(Debug)]
pub(crate) struct Post<C> {
    boxes: Vec<Mailbox<C>>,
    /// The slot of each client's present connection.
    pub(crate) slots: Vec<u32>,
    /// Slots whose mailboxes something was put into since the last look.
    pub(crate) woken: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct Mailbox<C> {
    id: Option<ConnectionId>,
    commands: VecDeque<C>,
    stop: bool,
    abort: bool,
}

/// What a driver finds in a mailbox.
pub(crate) enum Letter<C> {
    Abort,
    Stop,
    Command(C),
}

impl<C> Mailbox<C> {
    pub(crate) fn open(&mut self, id: ConnectionId) {
        self.close();
        self.id = Some(id);
    }

    pub(crate) fn close(&mut self) {
        self.id = None;
        self.commands.clear();
        self.stop = false;
        self.abort = false;
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.has_mail(true)
    }

    #[inline]
    pub(crate) fn has_mail(&self, welcome: bool) -> bool {
        self.stop || self.abort || (welcome && !self.commands.is_empty())
    }

    pub(crate) fn take(&mut self, welcome: bool) -> Option<Letter<C>> {
        if std::mem::take(&mut self.abort) {
            Some(Letter::Abort)
        } else if std::mem::take(&mut self.stop) {
            Some(Letter::Stop)
        } else if welcome {
            self.commands.pop_front().map(Letter::Command)
        } else {
            None
        }
    }

    pub(crate) const fn stop(&mut self) {
        self.stop = self.id.is_some();
    }

    pub(crate) const fn abort(&mut self) {
        self.abort = self.id.is_some();
    }
}

impl<C> Post<C> {
    pub(crate) const fn new() -> Self {
        Self { boxes: Vec::new(), slots: Vec::new(), woken: Vec::new() }
    }

    pub(crate) fn clear(&mut self, clients: u32) {
        self.boxes.iter_mut().for_each(Mailbox::close);
        self.slots.clear();
        self.slots.resize(clients as usize, u32::MAX);
        self.woken.clear();
    }

    /// Makes room for one slot more, if it is the next.
    pub(crate) fn grow(&mut self, slot: u32) {
        if slot as usize == self.boxes.len() {
            self.boxes.push(Mailbox { id: None, commands: VecDeque::new(), stop: false, abort: false });
        }
    }

    #[inline]
    pub(crate) fn of(&mut self, slot: u32) -> &mut Mailbox<C> {
        &mut self.boxes[slot as usize]
    }

    fn find(&mut self, id: ConnectionId) -> Option<(u32, &mut Mailbox<C>)> {
        let (client, _) = crate::scenario::client_and_round(id);
        let slot = *self.slots.get(client as usize)?;
        let mailbox = self.boxes.get_mut(slot as usize)?;
        (mailbox.id == Some(id)).then_some((slot, mailbox))
    }
}

impl<C> Mail<C> for Post<C> {
    fn send(&mut self, to: ConnectionId, command: C) -> Result<(), SendError<C>> {
        let Some((slot, mailbox)) = self.find(to) else { return Err(SendError::Gone(command)) };
        if mailbox.commands.len() >= MAILBOX {
            return Err(SendError::Full(command));
        }
        mailbox.commands.push_back(command);
        self.woken.push(slot);
        Ok(())
    }

    fn stop(&mut self, to: ConnectionId) {
        if let Some((slot, mailbox)) = self.find(to) {
            mailbox.stop();
            self.woken.push(slot);
        }
    }

    fn abort(&mut self, to: ConnectionId) {
        if let Some((slot, mailbox)) = self.find(to) {
            mailbox.abort();
            self.woken.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_when_it_is_due() {
        for clock in [
            NodeClock::default(),
            NodeClock { ahead: 7_000_000, drift: 0 },
            NodeClock { ahead: 3, drift: 10 },
            NodeClock { ahead: 0, drift: -10 },
        ] {
            for then in [1, 999, 1_000_000, 123_456_789_123] {
                let local = clock.local(then);
                let due = clock.due(local, 0);
                assert!(clock.local(due) >= local && due < then + 4000, "{clock:?} {then} {due}");
                assert_eq!(clock.due(local, due + 7), due + 7);
            }
        }
    }
}
