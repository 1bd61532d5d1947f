//! What every part of a run reaches: the choices, the events to come, and what is told of it.

use bytes::Bytes;

use crate::choose::{Active, Chooser, Entity, Site};
use crate::hash::Rolling;
use crate::line::{Line, What};
use crate::pipe::{Flight, Pipe};
use crate::queue::{Address, Kind, Queue, TIES};

/// The run as its parts see it.
#[derive(Debug)]
pub(crate) struct Context<C> {
    pub(crate) chooser: C,
    /// Sites at which there is anything to choose; none once all is healed.
    pub(crate) active: Active,
    pub(crate) now: u64,
    /// Events that happened.
    pub(crate) events: u64,
    pub(crate) latency: u64,
    pub(crate) quantum: u64,
    pub(crate) queue: Queue,
    pub(crate) hash: Rolling,
    pub(crate) lines: Option<Vec<Line>>,
}

/// Quanta that a small delay has, at the most: 15.
pub(crate) const DELAYS: u32 = 16;
/// Bytes at which a transfer is cut, at the most: 63.
pub(crate) const CUTS: u32 = 64;

impl<C: Chooser> Context<C> {
    /// Makes a choice; once all is healed, the benign one.
    #[inline(always)]
    pub(crate) fn choose(&mut self, site: Site, who: Entity, n: u32) -> u32 {
        if self.active.has(site) { self.chooser.choose(site, who, n) } else { 0 }
    }

    /// So many quanta, drawn.
    #[inline(always)]
    pub(crate) fn delay(&mut self, site: Site, who: Entity) -> u64 {
        u64::from(self.choose(site, who, DELAYS)) * self.quantum
    }

    /// Bytes after which something is cut, drawn; as good as never if it is not.
    #[inline(always)]
    pub(crate) fn cut(&mut self, site: Site, who: Entity) -> usize {
        match self.choose(site, who, CUTS) {
            0 => usize::MAX,
            cut => cut as usize,
        }
    }

    /// Schedules an event; its place among those of the same time is drawn.
    pub(crate) fn schedule(&mut self, at: u64, who: Entity, kind: Kind, address: Address) {
        let tie = self.choose(Site::TIE, who, TIES);
        self.queue.push(at, tie, kind, address);
    }

    /// Tells what happened.
    #[inline(always)]
    pub(crate) fn tell(&mut self, who: Entity, what: What, n: u64) {
        if self.lines.is_some() {
            self.record(who, what, n);
        }
    }

    #[cold]
    fn record(&mut self, who: Entity, what: What, n: u64) {
        if let Some(lines) = &mut self.lines {
            lines.push(Line { time: self.now, event: self.events, who, what, n });
        }
    }

    /// Tells what happened, and takes it into the hash.
    #[inline(always)]
    pub(crate) fn note(&mut self, who: Entity, what: What, n: u64) {
        self.hash.pair(who.key() ^ (what as u64) << 56, n);
        self.tell(who, what, n);
    }

    /// Puts bytes into a pipe, of which there are no more than it has room for, and on their way what can be.
    #[inline(always)]
    pub(crate) fn transmit(
        &mut self,
        pipe: &mut Pipe,
        from: Entity,
        to: Kind,
        address: Address,
        bytes: Bytes,
    ) {
        self.hash.bytes(&bytes);
        // Nearly always all of it leaves at once.
        if pipe.is_clear_for(bytes.len()) && !self.active.has(Site::SEGMENT) {
            pipe.depart(bytes.len());
            self.launch(pipe, from, to, address, Flight::Data(bytes));
        } else {
            pipe.write(bytes);
            self.pump(pipe, from, to, address);
        }
    }

    /// Puts on its way what the window has room for.
    #[inline(never)]
    pub(crate) fn pump(&mut self, pipe: &mut Pipe, from: Entity, to: Kind, address: Address) {
        while pipe.has_something_to_send() {
            let limit = self.cut(Site::SEGMENT, from);
            let Some(what) = pipe.next_to_send(limit) else { break };
            self.launch(pipe, from, to, address, what);
        }
    }

    #[inline(always)]
    fn launch(&mut self, pipe: &mut Pipe, from: Entity, to: Kind, address: Address, what: Flight) {
        let mut at = self.now + self.latency + self.delay(Site::LATENCY, from);
        match &what {
            Flight::Data(bytes) => {
                at += pipe.per_byte * bytes.len() as u64;
                self.tell(from, What::Send, bytes.len() as u64);
            }
            Flight::Fin => self.tell(from, What::SendEnd, 0),
            Flight::Reset => {}
        }
        let at = pipe.send(at, what);
        self.expect_arrival(pipe, from, to, address, at);
    }

    /// Resets the reader's end.
    pub(crate) fn reset(&mut self, pipe: &mut Pipe, from: Entity, to: Kind, address: Address) {
        if pipe.broken || pipe.reset_sent {
            return;
        }
        self.note(from, What::SendReset, 0);
        let overtakes = self.choose(Site::RESET_OVERTAKES, from, 2) == 1;
        let at = pipe.send_reset(self.now + self.latency, overtakes);
        if overtakes {
            // It arrives before what was scheduled; the later arrival then finds less to do.
            pipe.scheduled = false;
        }
        self.expect_arrival(pipe, from, to, address, at);
    }

    /// Makes sure that the next arrival is in the queue.
    #[inline(always)]
    pub(crate) fn expect_arrival(
        &mut self,
        pipe: &mut Pipe,
        from: Entity,
        to: Kind,
        address: Address,
        at: u64,
    ) {
        if !pipe.scheduled {
            pipe.scheduled = true;
            let tie = self.choose(Site::TIE, from, TIES);
            self.queue.push_in_order(at.max(pipe.silent_until).max(self.now), tie, to, address);
        }
    }

    /// Wakes the driver of an end after `delay`, unless it is going to be woken anyway.
    pub(crate) fn wake(&mut self, woken: &mut bool, who: Entity, delay: u64, kind: Kind, address: Address) {
        if !*woken {
            *woken = true;
            self.schedule(self.now + delay, who, kind, address);
        }
    }
}
