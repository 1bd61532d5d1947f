//! Answers that wait for the rate: each source's own, in turn.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use roundtrip_core::Time;
use roundtrip_core::datagram::Datagram;

/// Datagrams that wait at most, whatever the rate: what one client has in flight if it asks for nothing else.
const MIN_WAITING: usize = 64;
const MAX_WAITING: usize = 256;
/// Their payloads together, bytes.
const MAX_BYTES: usize = 1 << 20;

/// The answers that wait, a queue for each source, served in turn (fair queueing; Nagle, RFC 970).
///
/// Where there is no room, the source that has most waiting loses its last one: a source that floods the server drops its
/// own datagrams, and not those of others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FairQueue<A> {
    sources: Vec<Source<A>>,
    waiting: usize,
    bytes: usize,
    limit: usize,
    /// Turns that were given so far.
    turns: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source<A> {
    peer: A,
    /// When it may be answered next, and its turn among those that may.
    ready: (Time, u64),
    payloads: VecDeque<Bytes>,
    bytes: usize,
}

impl<A: Clone + PartialEq> FairQueue<A> {
    /// Holds what is answered within a tenth of a second at this rate, 64 to 256 datagrams.
    pub(super) fn new(rate: Option<u32>) -> Self {
        let tenth = rate.map_or(MIN_WAITING, |rate| usize::try_from(rate / 10).unwrap_or(MAX_WAITING));
        let limit = tenth.clamp(MIN_WAITING, MAX_WAITING);
        Self { sources: Vec::new(), waiting: 0, bytes: 0, limit, turns: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.waiting
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Adds an answer to a source that may be answered from `ready` on; the sources that lost one each for want of room, with
    /// this one if the answer itself has none.
    pub(super) fn push(&mut self, datagram: Datagram<A>, ready: Time) -> Vec<A> {
        let Datagram { peer, payload } = datagram;
        let mut lost = Vec::new();
        while self.waiting >= self.limit || self.bytes + payload.len() > MAX_BYTES {
            let by_count = self.waiting >= self.limit;
            let size = |source: &Source<A>| if by_count { source.payloads.len() } else { source.bytes };
            let this = if by_count { 1 } else { payload.len() };
            let this = this + self.sources.iter().find(|source| source.peer == peer).map_or(0, size);
            let longest = self.sources.iter().enumerate().max_by_key(|(_, source)| size(source));
            let longest = longest.filter(|(_, longest)| size(longest) > this).map(|(index, _)| index);
            let Some(dropped) = longest.and_then(|longest| self.drop_last(longest)) else {
                lost.push(peer);
                return lost;
            };
            lost.push(dropped);
        }
        self.waiting += 1;
        self.bytes += payload.len();
        if let Some(own) = self.sources.iter_mut().find(|source| source.peer == peer) {
            own.bytes += payload.len();
            own.payloads.push_back(payload);
        } else {
            self.turns += 1;
            let (bytes, ready) = (payload.len(), (ready, self.turns));
            self.sources.push(Source { peer, ready, payloads: VecDeque::from([payload]), bytes });
        }
        lost
    }

    /// Drops the last answer of this source; whose it was.
    fn drop_last(&mut self, index: usize) -> Option<A> {
        let source = self.sources.get_mut(index)?;
        let dropped = source.payloads.pop_back()?;
        source.bytes -= dropped.len();
        self.waiting -= 1;
        self.bytes -= dropped.len();
        let peer = source.peer.clone();
        if source.payloads.is_empty() {
            self.sources.swap_remove(index);
        }
        Some(peer)
    }

    /// The source whose turn it is and the length of its answer, if any may be answered now.
    pub(super) fn front(&self, now: Time) -> Option<(&A, usize)> {
        let source = &self.sources[self.first(now)?];
        Some((&source.peer, source.payloads.front()?.len()))
    }

    /// Takes the answer whose turn it is. Its source may be answered again from `ready` on.
    pub(super) fn pop(&mut self, now: Time, ready: impl FnOnce(&A) -> Time) -> Option<Datagram<A>> {
        let first = self.first(now)?;
        let source = &mut self.sources[first];
        let payload = source.payloads.pop_front()?;
        self.waiting -= 1;
        self.bytes -= payload.len();
        source.bytes -= payload.len();
        if source.payloads.is_empty() {
            let peer = self.sources.swap_remove(first).peer;
            // It has begun its next wait all the same.
            ready(&peer);
            return Some(Datagram { peer, payload });
        }
        self.turns += 1;
        source.ready = (ready(&source.peer), self.turns);
        Some(Datagram { peer: source.peer.clone(), payload })
    }

    /// When the next answer may leave.
    pub(super) fn next(&self) -> Option<Time> {
        self.sources.iter().map(|source| source.ready.0).min()
    }

    pub(super) fn clear(&mut self) {
        self.sources.clear();
        (self.waiting, self.bytes) = (0, 0);
    }

    fn first(&self, now: Time) -> Option<usize> {
        let (index, source) = self.sources.iter().enumerate().min_by_key(|(_, source)| source.ready)?;
        (source.ready.0 <= now).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut FairQueue<u32>, peer: u32, len: usize) -> Vec<u32> {
        queue.push(Datagram { peer, payload: alloc::vec![0; len].into() }, Time::ZERO)
    }

    fn order(queue: &mut FairQueue<u32>) -> Vec<u32> {
        core::iter::from_fn(|| queue.pop(Time::ZERO, |_| Time::ZERO)).map(|datagram| datagram.peer).collect()
    }

    /// What it counts is what it holds.
    fn check(queue: &FairQueue<u32>) {
        let bytes = |source: &Source<u32>| source.payloads.iter().map(Bytes::len).sum::<usize>();
        assert!(queue.sources.iter().all(|source| source.bytes == bytes(source)));
        assert_eq!(queue.bytes, queue.sources.iter().map(bytes).sum());
        assert_eq!(queue.len(), queue.sources.iter().map(|source| source.payloads.len()).sum());
    }

    #[test]
    fn sources_take_turns() {
        let mut queue = FairQueue::new(None);
        for peer in [1, 1, 1, 2, 2, 3] {
            assert_eq!(push(&mut queue, peer, 1), []);
        }
        assert_eq!((queue.len(), order(&mut queue)), (6, alloc::vec![1, 2, 3, 1, 2, 1]));
        assert!(queue.is_empty());
    }

    /// It goes behind those that have had their turn already.
    #[test]
    fn a_new_source_goes_behind_all_others() {
        let mut queue = FairQueue::new(None);
        for peer in [1, 1, 2, 2] {
            push(&mut queue, peer, 1);
        }
        let pop =
            |queue: &mut FairQueue<u32>| queue.pop(Time::ZERO, |_| Time::ZERO).map(|datagram| datagram.peer);
        assert_eq!((pop(&mut queue), pop(&mut queue)), (Some(1), Some(2)));
        push(&mut queue, 3, 1);
        assert_eq!(order(&mut queue), [1, 2, 3]);
    }

    #[test]
    fn whoever_floods_it_loses_its_own() {
        let mut queue = FairQueue::new(Some(10_000));
        for number in 0..10_000 {
            let lost = push(&mut queue, 1, 1);
            assert_eq!(lost.len(), usize::from(number >= MAX_WAITING));
        }
        assert_eq!(push(&mut queue, 2, 1), [1], "there is room for another, and the first makes it");
        assert_eq!(push(&mut queue, 1, 1), [1]);
        assert_eq!(order(&mut queue)[..3], [1, 2, 1]);
    }

    #[test]
    fn it_holds_no_more_bytes_than_it_may() {
        let mut queue = FairQueue::new(Some(10_000));
        for number in 0..10_000 {
            push(&mut queue, number % 7, 60_000);
            check(&queue);
            assert!(queue.bytes <= MAX_BYTES && queue.len() <= MAX_WAITING);
        }
        assert!(push(&mut queue, 9, 60_000).iter().all(|lost| *lost < 7));
        let left = order(&mut queue);
        assert!((0..7).all(|peer| left.contains(&peer)) && left.contains(&9));
        assert_eq!((queue.bytes, queue.len()), (0, 0));
    }

    /// The last ones of the flood are small, and make no room.
    #[test]
    fn every_answer_that_is_dropped_is_counted_and_a_flood_makes_room_for_others() {
        let mut queue = FairQueue::new(Some(10_000));
        for len in [60_000; 17].into_iter().chain([1; 3]) {
            assert_eq!(push(&mut queue, 1, len), []);
        }
        assert_eq!(push(&mut queue, 2, 30_000), [1; 4]);
        assert_eq!((queue.len(), queue.bytes), (17, 16 * 60_000 + 30_000));
        assert_eq!(push(&mut queue, 1, 60_000), [1], "its own has no room");
    }

    #[test]
    fn its_counts_are_those_of_what_it_holds() {
        let mut queue = FairQueue::new(None);
        for (peer, len) in [(1, 10), (1, 20), (1, 30), (2, 40), (2, 50)] {
            push(&mut queue, peer, len);
            check(&queue);
        }
        queue.pop(Time::ZERO, |_| Time::ZERO).unwrap();
        check(&queue);
        assert_eq!(queue.drop_last(0), Some(1));
        check(&queue);
        queue.clear();
        check(&queue);
        assert!(queue.is_empty() && queue.bytes == 0);
    }

    #[test]
    fn it_holds_as_many_bytes_as_it_may() {
        let mut queue = FairQueue::new(None);
        for peer in 0..16 {
            assert_eq!(push(&mut queue, peer, MAX_BYTES / 16), []);
        }
        assert_eq!(push(&mut queue, 16, 1).len(), 1, "one of the others makes room");
    }

    /// The one with more bytes has fewer datagrams.
    #[test]
    fn where_there_are_too_many_the_source_with_the_most_datagrams_loses_one() {
        let mut queue = FairQueue::new(None);
        push(&mut queue, 2, 60_000);
        for _ in 1..MIN_WAITING {
            push(&mut queue, 1, 1);
        }
        assert_eq!(push(&mut queue, 3, 1), [1]);
    }

    /// With the new one, it would have as many as any other.
    #[test]
    fn a_source_that_would_have_as_many_as_the_others_takes_no_room_from_them() {
        let mut queue = FairQueue::new(None);
        for peer in 0..64 {
            push(&mut queue, peer, 1);
        }
        assert_eq!(push(&mut queue, 64, 1), [64]);
        let mut queue = FairQueue::new(None);
        for peer in [1; 32].into_iter().chain([2; 31]).chain([3]) {
            push(&mut queue, peer, 1);
        }
        assert_eq!(push(&mut queue, 2, 1), [2]);
    }

    #[test]
    fn a_source_that_has_to_wait_lets_the_others_pass() {
        let (mut queue, later) = (FairQueue::new(None), Time::from_nanos(5));
        push(&mut queue, 1, 1);
        push(&mut queue, 1, 1);
        push(&mut queue, 2, 1);
        assert_eq!(queue.pop(Time::ZERO, |_| later).map(|datagram| datagram.peer), Some(1));
        assert_eq!(order(&mut queue), [2]);
        assert_eq!((queue.front(Time::ZERO), queue.next()), (None, Some(later)));
        assert_eq!(queue.front(later), Some((&1, 1)));
    }
}
