//! What is remembered of many keys in a table of fixed size.

use alloc::boxed::Box;
use alloc::vec;
use core::num::NonZeroU64;

/// Entries of a set: those that were touched last.
const WAYS: usize = 4;

/// A value for each of the keys that were touched last: sets of four, by key, in each the four that were touched last. Keys
/// come from peers, so the table never grows: a key that was pushed out is new again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Recent<V, const SETS: usize> {
    sets: Box<[Set<V>]>,
}

/// A key and its value in each entry, but for those that are empty.
type Set<V> = [Option<(NonZeroU64, V)>; WAYS];

impl<V: Copy, const SETS: usize> Recent<V, SETS> {
    pub(super) fn new() -> Self {
        Self { sets: vec![[None; WAYS]; SETS].into() }
    }

    /// What is remembered of this key.
    pub(super) fn get(&self, key: u64) -> Option<V> {
        let key = stored(key);
        let found = self.sets[Self::set(key)].iter().flatten().find(|(stored, _)| *stored == key);
        found.map(|(_, value)| *value)
    }

    /// Changes what is remembered of this key, `new` if that is nothing; `change` gives none to forget it.
    pub(super) fn update(&mut self, key: u64, new: V, change: impl FnOnce(V) -> Option<V>) {
        let key = stored(key);
        let set = &mut self.sets[Self::set(key)];
        let found = set.iter().position(|entry| entry.is_some_and(|(stored, _)| stored == key));
        let value = found.and_then(|found| set[found]).map_or(new, |(_, value)| value);
        // What was touched last stands first.
        set[..=found.unwrap_or(WAYS - 1)].rotate_right(1);
        set[0] = change(value).map(|value| (key, value));
    }

    fn set(key: NonZeroU64) -> usize {
        usize::try_from(key.get() % SETS as u64).unwrap_or_default()
    }
}

/// One key in 2^64 shares the entry of another: 0 is what an empty entry has.
fn stored(key: u64) -> NonZeroU64 {
    NonZeroU64::new(key).unwrap_or(NonZeroU64::MIN)
}
