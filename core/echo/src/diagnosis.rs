//! What went wrong with a stream, told from the bytes that came.
//!
//! The bytes of a seeded payload tell where they belong ([`Payload::locate`]), so a stream that departs from
//! it can be followed: it jumped ahead (lost, unless it comes back for the rest: reordered), it jumped back
//! (duplicated), it went on after foreign bytes (inserted), or it went on at the same place (corrupted, unless
//! the bytes between were only shuffled).
//! What is too short to be located is judged by how many bytes there are, and whether they are the right ones.

use alloc::vec::Vec;
use core::time::Duration;

use super::evidence::Evidence;
use super::payload::{PROBE, Payload, word};

/// So many bytes that belong nowhere are enough to call the stream corrupted.
const HUNT: usize = 256;

/// Where a stream first differs from the payload, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    /// The first offset whose byte is wrong or missing; every byte before it is right.
    pub at: u64,
    /// What kind of fault it is.
    pub kind: FaultKind,
}

/// The kind of a [`Fault`].
///
/// It is told from the stream up to the peer's end, or to where the stream is in its place again, or does
/// anything that a single fault would not: what a second fault adds is not judged. The kinds of wrong bytes
/// are told apart for seeded payloads of 32 bytes and more; in any other payload a wrong byte is
/// [`Corrupted`](Self::Corrupted), or [`Trailing`](Self::Trailing) if it follows everything that was sent.
///
/// Some faults leave the same bytes behind, and no observer can tell them apart. They have one name:
///
/// - a loss at the very end is a stream that is [`Truncated`](Self::Truncated);
/// - a block that came twice at the very end is [`Duplicated`](Self::Duplicated), not trailing;
/// - equal blocks that changed places are no fault;
/// - a change that makes other bytes of what it changes, such as one flipped bit in each of two neighbours
///   that differ in that bit only, is [`Reordered`](Self::Reordered).
///
/// And some would need more than the sixteen bytes that tell where they belong: a shorter block from another
/// part of the stream is [`Inserted`](Self::Inserted) if it was put in, and [`Corrupted`](Self::Corrupted) if it stands in
/// another's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// Bytes are missing from the middle, and do not come later.
    Lost {
        /// How many.
        bytes: u64,
    },
    /// Bytes came a second time.
    Duplicated {
        /// How many.
        bytes: u64,
    },
    /// Foreign bytes came between the right ones, and none is missing.
    Inserted {
        /// How many.
        bytes: u64,
    },
    /// The right bytes came in the wrong order.
    Reordered,
    /// Wrong bytes came in the place of the right ones.
    Corrupted,
    /// After everything that was sent, more came.
    Trailing,
    /// The stream ended early, or by another end than it should; every byte that came is right.
    Truncated {
        /// Who says so.
        by: PeerEnd,
        /// How long after our own half-close; none if that was still to come.
        after: Option<Duration>,
    },
    /// The last bytes came back only after our half-close, although they were
    /// [waited for](super::ClientConfig::tail_wait) before; all are right.
    Withheld {
        /// How many.
        bytes: u64,
    },
    /// Nothing moved either way for the configured time.
    TimedOut,
}

/// How the peer's half of a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerEnd {
    /// In an orderly way: a FIN.
    Fin,
    /// By a reset: RST.
    Reset,
    /// The transport's own end is missing, such as TLS `close_notify`.
    Truncated,
    /// By another error of the operating system.
    Error,
}

/// Follows a stream from its first wrong byte on, until the kind of the fault is clear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Diagnosis {
    at: u64,
    /// How many bytes should come back in all.
    expected: u64,
    course: Course,
    /// Offset in the stream of the next byte that is not judged yet: what `held` starts with.
    next: u64,
    /// Bytes that are not located yet; none while the stream is followed.
    held: Vec<u8>,
    hunting: bool,
    first: Evidence,
    /// What the judged bytes from `at` on weigh, less what those that belong there weigh: 0 if they are the
    /// same in any order.
    balance: u64,
}

