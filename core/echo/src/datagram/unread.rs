//! Against receivers that leave their answers unread, where those take up the room of everybody's answers.

use alloc::collections::VecDeque;
use core::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::datagram::SendQueue;

/// How long an answer may stay unread while others wait for its room.
const TRIAL: Duration = Duration::from_millis(10);
/// From one look at the send queue to the next.
const LOOK: Duration = Duration::from_micros(100);
/// What a datagram takes in the queue besides its payload, bytes, at least: Linux counts 768 for an empty one.
const OVERHEAD: u64 = 1024;
/// An answer may take this part of what is free.
const SHARE: u64 = 8;
/// Maximum number of suspended addresses. Each holds at least one datagram in the queue, so that a queue of the default
/// size is full before.
const MAX_SUSPENDED: usize = 1024;

/// Suspends the addresses that do not read.
///
/// The transport says how much is unread in all, and not for which address ([`SendQueue`]). So while less than half of the queue is
/// taken, nothing is asked. From then on answers leave one at a time: the next one leaves when the one before it was read,
/// which the total shows. An address that has not read within 10 ms is suspended, until less is unread than when it was: it
/// adds one datagram to the queue, and no more, however often it asks. That bounds each address to half of the queue and one
/// datagram, and all of them together to one datagram each beyond the half.
///
/// Many addresses can still fill it. A datagram is answered only if it takes at most an eighth of what is free, so that it
/// takes many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct UnreadGuard<A> {
    queue: SendQueue,
    trial: Option<Trial<A>>,
    suspended: VecDeque<Suspended<A>>,
}

/// An answer that must be read before the next one leaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Trial<A> {
    peer: A,
    /// What was unread before it.
    before: u64,
    until: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Suspended<A> {
    peer: A,
    /// What was unread then.
    unread: u64,
}

/// What is to be done with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Send it.
    Free,
    /// Look again [later](UnreadGuard::next).
    Later,
    /// Drop it.
    None,
}

impl<A: Clone + PartialEq> UnreadGuard<A> {
    pub(super) const fn new() -> Self {
        Self { queue: SendQueue { unread: 0, size: 0 }, trial: None, suspended: VecDeque::new() }
    }

    /// The transport says how much is unread.
    pub(super) fn told(&mut self, queue: SendQueue) {
        self.queue = queue;
        self.trial.take_if(|trial| queue.unread <= trial.before);
        self.suspended.retain(|one| one.unread <= queue.unread);
    }

    /// Whether an answer of `len` bytes may be sent to `peer` now.
    pub(super) fn room(&mut self, now: Time, peer: &A, len: usize) -> Room {
        if self.is_calm() {
            return Room::Free;
        }
        if self.trial.as_ref().is_some_and(|trial| trial.until > now) {
            return Room::Later;
        }
        if let Some(Trial { peer, .. }) = self.trial.take() {
            self.suspend(peer);
        }
        let free = self.queue.size.saturating_sub(self.queue.unread);
        let is_suspended = self.suspended.iter().any(|one| one.peer == *peer);
        if is_suspended || len as u64 + OVERHEAD > free / SHARE { Room::None } else { Room::Free }
    }

    /// An answer leaves.
    pub(super) fn sent(&mut self, now: Time, peer: &A) {
        if !self.is_calm() {
            self.trial =
                Some(Trial { peer: peer.clone(), before: self.queue.unread, until: now.after(TRIAL) });
        }
    }

    /// The last one did not leave.
    pub(super) fn unsent(&mut self) {
        self.trial = None;
    }

    /// When to look again, if an answer is waited for.
    pub(super) fn next(&self, now: Time) -> Option<Time> {
        self.trial.as_ref().map(|_| now.after(LOOK))
    }

    /// Whether it does not matter who reads.
    const fn is_calm(&self) -> bool {
        self.queue.unread <= self.queue.size / 2
    }

