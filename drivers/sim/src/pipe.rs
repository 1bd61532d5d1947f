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

use bytes::Bytes;

use crate::short::ShortQueue;

/// What travels.
#[derive(Debug)]
pub(crate) struct Segment {
    /// When it arrives.
    pub(crate) at: u64,
    pub(crate) what: Flight,
}

#[derive(Debug)]
pub(crate) enum Flight {
    Data(Bytes),
    Fin,
    Reset,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each on its own")]
pub(crate) struct Pipe {
    unsent: ShortQueue<Bytes>,
    unsent_bytes: usize,
    flight: ShortQueue<Segment>,
    in_flight: usize,
    received: ShortQueue<Bytes>,
    received_bytes: usize,
    send_buffer: usize,
    window: usize,
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
    /// When the last segment arrives: the next does not overtake it.
    last: u64,
    /// Segments that arrived so far.
    pub(crate) arrivals: u32,
    /// Nanoseconds that a byte takes on the line.
    pub(crate) per_byte: u64,
    /// Bytes that were written and never reached the reader: only resets and closed readers lose any.
    pub(crate) lost: u64,
}

impl Pipe {
    /// Makes it a new, empty pipe, in the same memory.
    pub(crate) fn open(&mut self, send_buffer: usize, window: usize) {
        let (mut unsent, mut flight, mut received) = (
            std::mem::take(&mut self.unsent),
            std::mem::take(&mut self.flight),
            std::mem::take(&mut self.received),
        );
        unsent.clear();
        flight.clear();
        received.clear();
        *self = Self { unsent, flight, received, send_buffer, window, ..Self::default() };
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
        (self.window + self.send_buffer)
            .saturating_sub(self.unsent_bytes + self.in_flight + self.received_bytes)
    }

    /// Whether so many bytes would leave at once, whole.
    #[inline(always)]
    pub(crate) fn is_clear_for(&self, bytes: usize) -> bool {
        self.unsent_bytes == 0 && self.in_flight + self.received_bytes + bytes <= self.window
    }

    /// So many bytes leave without having been in the send buffer.
    #[inline(always)]
    pub(crate) const fn depart(&mut self, bytes: usize) {
        self.in_flight += bytes;
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

    /// What goes on its way next: at most what the window has room for, and `limit` bytes.
    #[inline(always)]
    pub(crate) fn next_to_send(&mut self, limit: usize) -> Option<Flight> {
        if let Some(front) = self.unsent.front_mut() {
            let room = self.window.saturating_sub(self.in_flight + self.received_bytes);
            let size = front.len().min(room).min(limit);
            if size == 0 {
                return None;
            }
            let bytes = if size == front.len() { self.unsent.pop_front()? } else { front.split_to(size) };
            self.unsent_bytes -= size;
            self.in_flight += size;
            return Some(Flight::Data(bytes));
        }
        if self.fin && !self.fin_sent {
            self.fin_sent = true;
            return Some(Flight::Fin);
        }
        None
    }

    /// Whether anything could go on its way now.
    #[inline(always)]
    pub(crate) fn has_something_to_send(&self) -> bool {
        if self.unsent.is_empty() {
            self.fin && !self.fin_sent
        } else {
            self.in_flight + self.received_bytes < self.window
        }
    }

    /// Puts a segment on its way, to arrive at `at` but not before those sent earlier; when it will.
    pub(crate) fn send(&mut self, at: u64, what: Flight) -> u64 {
        let at = at.max(self.last);
        self.last = at;
        self.flight.push_back(Segment { at, what });
        at
    }

    /// A reset, which nothing follows and which drops what was not sent; it may overtake what is on its way.
    pub(crate) fn send_reset(&mut self, at: u64, overtakes: bool) -> u64 {
        self.lost += self.unsent_bytes as u64;
        self.unsent.clear();
        self.unsent_bytes = 0;
        self.fin = true;
        self.fin_sent = true;
        self.reset_sent = true;
        if overtakes {
            self.flight.push_front(Segment { at, what: Flight::Reset });
            at
        } else {
            self.send(at, Flight::Reset)
        }
    }

    /// When the next segment arrives.
    #[inline(always)]
    pub(crate) fn next_arrival(&self) -> Option<u64> {
        self.flight.front().map(|segment| segment.at)
    }

    /// The segment that arrives now.
    #[inline(always)]
    pub(crate) fn arrive(&mut self) -> Option<Flight> {
        let Segment { what, .. } = self.flight.pop_front()?;
        self.arrivals = self.arrivals.saturating_add(1);
        match &what {
            Flight::Data(bytes) => self.in_flight -= bytes.len(),
            Flight::Fin => self.fin_received = true,
            Flight::Reset => {}
        }
        Some(what)
    }

    /// Puts what arrived into the receive buffer.
    #[inline(always)]
    pub(crate) fn receive(&mut self, bytes: Bytes) {
        self.received_bytes += bytes.len();
        self.received.push_back(bytes);
    }

    /// The connection is reset: nothing travels any more. What was received is kept, or not.
    pub(crate) fn break_off(&mut self, discard: bool) {
        self.broken = true;
        self.lost += (self.in_flight + self.unsent_bytes) as u64;
        self.flight.clear();
        self.in_flight = 0;
        self.unsent.clear();
        self.unsent_bytes = 0;
        if discard {
            self.discard();
        }
    }

    /// Drops what nobody will read.
    pub(crate) fn discard(&mut self) {
        self.lost += self.received_bytes as u64;
        self.received.clear();
        self.received_bytes = 0;
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
    pub(crate) fn is_scattered(&self) -> bool {
        self.received.has_several()
    }

    /// Takes at most `limit` bytes of the first chunk.
    #[inline(always)]
    pub(crate) fn read(&mut self, limit: usize) -> Bytes {
        let bytes = match self.received.front_mut() {
            Some(front) if front.len() > limit => front.split_to(limit),
            _ => self.received.pop_front().unwrap_or_default(),
        };
        self.received_bytes -= bytes.len();
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