/// How the stream departed from the payload. Its next departure decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Course {
    /// Not located since the first wrong byte.
    Unknown,
    /// So many bytes ahead: they are lost, unless it comes back for them.
    Ahead(u64),
    /// So many bytes behind, at once: they come again, unless as many are missing later.
    Again(u64),
    /// This number of bytes behind, after as many foreign ones: these were inserted, unless as many are missing later.
    Inserted(u64),
    /// So many bytes behind, after others that were put in: early, if they are missing later.
    Behind(u64),
    /// Other bytes came in the place of this number of bytes; they were more or fewer.
    Replaced(u64),
}

impl Diagnosis {
    /// The byte at offset `at` of the stream is not the payload's; `expected` bytes should come back in all.
    pub(super) const fn new(at: u64, expected: u64) -> Self {
        Self {
            at,
            expected,
            course: Course::Unknown,
            next: at,
            held: Vec::new(),
            hunting: true,
            first: Evidence::NONE,
            balance: 0,
        }
    }

    /// The first wrong byte.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// The first wrong bytes.
    pub(super) const fn evidence(&self) -> Evidence {
        self.first
    }

    /// Keeps the bytes that come next, the first wrong one first, as evidence.
    pub(super) fn keep(&mut self, data: &[u8]) {
        self.first.keep(data);
    }

    pub(super) const fn fault(&self, kind: FaultKind) -> Fault {
        Fault { at: self.at, kind }
    }

    /// Takes the bytes that come next, the first wrong one first; the kind, as soon as it is clear.
    pub(super) fn feed(&mut self, payload: &Payload, mut data: &[u8]) -> Option<FaultKind> {
        if !payload.is_located() {
            return Some(self.by_place());
        }
        // What was not sent cannot come back, even if it is what would have been sent.
        let sent = payload.first(self.expected);
        while !data.is_empty() {
            if self.hunting {
                let (now, later) = data.split_at(data.len().min(HUNT - self.held.len()));
                self.held.extend_from_slice(now);
                data = later;
                let found = self
                    .held
                    .windows(PROBE)
                    .enumerate()
                    .find_map(|(skipped, probe)| Some((skipped, sent.locate(probe.first_chunk()?)?)));
                if let Some((skipped, position)) = found {
                    let held = core::mem::take(&mut self.held);
                    self.hunting = false;
                    self.judge(&sent, &held[..skipped]);
                    if let Some(kind) = self.jumped(skipped, position) {
                        return Some(kind);
                    }
                    // Located: what is held is followed like what comes after it.
                    if let Some(kind) = self.feed(payload, &held[skipped..]) {
                        return Some(kind);
                    }
                } else if self.held.len() == HUNT {
                    return Some(self.by_course());
                }
            } else {
                let matched = sent.matching(self.next.wrapping_add_signed(self.skew()), data);
                self.judge(&sent, &data[..matched]);
                data = &data[matched..];
                self.hunting = !data.is_empty();
            }
        }
        None
    }

    /// The stream is over: the kind, from what there is.
    pub(super) fn finish(&self, payload: &Payload) -> FaultKind {
        if !payload.is_located() {
            return self.by_place();
        }
        let sent = payload.first(self.expected);
        let mut all = self.clone();
        all.judge(&sent, &self.held);
        if all.next == self.expected && all.balance == 0 {
            return FaultKind::Reordered;
        }
        let kind = self.by_course();
        if kind != self.by_place() {
            return kind;
        }
        // Too few bytes were left to be located: they are judged by how many there are.
        let is_from = |offset: u64| sent.matching(offset, &self.held) == self.held.len();
        let (missing, extra) =
            (self.expected.saturating_sub(all.next), all.next.saturating_sub(self.expected));
        match self.course {
            Course::Unknown if is_from(self.next + missing) => FaultKind::Lost { bytes: missing },
            Course::Unknown | Course::Again(_)
                if extra > 0 && self.next.checked_sub(extra).is_some_and(is_from) =>
            {
                FaultKind::Duplicated { bytes: extra }
            }
            Course::Unknown if self.was_inserted(&sent, extra) => FaultKind::Inserted { bytes: extra },
            Course::Unknown
            | Course::Ahead(_)
            | Course::Again(_)
            | Course::Inserted(_)
            | Course::Behind(_)
            | Course::Replaced(_) => kind,
        }
    }

