//! Choices from a fuzzer's input.

use super::{Chooser, Entity, Site};

/// Draws choices from bytes, as a fuzzer mutates them; when they run out, everything is benign.
#[derive(Clone, Debug)]
pub struct FuzzBytes<'a> {
    bytes: &'a [u8],
}

impl<'a> FuzzBytes<'a> {
    /// The choices in `bytes`: one byte for up to 256 values, two for more.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl Chooser for FuzzBytes<'_> {
    #[inline]
    fn choose(&mut self, _site: Site, _who: Entity, n: u32) -> u32 {
        let Some((&first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        let mut value = u32::from(first);
        if n > 256
            && let Some((&second, rest)) = self.bytes.split_first()
        {
            self.bytes = rest;
            value |= u32::from(second) << 8;
        }
        value % n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_run_out_into_the_benign() {
        let mut chooser = FuzzBytes::new(&[7, 1, 1]);
        let mut choose = |n| chooser.choose(Site::TIE, Entity::WORLD, n);
        assert_eq!([choose(5), choose(1000), choose(1000), choose(2)], [2, 257, 0, 0]);
    }
}
