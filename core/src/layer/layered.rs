//! A machine that speaks through a codec.

use core::time::Duration;

use bytes::{Bytes, BytesMut};

use super::credit::CreditTracker;
use super::cut::Cut;
use crate::{Action, Driven, Failure, Input, Machine, Step, Teardown, Time};

/// What the bytes of a machine look like on the wire: encryption, compression, framing.
///
/// A codec sees bytes, and neither credit, nor writes, nor time: [`Layered`] makes a [`Machine`] of it and of the one
/// that speaks through it. It must mark its end, or what was cut off could not be told from what was finished.
pub trait Codec {
    /// What a peer can do wrong.
    type Fault: Clone;

    /// Whether the machine's bytes may pass. While they may not, the codec speaks for itself: a handshake.
    fn is_open(&self) -> bool {
        true
    }

    /// Takes what it can from the front of `received`, and gives the next bytes for the machine, `max` of them at the
    /// most. `max` is 0 only while the codec is not open.
    ///
    /// # Errors
    ///
    /// What came is not what a peer may say; nothing is decoded after it.
    fn decode(&mut self, received: &mut BytesMut, max: usize) -> Result<Decoded, Self::Fault>;

    /// Takes the front of `plain`, which is not empty, and appends to `out` what carries it; how many bytes it took, at
    /// least one. A codec that appends nothing keeps them for later. Only called while it is open.
    ///
    /// # Errors
    ///
    /// It cannot go on.
    fn encode(&mut self, plain: &[u8], out: &mut BytesMut) -> Result<usize, Self::Fault>;

    /// Appends to `out` that there is nothing more to come. Called once.
    fn finish(&mut self, out: &mut BytesMut);

    /// Bytes for the machine that were taken and not given yet.
    fn held(&self) -> usize {
        0
    }

    /// Appends to `out` what the codec has to say for itself: the messages of a handshake, what it thinks of a fault.
    fn speak(&mut self, out: &mut BytesMut) {
        let _ = out;
    }
}

/// What a [`Codec`] made of what came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Decoded {
    /// Bytes for the machine, at least one.
    Data(Bytes),
    /// The peer says that there is nothing more to come.
    End,
    /// More is needed first.
    More,
}

/// How a [`Layered`] machine bounds memory and time.
///
/// | field | default | meaning |
/// | --- | --- | --- |
/// | `inbox` | 32 KiB | bytes held that were not decoded: what a codec takes as a whole must fit |
/// | `opening` | 10 s | longest time until the codec is open |
/// | `closing` | 2 s | longest time for its last words, once the machine in it is done |
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LayerConfig {
    /// Bytes held that were not decoded; 0 is taken as 1.
    pub inbox: usize,
    /// Longest time until the codec is open; 0 is taken as 1 ns.
    pub opening: Duration,
    /// Longest time for its last words; 0 is taken as 1 ns.
    pub closing: Duration,
}

impl LayerConfig {
    crate::setters! {
        inbox: usize,
        opening: Duration,
        closing: Duration,
    }
}

impl Default for LayerConfig {
    fn default() -> Self {
        Self { inbox: 32 << 10, opening: Duration::from_secs(10), closing: Duration::from_secs(2) }
    }
}

/// Why a layer gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerFault<F> {
    /// It was not open in time.
    Slow,
    /// The transport ended and the codec had not.
    Truncated,
    /// What came is not whole, and larger than the inbox.
    TooLarge,
    /// The machine was done, but the codec's end was not written: nobody took it in time, or the connection was aborted or
    /// failed before.
    Unfinished,
    /// The codec's own fault to find.
    Codec(F),
}

/// What came of a [`Layered`] machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LayerOutcome<F, O> {
    /// Why the layer gave up, if it did. Unless it was [`Unfinished`](LayerFault::Unfinished), the machine in it was told
    /// [`Failure::Truncated`].
    pub fault: Option<LayerFault<F>>,
    /// Whether the codec was ever open: if not, nothing of the machine's passed.
    pub opened: bool,
    /// Bytes that came before the peer's end and that the machine was not told of: what was not whole, what it had no
    /// credit for, what came when it was done.
    pub unread: u64,
    /// Of `unread`, the bytes that came after the machine in it [began to discard](Machine::discards_input).
    pub refused: u64,
    /// Bytes that the machine in it was told after that, and that had come before: decoded, so they are its own bytes. Of what
    /// the codec takes as a whole and had come in part, these are as many as had come of it, at least: its overhead is
    /// subtracted.
    pub lost: u64,
    /// Bytes that the transport [held](Machine::note_unread) at that moment and that never came to the layer. Not decoded, so
    /// this counts what is on the wire.
    pub unread_at_cut: u64,
    /// What came of the machine in it.
    pub inner: O,
}