    /// Whether `extra` foreign bytes are held, and then all that was due.
    fn was_inserted(&self, sent: &Payload, extra: u64) -> bool {
        let extra = usize::try_from(extra).unwrap_or(usize::MAX);
        match self.held.get(extra..) {
            Some(rest) => extra > 0 && !rest.is_empty() && sent.matching(self.at, rest) == rest.len(),
            None => false,
        }
    }

    /// The stream goes on at `position` of the payload, after `skipped` bytes that belong nowhere.
    fn jumped(&mut self, skipped: usize, position: u64) -> Option<FaultKind> {
        let skew = position.wrapping_sub(self.next).cast_signed();
        let by = skew.unsigned_abs();
        match self.course {
            _ if skew == 0 && self.balance == 0 => return Some(FaultKind::Reordered),
            Course::Unknown if skew == 0 => return Some(self.by_place()),
            Course::Unknown if skew > 0 && skipped == 0 => self.course = Course::Ahead(by),
            Course::Unknown if skew > 0 => self.course = Course::Replaced(by),
            Course::Unknown if skipped == 0 => self.course = Course::Again(by),
            // The first of what was inserted may happen to be right.
            Course::Unknown if (self.at.saturating_sub(PROBE as u64)..=self.at).contains(&position) => {
                self.course = Course::Inserted(by);
            }
            Course::Unknown => self.course = Course::Behind(by),
            _ if skew == self.skew() => {}
            Course::Ahead(ahead) | Course::Replaced(ahead)
                if (self.at..self.at + ahead).contains(&position) =>
            {
                return Some(FaultKind::Reordered);
            }
            // A block from farther back, and then the stream goes on where it was left, give or take some bytes
            // that happen to be the same.
            Course::Again(_) if skipped == 0 && (self.at..self.at + PROBE as u64).contains(&position) => {
                return Some(FaultKind::Duplicated { bytes: by });
            }
            Course::Ahead(_)
            | Course::Again(_)
            | Course::Inserted(_)
            | Course::Behind(_)
            | Course::Replaced(_) => return Some(self.by_course()),
        }
        None
    }

    /// Passes the bytes that come next in the stream.
    fn judge(&mut self, sent: &Payload, bytes: &[u8]) {
        let weight = |bytes: &[u8]| bytes.iter().fold(0, |sum: u64, &byte| sum.wrapping_add(weight(byte)));
        let mut due = [0; 64];
        for bytes in bytes.chunks(due.len()) {
            let left = usize::try_from(sent.len().saturating_sub(self.next)).unwrap_or(usize::MAX);
            let due = &mut due[..bytes.len().min(left)];
            sent.fill(self.next.min(sent.len()), due);
            self.balance = self.balance.wrapping_add(weight(bytes)).wrapping_sub(weight(due));
            self.next += bytes.len() as u64;
        }
    }

    /// How far ahead of where it should be the stream is.
    const fn skew(&self) -> i64 {
        match self.course {
            Course::Unknown => 0,
            Course::Ahead(by) | Course::Replaced(by) => by.cast_signed(),
            Course::Again(by) | Course::Inserted(by) | Course::Behind(by) => by.cast_signed().wrapping_neg(),
        }
    }

    /// The kind where the stream cannot be followed any further.
    const fn by_course(&self) -> FaultKind {
        match self.course {
            Course::Ahead(bytes) => FaultKind::Lost { bytes },
            // All of them came again.
            Course::Again(bytes) if self.next - self.at >= bytes => FaultKind::Duplicated { bytes },
            Course::Inserted(bytes) => FaultKind::Inserted { bytes },
            Course::Unknown | Course::Again(_) | Course::Behind(_) | Course::Replaced(_) => self.by_place(),
        }
    }

    /// The kind where nothing but the place is known.
    const fn by_place(&self) -> FaultKind {
        if self.at == self.expected { FaultKind::Trailing } else { FaultKind::Corrupted }
    }
}

/// What a byte counts in a sum that does not depend on the order: different bytes do not add up to the same.
const fn weight(byte: u8) -> u64 {
    word(0, byte as u64)
}
