//! The keys, and what the commands do to them.

use std::collections::HashMap;

use bytes::Bytes;

/// All keys and their values.
#[derive(Clone, Debug, Default)]
pub struct Keys(HashMap<Bytes, Bytes>);

/// Why a value cannot be counted up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCount {
    NoInteger,
    Overflow,
}

impl Keys {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.get(key).map(|value| &value[..])
    }

    /// Copies both: what a session has read is not kept for a few bytes of it.
    pub(crate) fn set(&mut self, key: &[u8], value: &[u8]) {
        let value = Bytes::copy_from_slice(value);
        match self.0.get_mut(key) {
            Some(old) => *old = value,
            None => drop(self.0.insert(Bytes::copy_from_slice(key), value)),
        }
    }

    /// Whether it was there.
    pub(crate) fn delete(&mut self, key: &[u8]) -> bool {
        self.0.remove(key).is_some()
    }

    pub(crate) fn exists(&self, key: &[u8]) -> bool {
        self.0.contains_key(key)
    }

    /// Counts up by one; a key that is not there was 0.
    pub(crate) fn increment(&mut self, key: &[u8]) -> Result<i64, NoCount> {
        let count = match self.get(key) {
            None => 0,
            Some(value) => integer(value).ok_or(NoCount::NoInteger)?,
        };
        let count = count.checked_add(1).ok_or(NoCount::Overflow)?;
        self.set(key, count.to_string().as_bytes());
        Ok(count)
    }
}

/// A number as Redis takes it: no sign but a minus, no zeros before it.
fn integer(value: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == value).then_some(number)
}