/// A [`Machine`] whose bytes pass through a [`Codec`].
///
/// - The machine in it is polled at all times: its deadlines go on during a handshake.
/// - A write of it is done when what carries it is. Until then a byte of it is told as written each time the transport
///   takes some, so that the machine sees that something moves. What comes it sees when a piece of it is whole: limits
///   of time must leave room for that.
/// - Its read credit of 0 becomes one of the layer; what had been allowed before is held, in the inbox.
/// - Its half-close is the codec's end, then that of the transport. If it closes gracefully without one, there is one.
/// - The codec's end is its [`Input::Eof`]. The transport's end alone is a fault.
/// - A fault is its [`Failure::Truncated`]. The codec may still say what it thinks of it: then the transport is
///   half-closed, and read until the peer ends too, or a reset would destroy those words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layered<C: Codec, M: Machine> {
    codec: C,
    inner: Driven<M>,
    config: LayerConfig,
    credit: CreditTracker,
    /// What came and was not decoded.
    received: BytesMut,
    /// What is to be said; empty between polls.
    out: BytesMut,
    /// Bytes of the inner write that the outstanding write carries.
    carried: usize,
    born: Time,
    sending: Sending,
    /// The codec's end came.
    peer_finished: bool,
    fault: Option<LayerFault<C::Fault>>,
    opened: bool,
    unread: u64,
    refused: u64,
    lost: u64,
    cut: Cut,
    /// Aborted, or the transport failed.
    over: bool,
    /// The machine closed: since when the layer has its last words.
    closing: Option<(Time, Teardown, M::Outcome)>,
    ended: Option<Teardown>,
}

/// How far our side of the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Sending {
    Open,
    /// The machine half-closed, or is done.
    Ending,
    /// The codec said its end.
    Ended,
    /// The transport is half-closed.
    Shut,
}

impl<C: Codec, M: Machine> Layered<C, M> {
    /// `machine`, speaking through `codec` from `now` on.
    pub fn new(codec: C, machine: M, config: LayerConfig, now: Time) -> Self {
        Self {
            codec,
            inner: Driven::new(machine),
            config,
            credit: CreditTracker::default(),
            received: BytesMut::new(),
            out: BytesMut::new(),
            carried: 0,
            born: now,
            sending: Sending::Open,
            peer_finished: false,
            fault: None,
            opened: false,
            unread: 0,
            refused: 0,
            lost: 0,
            cut: Cut::default(),
            over: false,
            closing: None,
            ended: None,
        }
    }

    /// The codec, to look at.
    pub const fn codec(&self) -> &C {
        &self.codec
    }

    /// The machine in it, to look at.
    pub const fn machine(&self) -> &M {
        self.inner.machine()
    }

    /// Bytes held: not decoded, or handed out in a write that is not covered yet. What the codec and the machine hold
    /// comes on top.
    pub fn held(&self) -> usize {
        self.received.len() + self.credit.outstanding()
    }

    fn inbox(&self) -> usize {
        self.config.inbox.max(1)
    }

    fn give_up(&mut self, now: Time, fault: LayerFault<C::Fault>) {
        if self.fault.is_none() && !self.over && self.closing.is_none() {
            self.fault = Some(fault);
            self.drop_received();
            self.inner.failed(now, Failure::Truncated);
        }
    }

    /// What was not told will not be.
    fn drop_received(&mut self) {
        let held = self.codec.held();
        self.leave_unread(held as u64, self.cut.decoded_before(held, held));
        let received = self.received.len();
        self.received.clear();
        self.leave_encoded(received);
    }

    /// `bytes` bytes came that will not be decoded.
    fn leave_encoded(&mut self, bytes: usize) {
        let before = self.cut.pass(bytes);
        self.leave_unread(bytes as u64, before);
    }

    /// `bytes` bytes will not be told; `before` of them came before the cut.
    fn leave_unread(&mut self, bytes: u64, before: u64) {
        if !self.peer_finished {
            self.unread += bytes;
            self.refused += bytes - before;
        }
    }

