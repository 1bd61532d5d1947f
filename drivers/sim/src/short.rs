//! A queue that mostly holds one thing, or none.

use std::collections::VecDeque;

/// First in, first out; the first is held inline.
#[derive(Debug)]
pub(crate) struct ShortQueue<T> {
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Default for ShortQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ShortQueue<T> {
    pub(crate) const fn new() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }

    #[inline(always)]
    pub(crate) fn push_back(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.rest.push_back(value);
        }
    }

    #[inline(always)]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let first = self.first.take();
        if !self.rest.is_empty() {
            self.first = self.rest.pop_front();
        }
        first
    }

    /// Takes the first if it is `wanted`.
    #[inline(always)]
    pub(crate) fn pop_front_if(&mut self, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
        if wanted(self.first.as_ref()?) { self.pop_front() } else { None }
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        if index == 0 { self.first.as_ref() } else { self.rest.get(index - 1) }
    }

    #[inline(always)]
    pub(crate) const fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    /// Drops all but the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        if len == 0 {
            self.first = None;
        }
        self.rest.truncate(len.saturating_sub(1));
    }

    pub(crate) fn clear(&mut self) {
        self.truncate(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_order() {
        let mut queue = ShortQueue::default();
        for value in 0..4 {
            queue.push_back(value);
        }
        assert_eq!((queue.get(0), queue.get(3), queue.get(4)), (Some(&0), Some(&3), None));
        assert_eq!(std::iter::from_fn(|| queue.pop_front()).collect::<Vec<_>>(), [0, 1, 2, 3]);
        queue.push_back(7);
        assert_eq!(queue.front_mut(), Some(&mut 7));
        queue.push_back(8);
        queue.push_back(9);
        queue.truncate(2);
        assert_eq!((queue.get(1), queue.get(2)), (Some(&8), None));
        queue.clear();
        assert_eq!(queue.pop_front(), None);
    }
}
