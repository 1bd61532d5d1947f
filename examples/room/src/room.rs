//! Who is there, which number a line has, and what becomes of those who do not keep up.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub, Mail, SendError};
use roundtrip_core::protocol::{Session, SessionConfig, SessionOutcome};

use crate::member::{Line, Member};

/// What becomes of a subscriber that is behind by as much as its outbox and its mailbox hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slow {
    /// It misses lines, and is told how many with the next one that it gets.
    #[default]
    Drop,
    /// Its connection is reset.
    Disconnect,
}

/// How a room bounds memory, and what becomes of the slow.
///
/// How many may be there is the [admission policy](roundtrip_core::admission)'s to say. Each of them holds `outbox` bytes
/// and two lines at the most, and shares with the others what is in its [mailbox](roundtrip_core::hub::MAILBOX).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomConfig {
    /// What becomes of a slow subscriber.
    pub slow: Slow,
    /// The longest line without its end, bytes: 4 KiB by default.
    pub line: usize,
    /// Lines that somebody may say and not have heard yet, at least 1: 8 by default. So whoever speaks fast is slowed
    /// down to what comes back, and the mailboxes of others do not run over.
    pub ahead: u64,
    /// Bytes to a subscriber after which its lines wait in its mailbox: 64 KiB by default.
    pub outbox: usize,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self { slow: Slow::default(), line: 4 << 10, ahead: 8, outbox: 64 << 10 }
    }
}

/// What happened in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines published.
    pub published: u64,
    /// Lines put into a mailbox.
    pub delivered: u64,
    /// Lines that a subscriber missed.
    pub dropped: u64,
    /// Subscribers that were disconnected because they were slow.
    pub disconnected: u64,
}

/// The room: every line said in it gets the next number, and goes to all who are there before the next one does.
#[derive(Clone, Debug)]
pub struct Room {
    config: Arc<RoomConfig>,
    session: Arc<SessionConfig>,
    members: BTreeMap<ConnectionId, Seat>,
    counts: Counts,
}

/// What the room knows of somebody who is there.
#[derive(Clone, Copy, Debug, Default)]
struct Seat {
    /// Lines said.
    said: u64,
    /// Lines missed since the last one that was delivered.
    missed: u64,
}

impl Room {
    /// An empty room.
    pub fn new(config: RoomConfig) -> Self {
        // A line and its end, CR and LF.
        let (inbox, outbox) = (config.line + 2, config.outbox);
        let session = SessionConfig::default().inbox(inbox).outbox(outbox).into();
        Self { config: config.into(), session, members: BTreeMap::new(), counts: Counts::default() }
    }

    /// What happened so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// How many are there.
    pub fn present(&self) -> usize {
        self.members.len()
    }
}

impl Hub for Room {
    type Session = Session<Member>;

    fn open(&mut self, now: Time, id: ConnectionId) -> Session<Member> {
        self.members.insert(id, Seat::default());
        Session::new(Member::new(Arc::clone(&self.config)), Arc::clone(&self.session), now)
    }

    fn event(&mut self, _now: Time, from: ConnectionId, text: Bytes, mail: &mut dyn Mail<Line>) {
        let Self { config, members, counts, .. } = self;
        counts.published += 1;
        members.retain(|id, seat| {
            seat.said += u64::from(*id == from);
            let Seat { said, missed } = *seat;
            let line = Line { number: counts.published, missed, said, text: text.clone() };
            match (mail.send(*id, line), config.slow) {
                (Ok(()), _) => {
                    counts.delivered += 1;
                    seat.missed = 0;
                    true
                }
                (Err(SendError::Full(_)), Slow::Drop) => {
                    counts.dropped += 1;
                    seat.missed += 1;
                    true
                }
                (Err(SendError::Full(_)), Slow::Disconnect) => {
                    counts.disconnected += 1;
                    mail.abort(*id);
                    false
                }
                // Its end is on the way, or its machine panicked and there will be none.
                (Err(SendError::Gone(_)), _) => false,
            }
        });
    }

    fn closed(&mut self, _now: Time, id: ConnectionId, _outcome: SessionOutcome, _mail: &mut dyn Mail<Line>) {
        self.members.remove(&id);
    }
}