    fn suspend(&mut self, peer: A) {
        if self.suspended.len() >= MAX_SUSPENDED {
            self.suspended.pop_front();
        }
        self.suspended.push_back(Suspended { peer, unread: self.queue.unread });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 200_000;
    const EACH: u64 = 768;

    /// A queue, and what each address left in it.
    struct Transport {
        guard: UnreadGuard<u32>,
        now: Time,
        unread: u64,
    }

    impl Transport {
        const fn new() -> Self {
            Self { guard: UnreadGuard::new(), now: Time::ZERO, unread: 0 }
        }

        /// An answer to `peer`, who reads it at once or not at all; whether it was sent.
        fn answer(&mut self, peer: u32, reads: bool) -> bool {
            loop {
                match self.guard.room(self.now, &peer, 10) {
                    Room::Free => break,
                    Room::None => return false,
                    Room::Later => {
                        self.now = self.guard.next(self.now).unwrap();
                        self.tell();
                    }
                }
            }
            assert!(self.unread < SIZE, "the queue is full");
            self.guard.sent(self.now, &peer);
            self.unread += EACH;
            self.tell();
            if reads {
                self.unread -= EACH;
            }
            true
        }

        fn tell(&mut self) {
            self.guard.told(SendQueue { unread: self.unread, size: SIZE });
        }
    }

    #[test]
    fn one_that_never_reads_leaves_half_the_queue_to_the_others() {
        let mut transport = Transport::new();
        let answered = (0..10_000).filter(|_| transport.answer(1, false)).count() as u64;
        assert!(answered * EACH <= SIZE / 2 + 2 * EACH, "{answered}");
        assert!((0..10_000).all(|_| transport.answer(2, true)));
        assert!(!transport.answer(1, false));
    }

    #[test]
    fn an_answer_that_did_not_leave_is_not_waited_for() {
        let mut guard = UnreadGuard::new();
        guard.told(SendQueue { unread: SIZE - 80_000, size: SIZE });
        guard.sent(Time::ZERO, &1);
        assert_eq!(guard.room(Time::ZERO, &2, 10), Room::Later);
        guard.unsent();
        assert_eq!(guard.room(Time::ZERO, &2, 10), Room::Free);
    }

    #[test]
    fn an_answer_may_take_an_eighth_of_what_is_free() {
        let mut guard = UnreadGuard::new();
        guard.told(SendQueue { unread: SIZE - 80_000, size: SIZE });
        assert_eq!(guard.room(Time::ZERO, &1, 10_000 - 1024), Room::Free);
        assert_eq!(guard.room(Time::ZERO, &1, 10_000 - 1023), Room::None);
    }

    #[test]
    fn a_trial_lasts_ten_milliseconds() {
        let mut guard = UnreadGuard::new();
        guard.told(SendQueue { unread: SIZE - 80_000, size: SIZE });
        guard.sent(Time::ZERO, &1);
        guard.told(SendQueue { unread: SIZE - 79_000, size: SIZE });
        let end = Time::ZERO.after(TRIAL);
        assert_eq!(guard.room(Time::from_nanos(end.as_nanos() - 1), &1, 10), Room::Later);
        assert_eq!(guard.room(end, &1, 10), Room::None);
    }

    #[test]
    fn each_of_many_adds_one_datagram_to_the_half() {
        let mut transport = Transport::new();
        for _ in 0..1000 {
            for peer in 1..=100 {
                transport.answer(peer, false);
                assert!(transport.answer(0, true), "at {}", transport.unread);
            }
        }
        assert!(transport.unread <= SIZE / 2 + 101 * EACH, "{}", transport.unread);
    }

    #[test]
    fn however_many_there_are_the_queue_is_never_full() {
        let mut transport = Transport::new();
        for peer in 1..=5000 {
            transport.answer(peer, false);
        }
        assert!(transport.unread < SIZE);
    }

    #[test]
    fn one_that_reads_again_is_answered_again() {
        let mut transport = Transport::new();
        while transport.answer(1, false) {}
        transport.unread -= EACH;
        transport.tell();
        assert!(transport.answer(1, true), "it read one, and there is room for one");
        transport.unread = 0;
        transport.tell();
        assert!((0..100).all(|_| transport.answer(1, false)));
    }
}