    /// Polls the machine until it waits or is done; an event, if there is one.
    fn step(&mut self, now: Time) -> Option<M::Event> {
        while self.closing.is_none() {
            match self.inner.step(now) {
                Step::Event(event) => return Some(event),
                Step::Write => {}
                Step::ShutdownWrite => self.sending = self.sending.max(Sending::Ending),
                Step::Wait(_) => {
                    if self.inner.machine().discards_input() {
                        self.cut.note(self.received.len());
                    }
                    if !self.decode(now) {
                        break;
                    }
                }
                Step::Close { how, outcome } => {
                    self.drop_received();
                    if how == Teardown::Graceful {
                        self.sending = self.sending.max(Sending::Ending);
                    }
                    self.closing = Some((now, how, outcome));
                }
            }
        }
        None
    }

    /// Tells the machine what came; whether there was something.
    fn decode(&mut self, now: Time) -> bool {
        let max = self.inner.credit();
        let was_open = self.codec.is_open();
        if was_open && max == 0 {
            return false;
        }
        let max = if was_open { max } else { 0 };
        let received = self.received.len();
        let decoded = self.codec.decode(&mut self.received, max);
        self.cut.pass(received - self.received.len());
        self.opened |= self.codec.is_open();
        match decoded {
            Ok(Decoded::Data(bytes)) => {
                if self.cut.is_noted() {
                    self.lost += self.cut.decoded_before(bytes.len(), bytes.len() + self.codec.held());
                }
                let rest = self.inner.data(now, bytes);
                debug_assert!(rest.is_empty(), "a codec gives no more than it is asked for");
            }
            Ok(Decoded::End) => {
                self.peer_finished = true;
                self.drop_received();
                self.inner.eof(now);
            }
            Ok(Decoded::More) if !was_open && self.codec.is_open() => {}
            Ok(Decoded::More) if self.credit.eof() => self.give_up(now, LayerFault::Truncated),
            Ok(Decoded::More) if self.received.len() >= self.inbox() => {
                self.give_up(now, LayerFault::TooLarge);
            }
            Ok(Decoded::More) => return false,
            Err(fault) => self.give_up(now, LayerFault::Codec(fault)),
        }
        true
    }

    /// What there is to write.
    fn compose(&mut self, now: Time) -> Option<Bytes> {
        self.codec.speak(&mut self.out);
        if self.fault.is_none() && self.codec.is_open() {
            let plain = self.inner.pending();
            if !plain.is_empty() {
                match self.codec.encode(plain, &mut self.out) {
                    Ok(taken) => self.carried = taken,
                    Err(fault) => {
                        self.out.clear();
                        self.give_up(now, LayerFault::Codec(fault));
                    }
                }
            } else if self.sending == Sending::Ending {
                self.sending = Sending::Ended;
                self.codec.finish(&mut self.out);
            }
        }
        // After the half-close nothing can be said.
        if self.sending == Sending::Shut {
            self.out.clear();
        }
        if self.out.is_empty() {
            return None;
        }
        self.credit.write(self.out.len());
        Some(self.out.split().freeze())
    }

    /// So many of the bytes that are on their way have left.
    fn carry(&mut self, now: Time, bytes: usize) {
        self.carried -= bytes;
        if self.closing.is_none() && self.fault.is_none() {
            self.inner.wrote(now, bytes);
        }
    }

    /// Whether the transport is to be half-closed, now that all is written.
    fn is_done(&self) -> bool {
        match &self.fault {
            None => self.sending == Sending::Ended,
            Some(LayerFault::Codec(_)) => self.closing.is_some() && self.sending != Sending::Shut,
            Some(_) => false,
        }
    }

    /// How the transport is torn down, if it is time for that.
    fn end(&self, now: Time) -> Option<Teardown> {
        let (since, how, _) = self.closing.as_ref()?;
        let late = since.after(least(self.config.closing)) <= now;
        let shut = self.sending == Sending::Shut;
        match (&self.fault, how) {
            _ if self.over => Some(if shut { *how } else { Teardown::Reset }),
            // What the codec thinks of it is on its way until the peer has ended.
            (Some(LayerFault::Codec(_)), _) if shut && self.credit.eof() => Some(Teardown::Graceful),
            (None, Teardown::Graceful) if shut || !self.codec.is_open() => Some(Teardown::Graceful),
            (Some(LayerFault::Codec(_)), _) | (None, Teardown::Graceful) if !late => None,
            _ => Some(Teardown::Reset),
        }
    }

