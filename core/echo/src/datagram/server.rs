//! The server: each datagram goes back to where it came from, unless that would do harm.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::ops::RangeInclusive;

use bytes::Bytes;

use super::super::bounds::Bounded;
use super::super::server::End;
use super::BATCH;
use super::config::DatagramEchoConfig;
use super::fair::FairQueue;
use super::loop_detector::LoopDetector;
use super::rate::Rate;
use super::sources::SourceRates;
use super::unread::{Room, UnreadGuard};
use roundtrip_core::Time;
use roundtrip_core::datagram::{
    Address, Datagram, DatagramAction, DatagramInput, DatagramMachine, DatagramWait, Unsent,
};

/// Ports of services that answer whatever they get, which an echo would talk to for ever: the system ports (RFC 6335
/// section 6; CVE-2024-2169).
pub const WELL_KNOWN_PORTS: RangeInclusive<u16> = 0..=1023;

/// An echo server over datagrams (RFC 862): one machine for all its peers.
///
/// UDP says of a datagram where it comes from, and anybody can say anything. So a source is not answered if it is a
/// [well-known port](WELL_KNOWN_PORTS), the server's own one, or no single socket; and [one of so many equal
/// datagrams](super::DatagramEchoConfig) is dropped, so that what goes round between two servers ends. What is not
/// answered is an [event](DroppedDatagram), and counted.
///
/// Where unread answers take the room of all others ([`SendQueue`](roundtrip_core::datagram::SendQueue)), and half of it is taken, an
/// address that does not read within 10 ms is not answered until it has read.
///
/// Sources share the [rate](super::DatagramEchoConfig) of answers, whatever each sends.
///
/// After a stop it reads for a moment what was on its way, and answers what it read; it does not wait for sources that go on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatagramEcho<A> {
    config: Arc<DatagramEchoConfig>,
    own_port: Option<u16>,
    rate: Rate,
    guard: Option<LoopDetector>,
    unread: UnreadGuard<A>,
    /// Where the last answer went.
    answered: Option<A>,
    /// The same for each source.
    sources: Option<SourceRates>,
    replies: FairQueue<A>,
    unanswered: VecDeque<DroppedDatagram<A>>,
    /// Since when it is stopping.
    stopped: Option<Time>,
    counts: DatagramEchoCounts,
    end: Option<End>,
}

/// What became of the datagrams that came to a server so far. Those that it holds are in none but the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DatagramEchoCounts {
    /// Datagrams that came.
    pub received: u64,
    /// Datagrams that were sent back.
    pub echoed: u64,
    /// Datagrams that were not to be answered.
    pub unanswered: u64,
    /// Answers that the transport did not take, or that an abort dropped.
    pub unsent: u64,
}

/// A datagram that was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DroppedDatagram<A> {
    /// Where it says that it came from.
    pub from: A,
    /// Why it was not.
    pub cause: DropReason,
}

/// Why a datagram was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// It came from a [well-known port](WELL_KNOWN_PORTS).
    WellKnownPort,
    /// It came from a port of the server's own number: another server of its kind.
    OwnPort,
    /// It came from no single socket.
    NoSender,
    /// It came so often that it must be going round.
    Loop,
    /// Its source sent more than its share of what is answered.
    Excess,
    /// It was longer than the driver could take.
    TooLong,
    /// The transport did not take the answer: its queue is full, or that of the address is.
    Full,
    /// It leaves earlier answers unread, or its answer would take too much of what others leave free.
    Unread,
}

/// What came of a datagram server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DatagramEchoOutcome {
    /// How it ended: [`Stopped`](End::Stopped), [`Aborted`](End::Aborted) or [`Failed`](End::Failed).
    pub end: End,
    /// Datagrams that came.
    pub received: u64,
    /// Datagrams that were sent back.
    pub echoed: u64,
    /// Datagrams that were not to be answered.
    pub unanswered: u64,
    /// Answers that the transport did not take, or that an abort dropped.
    pub unsent: u64,
}

impl<A: Address> DatagramEcho<A> {
    /// A server on this port, if the transport has ports, that begins at `now`.
    pub fn new(config: Arc<DatagramEchoConfig>, own_port: Option<u16>, now: Time) -> Self {
        let config = config.bounded();
        Self {
            own_port,
            rate: Rate::new(config.rate, now),
            guard: config.repeats.map(LoopDetector::new),
            unread: UnreadGuard::new(),
            answered: None,
            sources: config.rate.map(SourceRates::new),
            replies: FairQueue::new(config.rate),
            unanswered: VecDeque::new(),
            stopped: None,
            counts: DatagramEchoCounts::default(),
            end: None,
            config,
        }
    }

    /// What became of the datagrams so far.
    pub const fn counts(&self) -> DatagramEchoCounts {
        self.counts
    }

    fn receive(&mut self, now: Time, datagram: Datagram<A>) {
        self.counts.received += 1;
        if let Some(cause) = self.forbids(&datagram) {
            return self.leave(datagram.peer, cause);
        }
        let Datagram { peer, mut payload } = datagram;
        let ready = self.sources.as_ref().map_or(now, |sources| sources.ready(&peer, now));
        // What waits must not keep the memory that it was read into.
        if !self.replies.is_empty() || ready > now || self.rate.allows(now) == 0 {
            payload = Bytes::copy_from_slice(&payload);
        }
        for lost in self.replies.push(Datagram { peer, payload }, ready) {
            self.leave(lost, DropReason::Excess);
        }
    }

