//! What a thread drives, each in a slot that a token names.

/// Names a thing in its slot, and no other that had the slot before or has it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub usize);

/// The low bits of a token are the slot, the others say how often the slot was used before: an event, or a ring, that
/// was meant for an earlier one of the slot is not taken for the present one's.
const SLOT_BITS: u32 = usize::BITS / 4 * 3;
const SLOT_MASK: usize = (1 << SLOT_BITS) - 1;

/// Things in slots.
///
/// They are boxed: a table that grows then moves pointers, and what is resident is what is held.
#[derive(Debug)]
pub struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Slot<T> {
    token: Token,
    held: Option<Box<T>>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slots<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Takes the slot that became free last, or a new one.
    pub fn insert(&mut self, held: T) -> Token {
        self.insert_with(|_token| held)
    }

    /// The same, for what must know its token.
    pub fn insert_with(&mut self, held: impl FnOnce(Token) -> T) -> Token {
        let index = self.free.pop().unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(Slot { token: Token(index), held: None });
        }
        let slot = &mut self.slots[index];
        slot.held = Some(Box::new(held(slot.token)));
        slot.token
    }

    /// What the token was given for; none if that is gone.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let slot = self.slots.get_mut(Self::index(token)).filter(|slot| slot.token == token)?;
        slot.held.as_deref_mut()
    }

    /// Empties the slot, which is then used again under another token.
    pub fn remove(&mut self, token: Token) -> Option<Box<T>> {
        let index = Self::index(token);
        let slot = self.slots.get_mut(index).filter(|slot| slot.token == token)?;
        let held = slot.held.take()?;
        slot.token = Token(token.0.wrapping_add(SLOT_MASK + 1));
        self.free.push(index);
        Some(held)
    }

    /// The slot that a token names.
    pub const fn index(token: Token) -> usize {
        token.0 & SLOT_MASK
    }

    /// The token of whatever is in this slot, if anything is.
    pub fn token(&self, index: usize) -> Option<Token> {
        self.slots.get(index).filter(|slot| slot.held.is_some()).map(|slot| slot.token)
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_reach_who_has_its_slot_later() {
        let mut slots = Slots::new();
        let first = slots.insert('a');
        assert_eq!(slots.remove(first), Some(Box::new('a')));
        let second = slots.insert('b');
        assert_eq!(Slots::<char>::index(first), Slots::<char>::index(second), "the slot is used again");
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get_mut(second), Some(&mut 'b'));
        assert_eq!(slots.token(0), Some(second));
    }

    #[test]
    fn slots_are_as_many_as_were_held_at_one_time() {
        let mut slots = Slots::new();
        for _ in 0..1 << 17 {
            let (a, b) = (slots.insert(()), slots.insert(()));
            assert!(Slots::<()>::index(a) < 2 && Slots::<()>::index(b) < 2);
            slots.remove(a);
            slots.remove(b);
        }
        assert!(slots.is_empty());
    }
}
