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
        Self { first: None, rest: VecDeque::new() }
    }
}

impl<T> ShortQueue<T> {
    #[inline(always)]
    pub(crate) fn push_back(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.rest.push_back(value);
        }
    }

    /// Puts `value` before all others.
    pub(crate) fn push_front(&mut self, value: T) {
        if let Some(second) = self.first.replace(value) {
            self.rest.push_front(second);
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

    #[inline(always)]
    pub(crate) const fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    #[inline(always)]
    pub(crate) const fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    #[inline(always)]
    pub(crate) fn has_several(&self) -> bool {
        !self.rest.is_empty()
    }

    #[inline(always)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn clear(&mut self) {
        self.first = None;
        self.rest.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_order() {
        let mut queue = ShortQueue::default();
        for value in 1..4 {
            queue.push_back(value);
        }
        queue.push_front(0);
        assert!(queue.has_several() && !queue.is_empty());
        assert_eq!(std::iter::from_fn(|| queue.pop_front()).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(queue.is_empty() && !queue.has_several());
        queue.push_front(7);
        assert_eq!(queue.front(), Some(&7));
        assert_eq!(queue.front_mut(), Some(&mut 7));
        queue.clear();
        assert_eq!(queue.pop_front(), None);
    }
}
