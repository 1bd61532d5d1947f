//! One direction of a stream: send buffer, flight, receive buffer.
//!
//! ```text
//!   writer ─▶ unsent ─▶ flight ─▶ received ─▶ reader
//!             send      latency,   window
//!             buffer    order
//! ```
//!
//! Flight and receive buffer together hold no more than the window, so what a reader leaves is in the end not
//! written. Loss is a stall: bytes never vanish in the middle, because TCP sends them again.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::short::ShortQueue;

/// Bytes that travel together.
#[derive(Debug)]
struct Chunk {
    /// When it arrives.
    at: u64,
    bytes: Bytes,
}

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// So many bytes, which can be read now.
    Data(usize),
    Fin,
    Reset,
}

/// No time: not on its way.
pub(crate) const NEVER: u64 = u64::MAX;

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each on its own")]
pub(crate) struct Pipe {
    /// What was received, and behind it what is in flight: a chunk that arrives stays where it is, and the border
    /// between the two moves.
    chunks: ShortQueue<Chunk>,
    /// Chunks before that border.
    arrived: usize,
    /// Their bytes.
    received_bytes: usize,
    /// The bytes of all chunks.
    sent_bytes: usize,
    unsent_bytes: usize,
    unsent: VecDeque<Bytes>,
    send_buffer: usize,
    window: usize,
    /// When a FIN arrives, behind all chunks.
    fin_at: u64,
    /// When a reset arrives, behind all else unless it overtakes.
    reset_at: u64,
    overtakes: bool,
    /// The writer half-closed: a FIN follows what is unsent.
    fin: bool,
    /// That FIN is on its way.
    fin_sent: bool,
    /// It arrived.
    fin_received: bool,
    /// A reset arrived.
    pub(crate) broken: bool,
    /// The writer's end sent a reset.
    pub(crate) reset_sent: bool,
    /// The reader's end is closed: what arrives is answered with a reset.
    pub(crate) closed: bool,
    /// An arrival is in the queue of events.
    pub(crate) scheduled: bool,
    /// The writer waits for room.
    pub(crate) blocked: bool,
    /// Nothing arrives before this.
    pub(crate) silent_until: u64,
    /// When the next segment arrives; [`NEVER`] if none is on its way.
    pub(crate) next: u64,
    /// When the last segment arrives: the next does not overtake it.
    last: u64,
    /// Segments that arrived so far.
    pub(crate) arrivals: u32,
    /// Nanoseconds that a byte takes on the line.
    pub(crate) per_byte: u64,
}

