//! One who is in the room: lines said, and lines heard.

use std::fmt::Write;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use roundtrip_core::Time;
use roundtrip_core::hub::MAILBOX;
use roundtrip_core::protocol::{Io, Need, Protocol};

use crate::room::RoomConfig;

/// A line as it was published: what a member hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its place in the one order of the room, from 1.
    pub number: u64,
    /// Lines right before it that this member was too slow for.
    pub missed: u64,
    /// Lines that this member itself had said when it was published, this one included.
    pub said: u64,
    /// Without its end.
    pub text: Bytes,
}

/// A connection to the room.
#[derive(Clone, Debug)]
pub struct Member {
    config: Arc<RoomConfig>,
    /// Lines that it said.
    said: u64,
    /// How many of those it has heard, or never will.
    heard: u64,
    /// Lines that it heard since it last said one.
    since: usize,
}

impl Member {
    /// Somebody new.
    pub const fn new(config: Arc<RoomConfig>) -> Self {
        Self { config, said: 0, heard: 0, since: 0 }
    }

    /// Lines that it said and that may still come back to it.
    const fn ahead(&self) -> u64 {
        self.said - self.heard
    }

    fn may_speak(&self) -> bool {
        self.ahead() < self.config.ahead.max(1)
    }
}

impl Protocol for Member {
    type Command = Line;
    /// A line that was said.
    type Event = Bytes;

    fn receive(&mut self, now: Time, io: &mut Io<'_, Bytes>) -> Need {
        while self.may_speak()
            && let Some(line) = take_line(io.inbox())
        {
            if line.len() > self.config.line {
                self.on_message_too_large(now, io);
                io.finish();
                return Need::Bytes;
            }
            self.said += 1;
            self.since = 0;
            io.event(line);
        }
        // Who speaks faster than they listen waits, and who has said all hears all of it before the end.
        if !self.may_speak() || (io.peer_ended() && self.ahead() > 0) { Need::Command } else { Need::Bytes }
    }

    fn command_capacity(&self) -> usize {
        // So what is queued exceeds its bound by no more than one line.
        1
    }

    fn command(&mut self, _now: Time, line: Line, io: &mut Io<'_, Bytes>) {
        self.since += 1;
        // So many lines are all that was in its mailbox when it spoke last: what it said has come, or was dropped.
        let heard = if self.since >= MAILBOX { self.said } else { line.said };
        self.heard = self.heard.max(heard);
        if line.missed > 0 {
            let _ = writeln!(io.outbox(), "missed {}", line.missed);
        }
        let _ = write!(io.outbox(), "{} ", line.number);
        io.outbox().extend_from_slice(&line.text);
        io.outbox().extend_from_slice(b"\n");
    }

    fn on_message_too_large(&mut self, _now: Time, io: &mut Io<'_, Bytes>) {
        let _ = writeln!(io.outbox(), "error: a line has {} bytes at the most", self.config.line);
    }
}

/// The first line of what came, without its end; none if it is not whole. It is copied: what was read with it must not be
/// kept while it waits in mailboxes.
fn take_line(inbox: &mut BytesMut) -> Option<Bytes> {
    let end = inbox.iter().position(|byte| *byte == b'\n')?;
    let line = &inbox[..end];
    let line = Bytes::copy_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    inbox.advance(end + 1);
    Some(line)
}
