//! What every part of a run reaches: the choices, the events to come, and what is told of it.

use std::time::Duration;

use bytes::Bytes;

use crate::choose::{Active, Chooser, Entity, Logged, Site};
use crate::hash::Rolling;
use crate::line::{Line, What};
use crate::pipe::Pipe;
use crate::queue::{Address, Kind, Queue, TIES};
use crate::run::{Run, Verdict};
use crate::scenario::{DriverFlaw, Reached};

/// The run as its parts see it.
#[derive(Debug)]
pub(crate) struct Context<C> {
    pub(crate) chooser: C,
    /// Sites at which there is anything to choose; none once all is healed.
    pub(crate) active: Active,
    /// The [short way](crate::world) may be taken.
    pub(crate) calm: bool,
    pub(crate) now: u64,
    /// Events that happened.
    pub(crate) events: u64,
    pub(crate) latency: u64,
    pub(crate) quantum: u64,
    pub(crate) queue: Queue,
    pub(crate) hash: Rolling,
    pub(crate) driver_flaw: DriverFlaw,
}

/// A chooser that may want to know what comes of its choices. Whether it does is known to the compiler: a run that
/// is not recorded is not slowed down by those that are.
#[expect(unnameable_types, reason = "only this crate has simulations")]
pub trait Told: Chooser {
    const LISTENS: bool;

    fn hear(&mut self, line: impl FnOnce() -> Line);
}

/// The chooser of a run that nobody listens to.
#[derive(Debug)]
pub(crate) struct Unheard<C>(pub(crate) C);

/// The chooser of a run that is recorded.
#[derive(Debug)]
pub(crate) struct Recorded<C> {
    pub(crate) chooser: Logged<C>,
    pub(crate) lines: Vec<Line>,
}

impl<C: Chooser> Told for Unheard<C> {
    const LISTENS: bool = false;

    #[inline(always)]
    fn hear(&mut self, _: impl FnOnce() -> Line) {}
}

impl<C: Chooser> Told for Recorded<C> {
    const LISTENS: bool = true;

    fn hear(&mut self, line: impl FnOnce() -> Line) {
        self.lines.push(line());
    }
}

macro_rules! forward {
    ($heard:ident, $field:tt) => {
        impl<C: Chooser> Chooser for $heard<C> {
            #[inline(always)]
            fn choose(&mut self, site: Site, who: Entity, n: u32) -> u32 {
                self.$field.choose(site, who, n)
            }

            fn active(&self) -> Active {
                self.$field.active()
            }

            fn begin(&mut self, who: Entity) {
                self.$field.begin(who);
            }
        }
    };
}

forward!(Unheard, 0);
forward!(Recorded, chooser);

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Quanta that a small delay has, at the most: 15.
pub(crate) const DELAYS: u32 = 16;
/// Bytes at which a transfer is cut, at the most: 63.
pub(crate) const CUTS: u32 = 64;

impl<C: Told> Context<C> {
    /// The beginning of a run.
    pub(crate) fn new(chooser: C, latency: Duration, quantum: Duration, queue: Queue) -> Self {
        let active = chooser.active();
        let mut cx = Self {
            active: Active::NONE,
            calm: false,
            chooser,
            now: 0,
            events: 0,
            latency: nanos(latency),
            quantum: nanos(quantum).max(1),
            queue,
            hash: Rolling::default(),
            driver_flaw: DriverFlaw::None,
        };
        cx.activate(active);
        cx
    }

    /// The run that came to this verdict.
    pub(crate) fn finish(&mut self, verdict: Verdict, reached: Reached) -> Run {
        self.hash.bytes(verdict.id().as_bytes());
        Run { events: self.events, time: self.now, hash: self.hash.value(), reached, verdict }
    }

    /// From now on there is something to choose at these sites only.
    pub(crate) fn activate(&mut self, active: Active) {
        self.active = active;
        self.calm = !C::LISTENS && !active.has_any(crate::world::LONG);
    }

    /// Makes a choice; once all is healed, the benign one.
    #[inline(always)]
    pub(crate) fn choose(&mut self, site: Site, who: &Entity, n: u32) -> u32 {
        if self.active.has(site) { self.chooser.choose(site, *who, n) } else { 0 }
    }

    /// So many quanta, drawn.
    #[inline(always)]
    pub(crate) fn delay(&mut self, site: Site, who: &Entity) -> u64 {
        if self.active.has(site) {
            u64::from(self.chooser.choose(site, *who, DELAYS)) * self.quantum
        } else {
            0
        }
    }