    /// When to poll again at the latest.
    fn deadline(&self) -> Option<Time> {
        if let Some((since, ..)) = &self.closing {
            return Some(since.after(least(self.config.closing)));
        }
        let open_by = (!self.codec.is_open()).then(|| self.open_by());
        self.inner.deadline().into_iter().chain(open_by).min()
    }

    fn open_by(&self) -> Time {
        self.born.after(least(self.config.opening))
    }
}

/// A limit of 0 would pass the moment it is set.
fn least(limit: Duration) -> Duration {
    limit.max(Duration::from_nanos(1))
}

impl<C: Codec, M: Machine> Machine for Layered<C, M> {
    type Command = M::Command;
    type Event = M::Event;
    type Outcome = LayerOutcome<C::Fault, M::Outcome>;

    fn handle(&mut self, now: Time, input: Input<M::Command>) {
        if self.ended.is_some() || self.over {
            return;
        }
        self.credit.spend(&input);
        match input {
            Input::Data(bytes) if self.closing.is_none() => self.received.extend_from_slice(&bytes),
            Input::Data(bytes) => self.leave_encoded(bytes.len()),
            Input::Wrote(_) => {
                let whole = self.credit.outstanding() == 0;
                self.carry(now, if whole { self.carried } else { usize::from(self.carried > 1) });
            }
            // What came before it is decoded first.
            Input::Eof => {}
            Input::Command(command) => {
                let refused = self.inner.command(now, command);
                debug_assert!(refused.is_ok(), "the layer welcomes what its machine does");
            }
            Input::Stop => self.inner.stop(now),
            Input::Abort => {
                self.over = true;
                self.inner.abort(now);
            }
            Input::Failed(failure) => {
                self.over = true;
                self.inner.failed(now, failure);
            }
        }
    }

    fn poll(&mut self, now: Time) -> Action<M::Event, Self::Outcome> {
        self.opened |= self.codec.is_open();
        if !self.codec.is_open() && self.open_by() <= now {
            self.give_up(now, LayerFault::Slow);
        }
        if let Some(event) = self.step(now) {
            return Action::Event(event);
        }
        if self.ended.is_none() && !self.over && self.credit.outstanding() == 0 {
            if let Some(bytes) = self.compose(now) {
                return Action::Write(bytes);
            }
            if self.carried > 0 {
                // The codec has them, and writes them when it likes.
                self.carry(now, self.carried);
                return self.poll(now);
            }
            if self.fault.is_some() && self.closing.is_none() {
                // Found just now: the machine has not said what comes of it.
                return self.poll(now);
            }
            if self.is_done() {
                self.sending = Sending::Shut;
                return Action::ShutdownWrite;
            }
        }
        if self.ended.is_none() {
            self.ended = self.end(now);
            let is_unfinished = self.ended == Some(Teardown::Reset) && self.sending != Sending::Shut;
            if is_unfinished && matches!(self.closing, Some((_, Teardown::Graceful, _))) {
                self.fault.get_or_insert(LayerFault::Unfinished);
            }
        }
        if let (Some(how), Some((_, _, inner))) = (self.ended, &self.closing) {
            let (fault, inner) = (self.fault.clone(), inner.clone());
            let Self { opened, unread, refused, lost, ref cut, .. } = *self;
            let unread_at_cut = cut.left_before();
            let outcome = LayerOutcome { fault, opened, unread, refused, lost, unread_at_cut, inner };
            return Action::Close { how, outcome };
        }
        let wanted = if self.closing.is_some() {
            // What comes is dropped.
            self.sending == Sending::Shut
        } else {
            !self.peer_finished && (!self.codec.is_open() || self.inner.credit() > 0)
        };
        let read = if wanted { self.inbox() - self.received.len() } else { 0 };
        let commands = if self.closing.is_some() { 0 } else { self.inner.command_credit() };
        Action::Wait(self.credit.wait(read, commands, self.deadline()))
    }

    fn discards_input(&self) -> bool {
        self.inner.machine().discards_input()
    }

    fn note_unread(&mut self, bytes: u64) {
        self.cut.note(self.received.len());
        self.cut.extend(bytes);
    }
}