    fn leave(&mut self, from: A, cause: DropReason) {
        self.counts.unanswered += 1;
        self.unanswered.push_back(DroppedDatagram { from, cause });
    }

    fn forbids(&mut self, datagram: &Datagram<A>) -> Option<DropReason> {
        let port = datagram.peer.port();
        if port.is_some_and(|port| WELL_KNOWN_PORTS.contains(&port)) {
            Some(DropReason::WellKnownPort)
        } else if port.is_some() && port == self.own_port {
            Some(DropReason::OwnPort)
        } else if !datagram.peer.is_answerable() {
            Some(DropReason::NoSender)
        } else {
            let guard = self.guard.as_mut()?;
            guard.drops(&datagram.peer, &datagram.payload).then_some(DropReason::Loop)
        }
    }

    /// The next answer, if it may leave now.
    fn reply(&mut self, now: Time) -> Option<Datagram<A>> {
        while self.rate.allows(now) > 0 {
            let (peer, len) = self.replies.front(now)?;
            match self.unread.room(now, peer, len) {
                Room::Later => return None,
                Room::Free => {
                    let sources = &mut self.sources;
                    let again = |peer: &A| sources.as_mut().map_or(now, |sources| sources.spend(peer, now));
                    let reply = self.replies.pop(now, again)?;
                    self.rate.spend(now);
                    self.unread.sent(now, &reply.peer);
                    self.answered = Some(reply.peer.clone());
                    return Some(reply);
                }
                Room::None => {
                    let unread = self.replies.pop(now, |_| now)?;
                    self.leave(unread.peer, DropReason::Unread);
                }
            }
        }
        None
    }

    /// When the next answer may leave, if there is one and it may not now.
    fn replies_at(&self, now: Time) -> Option<Time> {
        let ready = self.replies.next()?;
        let at = self.rate.next(now).map_or(ready, |next| next.max(ready));
        Some(self.unread.next(now).map_or(at, |look| look.max(at)))
    }

    /// Whether what comes is read: after a stop, for a moment.
    fn reads(&self, now: Time) -> bool {
        self.stopped.is_none_or(|since| now < since.after(self.config.quiet))
    }

    fn finish(&mut self, end: End) {
        self.counts.unsent += self.replies.len() as u64;
        self.replies.clear();
        self.end.get_or_insert(end);
    }

    /// When a stop takes effect.
    fn stops_at(&self) -> Option<Time> {
        let since = self.stopped?;
        let (quiet, drain) = (since.after(self.config.quiet), since.after(self.config.drain));
        Some(if self.replies.is_empty() { quiet.min(drain) } else { drain })
    }
}

impl<A: Address> DatagramMachine for DatagramEcho<A> {
    type Address = A;
    type Event = DroppedDatagram<A>;
    type Outcome = DatagramEchoOutcome;

    fn handle(&mut self, now: Time, input: DatagramInput<A>) {
        if self.end.is_some() {
            return;
        }
        match input {
            DatagramInput::Received(datagram) => self.receive(now, datagram),
            DatagramInput::TooLong { from } => {
                self.counts.received += 1;
                self.leave(from, DropReason::TooLong);
            }
            DatagramInput::Unsent(why) => {
                self.counts.echoed = self.counts.echoed.saturating_sub(1);
                self.counts.unsent += 1;
                self.unread.unsent();
                if let (Unsent::Full, Some(from)) = (why, self.answered.take()) {
                    self.unanswered.push_back(DroppedDatagram { from, cause: DropReason::Full });
                }
            }
            DatagramInput::SendQueue(queue) => self.unread.told(queue),
            DatagramInput::Stop => {
                self.stopped.get_or_insert(now);
            }
            DatagramInput::Abort => self.finish(End::Aborted),
            DatagramInput::Failed(failure) => self.finish(End::Failed(failure)),
        }
    }

    fn poll(&mut self, now: Time) -> DatagramAction<A, DroppedDatagram<A>, DatagramEchoOutcome> {
        if self.end.is_none()
            && let Some(reply) = self.reply(now)
        {
            self.counts.echoed += 1;
            return DatagramAction::Send(reply);
        }
        if let Some(unanswered) = self.unanswered.pop_front() {
            return DatagramAction::Event(unanswered);
        }
        let stops_at = self.stops_at();
        if stops_at.is_some_and(|at| at <= now) {
            self.finish(End::Stopped);
        }
        if let Some(end) = self.end {
            let DatagramEchoCounts { received, echoed, unanswered, unsent } = self.counts;
            return DatagramAction::Close(DatagramEchoOutcome { end, received, echoed, unanswered, unsent });
        }
        let reads_until = self.stopped.map(|since| since.after(self.config.quiet)).filter(|at| *at > now);
        let deadline = [stops_at, self.replies_at(now), reads_until].into_iter().flatten().min();
        // Where an answer waits to be read, senders wait in the transport's own queue.
        let is_held = !self.replies.is_empty() && self.unread.next(now).is_some();
        let read = if self.reads(now) && !is_held { BATCH } else { 0 };
        DatagramAction::Wait(DatagramWait { read, deadline })
    }
}