impl Pipe {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: ShortQueue::new(),
            arrived: 0,
            received_bytes: 0,
            sent_bytes: 0,
            unsent_bytes: 0,
            unsent: VecDeque::new(),
            send_buffer: 0,
            window: 0,
            fin_at: NEVER,
            reset_at: NEVER,
            overtakes: false,
            fin: false,
            fin_sent: false,
            fin_received: false,
            broken: false,
            reset_sent: false,
            closed: false,
            scheduled: false,
            blocked: false,
            silent_until: 0,
            next: NEVER,
            last: 0,
            arrivals: 0,
            per_byte: 0,
        }
    }

    /// Makes it a new, empty pipe, in the same memory.
    pub(crate) fn open(&mut self, send_buffer: usize, window: usize) {
        let mut chunks = std::mem::take(&mut self.chunks);
        let mut unsent = std::mem::take(&mut self.unsent);
        chunks.clear();
        unsent.clear();
        *self = Self { chunks, unsent, send_buffer, window, ..Self::new() };
    }

    /// Lifts the bounds to these, if they are larger.
    pub(crate) fn heal(&mut self, send_buffer: usize, window: usize) {
        self.send_buffer = self.send_buffer.max(send_buffer);
        self.window = self.window.max(window);
        self.per_byte = 0;
    }

    /// How many bytes the send buffer takes now.
    #[inline(always)]
    pub(crate) const fn room(&self) -> usize {
        (self.window + self.send_buffer).saturating_sub(self.unsent_bytes + self.sent_bytes)
    }

    /// Whether so many bytes would leave at once, whole.
    #[inline(always)]
    pub(crate) const fn is_clear_for(&self, bytes: usize) -> bool {
        self.unsent_bytes == 0 && bytes <= self.clear_room()
    }

    /// How many bytes would leave at once, whole, if nothing is unsent.
    #[inline(always)]
    pub(crate) const fn clear_room(&self) -> usize {
        self.window.saturating_sub(self.sent_bytes)
    }

    /// Takes bytes, of which there are no more than [room](Self::room). They are not on their way yet.
    pub(crate) fn write(&mut self, bytes: Bytes) {
        self.unsent_bytes += bytes.len();
        self.unsent.push_back(bytes);
    }

    /// Ends the writer's half behind what was written.
    pub(crate) const fn half_close(&mut self) {
        self.fin = true;
    }

    /// Whether the writer half-closed.
    pub(crate) const fn is_half_closed(&self) -> bool {
        self.fin
    }

    /// The bytes that go on their way next: at most what the window has room for, and `limit`. None if it is the
    /// FIN's turn.
    pub(crate) fn next_to_send(&mut self, limit: usize) -> Option<Bytes> {
        let front = self.unsent.front_mut()?;
        let room = self.window.saturating_sub(self.sent_bytes);
        let size = front.len().min(room).min(limit);
        self.unsent_bytes -= size;
        if size == front.len() { self.unsent.pop_front() } else { Some(front.split_to(size)) }
    }

    /// Whether anything could go on its way now.
    #[inline(always)]
    pub(crate) const fn has_something_to_send(&self) -> bool {
        if self.unsent_bytes == 0 { self.fin && !self.fin_sent } else { self.sent_bytes < self.window }
    }

    /// Puts bytes on their way, to arrive at `at` but not before what was sent earlier.
    #[inline(always)]
    pub(crate) fn send(&mut self, at: u64, bytes: Bytes) {
        let at = self.in_order(at);
        self.next = self.next.min(at);
        self.sent_bytes += bytes.len();
        self.chunks.push_back(Chunk { at, bytes });
    }

    /// Puts the FIN on its way.
    pub(crate) fn send_fin(&mut self, at: u64) {
        self.fin_sent = true;
        self.fin_at = self.in_order(at);
        self.next = self.next.min(self.fin_at);
    }

    /// A reset, which nothing follows and which drops what was not sent; it may overtake what is on its way.
    pub(crate) fn send_reset(&mut self, at: u64, overtakes: bool) {
        self.unsent.clear();
        self.unsent_bytes = 0;
        self.fin = true;
        self.fin_sent = true;
        self.reset_sent = true;
        self.overtakes = overtakes;
        self.reset_at = if overtakes { at } else { self.in_order(at) };
        self.next = if overtakes { at } else { self.next.min(self.reset_at) };
    }

    #[inline(always)]
    fn in_order(&mut self, at: u64) -> u64 {
        self.last = self.last.max(at);
        self.last
    }

    /// The segment that arrives now; there is one.
    #[inline(always)]
    pub(crate) fn arrive(&mut self) -> Arrived {
        self.arrivals += 1;
        let arrived = if !self.overtakes
            && let Some(chunk) = self.chunks.get(self.arrived)
        {
            let bytes = chunk.bytes.len();
            self.arrived += 1;
            self.received_bytes += bytes;
            Arrived::Data(bytes)
        } else {
            self.arrive_at_end()
        };
        self.next = match self.chunks.get(self.arrived) {
            Some(chunk) => chunk.at,
            None => self.fin_at.min(self.reset_at),
        };
        arrived
    }

    /// The bytes that arrive now, past the receive buffer, which is empty; none, and nothing was done, if there are
    /// more than `limit`.
    #[inline(always)]
    pub(crate) fn pass_on(&mut self, limit: usize) -> Option<Bytes> {
        let chunk = self.chunks.pop_front_if(|chunk| chunk.bytes.len() <= limit)?;
        self.sent_bytes -= chunk.bytes.len();
        self.next = self.chunks.get(0).map_or(NEVER, |next| next.at);
        Some(chunk.bytes)
    }

    /// Whether there is nothing in it, and nothing is going to be, but bytes on their way.
    pub(crate) const fn is_calm(&self) -> bool {
        !(self.fin || self.reset_sent || self.broken || self.closed || self.blocked)
            && self.unsent_bytes == 0
            && self.received_bytes == 0
    }

    #[inline(never)]
    fn arrive_at_end(&mut self) -> Arrived {
        if self.fin_at != NEVER && !self.overtakes {
            self.fin_at = NEVER;
            self.fin_received = true;
            Arrived::Fin
        } else {
            self.reset_at = NEVER;
            self.overtakes = false;
            Arrived::Reset
        }
    }

    /// The connection is reset: nothing travels any more. What was received is kept, or not.
    pub(crate) fn break_off(&mut self, discard: bool) {
        self.broken = true;
        self.chunks.truncate(self.arrived);
        self.sent_bytes = self.received_bytes;
        self.fin_at = NEVER;
        self.reset_at = NEVER;
        self.next = NEVER;
        self.overtakes = false;
        self.unsent.clear();
        self.unsent_bytes = 0;
        if discard {
            self.discard();
            self.fin_received = false;
        }
    }

    /// Drops what nobody will read.
    pub(crate) fn discard(&mut self) {
        self.sent_bytes -= self.received_bytes;
        self.received_bytes = 0;
        for _ in 0..std::mem::take(&mut self.arrived) {
            self.chunks.pop_front();
        }
    }

    /// Bytes that can be read.
    #[inline(always)]
    pub(crate) const fn readable(&self) -> usize {
        self.received_bytes
    }

    /// Whether all was read and the writer's end is next.
    #[inline(always)]
    pub(crate) const fn at_end(&self) -> bool {
        self.received_bytes == 0 && self.fin_received
    }

    /// Whether there is more than one chunk to read.
    #[inline(always)]
    pub(crate) const fn is_scattered(&self) -> bool {
        self.arrived > 1
    }

    /// Takes at most `limit` bytes of the first chunk; there is one.
    #[inline(always)]
    pub(crate) fn read(&mut self, limit: usize) -> Bytes {
        let bytes = match self.chunks.front_mut() {
            Some(front) if front.bytes.len() > limit => front.bytes.split_to(limit),
            _ => {
                self.arrived -= 1;
                self.chunks.pop_front().map_or_else(Bytes::new, |chunk| chunk.bytes)
            }
        };
        self.received_bytes -= bytes.len();
        self.sent_bytes -= bytes.len();
        bytes
    }

    /// Takes at most `limit` bytes, whatever chunks they came in.
    pub(crate) fn read_across(&mut self, limit: usize) -> Bytes {
        let mut all = Vec::with_capacity(limit.min(self.received_bytes));
        while all.len() < limit && self.received_bytes > 0 {
            let bytes = self.read(limit - all.len());
            all.extend_from_slice(&bytes);
        }
        all.into()
    }
}