    /// Bytes after which something is cut, drawn; as good as never if it is not.
    #[inline(always)]
    pub(crate) fn cut(&mut self, site: Site, who: &Entity) -> usize {
        if !self.active.has(site) {
            return usize::MAX;
        }
        match self.chooser.choose(site, *who, CUTS) {
            0 => usize::MAX,
            cut => cut as usize,
        }
    }

    /// Schedules an event; its place among those of the same time is drawn.
    pub(crate) fn schedule(&mut self, at: u64, who: &Entity, kind: Kind, address: Address) {
        let tie = self.choose(Site::TIE, who, TIES);
        self.queue.push(at, tie, kind, address);
    }

    /// Tells what happened.
    #[inline(always)]
    pub(crate) fn tell(&mut self, who: &Entity, what: What, n: u64) {
        let (time, event) = (self.now, self.events);
        self.chooser.hear(|| Line { time, event, who: *who, what, n });
    }

    /// Tells what happened, and takes it into the hash.
    #[inline(always)]
    pub(crate) fn note(&mut self, who: &Entity, what: What, n: u64) {
        self.hash.ahead(who.key() ^ (what as u64) << 56, n);
        self.tell(who, what, n);
    }

    /// Puts bytes into a pipe, of which there are no more than it has room for, and on their way what can be.
    #[inline(always)]
    pub(crate) fn transmit(
        &mut self,
        pipe: &mut Pipe,
        from: &Entity,
        to: Kind,
        address: Address,
        mut bytes: Bytes,
    ) {
        self.hash.bytes(&bytes);
        // Nearly always all of it leaves at once, without having been in the send buffer.
        if pipe.is_clear_for(bytes.len()) {
            let limit = self.cut(Site::SEGMENT, from);
            if bytes.len() <= limit {
                return self.launch(pipe, from, to, address, bytes);
            }
            let first = bytes.split_to(limit);
            self.launch(pipe, from, to, address, first);
        }
        pipe.write(bytes);
        self.pump(pipe, from, to, address);
    }

    /// Puts on its way what the window has room for.
    #[inline(never)]
    pub(crate) fn pump(&mut self, pipe: &mut Pipe, from: &Entity, to: Kind, address: Address) {
        while pipe.has_something_to_send() {
            let limit = self.cut(Site::SEGMENT, from);
            match pipe.next_to_send(limit) {
                Some(bytes) => self.launch(pipe, from, to, address, bytes),
                None => self.launch_end(pipe, from, to, address),
            }
        }
    }

    /// Puts bytes on their way.
    #[inline(always)]
    pub(crate) fn launch(
        &mut self,
        pipe: &mut Pipe,
        from: &Entity,
        to: Kind,
        address: Address,
        bytes: Bytes,
    ) {
        let at =
            self.now + self.latency + self.delay(Site::LATENCY, from) + pipe.per_byte * bytes.len() as u64;
        self.tell(from, What::Send, bytes.len() as u64);
        pipe.send(at, bytes);
        self.expect_arrival(pipe, from, to, address);
    }

    fn launch_end(&mut self, pipe: &mut Pipe, from: &Entity, to: Kind, address: Address) {
        let at = self.now + self.latency + self.delay(Site::LATENCY, from);
        self.tell(from, What::SendEnd, 0);
        pipe.send_fin(at);
        self.expect_arrival(pipe, from, to, address);
    }

    /// Resets the reader's end.
    pub(crate) fn reset(&mut self, pipe: &mut Pipe, from: &Entity, to: Kind, address: Address) {
        if pipe.broken || pipe.reset_sent {
            return;
        }
        self.note(from, What::SendReset, 0);
        let overtakes = self.choose(Site::RESET_OVERTAKES, from, 2) == 1;
        pipe.send_reset(self.now + self.latency, overtakes);
        if overtakes {
            // It arrives before what was scheduled; the later arrival then finds less to do.
            pipe.scheduled = false;
        }
        self.expect_arrival(pipe, from, to, address);
    }

    /// Makes sure that the next arrival, which there is, is in the queue.
    #[inline(always)]
    pub(crate) fn expect_arrival(&mut self, pipe: &mut Pipe, from: &Entity, to: Kind, address: Address) {
        if !pipe.scheduled {
            pipe.scheduled = true;
            let tie = self.choose(Site::TIE, from, TIES);
            self.queue.push(pipe.next.max(pipe.silent_until).max(self.now), tie, to, address);
        }
    }

    /// Wakes the driver of an end after `delay`, unless it is going to be woken anyway.
    pub(crate) fn wake(&mut self, woken: &mut bool, who: &Entity, delay: u64, kind: Kind, address: Address) {
        if !*woken {
            *woken = true;
            self.schedule(self.now + delay, who, kind, address);
        }
    }
}
